package kernels

import (
	"sync/atomic"

	"github.com/ftk-go/ftk/internal/blas"
	"github.com/ftk-go/ftk/internal/parallel"
)

// scratch is memory that one thread uses during one chunk.
type scratch struct {
	a, b, mask []float32
	products   blas.Serial
}

var scratches parallel.Free[scratch]

// resized returns x with n elements of any content, larger memory if need be.
func resized(x []float32, n int) []float32 {
	if cap(x) < n {
		return make([]float32, n)
	}
	return x[:n]
}

var zeroRow atomic.Pointer[[]float32]

// zeros returns n zeros that nobody may write to.
func zeros(n int) []float32 {
	z := zeroRow.Load()
	if z == nil || len(*z) < n {
		grown := make([]float32, max(n, 1024))
		z = &grown
		zeroRow.Store(z)
	}
	return (*z)[:n]
}
