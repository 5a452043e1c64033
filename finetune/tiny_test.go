package finetune

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ftk-go/ftk/finetune/workspace"
	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/models"
	"github.com/ftk-go/ftk/tokenize"
)

// The synthetic task: the class of a text is the kind of thing it names,
// between words that say nothing.
var (
	things = map[string][]string{
		"fruit":  {"apple", "pear", "plum", "cherry", "fig"},
		"metal":  {"iron", "copper", "tin", "zinc", "lead"},
		"animal": {"horse", "otter", "heron", "badger", "crow"},
	}
	fillers = strings.Fields("the a one some here there is was now then very quite old new near far with and by from")
)

// tinyTokenizer knows the words of the task.
func tinyTokenizer(t *testing.T) *tokenize.Tokenizer {
	t.Helper()
	words := append([]string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}, fillers...)
	for _, kind := range []string{"fruit", "metal", "animal"} {
		words = append(words, things[kind]...)
	}
	path := filepath.Join(t.TempDir(), "vocab.txt")
	if err := os.WriteFile(path, []byte(strings.Join(words, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	tok, err := tokenize.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// writeTask writes n examples of the task as CSV.
func writeTask(t *testing.T, n int, seed uint64) string {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	var b strings.Builder
	b.WriteString("text,label\n")
	kinds := []string{"animal", "fruit", "metal"}
	for i := range n {
		kind := kinds[i%3]
		words := make([]string, 2+rng.IntN(18))
		for j := range words {
			words[j] = fillers[rng.IntN(len(fillers))]
		}
		words[rng.IntN(len(words))] = things[kind][rng.IntN(5)]
		fmt.Fprintf(&b, "%s,%s\n", strings.Join(words, " "), kind)
	}
	path := filepath.Join(t.TempDir(), fmt.Sprintf("task%d.csv", seed))
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func tinyModel(seed uint64) (*graph.Model, error) { return models.TinyBERT(models.Tiny{}, seed) }

func tinyModelOf(words int64) (*graph.Model, error) {
	return models.TinyBERT(models.Tiny{BERTConfig: models.BERTConfig{VocabSize: words}}, 1)
}

func tinyBERT(t *testing.T) *graph.Model {
	t.Helper()
	m, err := tinyModel(1)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// tinyConfig trains the tiny model on the task.
func tinyConfig(t *testing.T) Config {
	t.Helper()
	c := Config{Model: tinyBERT(t), Tokenizer: tinyTokenizer(t), Settings: Defaults()}
	c.Train, c.Eval = writeTask(t, 300, 1), writeTask(t, 90, 2)
	c.Epochs, c.BatchSize, c.LearningRate, c.HeadLearningRate, c.Seed, c.Threads = 2, 16, 3e-3, 1e-2, 3, 2
	return c
}

func tinyWorkspace(t *testing.T) *workspace.Workspace {
	t.Helper()
	w, err := workspace.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func run(t *testing.T, c Config) *Result {
	t.Helper()
	r, err := Run(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
