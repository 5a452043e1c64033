package finetune

import (
	"context"
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/ftk-go/ftk/models"
	"github.com/ftk-go/ftk/tokenize"
)

// replayed is what bench/replay.py needs to repeat a run with PyTorch, and what
// came out of the run here.
type replayed struct {
	Labels     []string
	Head       []float32 // the weight that the head begins with: [labels hidden]
	Batches    [][]int   // numbers of examples
	Losses     []float64
	Norms      []float64
	Evaluation any // after the last epoch
}

// With FTK_REPLAY naming a file {"model": directory, "settings": Settings}, a
// run without dropout writes what bench/replay.py compares with, to that name
// and ".out".
func TestReplay(t *testing.T) {
	path := os.Getenv("FTK_REPLAY")
	if path == "" {
		t.Skip("FTK_REPLAY names no run; see docs/performance.md")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	asked := struct {
		Model    string
		Settings Settings
	}{Settings: Defaults()}
	if err := json.Unmarshal(data, &asked); err != nil {
		t.Fatal(err)
	}
	source, err := models.Open(asked.Model)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenize.Load(asked.Model)
	if err != nil {
		t.Fatal(err)
	}
	c := Config{Model: source.Model, Tokenizer: tok, Settings: asked.Settings}
	c.Dropout = 0
	var out replayed
	c.Progress = func(e Event) {
		switch e := e.(type) {
		case Step:
			out.Losses, out.Norms = append(out.Losses, e.Loss), append(out.Norms, e.GradNorm)
		case Evaluated:
			out.Evaluation = e.Evaluation
		}
	}
	same := c // prepare takes the model from it
	tr, err := prepare(context.Background(), &same)
	if err != nil {
		t.Fatal(err)
	}
	out.Labels = tr.train.Classes.Names
	for _, p := range tr.net.weights.params {
		if p.head && len(p.shape) == 2 {
			out.Head = slices.Clone(p.value)
		}
	}
	for epoch := range c.Epochs {
		for p, err := range newTrainingOrder(tr.selection(), c.Seed, epoch).from(t.Context(), 0) {
			if err != nil {
				t.Fatal(err)
			}
			var batch []int
			for _, e := range p.examples {
				batch = append(batch, e.Number)
			}
			out.Batches = append(out.Batches, batch)
		}
	}
	tr.close()
	if _, err := Run(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	if data, err = json.Marshal(out); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".out", data, 0o644); err != nil {
		t.Fatal(err)
	}
}
