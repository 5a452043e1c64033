package passes

import (
	"slices"

	"github.com/ftk-go/ftk/internal/graph"
)

// attention gathers the nodes that spell multi-head attention on [batch sequence heads·dim] tensors: heads are split by
// Reshape and Transpose, softmax(q·kᵀ·scale + mask)·v is taken, heads are joined again. The scale may stand anywhere
// before the mask, as Mul or Div; the mask is added or chosen by Where; k is transposed in one step or in two.
//
// A mask of Where becomes a boolean one, whose lowering is exact: a query that sees no key gets the mean of the values, and
// no gradient goes through its scores. The number that Where puts in the place of masked scores is -1e4 or less, so that
// such a key weighs exp(-1e4 - s) = 0 in float32 where the query sees another, of a score s. (Minus infinity would be NaN
// for a query that sees no key.)
//
// Before: shapes are inferred, Reshape targets are constants where they can be, linear layers are made. After: such nodes
// are one Attention (opset 24) with q_num_heads, kv_num_heads and scale.
func attention(s *state) error {
	for _, n := range append([]*graph.Node{}, s.g.Nodes...) {
		if n.OpType == "Reshape" {
			s.matchAttention(n)
		}
	}
	return nil
}

// heads is q, k or v before it was split into heads.
type heads struct {
	x       *graph.Value
	n, dim  int64
	scale   float64
	flipped bool // the last two axes are swapped, as k's are
	nodes   []*graph.Node
}

func (s *state) matchAttention(join *graph.Node) {
	back := op(join.Inputs[0], "Transpose")
	if back == nil || !slices.Equal(back.Ints("perm"), []int64{0, 2, 1, 3}) {
		return
	}
	mix := op(back.Inputs[0], "MatMul")
	if mix == nil {
		return
	}
	v, ok := s.headsOf(mix.Inputs[1])
	softmax := op(mix.Inputs[0], "Softmax")
	if !ok || v.flipped || v.scale != 1 || softmax == nil || !s.lastOfFour(softmax) {
		return
	}
	nodes := append(v.nodes, softmax, mix, back)
	scores, mask, maskNodes := s.matchMask(softmax.Inputs[0], softmax)
	scale := 1.0
	for {
		n := op(scores, "Mul", "Div")
		x, c, ok := split(n)
		if !ok || n.OpType == "Div" && x != n.Inputs[0] {
			break
		}
		if n.OpType == "Div" {
			c = 1 / c
		}
		scale *= c
		nodes = append(nodes, n)
		scores = x
	}
	product := op(scores, "MatMul")
	if product == nil {
		return
	}
	q, okQ := s.headsOf(product.Inputs[0])
	k, okK := s.headsOf(product.Inputs[1])
	if !okQ || !okK || q.flipped || !k.flipped || q.n != k.n || q.n != v.n || q.dim != k.dim || q.dim != v.dim {
		return
	}
	joined, shape := s.shapeOf(join.Outputs[0]), s.shapeOf(q.x)
	if len(joined) != 3 || joined[2] != fixed(q.n*q.dim) || joined[0] != shape[0] || joined[1] != shape[1] {
		return
	}
	if s.shapeOf(k.x)[0] != shape[0] || s.shapeOf(v.x)[0] != shape[0] { // a product would broadcast them
		return
	}
	nodes = append(append(append(append(nodes, product), q.nodes...), k.nodes...), maskNodes...)
	if !s.enclosed(append(nodes, join)...) {
		return
	}
	if mask.hides {
		mask.value = s.not(softmax, mask.value)
	}
	s.replace(join, "Attention", "", q.x, k.x, v.x, mask.value).
		SetInt("q_num_heads", q.n).SetInt("kv_num_heads", q.n).SetFloat("scale", float32(scale*q.scale*k.scale))
}

// lastOfFour reports whether softmax runs along the last axis of four.
func (s *state) lastOfFour(n *graph.Node) bool {
	axis := n.Int("axis", -1)
	if s.opset < 13 { // the default was 1, and axes from there on counted as one
		axis = n.Int("axis", 1)
	}
	return axis == -1 || axis == 3
}

