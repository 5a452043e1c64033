package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

// plainTokenizer writes a tokenizer of the task's words that adds no special
// tokens: an empty text has none at all.
func plainTokenizer(t *testing.T) string {
	t.Helper()
	ids := map[string]int{}
	for i, word := range strings.Fields(vocabulary()) {
		ids[word] = i
	}
	data, err := json.Marshal(map[string]any{
		"pre_tokenizer": map[string]any{"type": "WhitespaceSplit"},
		"model":         map[string]any{"type": "WordLevel", "vocab": ids, "unk_token": "[UNK]"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return writeFile(t, filepath.Join(t.TempDir(), "tokenizer.json"), string(data))
}

// TestNoSpecialTokens takes such a tokenizer all the way: an export is checked
// with the texts that have tokens, and a text that has none is refused by name.
func TestNoSpecialTokens(t *testing.T) {
	needsORT(t)
	ws, out := t.TempDir(), filepath.Join(t.TempDir(), "export")
	var report map[string]any
	mustJSON(t, &report, "import", saved(t, fused(t)), "--tokenizer", plainTokenizer(t), "-C", ws)
	if only, ok := report["frozen_only_operators"].([]any); !ok || len(only) > 0 {
		t.Errorf("frozen_only_operators is %v, want an empty list", report["frozen_only_operators"])
	}
	train := writeTask(t, "train.csv", 60, 1)
	must(t, tuned(ws, train, train, "--epochs", "1")...)
	must(t, "export", "--out", out, "-C", ws)
	must(t, "predict", "--model", out, "--text", "a horse")
	fails(t, exitFailed, []string{"text 2", "no token at all"}, "predict", "--model", out, "--text", "a horse", "--text", "")

	blank := writeFile(t, filepath.Join(t.TempDir(), "blank.csv"), "text,label\na horse,animal\n\" \",fruit\n")
	fails(t, exitFailed, []string{"blank.csv:3", "no token at all"}, tuned(ws, blank, train, "--freeze", "none")...)
	fails(t, exitFailed, []string{"blank.csv:3", "no token at all"}, "predict", "--model", out, "--data", blank)
}
