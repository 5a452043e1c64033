package kernels

import (
	"math"

	"github.com/ftk-go/ftk/internal/parallel"
)

// SumSquares is Σ x² in float64, for the norm of a gradient.
func SumSquares(x []float32) float64 {
	return reduceAll(sumSquaresPart, addFloat64, 0, x, nil)
}

// Dot is Σ x·y, added up in float32 within blocks and in float64 between them.
func Dot(x, y []float32) float64 {
	same("Dot", len(x), len(y))
	return reduceAll(dotPart, addFloat64, 0, x, y)
}

// Sum is Σ x, added up like Dot.
func Sum(x []float32) float64 { return reduceAll(sumPart, addFloat64, 0, x, nil) }

// Max is the largest element, -Inf if there is none; NaN are passed over.
func Max(x []float32) float32 {
	return float32(reduceAll(maxPart, math.Max, math.Inf(-1), x, nil))
}

// AllFinite reports whether there is neither NaN nor an infinity: the squares of finite float32 do not overflow a
// float64.
func AllFinite(x []float32) bool {
	s := SumSquares(x)
	return !math.IsNaN(s) && !math.IsInf(s, 0)
}

func addFloat64(a, b float64) float64 { return a + b }

// sumBlock is how many elements are added up in float32.
const sumBlock = 1024

func sumSquaresPart(x, _ []float32) float64 { return vec.sumSquares(x) }

func dotPart(x, y []float32) float64 {
	var s float64
	for len(x) > sumBlock {
		s += float64(vec.dot(x[:sumBlock], y[:sumBlock]))
		x, y = x[sumBlock:], y[sumBlock:]
	}
	return s + float64(vec.dot(x, y))
}

func sumPart(x, _ []float32) float64 {
	var s float64
	for len(x) > sumBlock {
		s += float64(vec.sum(x[:sumBlock]))
		x = x[sumBlock:]
	}
	return s + float64(vec.sum(x))
}

func maxPart(x, _ []float32) float64 { return float64(vec.max(x)) }

type reduceTask struct {
	part    func(x, y []float32) float64
	x, y    []float32
	results []float64 // one of each chunk
}

var reduceTasks parallel.Free[reduceTask]

func (t *reduceTask) Chunk(c, lo, hi int) {
	y := t.y
	if y != nil {
		y = y[lo:hi]
	}
	t.results[c] = t.part(t.x[lo:hi], y)
}

// reduceAll combines the results of the chunks in their order.
func reduceAll(part func(x, y []float32) float64, combine func(a, b float64) float64, zero float64, x, y []float32) float64 {
	t := reduceTasks.Get()
	t.part, t.x, t.y = part, x, y
	chunks := parallel.Chunks(len(x), cheapGrain)
	if cap(t.results) < chunks {
		t.results = make([]float64, chunks)
	}
	t.results = t.results[:chunks]
	parallel.Run(len(x), cheapGrain, t)
	for _, r := range t.results {
		zero = combine(zero, r)
	}
	t.part, t.x, t.y = nil, nil, nil
	reduceTasks.Put(t)
	return zero
}
