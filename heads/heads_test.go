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
	"github.com/ftk-go/ftk/importer"
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

// splitCase is a model with a head, and how it is to be cut.
type splitCase struct {
	name     string
	model    func(t *testing.T) *graph.Model
	freeze   string
	pooling  string
	boundary []string // names of what crosses; nil: no prefix
	axes     []int
	inputs   []string // of the suffix besides
}

// Running prefix and suffix one after the other gives what the whole gives.
func TestSplit(t *testing.T) {
	tiny := func(opset int64) func(*testing.T) *graph.Model {
		return func(*testing.T) *graph.Model { return must(models.TinyBERT(models.Tiny{Opset: opset}, 1)) }
	}
	albert := func(*testing.T) *graph.Model { return must(models.TinyALBERT(models.Tiny{ConstantNodes: true}, 1)) }
	load := func(file string) func(*testing.T) *graph.Model {
		return func(t *testing.T) *graph.Model {
			m, err := importer.Load(testenv.Shared(t, "models/albert-rxnmapper/"+file))
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
	}
	all := []string{"input_ids", "attention_mask", "token_type_ids"}
	mask := []string{"attention_mask"}
	const layer0 = "/encoder/layer.0/output/LayerNorm/LayerNormalization_output_0"
	for _, c := range []splitCase{
		{"bert", tiny(17), "backbone", heads.CLS, []string{"/pooling/Gather_output_0"}, []int{models.PerExample}, nil},
		{"bert", tiny(17), "backbone", heads.Mean, []string{"/pooling/Div_output_0"}, []int{models.PerExample}, nil},
		{"bert", tiny(17), "backbone", heads.Pooler, []string{"pooler_output"}, []int{models.PerExample}, nil},
		{"bert", tiny(17), "2", heads.Mean, []string{"/pooling/Div_output_0"}, []int{models.PerExample}, nil},
		{"bert", tiny(17), "2", heads.Pooler, []string{"/pooler/Gather_output_0"}, []int{models.PerExample}, nil},
		{"bert", tiny(17), "1", heads.CLS, []string{layer0}, []int{1}, mask},
		{"bert", tiny(17), "embeddings", heads.Mean, []string{"/embeddings/LayerNorm/LayerNormalization_output_0"}, []int{1}, mask},
		{"bert", tiny(17), "none", heads.Mean, nil, nil, all},
		{"bert opset 14", tiny(14), "backbone", heads.Mean, []string{"/pooling/Div_output_0"}, []int{models.PerExample}, nil},
		{"bert opset 14", tiny(14), "1", heads.Mean, []string{"/encoder/layer.0/output/LayerNorm/Add_1_output_0"}, []int{1}, mask},
		{"albert", albert, "embeddings", heads.CLS, []string{"/embeddings/projection/Add_output_0"}, []int{1}, mask},
		{"albert", albert, "none", heads.CLS, nil, nil, all},
		{"rxnmapper 14", load("encoder_opset14.onnx"), "backbone", heads.CLS, []string{"/pooling/Gather_output_0"}, []int{models.PerExample}, nil},
		{"rxnmapper 14", load("encoder_opset14.onnx"), "embeddings", heads.CLS, []string{"/albert/encoder/embedding_hidden_mapping_in/Add_output_0"}, []int{1}, mask},
		{"rxnmapper 14", load("encoder_opset14.onnx"), "none", heads.Mean, nil, nil, all},
		{"rxnmapper 17", load("encoder_opset17.onnx"), "embeddings", heads.Mean, []string{"/albert/encoder/embedding_hidden_mapping_in/Add_output_0"}, []int{1}, mask},
		{"rxnmapper mlm", load("mlm_opset17.onnx"), "backbone", heads.Mean, []string{"/pooling/Div_output_0"}, []int{models.PerExample}, nil},
	} {
		t.Run(c.name+" "+c.freeze+" "+c.pooling, func(t *testing.T) { testSplit(t, c) })
	}
}

func testSplit(t *testing.T, c splitCase) {
	m := c.model(t)
	info, h := attach(t, m, heads.Config{Pooling: c.pooling})
	trainable, err := models.Freeze(info, c.freeze)
	if err != nil {
		t.Fatal(err)
	}
	parts, err := models.Split(m, append(trainable, h.Initializers...), []*graph.Value{h.Logits})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	var axes []int
	for _, b := range parts.Boundary {
		names, axes = append(names, b.Value.Name), append(axes, b.SeqAxis)
	}
	if !slices.Equal(names, c.boundary) || !slices.Equal(axes, c.axes) {
		t.Errorf("boundary %q along %v, want %q along %v", names, axes, c.boundary, c.axes)
	}
	if (parts.Prefix == nil) != (c.boundary == nil) {
		t.Fatalf("prefix %v", parts.Prefix)
	}
	names = nil
	for _, v := range parts.Suffix.Graph.Inputs[len(parts.Boundary):] {
		names = append(names, v.Name)
	}
	if !slices.Equal(names, c.inputs) {
		t.Errorf("the suffix needs the inputs %q besides, want %q", names, c.inputs)
	}
	for _, v := range parts.Trainable {
		if v.Init == nil || !slices.Contains(parts.Suffix.Graph.Initializers, v) {
			t.Errorf("%q is not an initializer of the suffix", v.Name)
		}
	}

	in := text(3, 9, min(info.VocabSize, 100))
	whole := run(t, m, in)[h.Logits.Name]
	if parts.Prefix != nil {
		for name, a := range run(t, parts.Prefix, in) {
			in[name] = a
		}
	}
	sameLogits(t, "onnxruntime", run(t, parts.Suffix, in)[h.Logits.Name], whole)
	sameLogits(t, "native", runNative(t, parts.Suffix, in)[h.Logits.Name], whole)
}

func sameLogits(t *testing.T, how string, parts, whole ort.Array) {
	t.Helper()
	for i := range whole.F32 {
		if d := math.Abs(float64(parts.F32[i] - whole.F32[i])); !(d < 1e-5) {
			t.Errorf("%s: logit %d is %g in parts, %g as a whole", how, i, parts.F32[i], whole.F32[i])
		}
	}
}

// Models that normalise before each block: the residual crosses, and the norm
// is computed again from it rather than crossing beside it.
func TestSplitNormFirst(t *testing.T) {
	past := ort.Array{Shape: []int64{2, 4, 1, 16}, F32: slices.Repeat([]float32{0.5, -0.25}, 64)}
	gpt := text(2, 7, 53)
	gpt["attention_mask"] = ort.Array{Shape: []int64{2, 8}, I64: slices.Repeat([]int64{1}, 16)}
	gpt["position_ids"] = ort.Array{Shape: []int64{2, 7}, I64: []int64{1, 2, 3, 4, 5, 6, 7, 1, 2, 3, 4, 5, 6, 7}}
	for i := range 4 {
		gpt[fmt.Sprintf("past_key_values.%d.key", i)] = past
		gpt[fmt.Sprintf("past_key_values.%d.value", i)] = past
	}
	pixels := ort.Array{Shape: []int64{2, 3, 32, 32}, F32: make([]float32, 2*3*32*32)}
	for i := range pixels.F32 {
		pixels.F32[i] = float32(math.Sin(float64(i)))
	}
	for _, c := range []struct {
		file, freeze string
		inputs       map[string]ort.Array
		boundary     []string
		axes         []int
	}{
		{"capp-gpt2/model.onnx", "2", gpt, []string{"/transformer/h.1/Add_1_output_0"}, []int{1}},
		{"capp-gpt2/model.onnx", "4", gpt, []string{"/transformer/ln_f/Div_output_0"}, []int{1}},
		{"vit-cifar10/ibp_3_3_8.onnx", "1", map[string]ort.Array{"input": pixels}, []string{"/1/1.0/1.0.1/Add_output_0"}, []int{models.PerExample}},
	} {
		t.Run(c.file+" "+c.freeze, func(t *testing.T) {
			m, err := importer.Load(testenv.Shared(t, "models/"+c.file))
			if err != nil {
				t.Fatal(err)
			}
			info, h := attach(t, m, heads.Config{Pooling: heads.CLS})
			trainable, err := models.Freeze(info, c.freeze)
			if err != nil {
				t.Fatal(err)
			}
			parts, err := models.Split(m, append(trainable, h.Initializers...), []*graph.Value{h.Logits})
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			var axes []int
			for _, b := range parts.Boundary {
				names, axes = append(names, b.Value.Name), append(axes, b.SeqAxis)
			}
			if !slices.Equal(names, c.boundary) || !slices.Equal(axes, c.axes) {
				t.Errorf("boundary %q along %v, want %q along %v", names, axes, c.boundary, c.axes)
			}
			whole := run(t, m, c.inputs)[h.Logits.Name]
			in := map[string]ort.Array{}
			for name, a := range c.inputs {
				in[name] = a
			}
			for name, a := range run(t, parts.Prefix, in) {
				in[name] = a
			}
			sameLogits(t, "onnxruntime", run(t, parts.Suffix, in)[h.Logits.Name], whole)
			sameLogits(t, "native", runNative(t, parts.Suffix, in)[h.Logits.Name], whole)
		})
	}
}
