package exporter

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/ort"
	"github.com/ftk-go/ftk/internal/testenv"
)

// served is the tiny model y = x + bias with y as the logits of four labels, a
// sample of it, and a file in place of a tokenizer.
func served() Served {
	g := &graph.Graph{Name: "served"}
	x := g.AddInput("x", graph.TensorOf(graph.Float32, graph.NamedDim("batch"), graph.Dim{Size: 4}))
	bias := g.AddInitializer("bias", graph.NewFloat32("bias", []int64{4}, []float32{1, 2, 3, 400}))
	y := g.AddNode("Add", "add", []*graph.Value{x, bias}).Output()
	y.Name, y.Type = "y", graph.TensorOf(graph.Float32, graph.NamedDim("batch"), graph.Dim{Size: 4})
	g.Outputs = []*graph.Value{y}
	return Served{
		Model:     &graph.Model{IRVersion: 8, Opsets: []graph.Opset{{Version: 17}}, Graph: g},
		Family:    "bert",
		Tokenizer: map[string][]byte{"vocab.txt": []byte("[PAD]\n[UNK]\n")},
		Settings: Settings{
			Version: "1", Head: "classify", Labels: []string{"a", "b", "c", "d"}, Logits: "y",
			Inputs: map[string]string{"input_ids": "x"}, MaxLength: 8,
		},
		Samples: []Sample{{
			Inputs: map[string]ort.Array{"x": {Shape: []int64{2, 4}, F32: []float32{0, 0, 0, 0, 1, 1, 1, 1}}},
			Logits: []float32{1, 2, 3, 400, 2, 3, 4, 401},
		}},
	}
}

func TestWrite(t *testing.T) {
	testenv.ORT(t)
	parent := t.TempDir()
	dir := filepath.Join(parent, "new", "export")
	d, err := Write(context.Background(), dir, served())
	if err != nil || d.Max != 0 || d.Scale != 401 || d.Rows != 2 {
		t.Fatalf("difference %+v, error %v", d, err)
	}
	if got := files(t, dir); !slices.Equal(got, []string{"README.md", "config.json", "model.onnx", "vocab.txt"}) {
		t.Errorf("files %v", got)
	}
	// Once more over it, beside a file that is none of ours.
	if err := os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Write(context.Background(), dir, served()); err != nil {
		t.Fatal(err)
	}
	if got := files(t, dir); !slices.Contains(got, "notes.txt") || len(got) != 5 {
		t.Errorf("files %v", got)
	}
	if got := files(t, filepath.Dir(dir)); len(got) != 1 {
		t.Errorf("left beside the export: %v", got)
	}
}

// TestWriteRefuses lets the trained graph say other than the model, as it would
// if a weight had gone into the file wrongly: nothing appears, and what is
// there stays.
func TestWriteRefuses(t *testing.T) {
	testenv.ORT(t)
	for name, c := range map[string]struct {
		change func(*Served)
		words  []string
		refuse bool // with a DisagreementError
	}{
		"a logit": {func(s *Served) { s.Samples[0].Logits[5] += 0.05 }, []string{"0.05", "scale 401", "2 examples", "nothing was exported"}, true},
		"a weight": {func(s *Served) {
			v := s.Model.Graph.Value("bias")
			v.Init = graph.NewFloat32("bias", []int64{4}, []float32{1, 2, 3, 401})
		}, []string{"differ by 1 ", "nothing was exported"}, true},
		"swapped labels": {func(s *Served) { l := s.Samples[0].Logits; l[0], l[1] = l[1], l[0] }, nil, true},
		"not a number": {func(s *Served) {
			v := s.Model.Graph.Value("bias")
			v.Init = graph.NewFloat32("bias", []int64{4}, []float32{1, float32(math.NaN()), 3, 400})
		}, []string{"logit 1", "not a number"}, false},
		"a logit less": {func(s *Served) { s.Samples[0].Logits = s.Samples[0].Logits[:7] }, []string{"8 logits", "7"}, false},
		"no samples":   {func(s *Served) { s.Samples = nil }, []string{"no samples"}, false},
		"no output":    {func(s *Served) { s.Settings.Logits = "scores" }, []string{`"scores"`, "y"}, false},
		"operator":     {func(s *Served) { s.Model.Graph.Nodes[0].OpType = "Frobnicate" }, []string{"Frobnicate"}, false},
		"input type": {func(s *Served) {
			g := s.Model.Graph
			x := g.Inputs[0]
			x.Type = graph.TensorOf(graph.Float64, x.Type.Shape...)
			cast := g.AddNode("Cast", "cast", []*graph.Value{x}).SetInt("to", int64(graph.Float32))
			g.Nodes[0].Inputs[0] = cast.Output()
			slices.Reverse(g.Nodes)
		}, []string{`"x" is float64`, "int64, int32 or float32"}, false},
		"config.json": {func(s *Served) { s.BaseConfig = []byte("{") }, []string{"config.json"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := served()
			c.change(&s)
			for _, exists := range []bool{false, true} {
				parent := t.TempDir()
				dir := filepath.Join(parent, "export")
				if exists {
					if _, err := Write(context.Background(), dir, served()); err != nil {
						t.Fatal(err)
					}
				}
				before := contents(t, parent)
				_, err := Write(context.Background(), dir, s)
				if err == nil {
					t.Fatal("no error")
				}
				var refused *DisagreementError
				if errors.As(err, &refused) != c.refuse {
					t.Errorf("error %T: %v", err, err)
				}
				for _, w := range c.words {
					if !strings.Contains(err.Error(), w) {
						t.Errorf("error has no %q: %v", w, err)
					}
				}
				if after := contents(t, parent); after != before {
					t.Errorf("there was\n%s\nand is\n%s", before, after)
				}
			}
		})
	}
}

// TestWriteTolerates a difference within the tolerance, relative to the scale.
func TestWriteTolerates(t *testing.T) {
	testenv.ORT(t)
	s := served()
	s.Samples[0].Logits[5] += 0.02 // of 401
	d, err := Write(context.Background(), filepath.Join(t.TempDir(), "export"), s)
	if err != nil || math.Abs(d.Relative()-0.02/401) > 1e-7 {
		t.Errorf("difference %+v, error %v", d, err)
	}
}

// contents is all that is in a directory.
func contents(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		b.WriteString(path)
		if !e.IsDir() {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			b.Write(data)
		}
		b.WriteByte('\n')
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
