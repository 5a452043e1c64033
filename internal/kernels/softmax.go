package kernels

import (
	"math"

	"github.com/ftk-go/ftk/internal/parallel"
)

// SoftmaxRows is the softmax of each row of x[rows, cols].
func SoftmaxRows(dst, x []float32, rows, cols int) {
	runSoftmax("SoftmaxRows", softmaxForward, dst, x, nil, rows, cols)
}

// SoftmaxRowsGrad is dx = y·(dy - Σ y·dy) for each row, where y is the softmax.
func SoftmaxRowsGrad(dx, y, dy []float32, rows, cols int) {
	same("SoftmaxRowsGrad", len(y), len(dy))
	runSoftmax("SoftmaxRowsGrad", softmaxBackward, dx, y, dy, rows, cols)
}

// LogSoftmaxRows is the logarithm of the softmax of each row of x[rows, cols]. dst must not be x.
func LogSoftmaxRows(dst, x []float32, rows, cols int) {
	runSoftmax("LogSoftmaxRows", logSoftmaxForward, dst, x, nil, rows, cols)
}

// LogSoftmaxRowsGrad is dx = dy - exp(y)·Σ dy for each row, where y is the log-softmax. dx must be neither y nor dy.
func LogSoftmaxRowsGrad(dx, y, dy []float32, rows, cols int) {
	same("LogSoftmaxRowsGrad", len(y), len(dy))
	runSoftmax("LogSoftmaxRowsGrad", logSoftmaxBackward, dx, y, dy, rows, cols)
}

func runSoftmax(kernel string, row func(dst, x, dy []float32), dst, x, dy []float32, rows, cols int) {
	matrix(kernel, rows, cols, len(dst), len(x))
	t := softmaxTasks.Get()
	*t = softmaxTask{row: row, dst: dst, x: x, dy: dy, cols: cols}
	parallel.Run(rows, rowGrain(cols, costlyGrain), t)
	*t = softmaxTask{}
	softmaxTasks.Put(t)
}

type softmaxTask struct {
	row        func(dst, x, dy []float32)
	dst, x, dy []float32
	cols       int
}

var softmaxTasks parallel.Free[softmaxTask]

func (t *softmaxTask) Chunk(_, lo, hi int) {
	for r := lo; r < hi; r++ {
		i, j := r*t.cols, (r+1)*t.cols
		var dy []float32
		if t.dy != nil {
			dy = t.dy[i:j]
		}
		t.row(t.dst[i:j], t.x[i:j], dy)
	}
}

func softmaxForward(dst, x, _ []float32) {
	softmaxFrom(dst, x, vec.max(x))
}

// softmaxFrom is the softmax of one row whose maximum is known.
func softmaxFrom(dst, x []float32, top float32) {
	sum := vec.expSum(dst, x, top)
	vec.scale(dst, dst, 1/sum)
}

func softmaxBackward(dx, y, dy []float32) {
	vec.softmaxGrad(dx, y, dy, vec.dot(y, dy), 1)
}

func logSoftmaxForward(dst, x, _ []float32) {
	top := vec.max(x)
	sum := vec.expSum(dst, x, top)
	logSum := float32(math.Log(float64(sum)))
	vec.offset(dst, x, -top)
	vec.offset(dst, dst, -logSum)
}

func logSoftmaxBackward(dx, y, dy []float32) {
	vec.exp(dx, y)
	vec.scale(dx, dx, -vec.sum(dy))
	vec.add(dx, dx, dy)
}
