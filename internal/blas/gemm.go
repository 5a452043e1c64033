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
	if check(transA, transB, m, n, k, a, lda, b, ldb, c, ldc) {
		run(product{transA, transB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc, c, ldc, nil})
	}
}

// Sum is what GemmAdd adds a product to.
type Sum struct {
	Matrix []float32 // m×n: C itself, or memory that does not overlap C; nil: nothing
	Stride int       // distance between its rows
	Row    []float32 // n elements, added to every row (a bias); nil: nothing
}

// GemmAdd computes C := op(A)·op(B) + to on all threads. It saves the passes over C that adding before or after the
// product would take. Else it is as Gemm.
func GemmAdd(transA, transB bool, m, n, k int, a []float32, lda int, b []float32, ldb int, c []float32, ldc int, to Sum) {
	if !check(transA, transB, m, n, k, a, lda, b, ldb, c, ldc) {
		return
	}
	beta := float32(0)
	if to.Matrix != nil {
		checkMatrix("D", to.Matrix, m, n, to.Stride)
		beta = 1
	}
	if to.Row != nil {
		checkMatrix("row", to.Row, 1, n, n)
	}
	run(product{transA, transB, m, n, k, 1, a, lda, b, ldb, beta, to.Matrix, to.Stride, c, ldc, to.Row})
}

func run(p product) {
	Init()
	g := grids.Get()
	g.product = p
	g.run()
	g.product = product{}
	grids.Put(g)
}

// Serial computes products on the calling goroutine alone: for use inside the body of a parallel loop. The zero value is
// ready; it keeps memory from one product to the next and serves one goroutine at a time.
type Serial struct{ layout layout }

// Gemm computes C := alpha·op(A)·op(B) + beta·C, as the function Gemm does on all threads.
func (s *Serial) Gemm(transA, transB bool, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) {
	if !check(transA, transB, m, n, k, a, lda, b, ldb, c, ldc) {
		return
	}
	Init()
	g := product{transA, transB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc, c, ldc, nil}
	g.serial(&s.layout)
}

// product is C := alpha·op(A)·op(B) + beta·D + row, with arguments known to be good. Nothing is read from D if beta is 0;
// row may be nil.
type product struct {
	transA, transB bool
	m, n, k        int
	alpha          float32
	a              []float32
	lda            int
	b              []float32
	ldb            int
	beta           float32
	d              []float32
	ldd            int
	c              []float32
	ldc            int
	row            []float32
}

// serial computes the product on the calling goroutine.
func (g *product) serial(l *layout) {
	if g.k > 0 && g.alpha != 0 && own != nil {
		own.gemm(g, l)
		return
	}
	g.begin()
	if g.k == 0 || g.alpha == 0 {
		return
	}
	if lib != nil {
		lib.gemm(g.transA, g.transB, g.m, g.n, g.k, g.alpha, &g.a[0], g.lda, &g.b[0], g.ldb, 1, &g.c[0], g.ldc)
		return
	}
	gonum.Implementation{}.Sgemm(flag(g.transA), flag(g.transB), g.m, g.n, g.k, g.alpha, g.a, g.lda, g.b, g.ldb, 1, g.c, g.ldc)
}

// begin is C := beta·D + row.
func (g *product) begin() {
	for i := range g.m {
		row := g.c[i*g.ldc : i*g.ldc+g.n]
		switch {
		case g.beta == 0:
			clear(row)
		default:
			for j, v := range g.d[i*g.ldd : i*g.ldd+g.n] {
				row[j] = g.beta * v
			}
		}
		if g.row != nil {
			for j, v := range g.row[:g.n] {
				row[j] += v
			}
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

// grid is a product whose C is cut into gridRows by gridCols parts.
type grid struct {
	product
	gridRows, gridCols int
}

var (
	grids   parallel.Free[grid]
	layouts parallel.Free[layout]
)

const (
	minWork   = 64 * 64 * 32 // multiplications worth a thread
	alignment = 16           // parts of C begin at multiples of this many rows and columns
)

// run cuts C into a part for every thread, so that the operands are read as seldom as possible: every row of the grid
// reads all of B, every column all of A.
func (g *grid) run() {
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
func (g *grid) Chunk(_, lo, hi int) {
	l := layouts.Get()
	defer layouts.Put(l)
	for i := lo; i < hi; i++ {
		row, rowEnd := part(g.m, i/g.gridCols, g.gridRows)
		col, colEnd := part(g.n, i%g.gridCols, g.gridCols)
		if row == rowEnd || col == colEnd {
			continue
		}
		p := g.product
		p.m, p.n = rowEnd-row, colEnd-col
		if p.k > 0 {
			if p.transA {
				p.a = p.a[row:]
			} else {
				p.a = p.a[row*p.lda:]
			}
			if p.transB {
				p.b = p.b[col*p.ldb:]
			} else {
				p.b = p.b[col:]
			}
		}
		p.c = p.c[row*p.ldc+col:]
		if p.beta != 0 {
			p.d = p.d[row*p.ldd+col:]
		}
		if p.row != nil {
			p.row = p.row[col:]
		}
		p.serial(l)
	}
}
