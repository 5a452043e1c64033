package models_test

import (
	"maps"
	"math"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ftk-go/ftk/heads"
	"github.com/ftk-go/ftk/importer"
	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/lower"
	"github.com/ftk-go/ftk/internal/passes"
	"github.com/ftk-go/ftk/internal/testenv"
	"github.com/ftk-go/ftk/internal/vm"
	"github.com/ftk-go/ftk/models"
)

// The trained part of a model is fused like the whole, whatever is frozen:
// what Split says of the shapes of values that cross is enough, in files that
// keep axes and sizes in Constant nodes too. The parts compute what the whole
// does, node by node.
func TestSplitSuffixIsFused(t *testing.T) {
	tiny := func(t *testing.T) *graph.Model {
		return must(models.TinyBERT(models.Tiny{Opset: 14, ConstantNodes: true}, 1))(t)
	}
	albert := func(t *testing.T) *graph.Model {
		return must(importer.Load(testenv.Shared(t, "models/albert-rxnmapper/encoder_opset14.onnx")))(t)
	}
	for _, c := range []struct {
		name   string
		model  func(*testing.T) *graph.Model
		freeze string
		layers int // left to train
	}{
		{"tiny", tiny, "none", 2},
		{"tiny", tiny, "embeddings", 2},
		{"tiny", tiny, "1", 1},
		{"albert", albert, "none", 12},
		{"albert", albert, "embeddings", 12},
	} {
		t.Run(c.name+" "+c.freeze, func(t *testing.T) {
			m := c.model(t)
			info := must(models.Describe(m))(t)
			trainable := must(models.Freeze(info, c.freeze))(t)
			h := must(heads.Attach(m, info, heads.Config{Kind: "classify", Labels: []string{"a", "b"}, Pooling: heads.Mean}))(t)
			before := len(m.Graph.Nodes)
			parts := must(models.Split(m, append(trainable, h.Initializers...), []*graph.Value{h.Logits}))(t)
			if len(m.Graph.Nodes) != before {
				t.Errorf("the model has %d nodes after it was split, %d before", len(m.Graph.Nodes), before)
			}
			for _, n := range m.Graph.Nodes {
				for _, v := range n.Outputs {
					if v != nil && (v.Producer != n || v.Init != nil) {
						t.Fatalf("%q of the model was changed", v.Name)
					}
				}
			}
			suffix := must(passes.Canonical(parts.Suffix))(t)
			got := map[string]int{}
			for _, n := range suffix.Nodes {
				got[n.OpType]++
			}
			for op, want := range map[string]int{
				"Attention": c.layers, "Projections": c.layers, "Gelu": c.layers, "MatMul": 0, "Softmax": 0, "Sqrt": 0,
			} {
				if got[op] != want {
					t.Errorf("%d %s nodes, want %d", got[op], op, want)
				}
			}
			values := map[string]*tensor.Dense{}
			for _, v := range m.Graph.Inputs {
				values[v.Name] = tokens(v.Name)
			}
			name := h.Logits.Name
			want := evaluate(t, m.Graph, m.Opset(""), values)[name].Float32s()
			if parts.Prefix != nil {
				maps.Copy(values, evaluate(t, parts.Prefix.Graph, m.Opset(""), values))
			}
			logits := evaluate(t, suffix, m.Opset(""), values)[name].Float32s()
			for i, w := range want {
				if d := math.Abs(float64(logits[i] - w)); len(logits) != len(want) || !(d <= hiddenTolerance) {
					t.Fatalf("logits %v, want %v", logits, want)
				}
			}
		})
	}
}

// tokens is a batch of two, the second shorter, for an input of this name.
func tokens(name string) *tensor.Dense {
	ids := make([]int64, 2*7)
	for i := range ids {
		switch {
		case strings.Contains(name, "mask") && i < 7+4:
			ids[i] = 1
		case name == "input_ids":
			ids[i] = int64(5 + 3*i)
		}
	}
	return lower.FromSlice(ids, 2, 7)
}

// evaluate computes a graph's outputs with ftk's own operators.
func evaluate(t *testing.T, g *graph.Graph, opset int64, values map[string]*tensor.Dense) map[string]*tensor.Dense {
	t.Helper()
	o := lower.Options{Opset: opset, Inputs: map[string]lower.Shape{}}
	for _, v := range g.Inputs {
		if d := values[v.Name]; d != nil {
			o.Inputs[v.Name] = lower.Shape{DType: lower.ONNXType(d.Dtype()), Dims: d.Shape()}
		}
	}
	l := must(lower.Lower(g, o))(t)
	var keep gorgonia.Nodes
	for _, n := range l.Outputs {
		keep = append(keep, n)
	}
	for name, n := range l.Inputs {
		if err := gorgonia.Let(n, values[name]); err != nil {
			t.Fatal(err)
		}
	}
	machine := must(vm.New(l.Graph, vm.Options{Keep: keep}))(t)
	defer machine.Close()
	if err := machine.RunAll(); err != nil {
		t.Fatal(err)
	}
	out := map[string]*tensor.Dense{}
	for name, n := range l.Outputs {
		out[name] = n.Value().(*tensor.Dense).Clone().(*tensor.Dense)
	}
	return out
}
