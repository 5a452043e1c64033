package main

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ftk-go/ftk/exporter"
	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/testenv"
	"github.com/ftk-go/ftk/models"
)

// The task of these tests: the class of a text is the kind of thing it names,
// between words that say nothing.
var (
	kinds   = []string{"animal", "fruit", "metal"}
	things  = [][]string{{"horse", "otter", "heron", "badger"}, {"apple", "pear", "plum", "fig"}, {"iron", "copper", "tin", "zinc"}}
	fillers = strings.Fields("the a one some here there is was now then very quite old new near far with and by from")
)

// vocabulary is a vocab.txt for the task, of 37 tokens.
func vocabulary() string {
	words := append([]string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}, fillers...)
	for _, list := range things {
		words = append(words, list...)
	}
	return strings.Join(words, "\n") + "\n"
}

// example is the i-th text of the task with this seed, and its class.
func example(rng *rand.Rand, i int) (text, kind string) {
	words := make([]string, 2+rng.IntN(12))
	for j := range words {
		words[j] = fillers[rng.IntN(len(fillers))]
	}
	k := i % len(kinds)
	words[rng.IntN(len(words))] = things[k][rng.IntN(len(things[k]))]
	return strings.Join(words, " "), kinds[k]
}

// writeTask writes n examples into a new file of the format of its ending.
func writeTask(t *testing.T, name string, n int, seed uint64) string {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	var b strings.Builder
	line := "%s,%s\n"
	switch filepath.Ext(name) {
	case ".csv":
		fmt.Fprintf(&b, line, "text", "label")
	case ".tsv":
		line = "%s\t%s\n"
		fmt.Fprintf(&b, line, "text", "label")
	case ".jsonl":
		line = `{"text":%q,"label":%q}` + "\n"
	}
	for i := range n {
		text, kind := example(rng, i)
		fmt.Fprintf(&b, line, text, kind)
	}
	return writeFile(t, filepath.Join(t.TempDir(), name), b.String())
}

// writePairs writes n examples as pairs into a new CSV file. The thing is named
// by the second text, the first says nothing; every fifth has no second text and
// names it in the first.
func writePairs(t *testing.T, name string, n int, seed uint64) string {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	var b strings.Builder
	b.WriteString("sentence1,sentence2,label\n")
	for i := range n {
		second, kind := example(rng, i)
		first := fillers[rng.IntN(len(fillers))]
		if i%5 == 4 {
			first, second = second, ""
		}
		fmt.Fprintf(&b, "%s,%s,%s\n", first, second, kind)
	}
	return writeFile(t, filepath.Join(t.TempDir(), name), b.String())
}

// Sources of models, each a directory to import.

func built(t *testing.T, m *graph.Model, err error) *graph.Model {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// decomposed is BERT at opset 14, spelled as torch.onnx.export does.
func decomposed(t *testing.T) *graph.Model {
	m, err := models.TinyBERT(models.Tiny{Opset: 14, ConstantNodes: true}, 1)
	return built(t, m, err)
}

// fused is BERT at opset 17.
func fused(t *testing.T) *graph.Model {
	m, err := models.TinyBERT(models.Tiny{}, 1)
	return built(t, m, err)
}

// unmasked is BERT without an attention mask.
func unmasked(t *testing.T) *graph.Model {
	m, err := models.TinyBERT(models.Tiny{NoMask: true}, 1)
	return built(t, m, err)
}

// tied is ALBERT: three layers of one set of weights.
func tied(t *testing.T) *graph.Model {
	m, err := models.TinyALBERT(models.Tiny{BERTConfig: models.BERTConfig{Layers: 3}, ConstantNodes: true}, 1)
	return built(t, m, err)
}

// saved writes a model as model.onnx with the task's vocabulary beside it.
func saved(t *testing.T, m *graph.Model) string {
	t.Helper()
	dir := t.TempDir()
	if err := exporter.Save(m, filepath.Join(dir, "model.onnx")); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "vocab.txt"), vocabulary())
	return dir
}

// huggingFace is a directory with config.json and model.safetensors.
func huggingFace(t *testing.T) string {
	t.Helper()
	dir := copyDir(t, filepath.Join(testenv.Root(t), "models", "testdata", "tiny-bert"))
	writeFile(t, filepath.Join(dir, "vocab.txt"), vocabulary())
	return dir
}

// workspaceOf imports a model into a new workspace.
func workspaceOf(t *testing.T, source string) string {
	t.Helper()
	needsORT(t)
	ws := t.TempDir()
	must(t, "import", source, "-C", ws)
	return ws
}

// tuned are the flags of a run that learns the task in a second.
func tuned(ws, train, dev string, more ...string) []string {
	return append([]string{"finetune", "-C", ws, "--data", train, "--eval", dev,
		"--epochs", "2", "--batch-size", "16", "--lr", "3e-3", "--head-lr", "1e-2", "--seed", "3", "--threads", "2"}, more...)
}
