package op

import (
	"fmt"

	"github.com/ftk-go/ftk/internal/blas"
	"github.com/ftk-go/ftk/internal/parallel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Projections are several linear layers of one input in one matrix product, as query, key and value are of
// self-attention: [x·w₀+b₀ | x·w₁+b₁ | …] for x [..., in], weights [in, out] each (or [out, in] with transW), biases [out]
// each or none at all. The weights stay where they are, each a tensor of its own. The results, [..., out] each, are columns
// of one tensor [..., parts·out], which Attention reads where it lies.
//
// Gradients: dx is one product, too, over the columns of all parts; each weight has one of its own.
func Projections(x *G.Node, weights, biases G.Nodes, transW bool) (G.Nodes, error) {
	nodes := append(append(G.Nodes{x}, weights...), biases...)
	if err := sameGraph("Projections", nodes...); err != nil {
		return nil, err
	}
	if err := wantType("Projections", tensor.Float32, nodes...); err != nil {
		return nil, err
	}
	k := &projections{parts: len(weights), transW: transW}
	k.Base = NewBase("Projections", k.attrs(), nodes, x.Dims())
	joined, err := Apply(k, nodes...)
	if err != nil {
		return nil, err
	}
	results := make(G.Nodes, len(weights))
	for i := range results {
		if results[i], err = columns(joined, i, len(results)); err != nil {
			return nil, err
		}
	}
	return results, nil
}

type projections struct {
	Base
	parts  int
	transW bool
}

func (k *projections) attrs() string {
	if k.transW {
		return fmt.Sprintf("%d transW", k.parts)
	}
	return fmt.Sprint(k.parts)
}

// sizes gives the matrix sizes: x [rows, in], the result [rows, out].
func (k *projections) sizes(x, w tensor.Shape) (rows, in, out int) {
	l := linear{transW: k.transW}
	rows, in, out = l.sizes(x, w)
	return rows, in, k.parts * out
}

func (k *projections) InferShape(ds ...G.DimSizer) (tensor.Shape, error) {
	s, err := Shapes(k, ds)
	if err != nil {
		return nil, err
	}
	if k.parts < 1 || len(s) != 1+k.parts && len(s) != 1+2*k.parts {
		return nil, fmt.Errorf("Projections: %d weights, %d biases", k.parts, len(s)-1-k.parts)
	}
	x, w := s[0], s[1]
	for _, o := range s[2 : 1+k.parts] {
		if !sameShape(o, w) {
			return nil, fmt.Errorf("Projections: weights %v and %v differ", w, o)
		}
	}
	l := linear{Base: Base{in: make([]Operand, 2)}, transW: k.transW}
	y, err := l.InferShape(x, w)
	if err != nil {
		return nil, err
	}
	for _, b := range s[1+k.parts:] {
		if len(b) != 1 || b[0] != lastDim(y) {
			return nil, fmt.Errorf("Projections: bias %v, want [%d] for w %v", b, lastDim(y), w)
		}
	}
	y[len(y)-1] *= k.parts
	return y, nil
}

// biasRows are biases side by side while a product adds them.
var biasRows parallel.Free[[]float32]

func (k *projections) Run(y *tensor.Dense, in []*tensor.Dense) error {
	rows, n, m := k.sizes(in[0].Shape(), in[1].Shape())
	var e blas.Epilogue
	if biases := in[1+k.parts:]; len(biases) > 0 {
		row := biasRows.Get()
		defer biasRows.Put(row)
		*row = (*row)[:0]
		for _, b := range biases {
			*row = append(*row, b.Float32s()...)
		}
		e.Row = *row
	}
	w := matrices.Get()
	defer matrices.Put(w)
	w.of(in[1 : 1+k.parts])
	blas.GemmJoined(k.transW, false, rows, m, n, in[0].Float32s(), n, w.list, lastDim(in[1].Shape()), y.Float32s(), m, e)
	w.of(nil)
	return nil
}

// matrixList is the memory of several matrices.
type matrixList struct{ list [][]float32 }

var matrices parallel.Free[matrixList]

func (l *matrixList) of(in []*tensor.Dense) {
	clear(l.list)
	l.list = l.list[:0]
	for _, d := range in {
		l.list = append(l.list, d.Float32s())
	}
}

func (k *projections) DiffWRT(inputs int) []bool { return allTrue(inputs) }

func (k *projections) SymDiff(in G.Nodes, out, dy *G.Node) (G.Nodes, error) {
	// Nodes are executed in the order they are made in, see linear.SymDiff.
	x, weights := in[0], in[1:1+k.parts]
	grads := make(G.Nodes, len(in))
	if len(in) > 1+k.parts {
		sums, err := SumRows(dy)
		if err != nil {
			return nil, err
		}
		shapes := make([]tensor.Shape, k.parts)
		for i := range shapes {
			shapes[i] = in[1+k.parts+i].Shape()
		}
		parts, err := unpack(sums, shapes)
		if err != nil {
			return nil, err
		}
		copy(grads[1+k.parts:], parts)
	}
	var err error
	for i := range weights {
		if grads[1+i], err = linearGradW(x, dy, linearGrad{transW: k.transW, part: i, parts: k.parts}); err != nil {
			return nil, err
		}
	}
	g := &projectionsGrad{projections{parts: k.parts, transW: k.transW}, noGrad{}}
	nodes := append(G.Nodes{dy}, weights...)
	g.Base = NewBase("ProjectionsGrad", k.attrs(), nodes, dy.Dims())
	grads[0], err = Apply(g, nodes...)
	return grads, err
}

func (k *projections) Do(in ...G.Value) (G.Value, error) { return Do(k, in...) }
func (k *projections) UsePreallocDo(p G.Value, in ...G.Value) (G.Value, error) {
	return PreallocDo(k, p, in...)
}

// projectionsGrad is dx = [dy₀ | dy₁ | …]·[w₀ | w₁ | …]ᵀ.
type projectionsGrad struct {
	projections
	noGrad
}

func (k *projectionsGrad) InferShape(ds ...G.DimSizer) (tensor.Shape, error) {
	s, err := Shapes(k, ds)
	if err != nil {
		return nil, err
	}
	dx := s[0].Clone()
	_, in, out := k.sizes(dx, s[1])
	if lastDim(dx) != out {
		return nil, fmt.Errorf("ProjectionsGrad: dy %v, want %d columns", dx, out)
	}
	dx[len(dx)-1] = in
	return dx, nil
}

func (k *projectionsGrad) Run(dx *tensor.Dense, in []*tensor.Dense) error {
	return k.RunThen(dx, nil, in, nil)
}

func (k *projectionsGrad) RunAdd(dx, base *tensor.Dense, in []*tensor.Dense) error {
	return k.RunThen(dx, base, in, nil)
}

func (k *projectionsGrad) RunThen(dx, base *tensor.Dense, in []*tensor.Dense, then blas.Then) error {
	rows, n, m := k.sizes(in[0].Shape(), in[1].Shape())
	e := blas.Epilogue{Then: then}
	if base != nil {
		e.Matrix, e.Stride = base.Float32s(), n
	}
	w := matrices.Get()
	defer matrices.Put(w)
	w.of(in[1:])
	blas.GemmJoined(!k.transW, true, rows, n, m, in[0].Float32s(), m, w.list, lastDim(in[1].Shape()), dx.Float32s(), n, e)
	w.of(nil)
	return nil
}

func (k *projectionsGrad) DiffWRT(inputs int) []bool { return k.noGrad.DiffWRT(inputs) }
func (k *projectionsGrad) SymDiff(in G.Nodes, out, dy *G.Node) (G.Nodes, error) {
	return k.noGrad.SymDiff(in, out, dy)
}

func (k *projectionsGrad) Do(in ...G.Value) (G.Value, error) { return Do(k, in...) }
func (k *projectionsGrad) UsePreallocDo(p G.Value, in ...G.Value) (G.Value, error) {
	return PreallocDo(k, p, in...)
}

// columns is the part-th of equal parts of the columns of x [..., parts·n]: [..., n], a copy. Attention looks through it.
func columns(x *G.Node, part, parts int) (*G.Node, error) {
	k := &columnsOf{NewBase("Columns", fmt.Sprintf("%d of %d", part, parts), G.Nodes{x}, x.Dims()), part, parts}
	return Apply(k, x)
}

type columnsOf struct {
	Base
	part, parts int
}

// joined is the tensor whose columns the nodes are, all of them, in order; nil if they are not.
func joined(nodes ...*G.Node) *G.Node {
	var whole *G.Node
	for i, n := range nodes {
		k, ok := n.Op().(*columnsOf)
		if !ok || k.part != i || k.parts != len(nodes) {
			return nil
		}
		of := n.Graph().From(n.ID())
		if !of.Next() || whole != nil && of.Node() != whole {
			return nil
		}
		whole = of.Node().(*G.Node)
	}
	return whole
}

func (k *columnsOf) InferShape(ds ...G.DimSizer) (tensor.Shape, error) {
	s, err := Shapes(k, ds)
	if err != nil {
		return nil, err
	}
	y := s[0].Clone()
	if len(y) == 0 || lastDim(y)%k.parts != 0 {
		return nil, fmt.Errorf("columns: %v does not have columns in %d equal parts", y, k.parts)
	}
	y[len(y)-1] /= k.parts
	return y, nil
}

func (k *columnsOf) Run(y *tensor.Dense, in []*tensor.Dense) error {
	n, dst, src := lastDim(y.Shape()), y.Float32s(), in[0].Float32s()
	for at := k.part * n; len(dst) > 0; at += k.parts * n {
		copy(dst[:n], src[at:])
		dst = dst[n:]
	}
	return nil
}

func (k *columnsOf) DiffWRT(int) []bool { return []bool{true} }

func (k *columnsOf) SymDiff(in G.Nodes, out, dy *G.Node) (G.Nodes, error) {
	g := &columnsGrad{Base: NewBase("ColumnsGrad", fmt.Sprintf("%d of %d", k.part, k.parts), G.Nodes{dy}, dy.Dims()), part: k.part, parts: k.parts}
	dx, err := Apply(g, dy)
	return G.Nodes{dx}, err
}

func (k *columnsOf) Do(in ...G.Value) (G.Value, error) { return Do(k, in...) }
func (k *columnsOf) UsePreallocDo(p G.Value, in ...G.Value) (G.Value, error) {
	return PreallocDo(k, p, in...)
}

// columnsGrad has dy for some columns and zeros for the others.
type columnsGrad struct {
	Base
	noGrad
	part, parts int
}

func (k *columnsGrad) InferShape(ds ...G.DimSizer) (tensor.Shape, error) {
	s, err := Shapes(k, ds)
	if err != nil {
		return nil, err
	}
	dx := s[0].Clone()
	dx[len(dx)-1] *= k.parts
	return dx, nil
}

func (k *columnsGrad) Run(dx *tensor.Dense, in []*tensor.Dense) error {
	n, dst, src := lastDim(in[0].Shape()), dx.Float32s(), in[0].Float32s()
	clear(dst)
	for at := k.part * n; len(src) > 0; at += k.parts * n {
		copy(dst[at:at+n], src)
		src = src[n:]
	}
	return nil
}

func (k *columnsGrad) Do(in ...G.Value) (G.Value, error) { return Do(k, in...) }
func (k *columnsGrad) UsePreallocDo(p G.Value, in ...G.Value) (G.Value, error) {
	return PreallocDo(k, p, in...)
}
