package kernels

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

// float32 of the smallest normal number: below, only the absolute error counts.
const tiny = 1.2e-38

func phi(x float64) float64 { return 0.5 * math.Erfc(-x/math.Sqrt2) }

func geluTanhArg(x float64) float64 { return math.Sqrt(2/math.Pi) * (x + 0.044715*x*x*x) }

var unaryKernels = []struct {
	name     string
	f        func(dst, x []float32)
	want     func(x float64) float64
	lo, hi   float64
	rel, abs float64
}{
	{"Exp", Exp, math.Exp, -110, 95, 4e-7, tiny},
	{"Log", Log, math.Log, 0, 20, 4e-7, 1e-7},
	{"Sqrt", Sqrt, math.Sqrt, 0, 1e6, 1e-7, 0},
	{"Erf", Erf, math.Erf, -5, 5, 4e-7, tiny},
	{"Tanh", Tanh, math.Tanh, -12, 12, 6e-7, tiny},
	{"Sigmoid", Sigmoid, func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }, -110, 30, 6e-7, tiny},
	{"Relu", Relu, func(x float64) float64 { return math.Max(x, 0) }, -3, 3, 0, 0},
	{"Gelu", Gelu, func(x float64) float64 { return x * phi(x) }, -6, 6, 2e-6, 1e-7},
	{"GeluTanh", GeluTanh, func(x float64) float64 { return 0.5 * x * (1 + math.Tanh(geluTanhArg(x))) }, -6, 6, 2e-6, 1e-7},
}

func TestUnaryKernels(t *testing.T) {
	eachVersion(t, func(t *testing.T) {
		for _, k := range unaryKernels {
			x := samples(k.lo, k.hi)
			want := make([]float64, len(x))
			for i, v := range x {
				want[i] = k.want(float64(v))
			}
			got := make([]float32, len(x))
			k.f(got, x)
			for i := range got {
				if !closeTo(got[i], want[i], k.rel, k.abs) {
					t.Errorf("%s(%v) = %v, want %v (relatively %.3g)", k.name, x[i], got[i], want[i], (float64(got[i])-want[i])/want[i])
				}
			}
			same := append([]float32{}, x...)
			k.f(same, same)
			sameBits(t, k.name+" in place", same, got)
		}
	})
}

var binaryKernels = []struct {
	name     string
	f        func(dst, x, y []float32)
	want     func(x, y float64) float64
	rel, abs float64
}{
	{"Add", Add, func(x, y float64) float64 { return x + y }, 1e-7, 0},
	{"Sub", Sub, func(x, y float64) float64 { return x - y }, 1e-7, 0},
	{"Mul", Mul, func(x, y float64) float64 { return x * y }, 1e-7, tiny},
	{"Div", Div, func(x, y float64) float64 { return x / y }, 1e-7, tiny},
	{"TanhGrad", TanhGrad, func(y, dy float64) float64 { return dy * (1 - y*y) }, 1e-6, 1e-7},
	{"SigmoidGrad", SigmoidGrad, func(y, dy float64) float64 { return dy * y * (1 - y) }, 1e-6, 1e-7},
	{"ReluGrad", ReluGrad, func(x, dy float64) float64 {
		if x > 0 {
			return dy
		}
		return 0
	}, 0, 0},
	{"GeluGrad", GeluGrad, func(x, dy float64) float64 {
		return dy * (phi(x) + x*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi))
	}, 2e-6, 4e-7},
	{"GeluTanhGrad", GeluTanhGrad, func(x, dy float64) float64 {
		th := math.Tanh(geluTanhArg(x))
		return dy * (0.5*(1+th) + 0.5*x*(1-th*th)*math.Sqrt(2/math.Pi)*(1+3*0.044715*x*x))
	}, 2e-6, 4e-7},
}

