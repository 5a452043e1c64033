package heads_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/ftk-go/ftk/exporter"
	"github.com/ftk-go/ftk/heads"
	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/ort"
	"github.com/ftk-go/ftk/internal/testenv"
	"github.com/ftk-go/ftk/models"
)

var labels = []string{"a", "b", "c"}

func must(m *graph.Model, err error) *graph.Model {
	if err != nil {
		panic(err)
	}
	return m
}

// attach puts a head on a model and returns what a user of it has.
func attach(t *testing.T, m *graph.Model, c heads.Config) (*models.Info, *heads.Head) {
	t.Helper()
	info, err := models.Describe(m)
	if err != nil {
		t.Fatal(err)
	}
	c.Kind, c.Labels = "classify", labels
	h, err := heads.Attach(m, info, c)
	if err != nil {
		t.Fatal(err)
	}
	return info, h
}

// run feeds those of the inputs that the model has.
func run(t *testing.T, m *graph.Model, inputs map[string]ort.Array) map[string]ort.Array {
	t.Helper()
	testenv.ORT(t)
	data, err := exporter.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ort.NewSession(data, ort.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	fed := map[string]ort.Array{}
	for _, v := range m.Graph.Inputs {
		a, ok := inputs[v.Name]
		if !ok {
			t.Fatalf("no input %q", v.Name)
		}
		fed[v.Name] = a
	}
	out, err := s.Run(context.Background(), fed)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// text is a batch of token ids, padded: example i has length sequence-2i.
func text(batch, sequence int64, vocab int64) map[string]ort.Array {
	rng := rand.New(rand.NewPCG(1, 2))
	shape := []int64{batch, sequence}
	ids, mask, types := make([]int64, batch*sequence), make([]int64, batch*sequence), make([]int64, batch*sequence)
	for i := range ids {
		if int64(i)%sequence < sequence-2*(int64(i)/sequence) {
			ids[i], mask[i] = 1+rng.Int64N(vocab-1), 1
			types[i] = int64(i) % sequence / 3 % 2
		}
	}
	return map[string]ort.Array{
		"input_ids":      {Shape: shape, I64: ids},
		"attention_mask": {Shape: shape, I64: mask},
		"token_type_ids": {Shape: shape, I64: types},
	}
}

// want computes logits from the hidden states that onnxruntime gave, the
// plain way.
func want(pooling string, out map[string]ort.Array, mask []int64, h *heads.Head) []float32 {
	hidden := out["last_hidden_state"]
	batch, sequence, width := int(hidden.Shape[0]), int(hidden.Shape[1]), int(hidden.Shape[2])
	w, _ := h.Initializers[0].Init.Float32s()
	bias, _ := h.Initializers[1].Init.Float32s()
	var logits []float32
	for b := range batch {
		pooled := make([]float64, width)
		switch pooling {
		case heads.CLS:
			for k := range width {
				pooled[k] = float64(hidden.F32[b*sequence*width+k])
			}
		case heads.Pooler:
			for k := range width {
				pooled[k] = float64(out["pooler_output"].F32[b*width+k])
			}
		case heads.Mean:
			n := 0.0
			for s := range sequence {
				if mask[b*sequence+s] == 1 {
					n++
					for k := range width {
						pooled[k] += float64(hidden.F32[(b*sequence+s)*width+k])
					}
				}
			}
			for k := range width {
				pooled[k] /= n
			}
		}
		for l := range len(labels) {
			sum := float64(bias[l])
			for k := range width {
				sum += pooled[k] * float64(w[l*width+k])
			}
			logits = append(logits, float32(sum))
		}
	}
	return logits
}

func TestClassify(t *testing.T) {
	for _, opset := range []int64{14, 15, 17} {
		for _, pooling := range []string{heads.CLS, heads.Mean, heads.Pooler} {
			t.Run(fmt.Sprintf("%s opset %d", pooling, opset), func(t *testing.T) {
				m := must(models.TinyBERT(models.Tiny{Opset: opset}, 1))
				_, h := attach(t, m, heads.Config{Pooling: pooling, Seed: 5})
				bias := []float32{0.1, -0.2, 0.3}
				if err := h.Initializers[1].Init.SetFloat32s(bias); err != nil {
					t.Fatal(err)
				}
				in := text(3, 9, 100)
				out := run(t, m, in)
				got := out["logits"]
				if !slices.Equal(got.Shape, []int64{3, 3}) {
					t.Fatalf("shape %v", got.Shape)
				}
				for i, w := range want(pooling, out, in["attention_mask"].I64, h) {
					if d := math.Abs(float64(got.F32[i] - w)); !(d < 1e-5) {
						t.Errorf("logit %d is %g, want %g", i, got.F32[i], w)
					}
				}
			})
		}
	}
}

// A hidden state is cast unless it is float32, which the file need not say.
func TestPoolingCasts(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(m *graph.Model)
		casts  int
	}{
		{"float32", func(m *graph.Model) {}, 0},
		{"float32, of which the file says nothing", func(m *graph.Model) { m.Graph.Outputs[0].Type = nil }, 0},
		{"float16, of which the file says nothing", func(m *graph.Model) {
			m.Graph.Outputs[0].Type = nil
			for _, v := range m.Graph.Initializers {
				if v.DType() == graph.Float32 {
					v.Init = &graph.Tensor{Name: v.Name, DType: graph.Float16, Dims: v.Init.Dims}
					v.Type = nil
				}
			}
		}, 1},
		{"unknown", func(m *graph.Model) {
			m.Graph.Outputs[0].Type = nil
			m.Graph.Outputs[0].Producer.Domain = "another.domain"
		}, 1},
	} {
		m := must(models.TinyBERT(models.Tiny{NoMask: true}, 1))
		info, err := models.Describe(m)
		if err != nil {
			t.Fatal(err)
		}
		before := len(m.Graph.Nodes)
		info.HiddenState, info.HiddenSize = m.Graph.Outputs[0], 32
		c.change(m)
		if _, err := heads.Attach(m, info, heads.Config{Kind: "classify", Labels: labels, Pooling: heads.Mean}); err != nil {
			t.Fatal(err)
		}
		casts := 0
		for _, n := range m.Graph.Nodes[before:] {
			if n.OpType == "Cast" {
				casts++
			}
		}
		if casts != c.casts {
			t.Errorf("%s: %d casts, want %d", c.name, casts, c.casts)
		}
	}
}

func TestAutoPooling(t *testing.T) {
	for _, c := range []struct {
		name   string
		model  *graph.Model
		source string
		want   string
	}{
		{"bert", must(models.TinyBERT(models.Tiny{}, 1)), "", heads.CLS},
		{"albert", must(models.TinyALBERT(models.Tiny{}, 1)), "", heads.CLS},
		{"sentence-transformers", must(models.TinyBERT(models.Tiny{}, 1)), "mean", heads.Mean},
		{"autoencoder", must(models.TinyAutoencoder([]int64{8, 4}, 1)), "", heads.None},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, h := attach(t, c.model, heads.Config{SourcePooling: c.source}); h.Pooling != c.want {
				t.Errorf("pooling %q, want %q", h.Pooling, c.want)
			}
		})
	}
}

