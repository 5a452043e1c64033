package kernels

import (
	"fmt"
	"math"
	"testing"
)

// softmaxOf is the softmax of a row in float64.
func softmaxOf(x []float64) []float64 {
	top := math.Inf(-1)
	for _, v := range x {
		top = math.Max(top, v)
	}
	y, sum := make([]float64, len(x)), 0.0
	for i, v := range x {
		y[i] = math.Exp(v - top)
		sum += y[i]
	}
	for i := range y {
		y[i] /= sum
	}
	return y
}

func float64s(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

var rowSizes = [][2]int{{1, 1}, {1, 2}, {3, 7}, {5, 64}, {129, 33}, {40, 384}, {3, 3072}}

func TestSoftmaxRows(t *testing.T) {
	eachVersion(t, func(t *testing.T) {
		for _, s := range rowSizes {
			rows, cols := s[0], s[1]
			x, dy := normal(rows*cols, 1), normal(rows*cols, 2)
			Scale(x, x, 4)
			y, dx := make([]float32, len(x)), make([]float32, len(x))
			SoftmaxRows(y, x, rows, cols)
			SoftmaxRowsGrad(dx, y, dy, rows, cols)
			logY, logDx := make([]float32, len(x)), make([]float32, len(x))
			LogSoftmaxRows(logY, x, rows, cols)
			LogSoftmaxRowsGrad(logDx, logY, dy, rows, cols)
			// The loops of attention: the mask is taken off x and half of the rest given, to be put back.
			several, severalDx, mask := make([]float32, len(x)), append([]float32{}, dy...), normal(cols, 3)
			for i, v := range x {
				several[i] = (v - mask[i%cols]) / 2
			}
			vec.softmaxRows(several, rows, mask, 2)
			vec.softmaxGradRows(severalDx, y, rows, cols, 1)
			for r := range rows {
				i, j := r*cols, (r+1)*cols
				name := fmt.Sprintf("%d×%d row %d", rows, cols, r)
				want := softmaxOf(float64s(x[i:j]))
				compare(t, "SoftmaxRows "+name, y[i:j], want, 2e-6, tiny)

				var dot, sum float64
				for c, p := range want {
					dot += p * float64(dy[i+c])
					sum += float64(dy[i+c])
				}
				grad, logs, logGrad := make([]float64, cols), make([]float64, cols), make([]float64, cols)
				for c, p := range want {
					d := float64(dy[i+c])
					grad[c], logs[c], logGrad[c] = p*(d-dot), math.Log(p), d-p*sum
				}
				compare(t, "SoftmaxRowsGrad "+name, dx[i:j], grad, 4e-6, 1e-6)
				compare(t, "softmaxRows "+name, several[i:j], want, 8e-6, tiny) // of rounded arguments
				compare(t, "softmaxGradRows "+name, severalDx[i:j], grad, 4e-6, 1e-6)
				compare(t, "LogSoftmaxRows "+name, logY[i:j], logs, 1e-6, 1e-6)
				compare(t, "LogSoftmaxRowsGrad "+name, logDx[i:j], logGrad, 4e-6, 2e-6)
			}
		}
	})
}

func TestSoftmaxOfSpecialRows(t *testing.T) {
	const low = -math.MaxFloat32
	fill := func(v float32) []float32 {
		x := make([]float32, 21)
		Fill(x, v)
		return x
	}
	with := func(x []float32, i int, v float32) []float32 { x[i] = v; return x }
	eachVersion(t, func(t *testing.T) {
		for name, x := range map[string][]float32{
			"all masked":      fill(low),
			"all -Inf":        fill(-inf),
			"one +Inf":        with(fill(1), 20, inf),
			"one NaN":         with(fill(1), 18, nan),
			"one -Inf":        with(fill(1), 3, -inf),
			"one not masked":  with(fill(low), 17, 5),
			"huge":            with(fill(3e38), 2, -3e38),
			"zero among -Inf": with(fill(-inf), 0, 0),
		} {
			y := make([]float32, len(x))
			SoftmaxRows(y, x, 1, len(x))
			compare(t, name, y, softmaxOf(float64s(x)), 2e-6, tiny)
			two := append(append([]float32{}, x...), x...)
			vec.softmaxRows(two, 2, make([]float32, len(x)), 1)
			compare(t, name+", first of two rows", two[:len(x)], softmaxOf(float64s(x)), 2e-6, tiny)
			compare(t, name+", second of two rows", two[len(x):], softmaxOf(float64s(x)), 2e-6, tiny)
		}
	})
}

// layerNormOf computes LayerNormalization and its gradient in float64, straight from the definition.
func layerNormOf(x, gamma, beta, dy []float64, rows, width int, eps float64) (y, dx, dgamma, dbeta []float64) {
	y, dx, dgamma, dbeta = make([]float64, len(x)), make([]float64, len(x)), make([]float64, width), make([]float64, width)
	n := float64(width)
	for r := range rows {
		row := x[r*width : (r+1)*width]
		var mean, variance, g, gx float64
		for _, v := range row {
			mean += v / n
		}
		for _, v := range row {
			variance += (v - mean) * (v - mean) / n
		}
		rstd := 1 / math.Sqrt(variance+eps)
		for c, v := range row {
			i := r*width + c
			xhat := (v - mean) * rstd
			y[i] = xhat*gamma[c] + beta[c]
			g += dy[i] * gamma[c] / n
			gx += dy[i] * gamma[c] * xhat / n
			dgamma[c] += dy[i] * xhat
			dbeta[c] += dy[i]
		}
		for c, v := range row {
			i := r*width + c
			dx[i] = rstd * (dy[i]*gamma[c] - g - (v-mean)*rstd*gx)
		}
	}
	return y, dx, dgamma, dbeta
}

func TestLayerNorm(t *testing.T) {
	const eps = 1e-12
	eachVersion(t, func(t *testing.T) {
		for _, th := range []int{1, 2} {
			threads(t, th)
			for _, s := range [][2]int{{0, 4}, {1, 2}, {3, 7}, {129, 33}, {40, 384}, {6, 3072}, {500, 64}} {
				rows, width := s[0], s[1]
				name := fmt.Sprintf("%d×%d on %d threads", rows, width, th)
				a, residual, gamma, beta, dy := normal(rows*width, 1), normal(rows*width, 2), normal(width, 3), normal(width, 4), normal(rows*width, 5)
				for i := range a {
					a[i] += 3
				}
				x := make([]float32, len(a))
				Add(x, a, residual)
				y, dx, dgamma, dbeta := layerNormOf(float64s(x), float64s(gamma), float64s(beta), float64s(dy), rows, width, eps)
				got := make([]float32, len(x))
				tol := 2e-6
				if width < 4 {
					tol = 2e-5 // two nearly equal numbers: the variance cancels
				}
				LayerNorm(got, x, gamma, beta, rows, width, eps)
				compare(t, "LayerNorm "+name, got, y, tol, 2e-6)
				inPlace := append([]float32{}, x...)
				LayerNorm(inPlace, inPlace, gamma, beta, rows, width, eps)
				compare(t, "LayerNorm in place "+name, inPlace, y, tol, 2e-6)
				LayerNorm(got, x, gamma, nil, rows, width, eps)
				Sub(got, inPlace, got)
				for r := range rows {
					compare(t, "LayerNorm without beta "+name, got[r*width:(r+1)*width], float64s(beta), 1e-5, 4e-6)
				}

				gotGamma, gotBeta := normal(width, 6), normal(width, 7)
				LayerNormGrad(got, gotGamma, gotBeta, x, gamma, dy, rows, width, eps)
				compare(t, "LayerNormGrad dx "+name, got, dx, 10*tol, 4e-6)
				compare(t, "LayerNormGrad dgamma "+name, gotGamma, dgamma, 4e-6, 2e-5)
				compare(t, "LayerNormGrad dbeta "+name, gotBeta, dbeta, 4e-6, 2e-5)
				LayerNormGrad(nil, nil, gotBeta, x, gamma, dy, rows, width, eps)
				compare(t, "LayerNormGrad dbeta alone "+name, gotBeta, dbeta, 4e-6, 2e-5)
			}
		}
	})
}

func TestLayerNormOfSpecialRows(t *testing.T) {
	eachVersion(t, func(t *testing.T) {
		width := 37
		ones := make([]float32, width)
		Fill(ones, 1)
		got := make([]float32, width)
		x := make([]float32, width)
		Fill(x, 5)
		LayerNorm(got, x, ones, nil, 1, width, 1e-5)
		compare(t, "equal elements", got, make([]float64, width), 0, 0)
		for _, bad := range []float32{nan, inf} {
			x[36] = bad
			LayerNorm(got, x, ones, nil, 1, width, 1e-5)
			for i, v := range got {
				if v == v {
					t.Errorf("with %v: element %d is %v, want NaN", bad, i, v)
				}
			}
		}
	})
}

func TestGatherAndScatter(t *testing.T) {
	eachVersion(t, func(t *testing.T) {
		for _, th := range []int{1, 2} {
			threads(t, th)
			const n, width = 50, 77
			table, ids := normal(n*width, 1), make([]int64, 1000)
			for i := range ids {
				ids[i] = int64(i*i%n) - int64(i%2)*n // every other one counts from the end
			}
			rows := make([]float32, len(ids)*width)
			if err := GatherRows(rows, table, ids, width); err != nil {
				t.Fatal(err)
			}
			want := float64s(table)
			for i := range ids {
				r := i * i % n
				sameBits(t, "GatherRows", rows[i*width:(i+1)*width], table[r*width:(r+1)*width])
				for c := range width {
					want[r*width+c] += float64(rows[i*width+c])
				}
			}
			if err := ScatterAddRows(table, rows, ids, width); err != nil {
				t.Fatal(err)
			}
			compare(t, "ScatterAddRows", table, want, 1e-5, 1e-6)
			for _, bad := range []int64{n, -n - 1} {
				ids[7] = bad
				if GatherRows(rows, table, ids, width) == nil || ScatterAddRows(table, rows, ids, width) == nil {
					t.Errorf("index %d is accepted", bad)
				}
			}
		}
	})
}

// relative divides both by the largest of want.
func relative(got []float32, want []float64) ([]float32, []float64) {
	top := math.SmallestNonzeroFloat32
	for _, v := range want {
		top = math.Max(top, math.Abs(v))
	}
	g, w := make([]float32, len(got)), make([]float64, len(want))
	for i := range want {
		g[i], w[i] = float32(float64(got[i])/top), want[i]/top
	}
	return g, w
}

// Norms of numbers from 1e-30 to 1e15, around zero and far from it. (Beyond 1e18 the variance is no float32.)
func TestLayerNormOverTheRange(t *testing.T) {
	const rows, width, eps = 7, 130, 1e-12
	eachVersion(t, func(t *testing.T) {
		for _, scale := range []float32{1e-30, 1e-15, 1e-6, 1e-3, 1, 1e3, 1e15} {
			for _, shift := range []float32{0, 10, -1000} {
				x, gamma, beta, dy := normal(rows*width, 1), normal(width, 3), normal(width, 4), normal(rows*width, 5)
				for i := range x {
					x[i] = (x[i] + shift) * scale
				}
				// The mean is off by some roundings of what is added up.
				tol := 4e-6 + 5e-7*math.Abs(float64(shift))
				name := fmt.Sprintf("scale %v, mean %v of it", scale, shift)
				y, dx, dgamma, dbeta := layerNormOf(float64s(x), float64s(gamma), float64s(beta), float64s(dy), rows, width, eps)
				got, gotGamma, gotBeta := make([]float32, rows*width), make([]float32, width), make([]float32, width)
				LayerNorm(got, x, gamma, beta, rows, width, eps)
				compare(t, "LayerNorm, "+name, got, y, tol, tol)
				LayerNormGrad(got, gotGamma, gotBeta, x, gamma, dy, rows, width, eps)
				for what, pair := range map[string]struct {
					got  []float32
					want []float64
				}{"dx": {got, dx}, "dgamma": {gotGamma, dgamma}, "dbeta": {gotBeta, dbeta}} {
					g, w := relative(pair.got, pair.want)
					compare(t, "LayerNormGrad "+what+", "+name, g, w, tol, tol)
				}
			}
		}
	})
}

// Gradients from subnormal to 1e15. (The square of 1e20 is no float32.)
func TestAdamWOverTheRange(t *testing.T) {
	eachVersion(t, func(t *testing.T) {
		for _, scale := range []float64{1e-44, 1e-30, 1e-18, 1e-8, 1, 1e8, 1e15} {
			const n = 37
			grad, param, m, v := normal(n, 2), normal(n, 1), make([]float32, n), make([]float32, n)
			s := AdamWStep{LR: 1e-2, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.1, GradScale: 1, BiasCorr1: 0.1, BiasCorr2: 0.001}
			want := float64s(param)
			for i := range grad {
				grad[i] = float32(float64(grad[i]) * scale)
				g := float64(grad[i])
				want[i] = want[i]*(1-s.LR*s.WeightDecay) - s.LR/s.BiasCorr1*0.1*g/(math.Sqrt(0.001*g*g)/math.Sqrt(s.BiasCorr2)+s.Eps)
			}
			AdamW(param, grad, m, v, s)
			compare(t, fmt.Sprintf("gradients of %v", scale), param, want, 1e-6, 1e-7)
		}
	})
}

func TestAdamW(t *testing.T) {
	eachVersion(t, func(t *testing.T) {
		for _, n := range []int{1, 7, 16, 33, 20000} {
			param, m, v := normal(n, 1), make([]float32, n), make([]float32, n)
			wp, wm, wv := float64s(param), make([]float64, n), make([]float64, n)
			for step := 1; step <= 5; step++ {
				grad := normal(n, uint64(step+1))
				s := AdamWStep{LR: 1e-2, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.1, GradScale: 0.5,
					BiasCorr1: 1 - math.Pow(0.9, float64(step)), BiasCorr2: 1 - math.Pow(0.999, float64(step))}
				AdamW(param, grad, m, v, s)
				for i := range wp {
					g := 0.5 * float64(grad[i])
					wp[i] *= 1 - s.LR*s.WeightDecay
					wm[i] = 0.9*wm[i] + 0.1*g
					wv[i] = 0.999*wv[i] + 0.001*g*g
					wp[i] -= s.LR / s.BiasCorr1 * wm[i] / (math.Sqrt(wv[i])/math.Sqrt(s.BiasCorr2) + s.Eps)
				}
			}
			compare(t, "param", param, wp, 1e-6, 1e-7)
			compare(t, "m", m, wm, 2e-6, 1e-7)
			compare(t, "v", v, wv, 2e-6, 0)
		}
		// Gradients that are all zero move nothing but the decay; NaN stays to be seen.
		param, m, v := []float32{2, 2}, []float32{0, 0}, []float32{0, 0}
		AdamW(param, []float32{0, nan}, m, v, AdamWStep{LR: 0.5, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.5, GradScale: 1, BiasCorr1: 0.1, BiasCorr2: 0.001})
		if param[0] != 1.5 || param[1] == param[1] {
			t.Errorf("parameters %v, want [1.5 NaN]", param)
		}
	})
}
