package blas

import "unsafe"

// Products in Go and assembly, after Goto & van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (ACM TOMS,
// 2008): C is computed tile by tile in registers; blocks of the operands are laid out so that what a tile reads comes from
// the second-level cache.

// tileFunc computes C := alpha·A·B + beta·D + row for one tile of C; with beta = 0 D is not read, and row may be nil.
// Distances are in bytes.
type tileFunc func(k int, a *float32, aRow, aCol int, b *float32, bRow int, c *float32, cRow int, d *float32, dRow int, row *float32, alpha, beta float32)

// tiles are the innermost loops for one kind of processor.
type tiles struct {
	name string
	cols int // of every tile
	// panel lays out rows of a tile's width one after the other; srcRow is the distance between them in src, in bytes.
	panel func(rows int, dst, src *float32, srcRow int)
	// narrower, if not nil, is for results with so few columns that they fit its tiles.
	narrower *tiles
	kind     []struct {
		rows int
		run  tileFunc
	} // tallest first, down to one row
}

// Sizes of blocks, chosen by measuring products of transformers on a processor with 1 MiB of second-level cache.
const (
	blockK    = 768     // largest part of k added up in registers at once
	blockRows = 180     // rows of A per block: half of that cache
	blockB    = 3 << 19 // elements of B laid out at once
	// Rows this far apart (in elements) fall on the same few sets of a first-level cache; A is then copied.
	badStride = 1024
	// B is read where it lies if so few rows of C use it that a copy would not pay.
	fewRows = 96
)

// layout is the memory of one product under way.
type layout struct {
	a, b, tile []float32
}

func grown(x []float32, n int) []float32 {
	if cap(x) < n {
		return make([]float32, n)
	}
	return x[:n]
}

// gemm computes g for k > 0.
func (t *tiles) gemm(g *product, l *layout) {
	mc := evenly(g.m, blockRows, t.kind[0].rows) // whatever the columns: see Then
	if t.narrower != nil && g.n <= t.narrower.cols {
		t = t.narrower
	}
	kc := evenly(g.k, blockK, 8)
	nc := evenly(g.n, max(t.cols, blockB/kc), t.cols)
	if g.few() && len(g.joined) > 0 {
		nc = min(nc, g.joinedCols) // of one matrix, which is read where it lies
	}
	for p := 0; p < g.k; p += kc {
		kb := min(kc, g.k-p)
		sum := addend{g.c, g.ldc, nil, 1} // of the blocks of k before
		if p == 0 {
			sum = addend{g.d, g.ldd, g.row, g.beta}
			if sum.beta == 0 {
				sum.beta, sum.d = 0, nil // not -0
			}
		}
		for j := 0; j < g.n; j += nc {
			nb := min(nc, g.n-j)
			right := t.operandB(l, g, p, kb, j, nb)
			for i := 0; i < g.m; i += mc {
				mb := min(mc, g.m-i)
				left := operandA(l, g.transA, g.a, g.lda, i, mb, p, kb, g.n)
				t.block(l, left, right, mb, nb, kb, g.alpha, sum.at(i, j), g.c[i*g.ldc+j:], g.ldc)
				if p+kb == g.k {
					g.done(i, mb, j, nb)
				}
			}
		}
	}
}

// addend is what a block of C begins with: beta·D + row.
type addend struct {
	d    []float32
	ldd  int
	row  []float32
	beta float32
}

// at is the addend of what begins at row i and column j.
func (s addend) at(i, j int) addend {
	if s.d != nil {
		s.d = s.d[i*s.ldd+j:]
	}
	if s.row != nil {
		s.row = s.row[j:]
	}
	return s
}

// evenly cuts n into as few parts of at most about limit as there can be, and gives their size, a multiple of unit.
func evenly(n, limit, unit int) int {
	parts := (n + limit - 1) / limit
	size := (n + parts - 1) / parts
	return (size + unit - 1) / unit * unit
}

// operand is a block of A or of B as tiles read it. For A, row and col are the distances in bytes between its rows and
// columns; for B, row is the distance between rows, col that between the panels of a tile's width.
type operand struct {
	data     []float32
	row, col int
}

// operandA gives rows i to i+mb, columns p to p+kb of op(A).
func operandA(l *layout, trans bool, a []float32, lda, i, mb, p, kb, n int) operand {
	if trans {
		if n <= fewRows || mb == 1 {
			return operand{a[p*lda+i:], 4, 4 * lda}
		}
		l.a = grown(l.a, mb*kb)
		for x := range kb {
			copy(l.a[x*mb:(x+1)*mb], a[(p+x)*lda+i:])
		}
		return operand{l.a, 4, 4 * mb}
	}
	if lda%badStride != 0 || n <= fewRows {
		return operand{a[i*lda+p:], 4 * lda, 4}
	}
	const pad = 16 // one cache line
	l.a = grown(l.a, mb*(kb+pad))
	for x := range mb {
		copy(l.a[x*(kb+pad):x*(kb+pad)+kb], a[(i+x)*lda+p:])
	}
	return operand{l.a, 4 * (kb + pad), 4}
}