// What the model had before is untouched, and names do not clash.
func TestAttachKeepsTheModel(t *testing.T) {
	m := must(models.TinyBERT(models.Tiny{}, 1))
	m.Graph.Outputs[1].Name = "logits"                 // taken
	m.Graph.Initializers[0].Name = "classifier.weight" // taken
	before := m.Clone()
	_, h := attach(t, m, heads.Config{Pooling: heads.Mean})
	if h.Logits.Name != "logits_1" || h.Initializers[0].Name != "classifier.weight_1" {
		t.Errorf("new names %q, %q", h.Logits.Name, h.Initializers[0].Name)
	}
	if len(m.Graph.Outputs) != 3 || m.Graph.Outputs[2] != h.Logits {
		t.Errorf("%d outputs", len(m.Graph.Outputs))
	}
	for i, n := range before.Graph.Nodes {
		if m.Graph.Nodes[i].Name != n.Name || m.Graph.Nodes[i].OpType != n.OpType {
			t.Fatalf("node %d is %q, was %q", i, m.Graph.Nodes[i].Name, n.Name)
		}
	}
	names := map[string]bool{}
	for _, v := range m.Graph.Values() {
		if names[v.Name] {
			t.Errorf("two values %q", v.Name)
		}
		names[v.Name] = true
	}
}

func TestSeed(t *testing.T) {
	weights := func(seed uint64) []float32 {
		_, h := attach(t, must(models.TinyBERT(models.Tiny{}, 1)), heads.Config{Seed: seed})
		w, _ := h.Initializers[0].Init.Float32s()
		return w
	}
	if !slices.Equal(weights(1), weights(1)) {
		t.Error("one seed, two initialisations")
	}
	if slices.Equal(weights(1), weights(2)) {
		t.Error("two seeds, one initialisation")
	}
}

func TestAttachRefuses(t *testing.T) {
	bert := func() *graph.Model { return must(models.TinyBERT(models.Tiny{NoPooler: true}, 1)) }
	old := bert()
	old.Opsets[0].Version = 6
	for _, c := range []struct {
		name   string
		model  *graph.Model
		config heads.Config
		err    string
	}{
		{"kind", bert(), heads.Config{Kind: "guess", Labels: labels}, `head "guess": there are classify`},
		{"one label", bert(), heads.Config{Kind: "classify", Labels: labels[:1]}, "two or more"},
		{"no pooler", bert(), heads.Config{Kind: "classify", Labels: labels, Pooling: heads.Pooler}, "no pooler output"},
		{"pooling", bert(), heads.Config{Kind: "classify", Labels: labels, Pooling: "max"}, `pooling "max"`},
		{"opset", old, heads.Config{Kind: "classify", Labels: labels}, "opset is 6"},
		{"no sequence", must(models.TinyAutoencoder([]int64{8, 4}, 1)), heads.Config{Kind: "classify", Labels: labels, Pooling: heads.CLS}, "no hidden state"},
	} {
		t.Run(c.name, func(t *testing.T) {
			info, err := models.Describe(c.model)
			if err != nil {
				t.Fatal(err)
			}
			nodes, initializers := len(c.model.Graph.Nodes), len(c.model.Graph.Initializers)
			_, err = heads.Attach(c.model, info, c.config)
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("error %v, want one with %q", err, c.err)
			}
			if len(c.model.Graph.Nodes) != nodes || len(c.model.Graph.Initializers) != initializers {
				t.Error("the model has changed")
			}
		})
	}
}
