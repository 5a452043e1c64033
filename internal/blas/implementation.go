package blas

import (
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
)

// Implementation is a gonum BLAS whose matrix product is ours, for gorgonia.Use and blas32.Use. Its other routines are
// gonum's.
func Implementation() interface {
	blas.Float32
	blas.Float64
	blas.Complex64
	blas.Complex128
} {
	return implementation{}
}

type implementation struct{ gonum.Implementation }

// Sgemm is C := alpha·op(A)·op(B) + beta·C.
func (implementation) Sgemm(tA, tB blas.Transpose, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) {
	Gemm(tA != blas.NoTrans, tB != blas.NoTrans, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
}

// Sgemv is y := alpha·op(A)·x + beta·y, as a product with one column if the vectors are dense.
func (i implementation) Sgemv(tA blas.Transpose, m, n int, alpha float32, a []float32, lda int, x []float32, incX int, beta float32, y []float32, incY int) {
	if incX != 1 || incY != 1 || m == 0 || n == 0 {
		i.Implementation.Sgemv(tA, m, n, alpha, a, lda, x, incX, beta, y, incY)
		return
	}
	rows, inner := m, n
	if tA != blas.NoTrans {
		rows, inner = n, m
	}
	Gemm(tA != blas.NoTrans, false, rows, 1, inner, alpha, a, lda, x, 1, beta, y, 1)
}
