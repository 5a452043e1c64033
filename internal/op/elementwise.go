package op

import (
	"fmt"

	"github.com/ftk-go/ftk/internal/kernels"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Add is the sum of two tensors of the same shape. Its gradient with respect to both is dy itself.
func Add(a, b *G.Node) (*G.Node, error) { return binary(a, b, "Add") }

// Mul is the elementwise product of two tensors of the same shape.
func Mul(a, b *G.Node) (*G.Node, error) { return binary(a, b, "Mul") }

func binary(a, b *G.Node, name string) (*G.Node, error) {
	if err := sameGraph(name, a, b); err != nil {
		return nil, err
	}
	if err := wantType(name, tensor.Float32, a, b); err != nil {
		return nil, err
	}
	base := elementwise{NewBase(name, "", G.Nodes{a, b}, a.Dims())}
	if name == "Mul" {
		return Apply(&mul{base}, a, b)
	}
	return Apply(&add{base}, a, b)
}

// elementwise is an operator of two operands of one shape.
type elementwise struct{ Base }

func (k *elementwise) InferShape(ds ...G.DimSizer) (tensor.Shape, error) {
	s, err := G.DimSizersToShapes(ds)
	if err != nil {
		return nil, err
	}
	if len(s) != 2 || !sameShape(s[0], s[1]) {
		return nil, fmt.Errorf("%v: shapes %v differ", k, s)
	}
	return s[0].Clone(), nil
}

func (k *elementwise) InPlace() []int       { return []int{0, 1} }
func (k *elementwise) DiffWRT(n int) []bool { return allTrue(n) }

type add struct{ elementwise }

func (k *add) Run(out *tensor.Dense, in []*tensor.Dense) error {
	kernels.Add(out.Float32s(), in[0].Float32s(), in[1].Float32s())
	return nil
}

func (k *add) SymDiff(in G.Nodes, out, dy *G.Node) (G.Nodes, error) { return G.Nodes{dy, dy}, nil }

func (k *add) Do(in ...G.Value) (G.Value, error) { return Do(k, in...) }
func (k *add) UsePreallocDo(p G.Value, in ...G.Value) (G.Value, error) {
	return PreallocDo(k, p, in...)
}

type mul struct{ elementwise }

func (k *mul) Run(out *tensor.Dense, in []*tensor.Dense) error {
	kernels.Mul(out.Float32s(), in[0].Float32s(), in[1].Float32s())
	return nil
}

func (k *mul) SymDiff(in G.Nodes, out, dy *G.Node) (G.Nodes, error) {
	da, err := Mul(dy, in[1])
	if err != nil {
		return nil, err
	}
	db, err := Mul(dy, in[0])
	return G.Nodes{da, db}, err
}

func (k *mul) Do(in ...G.Value) (G.Value, error) { return Do(k, in...) }
func (k *mul) UsePreallocDo(p G.Value, in ...G.Value) (G.Value, error) {
	return PreallocDo(k, p, in...)
}