func TestBinaryKernels(t *testing.T) {
	eachVersion(t, func(t *testing.T) {
		for _, k := range binaryKernels {
			x := samples(-7, 7)
			if k.name == "TanhGrad" || k.name == "SigmoidGrad" {
				x = append(append([]float32{}, special[:6]...), samples(-1, 1)[len(special):40000]...)
			}
			y := normal(len(x), 1)
			if len(k.name) > 3 {
				for _, bad := range []float32{nan, inf, -inf, 1e30, 1e-45, 0} { // where the slope is not zero
					x, y = append(x, 0.75, -0.25), append(y, bad, bad)
				}
			} else { // arithmetic: every special value with every other
				for _, a := range special {
					for _, b := range special {
						x, y = append(x, a), append(y, b)
					}
				}
			}
			got := make([]float32, len(x))
			k.f(got, x, y)
			for i := range got {
				want := k.want(float64(x[i]), float64(y[i]))
				if math.IsInf(float64(x[i]), 0) && strings.HasPrefix(k.name, "Gelu") { // the limit of the slope
					want = 0
					if x[i] > 0 {
						want = float64(y[i])
					}
				}
				abs := k.abs
				if size := math.Abs(float64(y[i])); size > 1 && size <= math.MaxFloat32 {
					abs *= size
				}
				if !closeTo(got[i], want, k.rel, abs) {
					t.Errorf("%s(%v, %v) = %v, want %v", k.name, x[i], y[i], got[i], want)
				}
			}
			a := append([]float32{}, x...)
			k.f(a, a, y)
			sameBits(t, k.name+" in place of x", a, got)
			b := append([]float32{}, y...)
			k.f(b, x, b)
			sameBits(t, k.name+" in place of y", b, got)
		}
	})
}

// sameBits compares two slices bit for bit (any NaN equals any other).
func sameBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i := range got {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) && (got[i] == got[i] || want[i] == want[i]) {
			t.Fatalf("%s: element %d is %v, want %v", what, i, got[i], want[i])
		}
	}
}

// Every length up to a few vectors, starting at every offset: the ends of the loops, and memory that is not aligned.
// Elements before and after must stay as they are.
func TestLengthsAndOffsets(t *testing.T) {
	const guard = 12345
	eachVersion(t, func(t *testing.T) {
		for n := range 150 {
			for offset := range 3 {
				mem := normal(3*(n+8), uint64(n))
				x, y, out := mem[offset:offset+n], mem[n+8+offset:n+8+offset+n], mem[2*(n+8):]
				check := func(name string, f func(dst []float32), want func(i int) float64, rel, abs float64) {
					for i := range out {
						out[i] = guard
					}
					dst := out[offset+1 : offset+1+n]
					f(dst)
					for i, v := range out {
						j := i - offset - 1
						if j < 0 || j >= n {
							if v != guard {
								t.Fatalf("%s of %d elements at offset %d wrote element %d", name, n, offset, j)
							}
						} else if w := want(j); !closeTo(v, w, rel, abs) {
							t.Fatalf("%s of %d elements at offset %d: element %d is %v, want %v", name, n, offset, j, v, w)
						}
					}
				}
				for _, k := range unaryKernels {
					check(k.name, func(dst []float32) { k.f(dst, x) }, func(i int) float64 { return k.want(float64(x[i])) }, k.rel, k.abs)
				}
				for _, k := range binaryKernels {
					check(k.name, func(dst []float32) { k.f(dst, x, y) }, func(i int) float64 { return k.want(float64(x[i]), float64(y[i])) }, k.rel, max(k.abs*4, 1e-6*k.rel))
				}
				check("Scale", func(dst []float32) { Scale(dst, x, -1.5) }, func(i int) float64 { return -1.5 * float64(x[i]) }, 1e-7, 0)
				check("Fill", func(dst []float32) { Fill(dst, -1.5) }, func(i int) float64 { return -1.5 }, 0, 0)
				check("Copy", func(dst []float32) { Copy(dst, x) }, func(i int) float64 { return float64(x[i]) }, 0, 0)
				check("AXPY", func(dst []float32) { AXPY(dst, x, 0.5) }, func(i int) float64 { return guard + 0.5*float64(x[i]) }, 1e-7, 0)

				var sum, squares float64
				top := math.Inf(-1)
				for i := range x {
					sum += float64(x[i])
					squares += float64(x[i]) * float64(x[i])
					top = math.Max(top, float64(x[i]))
				}
				for name, v := range map[string][2]float64{"Sum": {Sum(x), sum}, "Max": {float64(Max(x)), top}, "SumSquares": {SumSquares(x), squares}} {
					abs := 1e-7 * float64(n)
					if name == "SumSquares" {
						abs = 1e-13 * float64(n)
					}
					if !(v[0] == v[1] || math.Abs(v[0]-v[1]) <= abs*4) {
						t.Fatalf("%s of %d elements at offset %d is %v, want %v", name, n, offset, v[0], v[1])
					}
				}
			}
		}
	})
}

