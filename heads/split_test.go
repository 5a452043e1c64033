package heads_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/ftk-go/ftk/heads"
	"github.com/ftk-go/ftk/importer"
	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/ort"
	"github.com/ftk-go/ftk/internal/testenv"
	"github.com/ftk-go/ftk/models"
)

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
