package main

import (
	"encoding/json"
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

// TestPredictAsTrained: a file of other columns too is read as the training data
// was, and an export that does not say how is served as before.
func TestPredictAsTrained(t *testing.T) {
	pairs := writePairs(t, "pairs.csv", 60, 1)
	pairOf := func(o outcome) string {
		var p predictionLine
		line, _, _ := strings.Cut(o.stdout, "\n")
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			t.Fatal(err)
		}
		return p.Pair
	}

	_, single := exportOf(t, pairs, "--text-column", "sentence1")
	if p := pairOf(must(t, "predict", "--model", single, "--data", pairs)); p != "" {
		t.Errorf("trained on single texts, served with a second text %q", p)
	}
	renamed := writeFile(t, filepath.Join(t.TempDir(), "renamed.csv"), "premise,hypothesis\na horse,some fig\n")
	fails(t, exitFailed, []string{"renamed.csv", "trained on single texts", "--text-column"}, "predict", "--model", single, "--data", renamed)
	fails(t, exitFailed, []string{"trained on single texts", "--text-pair"}, "predict", "--model", single, "--text", "a horse", "--text-pair", "some fig")

	named := writeFile(t, filepath.Join(t.TempDir(), "named.csv"), strings.Replace(string(readFile(t, pairs)), "sentence1,sentence2", "left,right", 1))
	_, both := exportOf(t, named, "--text-column", "left", "--text-pair-column", "right")
	if p := pairOf(must(t, "predict", "--model", both, "--data", named)); p == "" {
		t.Error("trained on pairs, served with single texts")
	}
	fails(t, exitFailed, []string{"single.csv", "trained on pairs", "--text-pair-column"}, "predict", "--model", both, "--data", writeTask(t, "single.csv", 30, 1))

	config := filepath.Join(both, "config.json")
	var early map[string]any
	if err := json.Unmarshal(readFile(t, config), &early); err != nil {
		t.Fatal(err)
	}
	delete(early["ftk"].(map[string]any), "columns")
	text, err := json.Marshal(early)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, config, string(text))
	if p := pairOf(must(t, "predict", "--model", both, "--data", pairs)); p == "" {
		t.Error("an export without columns is served single texts where pairs are guessed")
	}
	must(t, "predict", "--model", both, "--data", pairs, "--text-column", "sentence1")
}

// TestPredictTextPair gives the rows of a file as texts of the command line.
func TestPredictTextPair(t *testing.T) {
	data := writePairs(t, "pairs.csv", 60, 1)
	_, out := exportOf(t, data)
	rows := strings.Split(string(readFile(t, data)), "\n")[1:11]
	file := writeFile(t, filepath.Join(t.TempDir(), "some.csv"), "sentence1,sentence2,label\n"+strings.Join(rows, "\n")+"\n")
	args := []string{"predict", "--model", out}
	for _, row := range rows {
		fields := strings.Split(row, ",")
		args = append(args, "--text", fields[0], "--text-pair", fields[1])
	}
	if got, want := must(t, args...).stdout, must(t, "predict", "--model", out, "--data", file).stdout; got != want {
		t.Errorf("as texts\n%sas a file\n%s", got, want)
	}
	must(t, "predict", "--model", out, "--text", "a horse")
	fails(t, exitFailed, []string{"--text-pair", "UTF-8"}, "predict", "--model", out, "--text", "a", "--text-pair", "caf\xe9")
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
