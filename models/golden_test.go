package models_test

import (
	"context"
	"encoding/binary"
	"math"
	"path/filepath"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ftk-go/ftk/exporter"
	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/lower"
	"github.com/ftk-go/ftk/internal/ort"
	"github.com/ftk-go/ftk/internal/safetensors"
	"github.com/ftk-go/ftk/internal/testenv"
	"github.com/ftk-go/ftk/internal/vm"
	"github.com/ftk-go/ftk/models"
)

// golden holds the tensors of a file that testdata/golden/bert_hidden.py wrote.
type golden map[string]ort.Array

func readGolden(t *testing.T, path string) golden {
	t.Helper()
	file, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	g := golden{}
	for _, name := range file.Names() {
		raw, err := file.Bytes(name)
		if err != nil {
			t.Fatal(err)
		}
		var a ort.Array
		a.Shape, _ = file.Shape(name)
		switch file.DType(name) {
		case "I64":
			for i := 0; i < len(raw); i += 8 {
				a.I64 = append(a.I64, int64(binary.LittleEndian.Uint64(raw[i:])))
			}
		case "F32":
			for i := 0; i < len(raw); i += 4 {
				a.F32 = append(a.F32, math.Float32frombits(binary.LittleEndian.Uint32(raw[i:])))
			}
		}
		g[name] = a
	}
	return g
}

// inputs are the model inputs among the tensors.
func (g golden) inputs() map[string]ort.Array {
	in := map[string]ort.Array{}
	for _, name := range []string{"input_ids", "attention_mask", "token_type_ids"} {
		in[name] = g[name]
	}
	return in
}

// run computes all outputs of a model in onnxruntime.
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
		if a, ok := inputs[v.Name]; ok {
			fed[v.Name] = a
		}
	}
	out, err := s.Run(context.Background(), fed)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// runNative computes all outputs of a model with ftk's own operators.
func runNative(t *testing.T, m *graph.Model, inputs map[string]ort.Array) map[string]ort.Array {
	t.Helper()
	o := lower.Options{Opset: m.Opset(""), Inputs: map[string]lower.Shape{}}
	for name, a := range inputs {
		dims := make([]int, len(a.Shape))
		for i, d := range a.Shape {
			dims[i] = int(d)
		}
		o.Inputs[name] = lower.Shape{DType: graph.Int64, Dims: dims}
	}
	l, err := lower.Lower(m.Graph, o)
	if err != nil {
		t.Fatal(err)
	}
	var keep gorgonia.Nodes
	for _, n := range l.Outputs {
		keep = append(keep, n)
	}
	for name, n := range l.Inputs {
		value := tensor.New(tensor.WithShape(o.Inputs[name].Dims...), tensor.WithBacking(inputs[name].I64))
		if err := gorgonia.Let(n, value); err != nil {
			t.Fatal(err)
		}
	}
	machine, err := vm.New(l.Graph, vm.Options{Keep: keep})
	if err != nil {
		t.Fatal(err)
	}
	defer machine.Close()
	if err := machine.RunAll(); err != nil {
		t.Fatal(err)
	}
	out := map[string]ort.Array{}
	for name, n := range l.Outputs {
		out[name] = ort.Array{F32: n.Value().Data().([]float32)}
	}
	return out
}

// runners compute a model's outputs in the two ways there are.
var runners = map[string]func(*testing.T, *graph.Model, map[string]ort.Array) map[string]ort.Array{
	"onnxruntime": run,
	"native":      runNative,
}

// maxDifference compares float arrays; it fails on different shapes.
func maxDifference(t *testing.T, got, want ort.Array) float64 {
	t.Helper()
	if len(got.F32) != len(want.F32) || len(want.F32) == 0 {
		t.Fatalf("%d values of shape %v, want %d of %v", len(got.F32), got.Shape, len(want.F32), want.Shape)
	}
	worst := 0.0
	for i := range want.F32 {
		d := math.Abs(float64(got.F32[i]) - float64(want.F32[i]))
		worst = max(worst, d) // NaN stays
	}
	return worst
}

// Sums of float32 in another order than PyTorch's.
const hiddenTolerance = 1e-4

func TestTinyBERTGolden(t *testing.T) {
	dir := filepath.Join("testdata", "tiny-bert")
	want := readGolden(t, filepath.Join(dir, "golden.safetensors"))
	config, err := models.ReadBERTConfig(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, activation := range []string{"gelu", "gelu_new", "relu"} {
		t.Run(activation, func(t *testing.T) {
			config := config
			config.Activation = activation
			m, err := models.BuildBERT(config, filepath.Join(dir, "model.safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			for how, run := range runners {
				t.Run(how, func(t *testing.T) {
					got := run(t, m, want.inputs())
					for _, name := range []string{"last_hidden_state", "pooler_output"} {
						if d := maxDifference(t, got[name], want[name+"."+activation]); !(d <= 1e-5) {
							t.Errorf("%s differs from transformers by %g", name, d)
						}
					}
				})
			}
		})
	}
}

func TestMiniLMGolden(t *testing.T) {
	dir := testenv.MiniLM(t)
	want := readGolden(t, filepath.Join("testdata", "minilm.safetensors"))
	source, err := models.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for how, run := range runners {
		t.Run(how, func(t *testing.T) {
			got := run(t, source.Model, want.inputs())
			for _, name := range []string{"last_hidden_state", "pooler_output"} {
				d := maxDifference(t, got[name], want[name])
				t.Logf("%s differs from transformers by %.3g", name, d)
				if !(d <= hiddenTolerance) {
					t.Errorf("%s differs from transformers by %g", name, d)
				}
			}
		})
	}
}
