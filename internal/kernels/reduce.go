package kernels

import (
	"math"

	"github.com/ftk-go/ftk/internal/parallel"
)

// SumSquares is Σ x² in float64, for the norm of a gradient.
func SumSquares(x []float32) float64 {
	return reduceAll(sumSquaresPart, addFloat64, 0, x)
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
	results []float64 // one of each chunk
}

var reduceTasks parallel.Free[reduceTask]

func (t *reduceTask) Chunk(c, lo, hi int) {
	t.results[c] = t.part(t.x[lo:hi])
}

// reduceAll combines the results of the chunks in their order.
func reduceAll(part func(x []float32) float64, combine func(a, b float64) float64, zero float64, x []float32) float64 {
	t := reduceTasks.Get()
	t.part, t.x = part, x
	chunks := parallel.Chunks(len(x), cheapGrain)
	if cap(t.results) < chunks {
		t.results = make([]float64, chunks)
	}
	t.results = t.results[:chunks]
	parallel.Run(len(x), cheapGrain, t)
	for _, r := range t.results {
		zero = combine(zero, r)
	}
	t.part, t.x = nil, nil
	reduceTasks.Put(t)
	return zero
}