// operandB gives rows p to p+kb, columns j to j+nb of op(B), in panels as wide as a tile, the last one filled with zeros.
func (t *tiles) operandB(l *layout, g *product, p, kb, j, nb int) operand {
	w := t.cols
	if !g.transB && nb%w == 0 && g.few() {
		if b, rows, cols := g.right(p, j); rows >= kb && cols >= nb {
			return operand{b, 4 * g.ldb, 4 * w}
		}
	}
	panels := (nb + w - 1) / w
	l.b = grown(l.b, panels*kb*w)
	for q := range panels {
		panel := l.b[q*kb*w : (q+1)*kb*w]
		width := min(w, nb-q*w)
		if width < w {
			clear(panel)
		}
		for x := 0; x < kb; {
			rows := kb - x
			for y := 0; y < width; {
				b, r, c := g.right(p+x, j+q*w+y)
				rows = min(rows, r)
				cols := min(width-y, c)
				t.fill(panel[x*w+y:], g.transB, b, g.ldb, rows, cols)
				y += cols
			}
			x += rows
		}
	}
	return operand{l.b, 4 * w, 4 * w * kb}
}

// fill lays out rows rows of op(B), cols columns each, as part of a panel.
func (t *tiles) fill(panel []float32, trans bool, b []float32, ldb, rows, cols int) {
	switch w := t.cols; {
	case trans:
		transposeInto(panel, w, b, ldb, cols, rows)
	case cols == w:
		t.panel(rows, &panel[0], &b[0], 4*ldb)
	default:
		for x := range rows {
			copy(panel[x*w:x*w+cols], b[x*ldb:])
		}
	}
}

// transposeInto writes rows rows of src, of n elements each, as the first columns of dst, whose rows are w apart.
func transposeInto(dst []float32, w int, src []float32, ld, rows, n int) {
	row := 0
	if n >= 8 && rows >= 8 {
		for row < rows {
			row = min(row, rows-8) // the last eight again, rather than the rest one by one
			transpose8(n/8, &dst[row], 4*w, &src[row*ld], 4*ld)
			for r := row; r < row+8; r++ {
				for x := n &^ 7; x < n; x++ {
					dst[x*w+r] = src[r*ld+x]
				}
			}
			row += 8
		}
	}
	for ; row < rows; row++ {
		for x := range n {
			dst[x*w+row] = src[row*ld+x]
		}
	}
}

// block computes mb×nb elements of C.
func (t *tiles) block(l *layout, a, b operand, mb, nb, kb int, alpha float32, sum addend, c []float32, ldc int) {
	first := unsafe.Pointer(&a.data[0])
	for j := 0; j < nb; j += t.cols {
		panel := &b.data[j/t.cols*b.col/4]
		narrow := nb-j < t.cols
		var d, row *float32
		if !narrow && sum.d != nil {
			d = &sum.d[j]
		}
		if !narrow && sum.row != nil {
			row = &sum.row[j]
		}
		kind := 0
		for i := 0; i < mb; {
			for t.kind[kind].rows > mb-i {
				kind++
			}
			rows, run := t.kind[kind].rows, t.kind[kind].run
			from := (*float32)(unsafe.Add(first, i*a.row))
			if narrow {
				t.narrow(l, run, rows, kb, from, a, panel, b, nb-j, alpha, sum.at(i, j), c[i*ldc+j:], ldc)
			} else {
				run(kb, from, a.row, a.col, panel, b.row, &c[i*ldc+j], 4*ldc, d, 4*sum.ldd, row, alpha, sum.beta)
			}
			i += rows
			if d != nil && i < mb {
				d = (*float32)(unsafe.Add(unsafe.Pointer(d), 4*rows*sum.ldd))
			}
		}
	}
}

// narrow computes a tile of which only the first cols columns belong to C.
func (t *tiles) narrow(l *layout, run tileFunc, rows, kb int, from *float32, a operand, panel *float32, b operand, cols int, alpha float32, sum addend, c []float32, ldc int) {
	l.tile = grown(l.tile, rows*t.cols)
	run(kb, from, a.row, a.col, panel, b.row, &l.tile[0], 4*t.cols, nil, 0, nil, alpha, 0)
	for r := range rows {
		out := c[r*ldc : r*ldc+cols]
		if sum.beta == 0 && sum.row == nil {
			copy(out, l.tile[r*t.cols:])
			continue
		}
		for x, v := range l.tile[r*t.cols : r*t.cols+cols] {
			if sum.beta != 0 {
				v += sum.beta * sum.d[r*sum.ldd+x]
			}
			if sum.row != nil {
				v += sum.row[x]
			}
			out[x] = v
		}
	}
}
