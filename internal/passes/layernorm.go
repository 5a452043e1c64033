package passes

import (
	"github.com/ftk-go/ftk/internal/graph"
)

// layerNorm gathers the nodes that spell a layer normalisation:
//
//	d = x − mean(x); y = d / √(mean(d²) + ε) · γ + β
//
// with the square as Pow or Mul, the root as Sqrt or Pow, the quotient as Div or Mul with Reciprocal, the difference
// computed once or twice, with or without β, over the last axis.
//
// Before: constants are initializers. After: such nodes are one LayerNormalization.
func layerNorm(s *state) error {
	for _, n := range append([]*graph.Node{}, s.g.Nodes...) {
		if n.OpType == "Add" {
			if m := s.matchLayerNorm(n, true); m != nil {
				s.fuseLayerNorm(n, m)
			}
		}
	}
	for _, n := range append([]*graph.Node{}, s.g.Nodes...) {
		if n.OpType == "Mul" && n.Outputs[0].Producer == n {
			if m := s.matchLayerNorm(n, false); m != nil {
				s.fuseLayerNorm(n, m)
			}
		}
	}
	return nil
}

type layerNormMatch struct {
	x, gamma, beta *graph.Value
	eps            float64
}

func (s *state) fuseLayerNorm(last *graph.Node, m *layerNormMatch) {
	s.replace(last, "LayerNormalization", "", m.x, m.gamma, m.beta).SetInt("axis", -1).SetFloat("epsilon", float32(m.eps))
}

// matchLayerNorm matches with last as the final Add of β, or as the Mul by γ where there is no β.
func (s *state) matchLayerNorm(last *graph.Node, withBeta bool) *layerNormMatch {
	m := &layerNormMatch{}
	nodes := []*graph.Node{last}
	product := last
	if withBeta {
		for i, v := range last.Inputs {
			if p := op(v, "Mul"); p != nil && vector(last.Inputs[1-i]) {
				product, m.beta = p, last.Inputs[1-i]
				nodes = append(nodes, p)
				break
			}
		}
		if m.beta == nil {
			return nil
		}
	}
	if len(product.Inputs) != 2 {
		return nil
	}
	for i, v := range product.Inputs {
		norm, scale := v, product.Inputs[1-i]
		if !vector(scale) || withBeta && scale.Init.Len() != m.beta.Init.Len() {
			continue
		}
		m.gamma = scale
		if x, inner := s.matchNormalised(norm, m); x != nil {
			m.x = x
			if dims := s.shapeOf(x); dims != nil && dims[len(dims)-1].known() && dims[len(dims)-1].n != scale.Init.Len() {
				return nil // γ broadcasts over the last axis instead of lying along it
			}
			if s.enclosed(append(inner, append(nodes[1:], last)...)...) {
				return m
			}
		}
	}
	return nil
}

// vector reports whether v is a constant of rank 1.
func vector(v *graph.Value) bool { return v != nil && v.Init != nil && len(v.Init.Dims) == 1 }

// matchNormalised matches d / √(mean(d²) + ε) and returns x and the nodes.
func (s *state) matchNormalised(v *graph.Value, m *layerNormMatch) (*graph.Value, []*graph.Node) {
	var d, root *graph.Value
	nodes := []*graph.Node{v.Producer}
	if q := op(v, "Div"); q != nil {
		d, root = q.Inputs[0], q.Inputs[1]
	} else if q := op(v, "Mul"); q != nil {
		for i, in := range q.Inputs {
			if r := op(in, "Reciprocal"); r != nil {
				d, root = q.Inputs[1-i], r.Inputs[0]
				nodes = append(nodes, r)
			}
		}
	}
	if root == nil {
		return nil, nil
	}
	r := op(root, "Sqrt", "Pow")
	if r == nil {
		return nil, nil
	}
	if r.OpType == "Pow" {
		if half, ok := number(r.Inputs[1]); !ok || half != 0.5 {
			return nil, nil
		}
	}
	sum := op(r.Inputs[0], "Add")
	variance, eps, ok := split(sum)
	if !ok || eps < 0 || eps > 0.1 {
		return nil, nil
	}
	m.eps = eps
	mean2 := op(variance, "ReduceMean")
	if mean2 == nil || !s.overLastAxis(mean2) {
		return nil, nil
	}
	square := op(mean2.Inputs[0], "Pow", "Mul")
	if square == nil {
		return nil, nil
	}
	if square.OpType == "Pow" {
		if two, ok := number(square.Inputs[1]); !ok || two != 2 {
			return nil, nil
		}
	} else if square.Inputs[0] != square.Inputs[1] {
		return nil, nil
	}
	d1, d2 := op(d, "Sub"), op(square.Inputs[0], "Sub")
	if d1 == nil || d2 == nil || d1.Inputs[0] != d2.Inputs[0] {
		return nil, nil
	}
	x := d1.Inputs[0]
	nodes = append(nodes, r, sum, mean2, square, d1, d2)
	for _, sub := range []*graph.Node{d1, d2} {
		mean := op(sub.Inputs[1], "ReduceMean")
		if mean == nil || mean.Inputs[0] != x || !s.overLastAxis(mean) {
			return nil, nil
		}
		nodes = append(nodes, mean)
	}
	return x, nodes
}

// overLastAxis reports whether a reduction is over the last axis and keeps it.
func (s *state) overLastAxis(n *graph.Node) bool {
	axes, ok := axesOf(n)
	if !ok || len(axes) != 1 || n.Int("keepdims", 1) != 1 {
		return false
	}
	if axes[0] == -1 {
		return true
	}
	dims := s.shapeOf(n.Inputs[0])
	return dims != nil && axes[0] == int64(len(dims)-1)
}
