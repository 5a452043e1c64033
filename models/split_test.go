package models_test

import (
	"testing"

	"github.com/ftk-go/ftk/heads"
	"github.com/ftk-go/ftk/importer"
	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/passes"
	"github.com/ftk-go/ftk/internal/testenv"
	"github.com/ftk-go/ftk/models"
)

// The trained part of a model is fused like the whole, whatever is frozen:
// what Split says of the shapes of values that cross is enough, in files that
// keep axes and sizes in Constant nodes too.
func TestSplitSuffixIsFused(t *testing.T) {
	tiny := func(t *testing.T) *graph.Model {
		return must(models.TinyBERT(models.Tiny{Opset: 14, ConstantNodes: true}, 1))(t)
	}
	albert := func(t *testing.T) *graph.Model {
		return must(importer.Load(testenv.Shared(t, "models/albert-rxnmapper/encoder_opset14.onnx")))(t)
	}
	for _, c := range []struct {
		name   string
		model  func(*testing.T) *graph.Model
		freeze string
		layers int // left to train
	}{
		{"tiny", tiny, "none", 2},
		{"tiny", tiny, "embeddings", 2},
		{"tiny", tiny, "1", 1},
		{"albert", albert, "none", 12},
		{"albert", albert, "embeddings", 12},
	} {
		t.Run(c.name+" "+c.freeze, func(t *testing.T) {
			m := c.model(t)
			info := must(models.Describe(m))(t)
			trainable := must(models.Freeze(info, c.freeze))(t)
			h := must(heads.Attach(m, info, heads.Config{Kind: "classify", Labels: []string{"a", "b"}, Pooling: heads.Mean}))(t)
			before := len(m.Graph.Nodes)
			parts := must(models.Split(m, append(trainable, h.Initializers...), []*graph.Value{h.Logits}))(t)
			if len(m.Graph.Nodes) != before {
				t.Errorf("the model has %d nodes after it was split, %d before", len(m.Graph.Nodes), before)
			}
			for _, n := range m.Graph.Nodes {
				for _, v := range n.Outputs {
					if v != nil && (v.Producer != n || v.Init != nil) {
						t.Fatalf("%q of the model was changed", v.Name)
					}
				}
			}
			suffix := must(passes.Canonical(parts.Suffix))(t)
			got := map[string]int{}
			for _, n := range suffix.Nodes {
				got[n.OpType]++
			}
			for op, want := range map[string]int{
				"Attention": c.layers, "Projections": c.layers, "Gelu": c.layers, "MatMul": 0, "Softmax": 0, "Sqrt": 0,
			} {
				if got[op] != want {
					t.Errorf("%d %s nodes, want %d", got[op], op, want)
				}
			}
		})
	}
}
