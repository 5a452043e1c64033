package blas

import "time"

// MeasureSgemm gives the rate of Gemm in GFLOP/s on all threads: the best of several products of 1024×1024×1024, which
// take about a fifth of a second.
func MeasureSgemm() float64 {
	const n = 1024
	a, b, c := make([]float32, n*n), make([]float32, n*n), make([]float32, n*n)
	for i := range a {
		a[i], b[i] = float32(i%7)-3, float32(i%5)-2
	}
	best := time.Duration(1 << 62)
	for begin, i := time.Now(), 0; i < 2 || i < 20 && time.Since(begin) < 200*time.Millisecond; i++ {
		t := time.Now()
		Gemm(false, false, n, n, n, 1, a, n, b, n, 0, c, n)
		best = min(best, time.Since(t))
	}
	return 2 * n * n * n / best.Seconds() / 1e9
}
