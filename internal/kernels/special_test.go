package kernels

import (
	"errors"
	"fmt"
	"math"
	"slices"
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

// An infinity in x, y or z: norms, attention and rows give what the formula gives in float64.
func TestInfinitiesByTheFormula(t *testing.T) {
	const rows, width, eps = 9, 37, 1e-5
	shape := AttentionShape{Batch: 1, SeqQ: rows, SeqK: rows, Heads: 1, HeadDim: width}.complete()
	ids := []int64{3, 1, 4, 1, 5, 8, 2, 6, 5}
	eachVersion(t, func(t *testing.T) {
		for which := range 4 {
			for _, bad := range []float32{inf, -inf} {
				in := [4][]float32{normal(rows*width, 1), normal(rows*width, 2), normal(rows*width, 3), normal(rows*width, 4)}
				in[which][4*width+20] = bad
				name := fmt.Sprintf("%v in operand %d", bad, which)

				gamma, beta := in[2][4*width:5*width], in[3][4*width:5*width]
				y, dx, dgamma, dbeta := layerNormOf(float64s(in[0]), float64s(gamma), float64s(beta), float64s(in[1]), rows, width, eps)
				got, gotGamma, gotBeta := make([]float32, rows*width), make([]float32, width), make([]float32, width)
				LayerNorm(got, in[0], gamma, beta, rows, width, eps)
				compare(t, "LayerNorm, "+name, got, y, 2e-6, 2e-6)
				LayerNormGrad(got, gotGamma, gotBeta, in[0], gamma, in[1], rows, width, eps)
				if which != 1 && which != 2 { // what is infinite beside what is not a number depends on the order
					compare(t, "LayerNormGrad dx, "+name, got, dx, 2e-5, 4e-6)
				}
				compare(t, "LayerNormGrad dgamma, "+name, gotGamma, dgamma, 4e-6, 2e-5)
				compare(t, "LayerNormGrad dbeta, "+name, gotBeta, dbeta, 4e-6, 2e-5)

				out, dq, dk, dv := attentionOf(in[3], in[0], in[1], in[2], nil, shape)
				Attention(got, in[0], in[1], in[2], nil, shape)
				compare(t, "Attention, "+name, got, out, 1e-5, 1e-5)
				grads := [3][]float32{make([]float32, rows*width), make([]float32, rows*width), make([]float32, rows*width)}
				AttentionGrad(grads[0], grads[1], grads[2], in[3], in[0], in[1], in[2], nil, shape)
				for i, want := range [][]float64{dq, dk, dv} {
					for j, w := range want {
						if finite := !math.IsNaN(w) && !math.IsInf(w, 0); finite != (grads[i][j]-grads[i][j] == 0) {
							t.Fatalf("AttentionGrad %d, %s: element %d is %v, want %v", i, name, j, grads[i][j], w)
						}
					}
				}

				gathered, added := make([]float32, rows*width), slices.Clone(in[1])
				if err := errors.Join(GatherRows(gathered, in[0], ids, width), ScatterAddRows(added, in[0], ids, width)); err != nil {
					t.Fatal(err)
				}
				wantRows, wantAdded := make([]float64, rows*width), float64s(in[1])
				for i, id := range ids {
					for c := range width {
						wantRows[i*width+c] = float64(in[0][int(id)*width+c])
						wantAdded[int(id)*width+c] += float64(in[0][i*width+c])
					}
				}
				compare(t, "GatherRows, "+name, gathered, wantRows, 0, 0)
				compare(t, "ScatterAddRows, "+name, added, wantAdded, 1e-6, 1e-6)
			}
		}
	})
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
