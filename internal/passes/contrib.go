package passes

import (
	"github.com/ftk-go/ftk/internal/graph"
)

// contrib rewrites fused operators of onnxruntime's domain com.microsoft (ContribOperators.md) into standard ones.
//
// Before: any graph. After: no Gelu, BiasGelu, FastGelu, QuickGelu, FusedMatMul without transposed batches,
// SkipLayerNormalization or SimplifiedLayerNormalization of that domain, where only outputs known here are used.
func contrib(s *state) error {
	for _, n := range append([]*graph.Node{}, s.g.Nodes...) {
		if n.Domain != "com.microsoft" && n.OpType != "SimplifiedLayerNormalization" {
			continue
		}
		switch n.OpType {
		case "Gelu":
			s.replace(n, "Gelu", "", n.Inputs[0])
		case "BiasGelu":
			s.replace(n, "Gelu", "", s.insert(n, "Add", n.Inputs[0], n.Inputs[1]))
		case "FastGelu":
			x := n.Inputs[0]
			if b := n.Input(1); b != nil {
				x = s.insert(n, "Add", x, b)
			}
			s.replace(n, "Gelu", "", x).SetStr("approximate", "tanh")
		case "QuickGelu":
			s.replace(n, "Swish", "", n.Inputs[0]).SetFloat("alpha", n.Float("alpha", 1.702))
		case "FusedMatMul":
			s.fusedMatMul(n)
		case "SkipLayerNormalization":
			s.skipLayerNorm(n)
		case "SimplifiedLayerNormalization":
			if s.onlyFirst(n) {
				s.replace(n, "RMSNormalization", "", n.Inputs[0], n.Inputs[1]).
					SetInt("axis", n.Int("axis", -1)).SetFloat("epsilon", n.Float("epsilon", 1e-5))
			}
		}
	}
	return nil
}

// onlyFirst reports whether no output but the first is used.
func (s *state) onlyFirst(n *graph.Node) bool {
	for _, v := range n.Outputs[1:] {
		if v != nil && (s.keep[v] || len(s.usesOf(v)) > 0) {
			return false
		}
	}
	return true
}

func (s *state) fusedMatMul(n *graph.Node) {
	if n.Int("transA", 0) != 0 || n.Int("transBatchA", 0) != 0 || n.Int("transBatchB", 0) != 0 {
		return
	}
	b := n.Inputs[1]
	if n.Int("transB", 0) == 1 {
		dims := s.shapeOf(b)
		if len(dims) < 2 {
			return
		}
		perm := make([]int64, len(dims))
		for i := range perm {
			perm[i] = int64(i)
		}
		last := len(perm) - 1
		perm[last], perm[last-1] = perm[last-1], perm[last]
		b = s.insert(n, "Transpose", b)
		b.Producer.SetInts("perm", perm...)
	}
	alpha := n.Float("alpha", 1)
	if alpha == 1 {
		s.replace(n, "MatMul", "", n.Inputs[0], b)
		return
	}
	y := s.insert(n, "MatMul", n.Inputs[0], b)
	s.replace(n, "Mul", "", y, s.scalar(n.Name+"/alpha", alpha))
}

func (s *state) scalar(name string, v float32) *graph.Value {
	name = s.g.NewName(name)
	return s.g.AddInitializer(name, graph.NewFloat32(name, nil, []float32{v}))
}

// skipLayerNorm: inputs x, skip, gamma, beta, bias; outputs y, mean, inverse deviation, sum.
func (s *state) skipLayerNorm(n *graph.Node) {
	for i, v := range n.Outputs {
		if (i == 1 || i == 2) && v != nil && (s.keep[v] || len(s.usesOf(v)) > 0) {
			return
		}
	}
	sum := s.insert(n, "Add", n.Inputs[0], n.Inputs[1])
	if b := n.Input(4); b != nil {
		sum = s.insert(n, "Add", sum, b)
	}
	if len(n.Outputs) > 3 && n.Outputs[3] != nil {
		old := n.Outputs[3]
		if s.keep[old] {
			producer := sum.Producer
			old.Producer, producer.Outputs[0] = producer, old
			sum = old
		} else {
			s.g.ReplaceUses(old, sum)
		}
	}
	s.replace(n, "LayerNormalization", "", sum, n.Inputs[2], n.Input(3)).
		SetInt("axis", -1).SetFloat("epsilon", n.Float("epsilon", 1e-12))
}
