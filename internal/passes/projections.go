package passes

import (
	"slices"

	"github.com/ftk-go/ftk/internal/graph"
)

// projections joins the linear layers that make query, key and value of one input, so that they are one matrix product.
//
// Before: linear layers and attention are one node each. After: three Linear nodes of the same x with weights of one
// shape, used by one Attention node alone as its q, k and v, are Projections(x, w, w, w, b, b, b) of domain ftk (or no b at
// all) with three outputs, under the names that they had; attribute transB as Linear's.
func projections(s *state) error {
	for _, n := range slices.Clone(s.g.Nodes) {
		if op(n.Output(), "Attention") == n {
			s.joinProjections(n)
		}
	}
	return nil
}

func (s *state) joinProjections(attention *graph.Node) {
	if len(attention.Inputs) < 3 {
		return
	}
	var layers []*graph.Node
	for _, v := range attention.Inputs[:3] {
		if v == nil {
			return
		}
		l := v.Producer
		if l == nil || l.Domain != Domain || l.OpType != "Linear" || !s.private(v, attention) || slices.Contains(layers, l) {
			return
		}
		layers = append(layers, l)
	}
	first := layers[0]
	inputs := []*graph.Value{first.Inputs[0]}
	for i := 1; i < len(first.Inputs); i++ {
		for _, l := range layers {
			v := l.Input(i)
			if l.Inputs[0] != first.Inputs[0] || len(l.Inputs) != len(first.Inputs) || l.Int("transB", 0) != first.Int("transB", 0) ||
				v == nil || v.Init == nil || !slices.Equal(v.Init.Dims, first.Inputs[i].Init.Dims) {
				return
			}
			inputs = append(inputs, v)
		}
	}
	joined := &graph.Node{Name: first.Name, OpType: "Projections", Domain: Domain, Inputs: inputs, Attrs: first.Attrs}
	for _, v := range attention.Inputs[:3] {
		v.Producer = joined
		joined.Outputs = append(joined.Outputs, v)
	}
	s.g.Nodes[slices.Index(s.g.Nodes, first)] = joined
	s.g.Nodes = slices.DeleteFunc(s.g.Nodes, func(n *graph.Node) bool { return slices.Contains(layers[1:], n) })
	s.uses, s.dims = nil, nil
}
