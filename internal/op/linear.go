package op

import (
	"fmt"

	"github.com/ftk-go/ftk/internal/blas"
	"github.com/ftk-go/ftk/internal/kernels"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// LinearOptions says how a linear layer's weight is stored and what follows it.
type LinearOptions struct {
	TransW bool // w is [out, in], as PyTorch and Gemm with transB=1 store it; else [in, out]
	Act    Activation
}

// Linear is a fully connected layer: act(x·w + bias), x [..., in], w [in, out] (or [out, in] with TransW), bias [out] or
// nil, result [..., out].
//
// Gradients: dx = dy·wᵀ, dw = xᵀ·dy, dbias = column sums of dy, each one matrix product or pass, without transposed
// copies.
func Linear(x, w, bias *G.Node, o LinearOptions) (*G.Node, error) {
	nodes := G.Nodes{x, w}
	if bias != nil {
		nodes = append(nodes, bias)
	}
	if err := sameGraph("Linear", nodes...); err != nil {
		return nil, err
	}
	if err := wantType("Linear", tensor.Float32, nodes...); err != nil {
		return nil, err
	}
	attrs := ""
	if o.TransW {
		attrs = "transW"
	}
	k := &linear{Base: NewBase("Linear", attrs, nodes, x.Dims()), transW: o.TransW}
	y, err := Apply(k, nodes...)
	if err != nil || o.Act == Identity {
		return y, err
	}
	return Activate(y, o.Act)
}

type linear struct {
	Base
	transW bool
}

// sizes gives the matrix sizes: x [rows, in], y [rows, out].
func (k *linear) sizes(x, w tensor.Shape) (rows, in, out int) {
	in, out = w[0], w[1]
	if k.transW {
		in, out = out, in
	}
	return rowsOf(x), in, out
}

func (k *linear) InferShape(ds ...G.DimSizer) (tensor.Shape, error) {
	s, err := Shapes(k, ds)
	if err != nil {
		return nil, err
	}
	x, w := s[0], s[1]
	if len(w) != 2 || len(x) < 1 {
		return nil, fmt.Errorf("Linear: x %v, w %v: want x [..., in] and w of rank 2", x, w)
	}
	_, in, out := k.sizes(x, w)
	if x[len(x)-1] != in {
		layout := "[in, out]"
		if k.transW {
			layout = "[out, in]"
		}
		return nil, fmt.Errorf("Linear: x %v and w %v (%s): inner sizes %d and %d differ", x, w, layout, x[len(x)-1], in)
	}
	if len(s) == 3 && (len(s[2]) != 1 || s[2][0] != out) {
		return nil, fmt.Errorf("Linear: bias %v, want [%d] for w %v", s[2], out, w)
	}
	y := x.Clone()
	y[len(y)-1] = out
	return y, nil
}

func (k *linear) Run(y *tensor.Dense, in []*tensor.Dense) error {
	return k.RunThen(y, nil, in, nil)
}

func (k *linear) RunAdd(y, base *tensor.Dense, in []*tensor.Dense) error {
	return k.RunThen(y, base, in, nil)
}

func (k *linear) RunThen(y, base *tensor.Dense, in []*tensor.Dense, then blas.Then) error {
	x, w := in[0], in[1]
	to := blas.Epilogue{Then: then}
	if base != nil {
		to.Matrix, to.Stride = base.Float32s(), lastDim(y.Shape())
	}
	rows, n, m := k.sizes(x.Shape(), w.Shape())
	if len(in) == 3 {
		to.Row = in[2].Float32s()
	}
	ldw := m
	if k.transW {
		ldw = n
	}
	blas.GemmAdd(false, k.transW, rows, m, n, x.Float32s(), n, w.Float32s(), ldw, y.Float32s(), m, to)
	return nil
}

func (k *linear) DiffWRT(inputs int) []bool { return allTrue(inputs) }

func (k *linear) SymDiff(in G.Nodes, out, dy *G.Node) (G.Nodes, error) {
	// Nodes are executed in the order they are made in: with dx last, x and then dy are free early.
	x, w := in[0], in[1]
	grads := make(G.Nodes, len(in))
	var err error
	if len(in) == 3 {
		if grads[2], err = SumRows(dy); err != nil {
			return nil, err
		}
	}
	if grads[1], err = linearGradW(x, dy, linearGrad{transW: k.transW, parts: 1}); err != nil {
		return nil, err
	}
	grads[0], err = Linear(dy, w, nil, LinearOptions{TransW: !k.transW})
	return grads, err
}

func (k *linear) Do(in ...G.Value) (G.Value, error) { return Do(k, in...) }
func (k *linear) UsePreallocDo(p G.Value, in ...G.Value) (G.Value, error) {
	return PreallocDo(k, p, in...)
}

// linearGradW is xᵀ·dy as [in, out], or dyᵀ·x as [out, in] with transW. Of dy it may read only one of equal parts of its
// columns.
func linearGradW(x, dy *G.Node, k linearGrad) (*G.Node, error) {
	attrs := fmt.Sprintf("%d of %d", k.part, k.parts)
	if k.transW {
		attrs += " transW"
	}
	k.Base = NewBase("LinearGradW", attrs, G.Nodes{x, dy}, 2)
	return Apply(&k, x, dy)
}

type linearGrad struct {
	Base
	noGrad
	transW      bool
	part, parts int // of the columns of dy
}

func (k *linearGrad) InferShape(ds ...G.DimSizer) (tensor.Shape, error) {
	s, err := Shapes(k, ds)
	if err != nil {
		return nil, err
	}
	x, dy := s[0], s[1]
	if rowsOf(x) != rowsOf(dy) {
		return nil, fmt.Errorf("LinearGradW: x %v and dy %v: %d and %d rows", x, dy, rowsOf(x), rowsOf(dy))
	}
	in, out := lastDim(x), lastDim(dy)/k.parts
	if k.transW {
		in, out = out, in
	}
	return tensor.Shape{in, out}, nil
}

func (k *linearGrad) Run(out *tensor.Dense, in []*tensor.Dense) error {
	return k.run(out, in, blas.Epilogue{})
}

func (k *linearGrad) RunAdd(out, base *tensor.Dense, in []*tensor.Dense) error {
	return k.run(out, in, blas.Epilogue{Matrix: base.Float32s(), Stride: lastDim(out.Shape())})
}

func (k *linearGrad) run(out *tensor.Dense, in []*tensor.Dense, to blas.Epilogue) error {
	rows, lda, ldb := rowsOf(in[0].Shape()), lastDim(in[0].Shape()), lastDim(in[1].Shape())
	m, n := lda, ldb/k.parts
	a, dy := in[0].Float32s(), in[1].Float32s()
	b := dy[min(k.part*n, len(dy)):] // dw = aᵀ·b
	if k.transW {
		a, b, lda, ldb, m, n = b, a, ldb, lda, n, m
	}
	blas.GemmAdd(true, false, m, n, rows, a, lda, b, ldb, out.Float32s(), n, to)
	return nil
}

func (k *linearGrad) Do(in ...G.Value) (G.Value, error) { return Do(k, in...) }
func (k *linearGrad) UsePreallocDo(p G.Value, in ...G.Value) (G.Value, error) {
	return PreallocDo(k, p, in...)
}

// SumRows sums x [..., n] over all but the last axis: [n]. It is the gradient of a bias.
func SumRows(x *G.Node) (*G.Node, error) {
	return Apply(&sumRows{Base: NewBase("SumRows", "", G.Nodes{x}, 1)}, x)
}

type sumRows struct {
	Base
}

func (k *sumRows) InferShape(ds ...G.DimSizer) (tensor.Shape, error) {
	s, err := Shapes(k, ds)
	if err != nil {
		return nil, err
	}
	if len(s[0]) == 0 {
		return nil, fmt.Errorf("SumRows: x is a scalar")
	}
	return tensor.Shape{lastDim(s[0])}, nil
}

func (k *sumRows) Run(out *tensor.Dense, in []*tensor.Dense) error {
	kernels.SumRows(out.Float32s(), in[0].Float32s(), rowsOf(in[0].Shape()), lastDim(in[0].Shape()), false)
	return nil
}

func (k *sumRows) RunAdd(out, base *tensor.Dense, in []*tensor.Dense) error {
	startFrom(out, base)
	kernels.SumRows(out.Float32s(), in[0].Float32s(), rowsOf(in[0].Shape()), lastDim(in[0].Shape()), true)
	return nil
}

func (k *sumRows) DiffWRT(int) []bool { return []bool{true} }

func (k *sumRows) SymDiff(in G.Nodes, out, dy *G.Node) (G.Nodes, error) {
	dx, err := spreadRow(dy, in[0].Shape())
	return G.Nodes{dx}, err
}

func (k *sumRows) Do(in ...G.Value) (G.Value, error) { return Do(k, in...) }
func (k *sumRows) UsePreallocDo(p G.Value, in ...G.Value) (G.Value, error) {
	return PreallocDo(k, p, in...)
}

// lastDim is the width of a matrix given as [..., width]; rowsOf its height.
func lastDim(s tensor.Shape) int { return s[len(s)-1] }

func rowsOf(s tensor.Shape) int {
	n := 1
	for _, d := range s[:len(s)-1] {
		n *= d
	}
	return n
}

// startFrom makes out a copy of base, unless it is base.
func startFrom(out, base *tensor.Dense) {
	if dst, src := out.Float32s(), base.Float32s(); len(dst) > 0 && &dst[0] != &src[0] {
		kernels.Copy(dst, src)
	}
}

func allTrue(n int) []bool {
	b := make([]bool, n)
	for i := range b {
		b[i] = true
	}
	return b
}
