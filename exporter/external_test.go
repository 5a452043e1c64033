package exporter

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/ort"
	"github.com/ftk-go/ftk/internal/testenv"
	"github.com/ftk-go/ftk/tokenize"
)

// bagOfWords gives the mean of its tokens' rows of a table [512 4] as the
// logits; row i is i, i, …, but that of "plum" is 9, 0, 0, 0.
func bagOfWords(t *testing.T) Served {
	t.Helper()
	words := []string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "plum"}
	rows := make([]float32, 512*4)
	for i := range rows {
		rows[i] = float32(i / 4)
	}
	copy(rows[5*4:], []float32{9, 0, 0, 0})
	g := &graph.Graph{Name: "words"}
	ids := g.AddInput("ids", graph.TensorOf(graph.Int64, graph.NamedDim("batch"), graph.NamedDim("sequence")))
	table := g.AddInitializer("table", graph.NewFloat32("table", []int64{512, 4}, rows))
	x := g.AddNode("Gather", "gather", []*graph.Value{table, ids}).Output()
	y := g.AddNode("ReduceMean", "mean", []*graph.Value{x}).SetInts("axes", 1).SetInt("keepdims", 0).Output()
	y.Name, y.Type = "logits", graph.TensorOf(graph.Float32, graph.NamedDim("batch"), graph.Dim{Size: 4})
	g.Outputs = []*graph.Value{y}
	return Served{
		Model:     &graph.Model{IRVersion: 8, Opsets: []graph.Opset{{Version: 17}}, Graph: g},
		Tokenizer: map[string][]byte{"vocab.txt": []byte(strings.Join(words, "\n") + "\n")},
		Settings: Settings{
			Version: "1", Head: "classify", Labels: []string{"a", "b", "c", "d"}, Logits: "logits",
			Inputs: map[string]string{"input_ids": "ids"}, MaxLength: 8,
		},
		Samples: []Sample{{
			Inputs: map[string]ort.Array{"ids": {Shape: []int64{1, 2}, I64: []int64{2, 4}}},
			Logits: []float32{3, 3, 3, 3},
		}},
	}
}

// predicted is what a served directory says of "plum".
func predicted(t *testing.T, dir string) Prediction {
	t.Helper()
	p, err := OpenPredictor(dir, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	out, err := p.Predict(context.Background(), []tokenize.Input{{Text: "plum"}})
	if err != nil {
		t.Fatal(err)
	}
	return out[0]
}

// TestWriteTooLarge exports a model that does not fit into one file, after a
// training that has put its weights into memory, or that left them outside.
func TestWriteTooLarge(t *testing.T) {
	testenv.ORT(t)
	defer func(was int64) { largest = was }(largest)
	largest = 4096
	for _, outside := range []bool{false, true} {
		s := bagOfWords(t)
		if outside {
			path := filepath.Join(t.TempDir(), "base.onnx")
			if err := Save(s.Model, path, Options{ExternalData: true}); err != nil {
				t.Fatal(err)
			}
			s.Model = load(t, path)
		}
		dir := filepath.Join(t.TempDir(), "export")
		if _, err := Write(context.Background(), dir, s); err != nil {
			t.Fatal(err)
		}
		if got := files(t, dir); !slices.Equal(got, []string{"README.md", "config.json", "model.onnx", "model.onnx.data", "vocab.txt"}) {
			t.Errorf("files %q", got)
		}
		card, err := os.ReadFile(filepath.Join(dir, "README.md"))
		if err != nil || !strings.Contains(string(card), "`model.onnx.data`") {
			t.Errorf("README.md does not name the data file: %s, %v", card, err)
		}
		if p := predicted(t, dir); p.Label != "a" {
			t.Errorf("predicted %+v", p)
		}
	}
}
