package main

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ftk-go/ftk/exporter"
	"github.com/ftk-go/ftk/finetune"
	"github.com/ftk-go/ftk/internal/graph"
)

// savedOutside is saved with the weights in model.onnx.data.
func savedOutside(t *testing.T, m *graph.Model) string {
	t.Helper()
	dir := t.TempDir()
	if err := exporter.Save(m, filepath.Join(dir, "model.onnx"), exporter.Options{ExternalData: true}); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "vocab.txt"), vocabulary())
	return dir
}

// TestFrozenExternalData freezes a model with external data, part of which only
// onnxruntime can compute, in a directory that has another model's data file.
func TestFrozenExternalData(t *testing.T) {
	inside, outside := workspaceOf(t, saved(t, withOperators(t))), workspaceOf(t, savedOutside(t, withOperators(t)))
	train, dev := writeTask(t, "train.csv", 300, 1), writeTask(t, "dev.csv", 90, 2)
	elsewhere, temporary := t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", temporary)
	data := readFile(t, filepath.Join(outside, ".ftk", "model", "model.onnx.data"))
	writeFile(t, filepath.Join(elsewhere, "model.onnx.data"), string(make([]byte, len(data))))
	t.Chdir(elsewhere)
	for _, freeze := range []string{"1", "backbone"} {
		var want, got finetune.Result
		flags := []string{"--freeze", freeze, "--pooling", "mean", "--epochs", "1"}
		mustJSON(t, &want, tuned(inside, train, dev, flags...)...)
		mustJSON(t, &got, tuned(outside, train, dev, flags...)...)
		if got.Eval.Loss != want.Eval.Loss {
			t.Errorf("freeze %s: the loss is %v, with the data in the model %v", freeze, got.Eval.Loss, want.Eval.Loss)
		}
	}
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("left in the temporary directory: %v, %v", left, err)
	}
}

// TestExportExternalData exports a model with external data of which some
// tensors are trained: the data file has each tensor once, and no other file
// comes along.
func TestExportExternalData(t *testing.T) {
	source := savedOutside(t, decomposed(t))
	ws := workspaceOf(t, source)
	train, dev := writeTask(t, "train.csv", 300, 1), writeTask(t, "dev.csv", 90, 2)
	out := filepath.Join(t.TempDir(), "export")
	for _, freeze := range []string{"none", "1"} { // the second over the first
		var r finetune.Result
		mustJSON(t, &r, tuned(ws, train, dev, "--freeze", freeze, "--epochs", "1")...)
		must(t, "export", "--out", out, "-C", ws)
		checkPredictions(t, must(t, "predict", "--model", out, "--data", dev, "--json"), r.Eval.Accuracy, 0)

		var names []string
		entries, err := os.ReadDir(out)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
		if want := []string{"README.md", "config.json", "model.onnx", "model.onnx.data", "tokenizer.json", "tokenizer_config.json"}; !slices.Equal(names, want) {
			t.Errorf("freeze %s: exported %q", freeze, names)
		}
		size := func(dir string) (n int) {
			for _, name := range []string{"model.onnx", "model.onnx.data"} {
				n += len(readFile(t, filepath.Join(dir, name)))
			}
			return n
		}
		if was, is := size(source), size(out); math.Abs(float64(is-was)) > 16384 { // the head, padded
			t.Errorf("freeze %s: the export takes %d bytes, the source %d", freeze, is, was)
		}
	}
}
