package kernels

import (
	"math"
	"testing"
)

// A NaN among the inputs makes NaN of what depends on it, by the formula, and leaves the rest as it is to the bit: a loss
// that diverges must show, and rows that have nothing to do with each other must not meet.
func TestNaNStaysWhereItBelongs(t *testing.T) {
	const rows, width = 9, 37
	const row, col = 4, 20 // of the bad element
	all := func(int, int) bool { return true }
	sameRow := func(r, _ int) bool { return r == row }
	sameColumn := func(_, c int) bool { return c == col }
	itself := func(r, c int) bool { return r == row && c == col }
	turned := func(r, c int) bool { return r == rows-1-row && c == col } // by ids
	ids := make([]int64, rows)
	labels := make([]int64, rows)
	for i := range ids {
		ids[i], labels[i] = int64(rows-1-i), int64(i)
	}
	gamma, beta := normal(width, 1), normal(width, 2)
	out := func() []float32 { return make([]float32, rows*width) }
	done := func(y []float32, err error) []float32 {
		if err != nil {
			t.Fatal(err)
		}
		return y
	}
	eachVersion(t, func(t *testing.T) {
		for _, k := range []struct {
			name string
			f    func(x []float32) []float32 // of [rows width]
			bad  func(r, c int) bool         // of the result
			wide int                         // columns of the result
		}{
			{"AddRow", func(x []float32) []float32 { y := out(); AddRow(y, x, gamma); return y }, itself, width},
			{"SumRows", func(x []float32) []float32 {
				s := make([]float32, width)
				SumRows(s, x, rows, width, false)
				return s
			}, sameColumn, width},
			{"SumSquares", func(x []float32) []float32 { return []float32{float32(SumSquares(x))} }, all, 1},
			{"SumSquaresRows", func(x []float32) []float32 {
				sums := make([]float32, rows)
				for r := range sums {
					sums[r] = float32(SumSquaresRows(x, []int32{int32(r)}, width))
				}
				return sums
			}, sameRow, 1},
			{"SoftmaxRows", func(x []float32) []float32 { y := out(); SoftmaxRows(y, x, rows, width); return y }, sameRow, width},
			{"SoftmaxRowsGrad", func(x []float32) []float32 {
				y, dx := out(), out()
				SoftmaxRows(y, normal(rows*width, 3), rows, width)
				SoftmaxRowsGrad(dx, y, x, rows, width)
				return dx
			}, sameRow, width},
			{"LayerNorm", func(x []float32) []float32 {
				y := out()
				LayerNorm(y, x, gamma, beta, rows, width, 1e-5)
				return y
			}, sameRow, width},
			{"LayerNormGrad, dx of x", func(x []float32) []float32 {
				dx, dg, db := out(), make([]float32, width), make([]float32, width)
				LayerNormGrad(dx, dg, db, x, gamma, normal(rows*width, 3), rows, width, 1e-5)
				return dx
			}, sameRow, width},
			{"LayerNormGrad, dx of dy", func(x []float32) []float32 {
				dx, dg, db := out(), make([]float32, width), make([]float32, width)
				LayerNormGrad(dx, dg, db, normal(rows*width, 3), gamma, x, rows, width, 1e-5)
				return dx
			}, sameRow, width},
			{"LayerNormGrad, dgamma and dbeta of dy", func(x []float32) []float32 {
				dx, sums := out(), make([]float32, 2*width)
				LayerNormGrad(dx, sums[:width], sums[width:], normal(rows*width, 3), gamma, x, rows, width, 1e-5)
				return sums
			}, func(_, c int) bool { return c%width == col }, 2 * width},
			{"CrossEntropy, smoothed", func(x []float32) []float32 {
				loss := make([]float32, rows)
				return done(loss, CrossEntropy(loss, x, labels, rows, width, 0.1))
			}, sameRow, 1},
			{"CrossEntropyGrad", func(x []float32) []float32 {
				d := out()
				return done(d, CrossEntropyGrad(d, x, labels, rows, width, 0, 1))
			}, sameRow, width},
			{"CrossEntropyGrad, smoothed", func(x []float32) []float32 {
				d := out()
				return done(d, CrossEntropyGrad(d, x, labels, rows, width, 0.1, 1))
			}, sameRow, width},
			{"GatherRows", func(x []float32) []float32 { y := out(); return done(y, GatherRows(y, x, ids, width)) }, turned, width},
			{"ScatterAddRows", func(x []float32) []float32 {
				y := normal(rows*width, 4)
				return done(y, ScatterAddRows(y, x, ids, width))
			}, turned, width},
			{"Attention of a query", func(x []float32) []float32 { return attend(x, normal(rows*width, 5), normal(rows*width, 6)) }, sameRow, width},
			{"Attention of a key", func(x []float32) []float32 { return attend(normal(rows*width, 5), x, normal(rows*width, 6)) }, all, width},
			{"Attention of a value", func(x []float32) []float32 { return attend(normal(rows*width, 5), normal(rows*width, 6), x) }, sameColumn, width},
			{"AttentionGrad, dq of dout", func(x []float32) []float32 { return attendGrad(x, 0) }, sameRow, width},
			{"AttentionGrad, dk of dout", func(x []float32) []float32 { return attendGrad(x, 1) }, all, width},
			{"AttentionGrad, dv of dout", func(x []float32) []float32 { return attendGrad(x, 2) }, sameColumn, width},
			{"AdamW", func(x []float32) []float32 {
				p, m, v := normal(rows*width, 7), out(), out()
				AdamW(p, x, m, v, AdamWStep{LR: 0.1, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, GradScale: 1, BiasCorr1: 0.1, BiasCorr2: 0.001})
				return p
			}, itself, width},
		} {
			clean := normal(rows*width, 8)
			want := k.f(clean)
			spoilt := append([]float32{}, clean...)
			spoilt[row*width+col] = nan
			for i, v := range k.f(spoilt) {
				if k.bad(i/k.wide, i%k.wide) {
					if v == v {
						t.Errorf("%s: element %d is %v, want NaN", k.name, i, v)
					}
				} else if math.Float32bits(v) != math.Float32bits(want[i]) {
					t.Errorf("%s: element %d is %v, was %v", k.name, i, v, want[i])
				}
			}
		}
	})
}

