package main

import (
	"os"
	"path/filepath"
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
