package kernels

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/ftk-go/ftk/internal/parallel"
)

// eachVersion runs a test with every set of innermost loops that this processor can run.
func eachVersion(t *testing.T, f func(t *testing.T)) {
	used := vec
	defer func() { vec = used }()
	for _, v := range available() {
		vec = v
		t.Run(v.name, f)
	}
}

var (
	nan = float32(math.NaN())
	inf = float32(math.Inf(1))
)

// special values that every function of one argument is tried with.
var special = []float32{0, float32(math.Copysign(0, -1)), 1, -1, nan, inf, -inf, math.MaxFloat32, -math.MaxFloat32, 1e-45, -1e-45, 1e-38, -1e-38,
	1e-30, 1e30, -1e30, 88.7, 88.8, -87.3, -87.4, -100, -103.9, -104, -150, 150, 10, -10, 0.5, -0.5, 1e-4, -1e-4, 3.4e-3}

// samples covers a range evenly and finely, the special values, and logarithmically all magnitudes.
func samples(lo, hi float64) []float32 {
	x := append([]float32{}, special...)
	const n = 40001
	for i := range n {
		x = append(x, float32(lo+(hi-lo)*float64(i)/(n-1)))
	}
	for e := -149.0; e < 128; e += 0.05 {
		x = append(x, float32(math.Exp2(e)), float32(-math.Exp2(e)))
	}
	return x
}

func normal(n int, seed uint64) []float32 {
	r := rand.New(rand.NewPCG(seed, 7))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// closeTo reports whether got is want to within rel relatively or abs absolutely; NaN and infinities must be the same.
func closeTo(got float32, want, rel, abs float64) bool {
	g := float64(got)
	switch w := float64(float32(want)); {
	case math.IsNaN(want):
		return math.IsNaN(g)
	case math.IsInf(w, 0):
		// A reference just beyond the largest float32 may be rounded either way.
		return g == w || math.Abs(want) < math.MaxFloat32*(1+rel) && math.Abs(g) > math.MaxFloat32*(1-rel) && math.Signbit(g) == math.Signbit(w)
	case math.IsInf(g, 0):
		return math.Abs(want) > math.MaxFloat32*(1-rel) && math.Signbit(g) == math.Signbit(want)
	}
	return math.Abs(g-want) <= max(rel*math.Abs(want), abs)
}

func compare(t *testing.T, what string, got []float32, want []float64, rel, abs float64) {
	t.Helper()
	bad := 0
	for i := range got {
		if !closeTo(got[i], want[i], rel, abs) {
			t.Errorf("%s: element %d is %v, want %v (off by %.3g, relatively %.3g)", what, i, got[i], want[i], float64(got[i])-want[i], (float64(got[i])-want[i])/want[i])
			if bad++; bad > 5 {
				t.FailNow()
			}
		}
	}
}

func threads(t testing.TB, n int) {
	old := parallel.Threads()
	parallel.SetThreads(n)
	t.Cleanup(func() { parallel.SetThreads(old) })
}

func mustPanic(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s: no panic", what)
		}
	}()
	f()
}
