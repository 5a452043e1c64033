package blas

import (
	"fmt"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"

	"github.com/ftk-go/ftk/internal/parallel"
)

// Gemm computes C := alpha·op(A)·op(B) + beta·C on all threads, where op(A) is m×k, op(B) k×n and C m×n; op transposes
// its matrix if transA, transB. lda, ldb, ldc are the distances between rows as stored. With beta = 0, C may hold
// anything, NaN included. C must not overlap A or B. It panics if a slice is shorter than its matrix.
func Gemm(transA, transB bool, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) {
	if !check(transA, transB, m, n, k, a, lda, b, ldb, c, ldc) {
		return
	}
	Init()
	g := products.Get()
	*g = product{transA, transB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc, 0, 0}
	g.run()
	*g = product{}
	products.Put(g)
}

// GemmSerial is Gemm on the calling goroutine alone: for use inside the body of a parallel loop.
func GemmSerial(transA, transB bool, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) {
	if !check(transA, transB, m, n, k, a, lda, b, ldb, c, ldc) {
		return
	}
	Init()
	serial(transA, transB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
}

// serial is GemmSerial with arguments known to be good.
func serial(transA, transB bool, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) {
	if k == 0 || alpha == 0 {
		scale(m, n, beta, c, ldc)
		return
	}
	if own != nil {
		own.gemm(transA, transB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
		return
	}
	if lib != nil {
		lib.gemm(transA, transB, m, n, k, alpha, &a[0], lda, &b[0], ldb, beta, &c[0], ldc)
		return
	}
	if beta == 0 {
		scale(m, n, 0, c, ldc)
		beta = 1
	}
	gonum.Implementation{}.Sgemm(flag(transA), flag(transB), m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
}

// scale is C := beta·C, where beta = 0 overwrites whatever C holds.
func scale(m, n int, beta float32, c []float32, ldc int) {
	for i := range m {
		row := c[i*ldc : i*ldc+n]
		if beta == 0 {
			clear(row)
			continue
		}
		for j := range row {
			row[j] *= beta
		}
	}
}

func flag(trans bool) blas.Transpose {
	if trans {
		return blas.Trans
	}
	return blas.NoTrans
}

// check reports whether there is anything to do, and panics on arguments that would touch memory outside the slices.
func check(transA, transB bool, m, n, k int, a []float32, lda int, b []float32, ldb int, c []float32, ldc int) bool {
	if m < 0 || n < 0 || k < 0 {
		panic(fmt.Sprintf("blas: negative size in product %d×%d×%d", m, n, k))
	}
	if m == 0 || n == 0 {
		return false
	}
	rows, cols := m, k
	if transA {
		rows, cols = k, m
	}
	checkMatrix("A", a, rows, cols, lda)
	rows, cols = k, n
	if transB {
		rows, cols = n, k
	}
	checkMatrix("B", b, rows, cols, ldb)
	checkMatrix("C", c, m, n, ldc)
	return true
}

func checkMatrix(name string, x []float32, rows, cols, ld int) {
	if rows == 0 || cols == 0 {
		return
	}
	if ld < cols || len(x) < (rows-1)*ld+cols {
		panic(fmt.Sprintf("blas: matrix %s is %d×%d with rows %d apart, but has %d elements", name, rows, cols, ld, len(x)))
	}
}

// product holds the arguments of Gemm for the parts into which C is cut.
type product struct {
	transA, transB bool
	m, n, k        int
	alpha          float32
	a              []float32
	lda            int
	b              []float32
	ldb            int
	beta           float32
	c              []float32
	ldc            int
	// C is cut into gridRows by gridCols parts.
	gridRows, gridCols int
}

var products parallel.Free[product]

const (
	minWork   = 64 * 64 * 32 // multiplications worth a thread
	alignment = 16           // parts of C begin at multiples of this many rows and columns
)

// run cuts C into a grid of parts, one for every thread, so that the operands are read as seldom as possible: every row
// of the grid reads all of B, every column all of A.
func (g *product) run() {
	parts := min(parallel.Threads(), max(1, g.m*g.n*max(g.k, 1)/minWork))
	g.gridRows, g.gridCols = parts, 1
	a, b := 1, 3 // B is laid out anew, and so is A if it is transposed
	if g.transA {
		a = 2
	}
	cost := func(rows, cols int) int { return b*rows*g.n + a*cols*g.m }
	for cols := 2; cols <= parts; cols++ {
		if rows := parts / cols; rows*cols == parts && cost(rows, cols) < cost(g.gridRows, g.gridCols) {
			g.gridRows, g.gridCols = rows, cols
		}
	}
	parallel.Run(parts, 1, g)
}

// part gives the share of n that belongs to number i of parts.
func part(n, i, parts int) (lo, hi int) {
	lo, hi = n*i/parts, n*(i+1)/parts
	lo -= lo % alignment
	if i+1 < parts {
		hi -= hi % alignment
	}
	return lo, hi
}

// Chunk computes parts lo to hi of C.
func (g *product) Chunk(_, lo, hi int) {
	for i := lo; i < hi; i++ {
		row, rowEnd := part(g.m, i/g.gridCols, g.gridRows)
		col, colEnd := part(g.n, i%g.gridCols, g.gridCols)
		if row == rowEnd || col == colEnd {
			continue
		}
		a, b := g.a, g.b
		if g.k > 0 {
			if g.transA {
				a = a[row:]
			} else {
				a = a[row*g.lda:]
			}
			if g.transB {
				b = b[col*g.ldb:]
			} else {
				b = b[col:]
			}
		}
		serial(g.transA, g.transB, rowEnd-row, colEnd-col, g.k, g.alpha, a, g.lda, b, g.ldb, g.beta, g.c[row*g.ldc+col:], g.ldc)
	}
}
