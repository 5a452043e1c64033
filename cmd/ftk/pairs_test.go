package main

import (
	"path/filepath"
	"strings"
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

// TestEvalPairs: what a run was trained on, pairs or single texts, it is
// evaluated on.
func TestEvalPairs(t *testing.T) {
	pairs, single := writePairs(t, "pairs.csv", 60, 1), writeTask(t, "single.csv", 60, 1)
	renamed := writeFile(t, filepath.Join(t.TempDir(), "renamed.csv"), strings.Replace(string(readFile(t, pairs)), "sentence1", "first", 1))

	ws, _ := exportOf(t, pairs)
	eval := func(data string, flags ...string) string {
		o := must(t, append([]string{"eval", "--data", data, "-C", ws}, flags...)...)
		return o.stdout[strings.Index(o.stdout, "accuracy"):]
	}
	want := eval(pairs)
	for name, got := range map[string]string{
		"text named":  eval(pairs, "--text-column", "sentence1"),
		"pair named":  eval(pairs, "--text-pair-column", "sentence2"),
		"other names": eval(renamed, "--text-column", "first"),
	} {
		if got != want {
			t.Errorf("%s: %s, without: %s", name, got, want)
		}
	}
	for _, flags := range [][]string{nil, {"--text-column", "text"}} {
		fails(t, exitFailed, []string{"single.csv", "trained on pairs", `"sentence1" and "sentence2"`, "--text-pair-column"},
			append([]string{"eval", "--data", single, "-C", ws}, flags...)...)
	}

	ws, _ = exportOf(t, single)
	fails(t, exitFailed, []string{"pairs.csv", "trained on single texts", "--text-pair-column"},
		"eval", "--data", pairs, "-C", ws, "--text-column", "sentence1", "--text-pair-column", "sentence2")
	fails(t, exitFailed, []string{"pairs.csv", "trained on single texts", "--text-column"}, "eval", "--data", pairs, "-C", ws)
	eval(pairs, "--text-column", "sentence1")
}
