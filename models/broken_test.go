package models_test

import (
	"testing"

	"github.com/ftk-go/ftk/heads"
	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/models"
)

// Graphs that no checker would pass: nodes with inputs or outputs missing,
// initializers whose data is not there. Any answer will do but a panic.
func TestBrokenGraphs(t *testing.T) {
	whole := must(models.TinyBERT(models.Tiny{BERTConfig: models.BERTConfig{Layers: 1}, ConstantNodes: true, Opset: 14}, 1))(t)
	for name, damage := range map[string]func(n *graph.Node){
		"no inputs":       func(n *graph.Node) { n.Inputs = nil },
		"one input":       func(n *graph.Node) { n.Inputs = n.Inputs[:min(1, len(n.Inputs))] },
		"inputs left out": func(n *graph.Node) { clear(n.Inputs) },
		"no outputs":      func(n *graph.Node) { n.Outputs = nil },
		"output left out": func(n *graph.Node) { n.Outputs = []*graph.Value{nil} },
		"no attributes":   func(n *graph.Node) { n.Attrs = nil },
		"bad data": func(n *graph.Node) {
			for _, v := range n.Inputs {
				if v != nil && v.Init != nil {
					v.Init.Dims = []int64{-1, 1 << 62, 1 << 62}
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			for i := range whole.Graph.Nodes {
				m := whole.Clone()
				damage(m.Graph.Nodes[i])
				info, err := models.Describe(m)
				if err != nil {
					continue
				}
				trainable, err := models.Freeze(info, "embeddings")
				if err != nil {
					continue
				}
				h, err := heads.Attach(m, info, heads.Config{Kind: "classify", Labels: []string{"a", "b"}, Pooling: heads.Mean})
				if err != nil {
					continue
				}
				_, _ = models.Split(m, append(trainable, h.Initializers...), []*graph.Value{h.Logits})
			}
		})
	}
}
