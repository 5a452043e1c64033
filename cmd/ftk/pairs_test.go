package main

import (
	"path/filepath"
	"testing"
)

// exportOf trains a tiny model and returns its workspace and its export.
func exportOf(t *testing.T, train string, flags ...string) (ws, out string) {
	t.Helper()
	ws = workspaceOf(t, saved(t, fused(t)))
	must(t, tuned(ws, train, train, append(flags, "--epochs", "1")...)...)
	out = filepath.Join(t.TempDir(), "export")
	must(t, "export", "--out", out, "-C", ws)
	return ws, out
}

// TestPredictPairColumns: guessed or named, the same columns give the same
// predictions, also where the second text is empty.
func TestPredictPairColumns(t *testing.T) {
	data := writePairs(t, "pairs.csv", 60, 1)
	_, out := exportOf(t, data)
	guessed := must(t, "predict", "--model", out, "--data", data)
	named := must(t, "predict", "--model", out, "--data", data, "--text-column", "sentence1", "--text-pair-column", "sentence2")
	if named.stdout != guessed.stdout {
		t.Errorf("with named columns\n%swith guessed ones\n%s", named.stdout, guessed.stdout)
	}
}
