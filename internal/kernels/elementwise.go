package kernels

import "github.com/ftk-go/ftk/internal/parallel"

// Add is dst = x + y.
func Add(dst, x, y []float32) { binary("Add", vec.add, dst, x, y, cheapGrain) }

// Sub is dst = x - y.
func Sub(dst, x, y []float32) { binary("Sub", vec.sub, dst, x, y, cheapGrain) }

// Mul is dst = x·y; with a mask of zeros and 1/(1-rate) for y it is dropout.
func Mul(dst, x, y []float32) { binary("Mul", vec.mul, dst, x, y, cheapGrain) }

// Div is dst = x/y.
func Div(dst, x, y []float32) { binary("Div", vec.div, dst, x, y, cheapGrain) }

// Scale is dst = s·x.
func Scale(dst, x []float32, s float32) { scalar("Scale", vec.scale, dst, x, s, cheapGrain) }

// AXPY is dst += s·x.
func AXPY(dst, x []float32, s float32) { scalar("AXPY", vec.axpy, dst, x, s, cheapGrain) }

// Fill sets every element to v.
func Fill(dst []float32, v float32) { scalar("Fill", fill, dst, dst, v, cheapGrain) }

func fill(dst, _ []float32, v float32) {
	if v == 0 {
		clear(dst)
		return
	}
	for i := range dst {
		dst[i] = v
	}
}

// Copy is dst = x on all threads.
func Copy(dst, x []float32) { unary("Copy", copyGo, dst, x, cheapGrain) }

func copyGo(dst, x []float32) { copy(dst, x) }

// AddRow adds a row (a bias) to every row of x: dst[r,c] = x[r,c] + row[c]. len(x) is a multiple of len(row).
func AddRow(dst, x, row []float32) {
	if len(row) == 0 {
		same("AddRow", 0, len(dst), len(x))
		return
	}
	rows := len(x) / len(row)
	matrix("AddRow", rows, len(row), len(x), len(dst))
	t := rowTasks.Get()
	*t = rowTask{dst: dst, x: x, row: row}
	parallel.Run(rows, rowGrain(len(row), cheapGrain), t)
	*t = rowTask{}
	rowTasks.Put(t)
}

// rowTask adds one row to many.
type rowTask struct {
	dst, x, row []float32
}

var rowTasks parallel.Free[rowTask]

func (t *rowTask) Chunk(_, lo, hi int) {
	w := len(t.row)
	for r := lo; r < hi; r++ {
		i, j := r*w, r*w+w
		vec.add(t.dst[i:j], t.x[i:j], t.row)
	}
}

// SumRows adds up the rows of x[rows, cols] into dst[cols] (the gradient of a bias), on top of what dst holds if
// accumulate.
func SumRows(dst, x []float32, rows, cols int, accumulate bool) {
	matrix("SumRows", rows, cols, len(x))
	same("SumRows", cols, len(dst))
	t := sumRowsTasks.Get()
	*t = sumRowsTask{dst: dst, x: x, rows: rows, cols: cols, accumulate: accumulate}
	// Threads share out columns, in blocks of whole cache lines: no partial sums to add.
	parallel.Run((cols+columnBlock-1)/columnBlock, max(1, cheapGrain/max(1, rows*columnBlock)), t)
	*t = sumRowsTask{}
	sumRowsTasks.Put(t)
}

const (
	columnBlock = 16
	rowBlock    = 32 // rows added up before the sum joins that of the rows above: less rounding than one long sum
)

type sumRowsTask struct {
	dst, x     []float32
	rows, cols int
	accumulate bool
}

var sumRowsTasks parallel.Free[sumRowsTask]

func (t *sumRowsTask) Chunk(_, lo, hi int) {
	lo, hi = lo*columnBlock, min(hi*columnBlock, t.cols)
	dst := t.dst[lo:hi]
	if !t.accumulate {
		clear(dst)
	}
	for r := 0; r < t.rows; r += rowBlock {
		n := min(rowBlock, t.rows-r)
		vec.addRows(dst, t.x[r*t.cols+lo:(r+n-1)*t.cols+hi], n, t.cols)
	}
}
