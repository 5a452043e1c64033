package passes

import (
	"slices"

	"github.com/ftk-go/ftk/internal/graph"
)

// linear makes fully connected layers of MatMul and Add, and of Gemm, also where the input is flattened to a matrix
// before and given its shape back after.
//
// Before: constants are initializers. After: MatMul(x, w) + b with w a matrix (or the transpose of an initializer) and b
// a constant vector is Linear(x, w, b) of domain ftk; so is Gemm(x, w, b) with α = β = 1. Attribute transB says that w is
// [out in].
func linear(s *state) error {
	for _, n := range append([]*graph.Node{}, s.g.Nodes...) {
		switch {
		case n.OpType == "Add" && len(n.Inputs) == 2:
			s.matMulAndBias(n)
		case n.OpType == "Gemm":
			s.gemm(n)
		}
	}
	for _, n := range append([]*graph.Node{}, s.g.Nodes...) {
		if n.OpType == "Linear" && n.Domain == Domain {
			s.unflatten(n)
		}
	}
	return nil
}

func (s *state) matMulAndBias(add *graph.Node) {
	for i, v := range add.Inputs {
		product, bias := op(v, "MatMul"), add.Inputs[1-i]
		if product == nil || !vector(bias) || !s.private(v, add) {
			continue
		}
		w, transB := product.Inputs[1], false
		if t := op(w, "Transpose"); t != nil && t.Inputs[0].Init != nil && len(t.Inputs[0].Init.Dims) == 2 {
			if perm := t.Ints("perm"); perm == nil || slices.Equal(perm, []int64{1, 0}) {
				w, transB = t.Inputs[0], true
			}
		}
		dims, x := s.shapeOf(w), s.shapeOf(product.Inputs[0])
		out := 1
		if transB {
			out = 0
		}
		if len(dims) != 2 || !dims[out].known() || dims[out].n != bias.Init.Len() || x != nil && len(x) < 2 {
			continue
		}
		n := s.replace(add, "Linear", Domain, product.Inputs[0], w, bias)
		if transB {
			n.SetInt("transB", 1)
		}
		return
	}
}

func (s *state) gemm(n *graph.Node) {
	if n.Float("alpha", 1) != 1 || n.Float("beta", 1) != 1 || n.Int("transA", 0) != 0 {
		return
	}
	transB := n.Int("transB", 0)
	w := s.shapeOf(n.Inputs[1])
	if len(w) != 2 {
		return
	}
	if b := n.Input(2); b != nil && (!vector(b) || !w[1-transB].known() || w[1-transB].n != b.Init.Len()) {
		return
	}
	l := s.replace(n, "Linear", Domain, n.Inputs[0], n.Inputs[1], n.Input(2))
	if transB == 1 {
		l.SetInt("transB", 1)
	}
}

// unflatten removes Reshapes around a Linear layer that bring its input [… in] into [rows in] and its output back.
func (s *state) unflatten(n *graph.Node) {
	before := op(n.Inputs[0], "Reshape", "Flatten")
	after := s.soleUser(n.Outputs[0], "Reshape")
	if before == nil || after == nil || after.Inputs[0] != n.Outputs[0] {
		return
	}
	x, flat, y := s.shapeOf(before.Inputs[0]), s.shapeOf(n.Inputs[0]), s.shapeOf(after.Outputs[0])
	if len(x) < 3 || len(flat) != 2 || len(y) != len(x) || x[len(x)-1] != flat[1] || !slices.Equal(x[:len(x)-1], y[:len(y)-1]) {
		return
	}
	l := s.replace(after, "Linear", Domain, append([]*graph.Value{before.Inputs[0]}, n.Inputs[1:]...)...)
	l.Attrs = n.Attrs
}
