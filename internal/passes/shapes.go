package passes

import (
	"slices"

	"github.com/ftk-go/ftk/internal/graph"
)

// shapes replaces computed targets of Reshape by constants (0 for an axis that keeps its size, −1 for at most one other
// that is not known) where symbolic shapes show that the result is the same, computed shape tensors all of whose elements
// are known by constants, and removes Reshapes and Expands that change nothing, or
// nothing that the operators after them would not do.
//
// Before: constants are initializers. After: the arithmetic that computed those shapes has no users left, unless it
// depends on more than the sizes of inputs.
func shapes(s *state) error {
	f := s.infer()
	for _, n := range append([]*graph.Node{}, s.g.Nodes...) {
		out := n.Output()
		if out == nil || op(out, n.OpType) == nil {
			continue
		}
		switch n.OpType {
		case "Reshape":
			s.constantTarget(f, n)
		case "Expand":
			if s.keep[out] {
				continue
			}
			if x := f.of(n.Inputs[0]); x != nil && slices.Equal(x, f.of(out)) || s.broadcastAnyway(f, out) {
				s.g.ReplaceUses(out, n.Inputs[0])
				s.uses = nil
			}
		default:
			s.constantElements(f, n)
		}
	}
	return nil
}

// broadcastAnyway reports whether all users of an Expand's output broadcast it to the same shape by themselves, because
// another operand of theirs has that shape.
func (s *state) broadcastAnyway(f *inference, out *graph.Value) bool {
	full := f.of(out)
	for _, u := range s.usesOf(out) {
		if full == nil || u.Node == nil || op(u.Node.Output(), "Where", "Add", "Sub", "Mul", "Div", "And", "Or") == nil {
			return false
		}
		if !slices.ContainsFunc(u.Node.Inputs, func(v *graph.Value) bool { return v != out && slices.Equal(f.of(v), full) }) {
			return false
		}
	}
	return full != nil
}

func (s *state) constantTarget(f *inference, n *graph.Node) {
	x, y := f.of(n.Inputs[0]), f.of(n.Outputs[0])
	if x == nil || y == nil {
		return
	}
	if slices.Equal(x, y) && !s.keep[n.Outputs[0]] {
		s.g.ReplaceUses(n.Outputs[0], n.Inputs[0])
		s.uses = nil
		return
	}
	if n.Inputs[1].Init != nil {
		return
	}
	target := make([]int64, len(y))
	unknown := 0
	for i, d := range y {
		switch {
		case d.known() && d.n > 0:
			target[i] = d.n
		case i < len(x) && d == x[i]:
			target[i] = 0
		default:
			target[i] = -1
			unknown++
		}
	}
	if unknown > 1 {
		return
	}
	s.names++
	name := s.g.NewName(n.Name + "/shape")
	n.Inputs[1] = s.g.AddInitializer(name, graph.NewInt64(name, []int64{int64(len(target))}, target))
	n.RemoveAttr("allowzero")
	s.uses = nil
}

// constantElements makes an initializer of an integer tensor all of whose elements are known.
func (s *state) constantElements(f *inference, n *graph.Node) {
	out := n.Outputs[0]
	e := f.contents[out]
	dims := f.of(out)
	if e == nil || dims == nil || len(dims) > 1 || s.keep[out] || n.OpType == "Cast" {
		return
	}
	values := make([]int64, len(e))
	for i, d := range e {
		if !d.known() {
			return
		}
		values[i] = d.n
	}
	if out.DType() != graph.Int64 && out.DType() != graph.Undefined {
		return
	}
	shape := []int64{}
	if len(dims) == 1 {
		shape = append(shape, int64(len(values)))
	} else if len(values) != 1 {
		return
	}
	name := s.g.NewName(out.Name + "/known")
	s.g.ReplaceUses(out, s.g.AddInitializer(name, graph.NewInt64(name, shape, values)))
	s.uses = nil
}