func TestReductionsOfSpecialValues(t *testing.T) {
	eachVersion(t, func(t *testing.T) {
		for _, at := range []int{0, 3, 17, 40, 66} {
			x := normal(67, 2)
			for _, bad := range []float32{nan, inf, -inf} {
				x[at] = bad
				if s := Sum(x); bad != bad && !math.IsNaN(s) || bad == bad && s != float64(bad) {
					t.Errorf("Sum with %v is %v", bad, s)
				}
			}
			x[at] = 100
			if Max(x) != 100 {
				t.Errorf("Max does not see element %d", at)
			}
		}
		if big := []float32{3e38, 3e38}; SumSquares(big) != 2*float64(big[0])*float64(big[0]) {
			t.Error("SumSquares overflows")
		}
	})
}

func TestRowsKernels(t *testing.T) {
	eachVersion(t, func(t *testing.T) {
		for _, th := range []int{1, 2} {
			threads(t, th)
			for _, s := range [][2]int{{0, 5}, {1, 1}, {3, 7}, {33, 100}, {500, 77}, {700, 384}} {
				rows, cols := s[0], s[1]
				x, row := normal(rows*cols, 3), normal(cols, 4)
				got := make([]float32, rows*cols)
				name := fmt.Sprintf("%d×%d on %d threads", rows, cols, th)

				AddRow(got, x, row)
				want := make([]float64, rows*cols)
				for i := range want {
					want[i] = float64(x[i]) + float64(row[i%cols])
				}
				compare(t, "AddRow "+name, got, want, 1e-7, 0)

				sums := normal(cols, 5)
				wantSums := make([]float64, cols)
				for i, v := range x {
					wantSums[i%cols] += float64(v)
				}
				SumRows(sums, x, rows, cols, false)
				compare(t, "SumRows "+name, sums, wantSums, 1e-6, 1e-5)
				SumRows(sums, x, rows, cols, true)
				for i := range wantSums {
					wantSums[i] *= 2
				}
				compare(t, "SumRows accumulating "+name, sums, wantSums, 1e-6, 2e-5)
			}
		}
	})
}

func TestShapesThatDoNotFitPanic(t *testing.T) {
	x, y := make([]float32, 6), make([]float32, 5)
	for name, f := range map[string]func(){
		"Add":         func() { Add(x, x, y) },
		"Gelu":        func() { Gelu(x, y) },
		"AddRow":      func() { AddRow(x, x, make([]float32, 4)) },
		"SumRows":     func() { SumRows(x, y, 1, 5, false) },
		"SoftmaxRows": func() { SoftmaxRows(x, x, 2, 4) },
		"LayerNorm":   func() { LayerNorm(x, x, y[:2], nil, 2, 3, 1e-5) },
		"AdamW":       func() { AdamW(x, x, x, y, AdamWStep{}) },
	} {
		mustPanic(t, name, f)
	}
}

func TestSum64(t *testing.T) {
	x := normal(70, 6)
	eachVersion(t, func(t *testing.T) {
		for n := range 70 {
			var want float64
			for _, v := range x[:n] {
				want += float64(v)
			}
			if got := vec.sum64(x[:n]); math.Abs(got-want) > 1e-13*float64(n) {
				t.Errorf("sum64 of %d elements is %v, want %v", n, got, want)
			}
		}
	})
}

// Sums over whole slices and over rows are the same to the bit on any number of threads.
func TestSumsDoNotDependOnThreads(t *testing.T) {
	const rows, width = 301, 385
	x := normal(rows*width, 6)
	var index []int32
	for i := range rows * 2 {
		index = append(index, int32(i*i%rows))
	}
	lists := [][]int32{nil, {300}, {5, 5}, index}
	eachVersion(t, func(t *testing.T) {
		for i, list := range lists {
			var want float64
			for _, r := range list {
				for _, v := range x[int(r)*width : (int(r)+1)*width] {
					want += float64(v) * float64(v)
				}
			}
			if got := SumSquaresRows(x, list, width); math.Abs(got-want) > 1e-12*want {
				t.Errorf("SumSquaresRows of list %d is %v, want %v", i, got, want)
			}
		}
		threads(t, 1)
		sum, squares, top, ofRows := Sum(x), SumSquares(x), Max(x), SumSquaresRows(x, index, width)
		for th := 2; th < 9; th++ {
			threads(t, th)
			if Sum(x) != sum || SumSquares(x) != squares || Max(x) != top || SumSquaresRows(x, index, width) != ofRows {
				t.Errorf("on %d threads the sums are not what they are on one", th)
			}
		}
	})
}