// attend is attention of one head over 9 positions of 37 elements.
func attend(q, k, v []float32) []float32 {
	out := make([]float32, len(q))
	Attention(out, q, k, v, nil, AttentionShape{Batch: 1, SeqQ: 9, SeqK: 9, Heads: 1, HeadDim: 37})
	return out
}

// attendGrad is one of dq, dk, dv.
func attendGrad(dout []float32, which int) []float32 {
	n := len(dout)
	grads := [3][]float32{make([]float32, n), make([]float32, n), make([]float32, n)}
	AttentionGrad(grads[0], grads[1], grads[2], dout, normal(n, 5), normal(n, 6), normal(n, 7), nil,
		AttentionShape{Batch: 1, SeqQ: 9, SeqK: 9, Heads: 1, HeadDim: 37})
	return grads[which]
}

// Infinities come out as the formula has them.
func TestInfinities(t *testing.T) {
	eachVersion(t, func(t *testing.T) {
		x := normal(67, 1)
		x[40] = -inf
		if s := SumSquares(x); !math.IsInf(s, 1) {
			t.Errorf("SumSquares is %v", s)
		}
		rows := normal(3*37, 2)
		rows[37+5] = inf
		sums := make([]float32, 37)
		SumRows(sums, rows, 3, 37, false)
		if sums[5] != inf || math.IsInf(float64(sums[4]), 0) {
			t.Errorf("SumRows gives %v and %v", sums[5], sums[4])
		}
		param, m, v := make([]float32, 20), make([]float32, 20), make([]float32, 20)
		grad := normal(20, 3)
		grad[17] = inf // m and v become infinite, their quotient is not a number
		AdamW(param, grad, m, v, AdamWStep{LR: 0.1, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, GradScale: 1, BiasCorr1: 0.1, BiasCorr2: 0.001})
		if m[17] != inf || v[17] != inf || param[17] == param[17] || param[16] != param[16] {
			t.Errorf("AdamW: m %v, v %v, parameter %v beside %v", m[17], v[17], param[17], param[16])
		}
	})
}
