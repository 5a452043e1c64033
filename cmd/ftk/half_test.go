package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/ftk-go/ftk/finetune"
	"github.com/ftk-go/ftk/internal/compose"
	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/models"
)

// halved is BERT in half precision: weights, constants, what the mask is cast
// to, and the outputs; those are cast back where they are to be plain.
func halved(t *testing.T, plain bool) *graph.Model {
	t.Helper()
	m, err := models.TinyBERT(models.Tiny{Opset: 14, BERTConfig: models.BERTConfig{LayerNormEps: 1e-5}}, 1)
	g := built(t, m, err).Graph
	for _, v := range g.Initializers {
		if v.DType() != graph.Float32 {
			continue
		}
		data, err := v.Init.Float32s()
		if err != nil {
			t.Fatal(err)
		}
		half := &graph.Tensor{Name: v.Name, DType: graph.Float16, Dims: v.Init.Dims}
		if err := half.SetFloat32s(data); err != nil {
			t.Fatal(err)
		}
		v.Init, v.Type = half, nil
	}
	for _, n := range g.Nodes {
		if n.OpType == "Cast" && n.Int("to", 0) == int64(graph.Float32) {
			n.SetInt("to", int64(graph.Float16))
		}
	}
	outputs := g.Outputs
	if plain {
		g.Outputs = nil
	}
	for _, v := range outputs {
		if !plain {
			v.Type.Elem = graph.Float16
			continue
		}
		name, shape := v.Name, v.Type.Shape
		v.Name, v.Type = name+"_half", nil // exporters say nothing of inner values
		b := compose.New(g, 14).In("back")
		b.Output(b.Cast(v, graph.Float32), name, graph.Float32, shape...)
	}
	return m
}

// TestHalf takes models in half precision, which onnxruntime computes and ftk
// does not, along the whole path: a frozen backbone.
func TestHalf(t *testing.T) {
	needsORT(t)
	for name, plain := range map[string]bool{"float32 outputs": true, "float16 outputs": false} {
		t.Run(name, func(t *testing.T) {
			source, ws := saved(t, halved(t, plain)), t.TempDir()
			o := must(t, "import", source, "-C", ws)
			for _, want := range []string{"comparison  not made: ", "float16", "--freeze backbone works"} {
				if !strings.Contains(o.stdout, want) {
					t.Errorf("import does not say %q: %v", want, o)
				}
			}
			train, dev := writeTask(t, "train.csv", 600, 1), writeTask(t, "dev.csv", 90, 2)
			for _, pooling := range []string{"mean", "cls"} {
				var r finetune.Result
				mustJSON(t, &r, tuned(ws, train, dev, "--freeze", "backbone", "--pooling", pooling)...)
				out := filepath.Join(t.TempDir(), "export")
				must(t, "export", "--out", out, "-C", ws)
				checkExport(t, filepath.Join(source, "model.onnx"), filepath.Join(out, "model.onnx"), func(string) bool { return false })
				checkPredictions(t, must(t, "predict", "--model", out, "--data", dev, "--json"), r.Eval.Accuracy, 2)
			}
			fails(t, exitFailed, []string{"float16", "--freeze backbone"}, tuned(ws, train, dev)...)
		})
	}
}
