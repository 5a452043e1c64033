package kernels

import (
	"math"

	"github.com/ftk-go/ftk/internal/parallel"
)

// SumSquares is Σ x² in float64, for the norm of a gradient.
func SumSquares(x []float32) float64 {
	return reduceAll(sumSquaresPart, addFloat64, 0, x)
}

// SumSquaresRows is Σ x² in float64 over some rows of x[n, width], each counted as often as index names it. The result
// is the same bit for bit whatever the number of threads: each row is added up by itself, and the sums of the rows are
// in the order of index.
func SumSquaresRows(x []float32, index []int32, width int) float64 {
	t := rowSquaresTasks.Get()
	t.x, t.index, t.width = x, index, width
	if cap(t.sums) < len(index) {
		t.sums = make([]float64, len(index))
	}
	t.sums = t.sums[:len(index)]
	parallel.Run(len(index), rowGrain(width, cheapGrain), t)
	var sum float64
	for _, s := range t.sums {
		sum += s
	}
	t.x, t.index = nil, nil
	rowSquaresTasks.Put(t)
	return sum
}

// rowSquaresTask adds up rows.
type rowSquaresTask struct {
	x     []float32
	index []int32
	width int
	sums  []float64 // one of each row of index
}

var rowSquaresTasks parallel.Free[rowSquaresTask]

func (t *rowSquaresTask) Chunk(_, lo, hi int) {
	for i, r := range t.index[lo:hi] {
		t.sums[lo+i] = vec.sumSquares(t.x[int(r)*t.width : (int(r)+1)*t.width])
	}
}

// Sum is Σ x, added up in float32 within blocks and in float64 between them.
func Sum(x []float32) float64 { return reduceAll(sumPart, addFloat64, 0, x) }

// Max is the largest element, -Inf if there is none; NaN are passed over.
func Max(x []float32) float32 {
	return float32(reduceAll(maxPart, math.Max, math.Inf(-1), x))
}

func addFloat64(a, b float64) float64 { return a + b }

// sumBlock is how many elements are added up in float32.
const sumBlock = 1024

func sumSquaresPart(x []float32) float64 { return vec.sumSquares(x) }

func sumPart(x []float32) float64 {
	var s float64
	for len(x) > sumBlock {
		s += float64(vec.sum(x[:sumBlock]))
		x = x[sumBlock:]
	}
	return s + float64(vec.sum(x))
}

func maxPart(x []float32) float64 { return float64(vec.max(x)) }

type reduceTask struct {
	part    func(x []float32) float64
	x       []float32
	results []float64 // one of each block
}

var reduceTasks parallel.Free[reduceTask]

// reduceBlock is how many elements are reduced in one go.
const reduceBlock = cheapGrain

func (t *reduceTask) Chunk(_, lo, hi int) {
	for b := lo; b < hi; b++ {
		t.results[b] = t.part(t.x[b*reduceBlock : min((b+1)*reduceBlock, len(t.x))])
	}
}

// reduceAll combines the results of blocks in their order, which is the same whatever the number of threads.
func reduceAll(part func(x []float32) float64, combine func(a, b float64) float64, zero float64, x []float32) float64 {
	t := reduceTasks.Get()
	t.part, t.x = part, x
	blocks := (len(x) + reduceBlock - 1) / reduceBlock
	if cap(t.results) < blocks {
		t.results = make([]float64, blocks)
	}
	t.results = t.results[:blocks]
	parallel.Run(blocks, 1, t)
	for _, r := range t.results {
		zero = combine(zero, r)
	}
	t.part, t.x = nil, nil
	reduceTasks.Put(t)
	return zero
}
