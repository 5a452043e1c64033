package passes

import (
	"slices"

	"github.com/ftk-go/ftk/internal/graph"
)

// rows computes one position of a sequence where only that one is wanted: a classifier on the first token needs of the
// last layer the keys and values of every token, but query, feed-forward layer and norms of one.
//
// Before: attention is one node. After: Gather(x, i) along axis 1 of [batch sequence width] has moved, in front of the
// nodes that treat every position alike and that nothing else uses, to where positions meet; from there on the sequence
// axis is 1, and values have other names, since they are others.
func rows(s *state) error {
	for _, n := range slices.Clone(s.g.Nodes) {
		if op(n.Output(), "Gather") == n && n.Int("axis", 0) == 1 {
			s.moveRow(n)
		}
	}
	return nil
}

func (s *state) moveRow(pick *graph.Node) {
	index, ok := integers(pick.Input(1))
	if x := s.shapeOf(pick.Input(0)); !ok || len(index) != 1 || len(x) != 3 || x[1].is(1) {
		return
	}
	narrow := map[*graph.Node][]rowInput{}
	at := slices.Index(s.g.Nodes, pick)
	for _, n := range slices.Backward(s.g.Nodes[:at]) {
		if in := s.rowInputs(n); in != nil && s.usedByRow(n, pick, narrow) {
			narrow[n] = in
		}
	}
	if len(narrow) == 0 {
		return
	}
	type source struct {
		v    *graph.Value
		axis int
	}
	moved := map[source]*graph.Value{}
	for _, n := range slices.Clone(s.g.Nodes[:at]) {
		for _, in := range narrow[n] {
			v := n.Inputs[in.index]
			if narrow[v.Producer] != nil {
				continue
			}
			key := source{v, in.axis}
			if moved[key] == nil {
				moved[key] = s.row(n, v, index[0], in.axis)
			}
			n.Inputs[in.index] = moved[key]
		}
		if narrow[n] != nil {
			v := n.Outputs[0]
			v.Name = s.g.NewName(v.Name + "/row")
			if v.Type != nil {
				v.Type = &graph.Type{Elem: v.Type.Elem} // the shape is another one
			}
		}
	}
	name := s.g.NewName(pick.Name + "/first")
	pick.Inputs[1] = s.g.AddInitializer(name, graph.NewInt64(name, pick.Inputs[1].Init.Dims, []int64{0}))
	s.uses, s.dims = nil, nil
}

// rowInput is an input of a node of which one row, along an axis, is all that one row of the node's output needs.
type rowInput struct{ index, axis int }

// row is one row of v, the axis kept.
func (s *state) row(before *graph.Node, v *graph.Value, index int64, axis int) *graph.Value {
	name := s.g.NewName(before.Name + "/row")
	out := s.insert(before, "Gather", v, s.g.AddInitializer(name, graph.NewInt64(name, []int64{1}, []int64{index})))
	out.Producer.SetInt("axis", int64(axis))
	return out
}

// usedByRow reports whether nothing but one row of what n computes is used: by pick, or by nodes of which that is known.
func (s *state) usedByRow(n, pick *graph.Node, narrow map[*graph.Node][]rowInput) bool {
	uses := s.usesOf(n.Outputs[0])
	return len(uses) > 0 && !s.keep[n.Outputs[0]] && !slices.ContainsFunc(uses, func(u graph.Use) bool {
		return u.Node == nil || u.Node != pick && !slices.ContainsFunc(narrow[u.Node], func(in rowInput) bool { return in.index == u.Index })
	})
}

// alike lists operators that treat every element by itself.
var alike = []string{
	"Gelu", "Erf", "Tanh", "Relu", "Sigmoid", "Sqrt", "Exp", "Log", "Neg", "Abs", "Elu", "LeakyRelu", "Softplus", "Swish", "Cast",
}

// rowInputs says of which inputs a node with an output [batch sequence width] needs one row for one row of the output;
// nil if it needs more.
func (s *state) rowInputs(n *graph.Node) []rowInput {
	y := s.shapeOf(n.Output())
	if len(y) != 3 || !s.onlyFirst(n) {
		return nil
	}
	first := []rowInput{{0, 1}}
	switch {
	case n.OpType == "Linear" && n.Domain == Domain:
		return first
	case op(n.Outputs[0], alike...) == n:
		return first
	case op(n.Outputs[0], "LayerNormalization", "RMSNormalization") == n:
		if axis := n.Int("axis", -1); (axis == -1 || axis == 2) && s.isRow(n.Input(1)) && (n.Input(2) == nil || s.isRow(n.Input(2))) {
			return first
		}
	case op(n.Outputs[0], "MatMul") == n:
		if len(s.shapeOf(n.Inputs[1])) == 2 {
			return first
		}
	case op(n.Outputs[0], "Add", "Sub", "Mul", "Div", "Pow") == n:
		return s.broadcastRows(n, y)
	case op(n.Outputs[0], "Attention") == n:
		return s.queryRows(n, y)
	}
	return nil
}

// broadcastRows are the operands that have a row for every position.
func (s *state) broadcastRows(n *graph.Node, y []dim) []rowInput {
	var in []rowInput
	for i, v := range n.Inputs {
		x := s.shapeOf(v)
		switch {
		case len(x) == 3 && x[1] == y[1]:
			in = append(in, rowInput{i, 1})
		case s.isRow(v), len(x) == 3 && x[1].is(1): // the same for every position
		default:
			return nil
		}
	}
	return in
}

// isRow reports whether v is known to be a number or a vector.
func (s *state) isRow(v *graph.Value) bool {
	x := s.shapeOf(v)
	return x != nil && len(x) < 2
}

const attentionMask = 3 // of the inputs of Attention, after q, k, v; more concern the keys of earlier calls

// queryRows: each query attends to all keys, whatever the other queries do.
func (s *state) queryRows(n *graph.Node, y []dim) []rowInput {
	in := []rowInput{{0, 1}}
	if n.Int("is_causal", 0) != 0 || len(n.Inputs) > attentionMask+1 {
		return nil
	}
	mask := n.Input(attentionMask)
	if mask == nil {
		return in
	}
	m := s.shapeOf(mask)
	switch axis := len(m) - 2; {
	case m == nil:
		return nil
	case axis < 0 || m[axis].is(1):
		return in
	case m[axis] == y[1]:
		return append(in, rowInput{attentionMask, axis})
	}
	return nil
}
