package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/ftk-go/ftk/exporter"
	"github.com/ftk-go/ftk/finetune"
	"github.com/ftk-go/ftk/internal/onnxpb"
)

// typed gives inputs of a directory's model other element types, by the numbers
// of TensorProto.DataType.
func typed(t *testing.T, dir string, types map[string]int32) string {
	return reONNX(t, dir, func(m *onnxpb.Model) {
		for _, in := range m.Graph.Input {
			if elem, ok := types[in.GetName()]; ok {
				in.GetType().GetTensorType().ElemType = proto.Int32(elem)
			}
		}
	})
}

// TestInputTypes serves models that take tokens as something else than int64.
func TestInputTypes(t *testing.T) {
	const float32s, int32s = 1, 6
	source := typed(t, saved(t, fused(t)), map[string]int32{"input_ids": int32s, "token_type_ids": int32s, "attention_mask": float32s})
	ws := workspaceOf(t, source)
	train, dev := writeTask(t, "train.csv", 300, 1), writeTask(t, "dev.csv", 90, 2)
	var r finetune.Result
	mustJSON(t, &r, tuned(ws, train, dev, "--epochs", "1")...)
	out := filepath.Join(t.TempDir(), "export")
	must(t, "export", "--out", out, "-C", ws)
	checkPredictions(t, must(t, "predict", "--model", out, "--data", dev, "--json"), r.Eval.Accuracy, 0)
	card := string(readFile(t, filepath.Join(out, "README.md")))
	if want := "`attention_mask` (float32), `input_ids` (int32), `token_type_ids` (int32), each [batch, sequence]"; !strings.Contains(card, want) {
		t.Errorf("README.md does not say %s:\n%s", want, card)
	}

	// A model with a type that tokens are not given as is refused when it is opened.
	typed(t, out, map[string]int32{"attention_mask": 11})
	fails(t, exitFailed, []string{out, "attention_mask"}, "predict", "--model", out, "--text", "a horse")
}

// TestSourcePooling tunes a model whose directory asks for a pooling that there
// is not: it takes a --pooling.
func TestSourcePooling(t *testing.T) {
	train, dev := writeTask(t, "train.csv", 120, 1), writeTask(t, "dev.csv", 30, 2)
	for name, config := range map[string]string{
		"pooling_mode_max_tokens":                          `{"pooling_mode_max_tokens":true}`,
		"pooling_mode_lasttoken":                           `{"pooling_mode":"lasttoken"}`,
		"pooling_mode_cls_token, pooling_mode_mean_tokens": `{"pooling_mode_cls_token":true,"pooling_mode_mean_tokens":true}`,
	} {
		source := saved(t, fused(t))
		writeFile(t, filepath.Join(source, "1_Pooling", "config.json"), config)
		ws := workspaceOf(t, source)
		unchanged(t, ws, func() {
			fails(t, exitFailed, []string{"1_Pooling", name, "--pooling cls, mean or pooler"}, tuned(ws, train, dev)...)
		})
		must(t, tuned(ws, train, dev, "--epochs", "1", "--pooling", "mean")...)
		must(t, "eval", "--data", dev, "-C", ws)
		out := filepath.Join(t.TempDir(), "export")
		must(t, "export", "--out", out, "-C", ws)
		must(t, "predict", "--model", out, "--text", "a horse")
	}
}

// TestBaseLogits exports from a model that is a classifier already: "logits"
// are the new head's, in the settings and to any other tool.
func TestBaseLogits(t *testing.T) {
	m := fused(t)
	m.Graph.Outputs[1].Name = "logits"
	ws := workspaceOf(t, saved(t, m))
	train, dev := writeTask(t, "train.csv", 300, 1), writeTask(t, "dev.csv", 90, 2)
	var r finetune.Result
	mustJSON(t, &r, tuned(ws, train, dev, "--epochs", "1")...)
	out := filepath.Join(t.TempDir(), "export")
	if o := must(t, "export", "--out", out, "-C", ws); !strings.Contains(o.stdout, `"base_logits"`) {
		t.Errorf("export does not say what it renamed: %v", o)
	}
	checkPredictions(t, must(t, "predict", "--model", out, "--data", dev, "--json"), r.Eval.Accuracy, 0)

	p, err := exporter.OpenPredictor(out, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if p.Settings.Logits != "logits" {
		t.Errorf("the settings' logits are %q", p.Settings.Logits)
	}
	var outputs []string
	for _, v := range readONNX(t, filepath.Join(out, "model.onnx")).Graph.Output {
		outputs = append(outputs, v.GetName())
	}
	if want := []string{"last_hidden_state", "base_logits", "logits"}; !slices.Equal(outputs, want) {
		t.Errorf("outputs %q, want %q", outputs, want)
	}
	if card := string(readFile(t, filepath.Join(out, "README.md"))); !strings.Contains(card, "`last_hidden_state`, `base_logits`") {
		t.Errorf("README.md does not name the other outputs:\n%s", card)
	}
}
