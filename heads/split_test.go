package heads_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/ftk-go/ftk/heads"
	"github.com/ftk-go/ftk/importer"
	"github.com/ftk-go/ftk/internal/compose"
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
			if v := parts.Suffix.Graph.Value(name); v.DType() == graph.Undefined { // onnxruntime is to be told of inputs
				v.Type.Elem = graph.DType(a.DType())
			} else if v.DType() != graph.DType(a.DType()) {
				t.Errorf("%q is taken for %v and is %v", name, v.DType(), a.DType())
			}
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

// What crosses has the type that its operator gives, whether or not the file
// says so; onnxruntime finds what is not known here. A mask, of which the
// padding matters, is not taken for a value per token.
func TestSplitTypes(t *testing.T) {
	const layer0 = "/encoder/layer.0/output/LayerNorm/LayerNormalization_output_0"
	testSplit(t, splitCase{
		"bool mask", func(t *testing.T) *graph.Model { return withBoolMask(t, "Sigmoid") }, "1", heads.CLS,
		[]string{"/mask/Greater_output_0", layer0}, []int{models.UnknownAxis, 1}, nil,
	})
	for _, cheap := range []string{"Log", "IsNaN"} {
		testSplit(t, splitCase{
			cheap, func(t *testing.T) *graph.Model { return withBoolMask(t, cheap) }, "1", heads.CLS,
			[]string{layer0}, []int{1}, []string{"attention_mask"},
		})
	}

	m := must(models.TinyBERT(models.Tiny{}, 1))
	m.Opsets = append(m.Opsets, graph.Opset{Domain: "com.microsoft", Version: 1})
	insert(m, "/embeddings/LayerNorm/LayerNormalization", func(b *compose.Builder, x *graph.Value) *graph.Value {
		y := b.Op("Trilu", x, b.Int(-1000))
		y.Producer.Domain = "com.microsoft" // keeps all that is above the thousandth diagonal below
		return y
	})
	if v := m.Graph.Value("/inserted/Trilu_output_0"); models.ElemType(v) != graph.Undefined {
		t.Errorf("%v is known, the test is to be another", v.Producer.OpType)
	}
	testSplit(t, splitCase{
		"unknown", func(*testing.T) *graph.Model { return m }, "embeddings", heads.CLS,
		[]string{"/inserted/Trilu_output_0"}, []int{models.UnknownAxis}, []string{"attention_mask"},
	})
}

// withBoolMask is an encoder that chooses scores by a mask of bool, which the
// named operator has a part in making.
func withBoolMask(t *testing.T, op string) *graph.Model {
	t.Helper()
	m := must(models.TinyBERT(models.Tiny{}, 1))
	g := m.Graph
	mask := g.Inputs[1]
	before := len(g.Nodes)
	b := compose.New(g, m.Opset("")).In("mask")
	x := b.Cast(b.Unsqueeze(mask, 1, 2), graph.Float32)
	var open *graph.Value
	switch op {
	case "Sigmoid":
		open = b.Op("Greater", b.Op("Sigmoid", x), b.Float(0.6))
	case "Log":
		open = b.Op("Greater", b.Op("Log", x), b.Float(-1))
	case "IsNaN":
		open = b.Op("Not", b.Op("IsNaN", b.Op("Sqrt", b.Op("Sub", x, b.Float(1)))))
	}
	made := slices.Clone(g.Nodes[before:])
	g.Nodes = g.Nodes[:before]
	var nodes []*graph.Node
	for _, n := range g.Nodes {
		if n.OpType == "Softmax" { // the bias that is added before is zero
			before := len(g.Nodes)
			n.Inputs[0] = b.Op("Where", open, n.Inputs[0].Producer.Inputs[0], b.Float(-10000))
			nodes = append(nodes, g.Nodes[before:]...)
		}
		nodes = append(nodes, n)
	}
	g.Nodes = append(made, nodes...)
	return m
}

// insert puts what add makes of the output of a node in its place.
func insert(m *graph.Model, after string, add func(b *compose.Builder, x *graph.Value) *graph.Value) {
	g := m.Graph
	n := g.Node(after)
	at, before := slices.Index(g.Nodes, n)+1, len(g.Nodes)
	y := add(compose.New(g, m.Opset("")).In("inserted"), n.Outputs[0])
	for _, user := range g.Nodes[at:before] {
		for i, v := range user.Inputs {
			if v == n.Outputs[0] {
				user.Inputs[i] = y
			}
		}
	}
	g.Nodes = slices.Concat(g.Nodes[:at], g.Nodes[before:], g.Nodes[at:before])
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
