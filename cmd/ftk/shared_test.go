package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ftk-go/ftk/finetune"
	"github.com/ftk-go/ftk/internal/testenv"
)

// The whole path with real models: kept to a few steps each.

// TestMiniLM tunes the upper layers of MiniLM on the project's intents for one
// epoch.
func TestMiniLM(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: a real model; run without -short")
	}
	needsORT(t)
	source, data := testenv.MiniLM(t), filepath.Join(testenv.Root(t), "testdata", "intents")
	ws := t.TempDir()
	imp := importsNatively(t, source, ws)
	if imp.Family != "bert" || len(imp.Layers) != 6 || imp.HiddenSize != 384 || imp.Parameters != 22713216 {
		t.Errorf("imported: %+v", imp)
	}
	dev := filepath.Join(data, "dev.csv")
	var r finetune.Result
	mustJSON(t, &r, "finetune", "-C", ws, "--data", filepath.Join(data, "train.csv"), "--eval", dev,
		"--freeze", "5", "--epochs", "1", "--lr", "3e-4", "--head-lr", "1e-2", "--max-length", "32", "--threads", "2")
	if r.Eval.Accuracy < 0.5 || len(r.Labels) < 8 {
		t.Errorf("tuned to %+v", r.Eval)
	}
	out := filepath.Join(t.TempDir(), "export")
	exportsWithin(t, ws, out)
	var p struct{ Text, Label string }
	o := must(t, "predict", "--model", out, "--text", "I lost my library card on the bus")
	if err := json.Unmarshal([]byte(o.stdout), &p); err != nil || p.Label != "lost_card" {
		t.Errorf("predicted %+v (%v)", p, err)
	}
}

// TestALBERT imports both exports of the chemists' ALBERT, twelve layers of one
// set of weights, and tunes the one with decomposed norms on a few reactions.
func TestALBERT(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: a real model; run without -short")
	}
	needsORT(t)
	dir := testenv.Shared(t, "models/albert-rxnmapper")
	reactions := readFile(t, testenv.Shared(t, "datasets/uspto50k/class_train.tsv"))
	ws := map[string]string{"14": t.TempDir(), "17": t.TempDir()}
	for opset, ws := range ws {
		imp := importsNatively(t, filepath.Join(dir, "encoder_opset"+opset+".onnx"), ws)
		if imp.Family != "albert" || len(imp.Layers) != 12 || !imp.Shared {
			t.Errorf("opset %s imported: %+v", opset, imp)
		}
	}

	// Fifty reactions of each of two classes.
	var some strings.Builder
	left := map[string]int{"1": 50, "2": 50}
	for line := range strings.Lines(string(reactions)) {
		_, class, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if class != "class" && left[class] == 0 {
			continue
		}
		left[class]--
		some.WriteString(line)
	}
	data := writeFile(t, filepath.Join(t.TempDir(), "reactions.tsv"), some.String())
	var r finetune.Result
	mustJSON(t, &r, "finetune", "-C", ws["14"], "--data", data, "--eval-split", "0.2",
		"--epochs", "1", "--batch-size", "16", "--max-length", "48", "--threads", "2")
	if len(r.Labels) != 2 || r.Train.Steps != 5 {
		t.Errorf("tuned: %+v", r)
	}
	exportsWithin(t, ws["14"], filepath.Join(t.TempDir(), "export"))
}

// importsNatively imports a model that is native altogether and checks it
// against onnxruntime.
func importsNatively(t *testing.T, source, ws string) imported {
	t.Helper()
	var imp imported
	mustJSON(t, &imp, "import", source, "-C", ws)
	if len(imp.Differences) == 0 || len(imp.FrozenOnly) > 0 || imp.Tokenizer == "" {
		t.Errorf("imported: %+v", imp)
	}
	for _, d := range imp.Differences {
		t.Logf("%s: native and onnxruntime differ by %.2g of %.2g", d.Output, d.Max, d.Scale)
		if d.Max > 1e-4*d.Scale {
			t.Errorf("that is too much")
		}
	}
	return imp
}

func exportsWithin(t *testing.T, ws, out string) {
	t.Helper()
	var ex exported
	mustJSON(t, &ex, "export", "--out", out, "-C", ws)
	t.Logf("exported: logits differ by %.2g of %.2g", ex.Difference.Max, ex.Difference.Scale)
	if ex.Difference.Relative() > 1e-4 || ex.Difference.Rows != checkExamples {
		t.Errorf("exported: %+v", ex)
	}
}
