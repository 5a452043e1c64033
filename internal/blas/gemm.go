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
		run(product{transA: transA, transB: transB, m: m, n: n, k: k, alpha: alpha, a: a, lda: lda, b: b, ldb: ldb, beta: beta, d: c, ldd: ldc, c: c, ldc: ldc})
	}
}

// Epilogue is what GemmAdd does with a product besides.
type Epilogue struct {
	Matrix []float32 // added, m×n: C itself, or memory that does not overlap C; nil: nothing
	Stride int       // distance between its rows
	Row    []float32 // n elements, added to every row (a bias); nil: nothing
	Then   Then      // nil: nothing
}

// Then is told of every part of C when it is done, by the goroutine that computed it, in whose caches it still is: an
// activation is applied there and then. The parts cover C, each element once, and rows are cut alike for all columns: parts
// with the same first row have the same rows. Several goroutines call at once.
type Then interface {
	// Part says that rows row to row+rows and columns col to col+cols of C are final.
	Part(row, rows, col, cols int)
}

// GemmAdd computes C := op(A)·op(B) + what the epilogue adds, on all threads. It saves the passes over C that doing so
// before or after the product would take. Else it is as Gemm.
func GemmAdd(transA, transB bool, m, n, k int, a []float32, lda int, b []float32, ldb int, c []float32, ldc int, e Epilogue) {
	if !check(transA, transB, m, n, k, a, lda, b, ldb, c, ldc) {
		return
	}
	p := product{transA: transA, transB: transB, m: m, n: n, k: k, alpha: 1, a: a, lda: lda, b: b, ldb: ldb, c: c, ldc: ldc}
	p.epilogue(e)
	run(p)
}

// GemmJoined is GemmAdd for a B in parts of equal size: op(B) is [op(b₀) op(b₁) …], or, stacked, op(b₀) on top of op(b₁)
// and so on. n (or k, stacked) is a multiple of the number of parts.
func GemmJoined(transB, stacked bool, m, n, k int, a []float32, lda int, b [][]float32, ldb int, c []float32, ldc int, e Epilogue) {
	rows, cols := k, n
	if stacked {
		rows /= len(b)
	} else {
		cols /= len(b)
	}
	if rows*cols*len(b) != k*n {
		panic(fmt.Sprintf("blas: %d×%d elements do not come in %d equal parts", k, n, len(b)))
	}
	for i := range b {
		if !check(false, transB, m, cols, rows, a, lda, b[i], ldb, c, ldc) {
			return
		}
	}
	checkMatrix("A", a, m, k, lda)
	checkMatrix("C", c, m, n, ldc)
	p := product{transB: transB, m: m, n: n, k: k, alpha: 1, a: a, lda: lda, ldb: ldb, c: c, ldc: ldc, joined: b, joinedRows: rows, joinedCols: cols}
	p.epilogue(e)
	run(p)
}

// epilogue takes over what else is to be done, after checking it.
func (g *product) epilogue(e Epilogue) {
	if e.Matrix != nil {
		checkMatrix("D", e.Matrix, g.m, g.n, e.Stride)
		g.beta, g.d, g.ldd = 1, e.Matrix, e.Stride
	}
	if e.Row != nil {
		checkMatrix("row", e.Row, 1, g.n, g.n)
	}
	g.row, g.then = e.Row, e.Then
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
	g := product{transA: transA, transB: transB, m: m, n: n, k: k, alpha: alpha, a: a, lda: lda, b: b, ldb: ldb, beta: beta, d: c, ldd: ldc, c: c, ldc: ldc}
	g.serial(&s.layout)
}

// product is C := alpha·op(A)·op(B) + beta·D + row, with arguments known to be good. Nothing is read from D if beta is 0;
// row and then may be nil.
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
	then           Then
	atRow, atCol   int // where C begins in the C that then is told of

	// B in equal parts, see GemmJoined; nil: all of it is b. The columns of C begin at column atCol of op(B).
	joined                 [][]float32
	joinedRows, joinedCols int // of each part of op(B)
}

// few tells that rows of C are so few that laying B out anew would not pay.
func (g *product) few() bool { return g.m <= fewRows }

// right is op(B) from row p and column j on, as B is stored, and how many rows and columns of op(B) are in that memory.
func (g *product) right(p, j int) (b []float32, rows, cols int) {
	b, rows, cols = g.b, g.k-p, g.n-j
	if g.joined != nil {
		j += g.atCol
		b, rows, cols = g.joined[max(p/g.joinedRows, j/g.joinedCols)], g.joinedRows-p%g.joinedRows, g.joinedCols-j%g.joinedCols
		p, j = p%g.joinedRows, j%g.joinedCols
	}
	if g.transB {
		p, j = j, p
	}
	return b[p*g.ldb+j:], rows, cols
}

// done says that a part of C is final.
func (g *product) done(row, rows, col, cols int) {
	if g.then != nil {
		g.then.Part(g.atRow+row, rows, g.atCol+col, cols)
	}
}

// serial computes the product on the calling goroutine.
func (g *product) serial(l *layout) {
	if g.k > 0 && g.alpha != 0 && own != nil {
		own.gemm(g, l)
		return
	}
	g.begin()
	switch {
	case g.k == 0 || g.alpha == 0:
	case g.joined != nil:
		g.inParts()
	case lib != nil:
		lib.gemm(g.transA, g.transB, g.m, g.n, g.k, g.alpha, &g.a[0], g.lda, &g.b[0], g.ldb, 1, &g.c[0], g.ldc)
	default:
		gonum.Implementation{}.Sgemm(flag(g.transA), flag(g.transB), g.m, g.n, g.k, g.alpha, g.a, g.lda, g.b, g.ldb, 1, g.c, g.ldc)
	}
	g.done(0, g.m, 0, g.n)
}

// inParts adds the products with the parts of B to C one after the other.
func (g *product) inParts() {
	for p := 0; p < g.k; p += g.joinedRows {
		for j := 0; j < g.n; {
			part := *g
			var cols int
			part.b, part.k, cols = g.right(p, j)
			part.n = min(cols, g.n-j)
			part.joined, part.row, part.then = nil, nil, nil
			part.beta, part.d, part.ldd = 1, g.c[j:], g.ldc
			part.a, part.c = g.a[p:], g.c[j:]
			part.serial(nil)
			j += part.n
		}
	}
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
			switch {
			case p.joined != nil: // see product.right
			case p.transB:
				p.b = p.b[col*p.ldb:]
			default:
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
		p.atRow, p.atCol = row, col
		p.serial(l)
	}
}
