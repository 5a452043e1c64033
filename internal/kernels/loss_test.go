package kernels

import (
	"errors"
	"fmt"
	"math"
	"testing"
)

func crossEntropyOf(x []float64, label int, smoothing float64) float64 {
	p := softmaxOf(x)
	loss := -(1 - smoothing) * math.Log(p[label])
	for _, v := range p {
		loss -= smoothing / float64(len(p)) * math.Log(v)
	}
	return loss
}

// hingeOf is the margin loss of Crammer & Singer with margin 1.
func hingeOf(x []float64, label int) float64 {
	worst := 0.0
	for j, v := range x {
		if j != label {
			worst = math.Max(worst, 1+v-x[label])
		}
	}
	return worst
}

// slope is the derivative of f at element i by central difference.
func slope(f func(x []float64) float64, x []float64, i int) float64 {
	const h = 1e-5
	up, down := append([]float64{}, x...), append([]float64{}, x...)
	up[i] += h
	down[i] -= h
	return (f(up) - f(down)) / (2 * h)
}

func TestClassificationLosses(t *testing.T) {
	eachVersion(t, func(t *testing.T) {
		for _, s := range [][2]int{{1, 2}, {7, 3}, {70, 77}, {3, 1000}} {
			rows, classes := s[0], s[1]
			logits, labels := normal(rows*classes, 1), make([]int64, rows)
			Scale(logits, logits, 3)
			for r := range labels {
				labels[r] = int64(r*31%(classes+1)) - 1 // -1: not counted
			}
			loss, grad := make([]float32, rows), make([]float32, rows*classes)
			for _, c := range []struct {
				name  string
				of    func(x []float64, label int) float64
				loss  func() error
				grads func() error
			}{
				{"CrossEntropy", func(x []float64, l int) float64 { return crossEntropyOf(x, l, 0) },
					func() error { return CrossEntropy(loss, logits, labels, rows, classes, 0) },
					func() error { return CrossEntropyGrad(grad, logits, labels, rows, classes, 0, 0.5) }},
				{"CrossEntropy smoothed", func(x []float64, l int) float64 { return crossEntropyOf(x, l, 0.1) },
					func() error { return CrossEntropy(loss, logits, labels, rows, classes, 0.1) },
					func() error { return CrossEntropyGrad(grad, logits, labels, rows, classes, 0.1, 0.5) }},
				{"Hinge", hingeOf,
					func() error { return Hinge(loss, logits, labels, rows, classes, 1) },
					func() error { return HingeGrad(grad, logits, labels, rows, classes, 1, 0.5) }},
			} {
				if err := c.loss(); err != nil {
					t.Fatal(err)
				}
				if err := c.grads(); err != nil {
					t.Fatal(err)
				}
				for r, label := range labels {
					x := float64s(logits[r*classes : (r+1)*classes])
					of := func(x []float64) float64 {
						if label < 0 {
							return 0
						}
						return c.of(x, int(label))
					}
					if w := of(x); !closeTo(loss[r], w, 2e-6, 1e-6) {
						t.Errorf("%s of row %d is %v, want %v", c.name, r, loss[r], w)
					}
					for j := 0; j < classes; j += 1 + classes/10 {
						if w := 0.5 * slope(of, x, j); math.Abs(float64(grad[r*classes+j])-w) > 1e-6 {
							t.Errorf("%s: slope of row %d class %d is %v, want %v", c.name, r, j, grad[r*classes+j], w)
						}
					}
				}
			}
		}
	})
}

func TestLossesRefuseLabelsBeyondTheClasses(t *testing.T) {
	x, labels, loss := make([]float32, 6), []int64{1, 3}, make([]float32, 2)
	if CrossEntropy(loss, x, labels, 2, 3, 0) == nil || CrossEntropyGrad(x, x, labels, 2, 3, 0, 1) == nil || Hinge(loss, x, labels, 2, 3, 1) == nil {
		t.Error("label 3 of 3 classes is accepted")
	}
}