// headsOf matches Transpose(Reshape(x, [batch sequence heads dim])), with numbers multiplied anywhere.
func (s *state) headsOf(v *graph.Value) (heads, bool) {
	h := heads{scale: 1}
	axes := []int64{0, 1, 2, 3} // of the [batch sequence heads dim] tensor, in the order of v
	for {
		n := op(v, "Mul", "Div", "Transpose", "Reshape")
		if n == nil {
			return h, false
		}
		h.nodes = append(h.nodes, n)
		switch n.OpType {
		case "Mul", "Div":
			x, c, ok := split(n)
			if !ok || n.OpType == "Div" && x != n.Inputs[0] {
				return h, false
			}
			if n.OpType == "Div" {
				c = 1 / c
			}
			h.scale *= c
			v = x
		case "Transpose":
			perm := n.Ints("perm")
			if len(perm) != 4 {
				return h, false
			}
			for i, a := range axes {
				axes[i] = perm[a]
			}
			v = n.Inputs[0]
		case "Reshape":
			h.x = n.Inputs[0]
			from, to := s.shapeOf(h.x), s.shapeOf(n.Outputs[0])
			if len(from) != 3 || len(to) != 4 || from[0] != to[0] || from[1] != to[1] || !to[2].known() || !to[3].known() {
				return h, false
			}
			h.n, h.dim = to[2].n, to[3].n
			h.flipped = slices.Equal(axes, []int64{0, 2, 3, 1})
			for m := op(h.x, "Mul", "Div"); m != nil; m = op(h.x, "Mul", "Div") { // scaled before the split
				x, c, ok := split(m)
				if !ok || m.OpType == "Div" && x != m.Inputs[0] || len(s.shapeOf(x)) != 3 || !s.private(m.Outputs[0], h.nodes...) {
					break
				}
				if m.OpType == "Div" {
					c = 1 / c
				}
				h.scale *= c
				h.nodes = append(h.nodes, m)
				h.x = x
			}
			return h, h.flipped || slices.Equal(axes, []int64{0, 2, 1, 3})
		}
	}
}

// maskOf is what is done to the scores before softmax: value is added, or it is a condition that says which of them stay
// (or, if it hides, which do not).
type maskOf struct {
	value *graph.Value
	hides bool
}

// matchMask takes the mask off the scores. Of an Add it is the operand that is not made by a product.
func (s *state) matchMask(v *graph.Value, user *graph.Node) (scores *graph.Value, m maskOf, nodes []*graph.Node) {
	if n := op(v, "Add"); n != nil {
		for i, in := range n.Inputs {
			other := n.Inputs[1-i]
			if isScores(in) && !isScores(other) {
				if dims := s.shapeOf(other); dims != nil && len(dims) <= 4 {
					return in, maskOf{value: other}, []*graph.Node{n}
				}
			}
		}
		return v, m, nil
	}
	n := op(v, "Where")
	if n == nil {
		return v, m, nil
	}
	for i, in := range n.Inputs[1:] {
		c, ok := number(n.Inputs[2-i])
		if !isScores(in) || !ok || c > -1e4 {
			continue
		}
		m := maskOf{value: n.Inputs[0], hides: i == 1}
		if dims := s.shapeOf(m.value); dims != nil && len(dims) <= 4 {
			return in, m, []*graph.Node{n}
		}
	}
	return v, m, nil
}

// isScores reports whether v is a matrix product, perhaps times a number.
func isScores(v *graph.Value) bool {
	for range 3 {
		if op(v, "MatMul") != nil {
			return true
		}
		x, _, ok := split(op(v, "Mul", "Div"))
		if !ok {
			return false
		}
		v = x
	}
	return false
}

// not is the opposite of a condition.
func (s *state) not(before *graph.Node, condition *graph.Value) *graph.Value {
	if n := op(condition, "Not"); n != nil {
		return n.Inputs[0]
	}
	return s.insert(before, "Not", condition)
}
