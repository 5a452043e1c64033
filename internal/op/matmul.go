package op

import (
	"fmt"
	"slices"

	"github.com/ftk-go/ftk/internal/blas"
	"github.com/ftk-go/ftk/internal/parallel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// MatMul is the batched matrix product with numpy's broadcasting of leading dimensions: a [..., m, k] · b [..., k, n] =
// [..., m, n]. With transA or transB the last two axes of that operand are taken as swapped. A vector a counts as [1, k],
// a vector b as [k, 1], and that dimension is absent from the result, which has to have rank ≥ 1 all the same.
//
// Gradients are matrix products too; what was broadcast is summed in place.
func MatMul(a, b *G.Node, transA, transB bool) (*G.Node, error) {
	if err := sameGraph("MatMul", a, b); err != nil {
		return nil, err
	}
	if err := wantType("MatMul", tensor.Float32, a, b); err != nil {
		return nil, err
	}
	if a.Dims() == 0 || b.Dims() == 0 {
		return nil, fmt.Errorf("MatMul: a %v, b %v: want rank ≥ 1", a.Shape(), b.Shape())
	}
	if a.Dims() > 1 && b.Dims() > 1 {
		return matMul(a, b, transA, transB, nil)
	}
	return matMulVector(a, b, transA, transB)
}

// matMulVector handles operands of rank 1.
func matMulVector(a, b *G.Node, transA, transB bool) (*G.Node, error) {
	rowA, colB := a.Dims() == 1, b.Dims() == 1
	if rowA && colB {
		return nil, fmt.Errorf("MatMul: a %v and b %v are both vectors; the result would be a scalar", a.Shape(), b.Shape())
	}
	var err error
	if rowA {
		if a, err = View(a, 0, 1, a.Shape()[0]); err != nil {
			return nil, err
		}
		transA = false
	}
	if colB {
		if b, err = View(b, 0, b.Shape()[0], 1); err != nil {
			return nil, err
		}
		transB = false
	}
	c, err := matMul(a, b, transA, transB, nil)
	if err != nil {
		return nil, err
	}
	s := c.Shape()
	if rowA {
		s = slices.Delete(s, len(s)-2, len(s)-1)
	} else {
		s = s[:len(s)-1]
	}
	return View(c, 0, s...)
}

// matMul applies the operator; batch, if not nil, are the leading dimensions of the result, smaller than the broadcast
// ones where the product is to be summed (the gradient of a broadcast operand).
func matMul(a, b *G.Node, transA, transB bool, batch tensor.Shape) (*G.Node, error) {
	as, bs := a.Shape(), b.Shape()
	full, err := broadcast(as[:len(as)-2], bs[:len(bs)-2])
	if err != nil {
		return nil, fmt.Errorf("MatMul: a %v, b %v: %w", as, bs, err)
	}
	if batch == nil {
		batch = full
	}
	k := &matmul{
		Base:   NewBase("MatMul", fmt.Sprintf("%t %t %v", transA, transB, batch), G.Nodes{a, b}, len(batch)+2),
		transA: transA, transB: transB, batch: batch, full: full,
		aAt: offsets(as[:len(as)-2], full), bAt: offsets(bs[:len(bs)-2], full), cAt: offsets(batch, full),
	}
	k.distinct = true
	seen := make([]bool, len(k.cAt))
	for _, c := range k.cAt {
		k.first = append(k.first, !seen[c])
		k.distinct = k.distinct && !seen[c]
		seen[c] = true
	}
	return Apply(k, a, b)
}

type matmul struct {
	Base
	transA, transB bool
	batch, full    tensor.Shape
	aAt, bAt, cAt  []int  // which matrix of a, b, c each product of the broadcast batch uses
	first          []bool // whether a product is the first into its matrix of c
	distinct       bool   // whether all are
}

// sizes are those of one product: c [m, n] = a [m, k] · b [k, n].
func (o *matmul) sizes(a, b tensor.Shape) (m, n, ka, kb int) {
	m, ka = a[len(a)-2], a[len(a)-1]
	if o.transA {
		m, ka = ka, m
	}
	kb, n = b[len(b)-2], b[len(b)-1]
	if o.transB {
		kb, n = n, kb
	}
	return m, n, ka, kb
}

func (o *matmul) InferShape(ds ...G.DimSizer) (tensor.Shape, error) {
	s, err := Shapes(o, ds)
	if err != nil {
		return nil, err
	}
	m, n, ka, kb := o.sizes(s[0], s[1])
	if ka != kb {
		return nil, fmt.Errorf("MatMul: a %v, b %v (transA %t, transB %t): inner dimensions %d and %d differ", s[0], s[1], o.transA, o.transB, ka, kb)
	}
	return append(o.batch.Clone(), m, n), nil
}

func (o *matmul) Run(out *tensor.Dense, in []*tensor.Dense) error { return o.run(out, in, 0) }

func (o *matmul) RunAdd(out, base *tensor.Dense, in []*tensor.Dense) error {
	startFrom(out, base)
	return o.run(out, in, 1)
}

func (o *matmul) run(out *tensor.Dense, in []*tensor.Dense, beta float32) error {
	a, b, c := in[0].Float32s(), in[1].Float32s(), out.Float32s()
	m, n, k, _ := o.sizes(in[0].Shape(), in[1].Shape())
	lda, ldb := k, n
	if o.transA {
		lda = m
	}
	if o.transB {
		ldb = k
	}
	batches := len(o.aAt)
	switch {
	case batches == 0 || m == 0 || n == 0 || k == 0:
		if beta == 0 {
			clear(c)
		}
		return nil
	case !o.transA && len(in[1].Shape()) == 2 && len(c) == batches*m*n:
		blas.Gemm(false, o.transB, batches*m, n, k, 1, a, lda, b, ldb, beta, c, n)
		return nil
	case o.transA && !o.transB && len(o.batch) == 0 && len(a) == batches*m*k && len(b) == batches*n*k:
		blas.Gemm(true, false, m, n, batches*k, 1, a, lda, b, ldb, beta, c, n)
		return nil
	}
	job := matmulJobs.Get()
	*job = matmulJob{o: o, a: a, b: b, c: c, m: m, n: n, k: k, lda: lda, ldb: ldb, beta: beta}
	if o.distinct && batches >= parallel.Threads() {
		parallel.Run(batches, max(1, serialWork/(m*n*k)), job)
	} else {
		job.sum()
	}
	*job = matmulJob{}
	matmulJobs.Put(job)
	return nil
}

// serialWork is how many multiplications are not worth another thread.
const serialWork = 1 << 16

func (o *matmul) DiffWRT(int) []bool { return []bool{true, true} }

func (o *matmul) SymDiff(in G.Nodes, out, dc *G.Node) (G.Nodes, error) {
	a, b := in[0], in[1]
	batchOf := func(n *G.Node) tensor.Shape {
		s := n.Shape()
		return append(tensor.Shape{}, s[:len(s)-2]...)
	}
	var da, db *G.Node
	var err error
	if o.transA { // c = aᵀ·op(b): da = op(b)·dcᵀ
		da, err = matMul(b, dc, o.transB, true, batchOf(a))
	} else {
		da, err = matMul(dc, b, false, !o.transB, batchOf(a))
	}
	if err != nil {
		return nil, err
	}
	if o.transB { // c = op(a)·bᵀ: db = dcᵀ·op(a)
		db, err = matMul(dc, a, true, o.transA, batchOf(b))
	} else {
		db, err = matMul(a, dc, !o.transA, false, batchOf(b))
	}
	return G.Nodes{da, db}, err
}

func (o *matmul) Do(in ...G.Value) (G.Value, error) { return Do(o, in...) }
func (o *matmul) UsePreallocDo(p G.Value, in ...G.Value) (G.Value, error) {
	return PreallocDo(o, p, in...)
}

// matmulJob runs the products of a batch.
type matmulJob struct {
	o        *matmul
	a, b, c  []float32
	m, n, k  int
	lda, ldb int
	beta     float32
}

var (
	matmulJobs parallel.Free[matmulJob]
	serials    parallel.Free[blas.Serial]
)

// Chunk computes products, each into a matrix of its own, on one thread.
func (j *matmulJob) Chunk(_, lo, hi int) {
	products := serials.Get()
	defer serials.Put(products)
	for i := lo; i < hi; i++ {
		a, b, c := j.at(i)
		products.Gemm(j.o.transA, j.o.transB, j.m, j.n, j.k, 1, a, j.lda, b, j.ldb, j.beta, c, j.n)
	}
}

// sum computes products one after the other; the first into each matrix of c obeys beta, later ones add.
func (j *matmulJob) sum() {
	for i := range j.o.aAt {
		beta := j.beta
		if !j.o.first[i] {
			beta = 1
		}
		a, b, c := j.at(i)
		blas.Gemm(j.o.transA, j.o.transB, j.m, j.n, j.k, 1, a, j.lda, b, j.ldb, beta, c, j.n)
	}
}

// at gives the matrices of the i-th product, and what follows them.
func (j *matmulJob) at(i int) (a, b, c []float32) {
	return j.a[j.o.aAt[i]*j.m*j.k:], j.b[j.o.bAt[i]*j.n*j.k:], j.c[j.o.cAt[i]*j.m*j.n:]
}

// broadcast gives the common shape of two, by numpy's rules.
func broadcast(a, b tensor.Shape) (tensor.Shape, error) {
	if len(a) < len(b) {
		a, b = b, a
	}
	out := append(tensor.Shape{}, a...)
	for i, d := range b {
		j := len(a) - len(b) + i
		switch {
		case out[j] == d || d == 1:
		case out[j] == 1:
			out[j] = d
		default:
			return nil, fmt.Errorf("leading dimensions %v and %v do not broadcast", a, b)
		}
	}
	return out, nil
}

// offsets numbers, for each index of full in row-major order, the element of a tensor of shape s that it broadcasts from.
func offsets(s, full tensor.Shape) []int {
	at := []int{0}
	stride := make([]int, len(full))
	for i, step := len(s)-1, 1; i >= 0; i-- {
		if s[i] != 1 {
			stride[len(full)-len(s)+i] = step
		}
		step *= s[i]
	}
	for i, d := range full {
		next := make([]int, 0, len(at)*d)
		for _, o := range at {
			for j := range d {
				next = append(next, o+j*stride[i])
			}
		}
		at = next
	}
	return at
}
