package heads_test

import (
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/lower"
	"github.com/ftk-go/ftk/internal/ort"
	"github.com/ftk-go/ftk/internal/vm"
)

// runNative computes all outputs of a model with ftk's own operators, as
// training does with the suffix of a split.
func runNative(t *testing.T, m *graph.Model, inputs map[string]ort.Array) map[string]ort.Array {
	t.Helper()
	o := lower.Options{Opset: m.Opset(""), Inputs: map[string]lower.Shape{}}
	values := map[string]*tensor.Dense{}
	for _, v := range m.Graph.Inputs {
		a := inputs[v.Name]
		dims := make([]int, len(a.Shape))
		for i, d := range a.Shape {
			dims[i] = int(d)
		}
		o.Inputs[v.Name] = lower.Shape{DType: graph.DType(a.DType()), Dims: dims}
		if a.I64 != nil {
			values[v.Name] = tensor.New(tensor.WithShape(dims...), tensor.WithBacking(a.I64))
		} else if a.Bool != nil {
			values[v.Name] = tensor.New(tensor.WithShape(dims...), tensor.WithBacking(a.Bool))
		} else if len(a.F32) > 0 {
			values[v.Name] = tensor.New(tensor.WithShape(dims...), tensor.WithBacking(a.F32))
		}
	}
	l, err := lower.Lower(m.Graph, o)
	if err != nil {
		t.Fatal(err)
	}
	for name, n := range l.Inputs {
		if err := gorgonia.Let(n, values[name]); err != nil {
			t.Fatal(err)
		}
	}
	var keep gorgonia.Nodes
	for _, n := range l.Outputs {
		keep = append(keep, n)
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
