package importer

import (
	"context"
	"fmt"
	"slices"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/lower"
	"github.com/ftk-go/ftk/internal/passes"
	"github.com/ftk-go/ftk/internal/vm"
)

// Operators lists the operators of a model by whether ftk computes and trains
// them natively; the rest can be used in a frozen part, which onnxruntime runs.
// Each list is sorted.
func Operators(m *graph.Model) (trainable, frozenOnly []string) {
	trainable, frozenOnly = []string{}, []string{} // lists in JSON, too
	for _, n := range m.Graph.Nodes {
		name := n.OpType
		if n.Domain != "" && n.Domain != "ai.onnx" {
			name = n.Domain + "." + name
		}
		if lower.Supported(n, m.Opset("")) {
			trainable = append(trainable, name)
		} else {
			frozenOnly = append(frozenOnly, name)
		}
	}
	slices.Sort(trainable)
	slices.Sort(frozenOnly)
	return slices.Compact(trainable), slices.Compact(frozenOnly)
}

// Forward computes a model's outputs natively, by name, from inputs, by name.
// Operators that are not native are a *graph.UnsupportedError.
func Forward(ctx context.Context, m *graph.Model, inputs map[string]*graph.Tensor) (map[string]*graph.Tensor, error) {
	canonical, err := passes.Canonical(m)
	if err != nil {
		return nil, err
	}
	o := lower.Options{Opset: m.Opset(""), Inputs: map[string]lower.Shape{}}
	for name, t := range inputs {
		s := lower.Shape{DType: t.DType}
		for _, d := range t.Dims {
			s.Dims = append(s.Dims, int(d))
		}
		o.Inputs[name] = s
	}
	lowered, err := lower.Lower(canonical, o)
	if err != nil {
		return nil, err
	}
	for name, node := range lowered.Inputs {
		value, err := lower.Tensor(inputs[name])
		if err != nil {
			return nil, fmt.Errorf("input %q: %w", name, err)
		}
		if err := G.Let(node, value); err != nil {
			return nil, fmt.Errorf("input %q: %w", name, err)
		}
	}
	var keep G.Nodes
	for _, node := range lowered.Outputs {
		keep = append(keep, node)
	}
	machine, err := vm.New(lowered.Graph, vm.Options{Keep: keep})
	if err != nil {
		return nil, err
	}
	defer machine.Close()
	defer context.AfterFunc(ctx, machine.Cancel)()
	if err := machine.RunAll(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, err
	}
	outputs := map[string]*graph.Tensor{}
	for name, node := range lowered.Outputs {
		value, ok := node.Value().(*tensor.Dense)
		if !ok {
			return nil, fmt.Errorf("output %q: computed as a %T", name, node.Value())
		}
		if outputs[name], err = lower.ONNXTensor(name, value); err != nil {
			return nil, err
		}
	}
	return outputs, nil
}
