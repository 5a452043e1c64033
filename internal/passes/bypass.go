package passes

import (
	"github.com/ftk-go/ftk/internal/graph"
)

// bypass removes nodes that hand their input on: Identity, Dropout outside of training, Cast to the type that a value
// has, sums and products with nothing else in them.
//
// Before: any graph. After: users of such a node's output use its input; a tied weight reached through Identity nodes is
// one initializer. A node whose output is kept stays.
func bypass(s *state) error {
	for _, n := range s.g.Nodes {
		if n.Domain != "" && n.Domain != "ai.onnx" || n.Input(0) == nil || len(n.Outputs) == 0 || s.keep[n.Outputs[0]] {
			continue
		}
		if !handsOn(n, s) {
			continue
		}
		s.g.ReplaceUses(n.Outputs[0], n.Inputs[0])
		s.uses = nil
	}
	return nil
}

func handsOn(n *graph.Node, s *state) bool {
	switch n.OpType {
	case "Identity":
		return true
	case "Dropout":
		if len(n.Outputs) > 1 && n.Outputs[1] != nil && len(s.usesOf(n.Outputs[1])) > 0 {
			return false
		}
		if v := n.Input(2); v != nil {
			training, ok := number(v)
			return ok && training == 0
		}
		return n.Int("is_test", 1) == 1
	case "Cast":
		v := n.Inputs[0]
		return v.DType() != graph.Undefined && int64(v.DType()) == n.Int("to", 0)
	case "Sum", "Mean", "Max", "Min", "Concat":
		return len(n.Inputs) == 1
	}
	return false
}
