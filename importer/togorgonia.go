package importer

import (
	"fmt"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/lower"
	"github.com/ftk-go/ftk/internal/passes"
)

// Expression is a model as a Gorgonia graph. Its nodes bear the names of the ONNX values they compute; values within what
// became one operator, and those of which a part is enough, are not there under their names.
type Expression struct {
	Graph *G.ExprGraph
	// Inputs are the model's inputs, to be bound with gorgonia.Let before each run.
	Inputs map[string]*G.Node
	// Outputs are the model's outputs.
	Outputs map[string]*G.Node
	// Params are the model's float weights (float32 initializers of more than one element) by name, bound to tensors of
	// their own. They are what gorgonia.Grad can be asked for and a solver can change.
	Params map[string]*G.Node
}

// ToGorgonia lowers a model to a Gorgonia graph for inputs of the given shapes, batch and sequence included. The graph is
// an ordinary one: gorgonia.Grad differentiates it, gorgonia.NewTapeMachine runs it. Operators that have no native form
// are all reported at once, as an error that wraps *graph.UnsupportedError.
func ToGorgonia(m *graph.Model, shapes map[string][]int) (*Expression, error) {
	g, err := passes.Canonical(m)
	if err != nil {
		return nil, err
	}
	o := lower.Options{Opset: m.Opset(""), Inputs: map[string]lower.Shape{}, Params: map[string]*tensor.Dense{}}
	for _, v := range g.Inputs {
		dims, ok := shapes[v.Name]
		if !ok {
			continue // lower reports those that are missing
		}
		if err := fits(v, dims); err != nil {
			return nil, err
		}
		o.Inputs[v.Name] = lower.Shape{DType: v.DType(), Dims: dims}
	}
	for name := range shapes {
		if _, ok := o.Inputs[name]; !ok {
			return nil, fmt.Errorf("the model has no input %q", name)
		}
	}
	for _, v := range g.Initializers {
		if v.Init == nil || v.Init.DType != graph.Float32 || v.Init.Len() <= 1 {
			continue
		}
		if o.Params[v.Name], err = lower.Tensor(v.Init); err != nil {
			return nil, fmt.Errorf("initializer %q: %w", v.Name, err)
		}
	}
	low, err := lower.Lower(g, o)
	if err != nil {
		return nil, err
	}
	return &Expression{Graph: low.Graph, Inputs: low.Inputs, Outputs: low.Outputs, Params: low.Params}, nil
}

// fits checks a shape against what the model declares of an input.
func fits(v *graph.Value, dims []int) error {
	declared, ok := v.Dims()
	if !ok {
		return nil
	}
	bad := len(declared) != len(dims)
	for i := 0; !bad && i < len(dims); i++ {
		bad = declared[i].Known() && declared[i].Size != int64(dims[i])
	}
	if bad {
		return fmt.Errorf("input %q: shape %v does not fit the model's %v", v.Name, dims, declared)
	}
	return nil
}
