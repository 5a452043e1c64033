package passes_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/ftk-go/ftk/importer"
	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/passes"
	"github.com/ftk-go/ftk/internal/testenv"
)

func count(g *graph.Graph) map[string]int {
	ops := map[string]int{}
	for _, n := range g.Nodes {
		ops[n.OpType]++
	}
	return ops
}

// TestCanonicalALBERT: two exports of one model, with decomposed layer normalisation and without, come to the same form.
func TestCanonicalALBERT(t *testing.T) {
	want := map[string]int{
		"Attention": 12, "LayerNormalization": 25, "Gelu": 12,
		"Projections": 12,           // q, k, v
		"Linear":      1 + 12*3 + 1, // embedding projection, out and two of the feed-forward layer, pooler
		"Add":         2 + 24,       // embeddings, residuals
		"Gather":      3 + 1 + 1,    // embeddings, length of the sequence, first token
		"Tanh":        1,
		"Unsqueeze":   3, "Cast": 2, "Sub": 1, "Mul": 1, // attention mask, position ids
		"Shape": 1, "Range": 1,
	}
	for _, file := range []string{"encoder_opset14.onnx", "encoder_opset17.onnx"} {
		m, err := importer.Load(testenv.Shared(t, "models/albert-rxnmapper/"+file))
		if err != nil {
			t.Fatal(err)
		}
		g, err := passes.Canonical(m)
		if err != nil {
			t.Fatal(err)
		}
		got := count(g)
		for _, op := range slices.Sorted(maps.Keys(got)) {
			if got[op] != want[op] {
				t.Errorf("%s: %d %s nodes, want %d", file, got[op], op, want[op])
			}
		}
		for op, n := range want {
			if got[op] == 0 && n > 0 {
				t.Errorf("%s: no %s nodes, want %d", file, op, n)
			}
		}
	}
}
