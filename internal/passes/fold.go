package passes

import (
	"slices"

	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/lower"
)

// foldLimit is the number of elements above which a folded constant is not stored: an Expand of a constant is cheaper
// to compute than to keep.
const foldLimit = 1 << 16

// fold computes what depends on constants alone.
//
// Before: any graph. After: no Constant nodes, no nodes all of whose inputs are constants other than weights, as far as
// lowering can compute them and the result is small. Results are initializers under the names of the values.
func fold(s *state) error {
	s.foldAll()
	return nil
}

func (s *state) foldAll() {
	var keep []*graph.Node
	for _, n := range s.g.Nodes {
		if !s.foldNode(n) {
			keep = append(keep, n)
		}
	}
	s.g.Nodes = keep
}

func (s *state) foldNode(n *graph.Node) bool {
	if len(n.Outputs) == 0 || len(n.Subgraphs()) > 0 || !lower.Supported(n, s.opset) {
		return false
	}
	for _, v := range n.Inputs {
		if v != nil && (v.Init == nil || slices.Contains(s.weights, v)) {
			return false
		}
	}
	if n.OpType != "Constant" && slices.ContainsFunc(n.Outputs, func(v *graph.Value) bool { return v != nil && s.keep[v] }) {
		return false
	}
	results, err := s.results(n)
	if err != nil {
		return false // lowering will say why, should the node matter
	}
	for i, v := range n.Outputs {
		if v != nil && (i >= len(results) || results[i] == nil || results[i].Len() > foldLimit && n.OpType != "Constant") {
			return false
		}
	}
	for i, v := range n.Outputs {
		if v == nil {
			continue
		}
		results[i].Name = v.Name
		v.Init, v.Producer = results[i], nil
		v.Type = graph.TensorOf(results[i].DType, graph.FixedDims(results[i].Dims...)...)
		s.g.Initializers = append(s.g.Initializers, v)
	}
	return true
}

// results are what a node of constants computes. The tensor of a Constant node is taken as it is, its data not copied.
func (s *state) results(n *graph.Node) ([]*graph.Tensor, error) {
	if t := n.Tensor("value"); n.OpType == "Constant" && t != nil && t.DType != graph.Float16 && t.DType != graph.BFloat16 {
		if _, err := lower.DType(t.DType); err == nil {
			return []*graph.Tensor{t.Clone()}, nil
		}
	}
	return lower.Fold(n, s.opset)
}
