package op

import (
	"fmt"
	"slices"

	"github.com/ftk-go/ftk/internal/kernels"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// View takes a contiguous part of x, starting at element offset, in the given shape (rank ≥ 1). With offset 0 and as
// many elements as x has it is a reshape. On internal/vm it costs nothing; elsewhere it is a copy.
//
// Gradient: zeros of x's shape with the view's gradient put in its place; for a reshape, a View.
func View(x *G.Node, offset int, shape ...int) (*G.Node, error) {
	if err := sameGraph("View", x); err != nil {
		return nil, err
	}
	if err := wantType("View", tensor.Float32, x); err != nil {
		return nil, err
	}
	if offset == 0 && sameShape(x.Shape(), shape) && len(shape) > 0 {
		return x, nil
	}
	s := tensor.Shape(shape).Clone()
	k := &view{Base: NewBase("View", fmt.Sprintf("%d %v", offset, s), G.Nodes{x}, len(s)), offset: offset, shape: s}
	return Apply(k, x)
}

// Reshape is View of all of x; one dimension may be -1 and is then computed.
func Reshape(x *G.Node, shape ...int) (*G.Node, error) {
	if err := sameGraph("Reshape", x); err != nil {
		return nil, err
	}
	s, rest, known := tensor.Shape(shape).Clone(), -1, 1
	for i, d := range s {
		switch {
		case d == -1 && rest < 0:
			rest = i
		case d < 0:
			return nil, fmt.Errorf("Reshape: shape %v: dimension %d is %d", shape, i, d)
		default:
			known *= d
		}
	}
	n := count(x.Shape())
	if rest >= 0 {
		if known == 0 || n%known != 0 {
			return nil, fmt.Errorf("Reshape: %d elements of %v do not fit %v", n, x.Shape(), shape)
		}
		s[rest] = n / known
		known *= s[rest]
	}
	if known != n {
		return nil, fmt.Errorf("Reshape: shape %v has %d elements, %v has %d", x.Shape(), n, shape, known)
	}
	return View(x, 0, s...)
}

type view struct {
	Base
	offset int
	shape  tensor.Shape
}

func (k *view) InferShape(in ...G.DimSizer) (tensor.Shape, error) {
	s, err := Shapes(k, in)
	if err != nil {
		return nil, err
	}
	for _, d := range k.shape {
		if d < 0 {
			return nil, fmt.Errorf("View: negative dimension in %v", k.shape)
		}
	}
	if n, have := count(k.shape), count(s[0]); k.offset < 0 || k.offset+n > have {
		return nil, fmt.Errorf("View: elements %d to %d of %v, which has %d", k.offset, k.offset+n, s[0], have)
	}
	return k.shape.Clone(), nil
}

func (k *view) Alias() (input, offset int) { return 0, k.offset }

func (k *view) Run(out *tensor.Dense, in []*tensor.Dense) error {
	dst := out.Float32s()
	kernels.Copy(dst, in[0].Float32s()[k.offset:k.offset+len(dst)])
	return nil
}

func (k *view) RunAdd(out, base *tensor.Dense, in []*tensor.Dense) error {
	dst := out.Float32s()
	kernels.Add(dst, base.Float32s(), in[0].Float32s()[k.offset:k.offset+len(dst)])
	return nil
}

func (k *view) DiffWRT(int) []bool { return []bool{true} }

func (k *view) SymDiff(in G.Nodes, out, dy *G.Node) (G.Nodes, error) {
	x := in[0]
	if k.offset == 0 && count(x.Shape()) == count(k.shape) {
		if x.Dims() == 0 {
			dx, err := Scalar(dy)
			return G.Nodes{dx}, err
		}
		dx, err := View(dy, 0, x.Shape()...)
		return G.Nodes{dx}, err
	}
	g := &unview{
		Base:   NewBase("Unview", fmt.Sprintf("%d %v", k.offset, x.Shape()), G.Nodes{dy}, x.Dims()),
		offset: k.offset, shape: x.Shape(),
	}
	dx, err := Apply(g, dy)
	return G.Nodes{dx}, err
}

// Scalar takes a tensor of one element as a scalar (rank 0), as gorgonia.Grad wants its cost.
func Scalar(x *G.Node) (*G.Node, error) {
	if err := sameGraph("Scalar", x); err != nil {
		return nil, err
	}
	if x.Dtype() != tensor.Float32 || count(x.Shape()) != 1 {
		return nil, fmt.Errorf("Scalar: %s is %v %v, want one float32", x.Name(), x.Dtype(), x.Shape())
	}
	if x.Dims() == 0 {
		return x, nil
	}
	return Apply(&view{Base: NewBase("View", "scalar", G.Nodes{x}, 0), shape: tensor.ScalarShape()}, x)
}

func (k *view) Do(in ...G.Value) (G.Value, error) { return Do(k, in...) }
func (k *view) UsePreallocDo(p G.Value, in ...G.Value) (G.Value, error) {
	return PreallocDo(k, p, in...)
}

// unview puts its input into zeros.
type unview struct {
	Base
	noGrad
	offset int
	shape  tensor.Shape
}

func (k *unview) InferShape(in ...G.DimSizer) (tensor.Shape, error) {
	s, err := Shapes(k, in)
	if err != nil {
		return nil, err
	}
	if k.offset+count(s[0]) > count(k.shape) {
		return nil, fmt.Errorf("unview: %v at %d does not fit into %v", s[0], k.offset, k.shape)
	}
	return k.shape.Clone(), nil
}

func (k *unview) Run(out *tensor.Dense, in []*tensor.Dense) error {
	dst, src := out.Float32s(), in[0].Float32s()
	clear(dst[:k.offset])
	copy(dst[k.offset:], src)
	clear(dst[k.offset+len(src):])
	return nil
}

func (k *unview) RunAdd(out, base *tensor.Dense, in []*tensor.Dense) error {
	startFrom(out, base)
	dst, src := out.Float32s()[k.offset:], in[0].Float32s()
	dst = dst[:len(src)]
	kernels.Add(dst, dst, src)
	return nil
}

func (k *unview) Do(in ...G.Value) (G.Value, error) { return Do(k, in...) }
func (k *unview) UsePreallocDo(p G.Value, in ...G.Value) (G.Value, error) {
	return PreallocDo(k, p, in...)
}

// count is the number of elements of a shape; 1 for a scalar.
func count(s tensor.Shape) int {
	n := 1
	for _, d := range s {
		n *= d
	}
	return n
}

// sameShape is stricter than tensor.Shape.Eq, to which [n] and [n, 1] are equal.
func sameShape(a, b tensor.Shape) bool { return slices.Equal(a, b) }