func TestLossOfExtremeLogits(t *testing.T) {
	eachVersion(t, func(t *testing.T) {
		logits, labels := []float32{1000, -1000, 1000, -1000, nan, 0, inf, 0, -inf, 0}, []int64{0, 1, 0, 0, 1}
		loss, grad := make([]float32, 5), make([]float32, 10)
		if err := errors.Join(CrossEntropy(loss, logits, labels, 5, 2, 0), CrossEntropyGrad(grad, logits, labels, 5, 2, 0, 1)); err != nil {
			t.Fatal(err)
		}
		bad := math.NaN()
		compare(t, "losses", loss, []float64{0, 2000, bad, bad, 0}, 0, 0)
		compare(t, "gradients", grad, []float64{0, 0, 1, -1, bad, bad, bad, bad, 0, 0}, 0, 0)
	})
}

// smoothedOf is the cross-entropy with label smoothing and its gradient in float64, by logarithms of the softmax, which
// do not underflow.
func smoothedOf(x []float64, label int, smoothing float64) (loss float64, grad []float64) {
	top := math.Inf(-1)
	for _, v := range x {
		top = math.Max(top, v)
	}
	var sum float64
	for _, v := range x {
		sum += math.Exp(v - top)
	}
	logSum := math.Log(sum)
	for j, v := range x {
		share := smoothing / float64(len(x))
		if j == label {
			share += 1 - smoothing
		}
		loss -= share * (v - top - logSum)
		grad = append(grad, math.Exp(v-top)/sum-share)
	}
	return loss, grad
}

// Logits small and large, far from zero, and special values at every place of a vector.
func TestLabelSmoothingOverTheRange(t *testing.T) {
	eachVersion(t, func(t *testing.T) {
		check := func(what string, logits []float32, classes int, smoothing float32) {
			t.Helper()
			rows := len(logits) / classes
			labels, loss, grad := make([]int64, rows), make([]float32, rows), make([]float32, rows*classes)
			var wantLoss, wantGrad []float64
			for r := range labels {
				labels[r] = int64(r * 31 % classes)
				l, g := smoothedOf(float64s(logits[r*classes:(r+1)*classes]), int(labels[r]), float64(smoothing))
				wantLoss, wantGrad = append(wantLoss, l), append(wantGrad, g...)
			}
			if err := errors.Join(CrossEntropy(loss, logits, labels, rows, classes, smoothing), CrossEntropyGrad(grad, logits, labels, rows, classes, smoothing, 1)); err != nil {
				t.Fatal(err)
			}
			compare(t, what+": loss", loss, wantLoss, 1e-6, 1e-6)
			compare(t, what+": gradient", grad, wantGrad, 1e-6, 3e-7)
		}
		for _, classes := range []int{1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 77, 1000, 5000} {
			for _, scale := range []float32{0, 1e-30, 1e-3, 1, 30, 1e4, 1e30} {
				for _, shift := range []float32{0, -1e4, 1e6} {
					for _, smoothing := range []float32{0.01, 0.1, 0.9} {
						x := normal(5*classes, uint64(classes))
						for i := range x {
							x[i] = x[i]*scale + shift
						}
						check(fmt.Sprintf("%d classes, scale %v, shift %v, smoothing %v", classes, scale, shift, smoothing), x, classes, smoothing)
					}
				}
			}
		}
		for _, classes := range []int{2, 9, 37} {
			for _, bad := range []float32{nan, inf, -inf, math.MaxFloat32, -math.MaxFloat32} {
				x := normal(classes*classes, 3) // in each row at another place
				for r := range classes {
					x[r*classes+r] = bad
				}
				check(fmt.Sprintf("%v among %d classes", bad, classes), x, classes, 0.1)
			}
			x := make([]float32, classes)
			for i := range x {
				x[i] = -inf
			}
			check(fmt.Sprintf("%d classes of -Inf", classes), x, classes, 0.1)
			for i := range x {
				x[i] = math.MaxFloat32
				if i%2 == 1 {
					x[i] = -math.MaxFloat32
				}
			}
			check(fmt.Sprintf("%d classes of ±MaxFloat32", classes), x, classes, 0.1)
		}
	})
}
