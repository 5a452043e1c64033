package models

import (
	"slices"

	"github.com/ftk-go/ftk/internal/graph"
)

// dataflow says of a graph's values what they depend on. It is the ground on
// which layers are found, weights told from constants, and graphs split; it
// looks at operators and edges only, never at names.
type dataflow struct {
	g *graph.Graph
	// sources lists, of a value that does not depend on data, the constants
	// (initializers, outputs of Constant nodes) that its elements are made of:
	// itself for a constant, the table for a slice of a table.
	sources map[*graph.Value][]*graph.Value
	// data holds the values whose elements depend on the elements of a graph
	// input. The shape of such a value does not.
	data map[*graph.Value]bool
	// activation holds the values that depend on data and on a weight: what
	// flows through the layers, as opposed to masks and indices.
	activation map[*graph.Value]bool
}

// shapeOps give what depends on the shape of their input alone.
var shapeOps = map[string]bool{"Shape": true, "Size": true}

// notWeightsAfter: what went through one of these is not a weight any more but
// a quantity computed once: rotary angles, running variances, masks.
var notWeightsAfter = map[string]bool{
	"Cos": true, "Sin": true, "Sqrt": true, "Pow": true, "Exp": true, "Reciprocal": true,
	"Where": true, "Equal": true, "Less": true, "Greater": true, "Not": true, "And": true,
}

func analyse(g *graph.Graph) *dataflow {
	f := &dataflow{
		g:       g,
		sources: map[*graph.Value][]*graph.Value{}, data: map[*graph.Value]bool{}, activation: map[*graph.Value]bool{},
	}
	for _, v := range g.Initializers {
		f.sources[v] = []*graph.Value{v}
	}
	for _, v := range g.Inputs {
		if v.Init == nil {
			f.data[v] = true
		}
	}
	for _, n := range g.Nodes {
		f.visit(n)
	}
	return f
}

func (f *dataflow) visit(n *graph.Node) {
	if shapeOps[n.OpType] {
		return
	}
	in := requires(n)
	dependsOn := func(set map[*graph.Value]bool) bool {
		return slices.ContainsFunc(in, func(v *graph.Value) bool { return set[v] })
	}
	mark := func(set map[*graph.Value]bool) {
		for _, v := range n.Outputs {
			if v != nil {
				set[v] = true
			}
		}
	}
	switch {
	case n.OpType == "Constant" && n.Output() != nil:
		f.sources[n.Output()] = []*graph.Value{n.Output()}
	case dependsOn(f.data):
		mark(f.data)
		if dependsOn(f.activation) || len(f.weights(n)) > 0 {
			mark(f.activation)
		}
	case !notWeightsAfter[n.OpType]:
		f.pass(n)
	}
}

// pass gives the constants that a node without data reads to its outputs.
func (f *dataflow) pass(n *graph.Node) {
	var from []*graph.Value
	for i, v := range n.Inputs {
		if n.OpType == "DequantizeLinear" && i > 0 {
			break // scale and zero point
		}
		for _, c := range f.sources[v] {
			if v != nil && !slices.Contains(from, c) {
				from = append(from, c)
			}
		}
	}
	for _, v := range n.Outputs {
		if v != nil {
			f.sources[v] = from
		}
	}
}

// requires lists what a node reads: inputs, and what its subgraphs capture.
func requires(n *graph.Node) []*graph.Value {
	var in []*graph.Value
	for _, v := range n.Inputs {
		if v != nil {
			in = append(in, v)
		}
	}
	return append(in, n.Captured()...)
}

// tensorOf is the data of a constant: an initializer's, or a Constant node's.
func tensorOf(v *graph.Value) *graph.Tensor {
	if v.Init != nil {
		return v.Init
	}
	if v.Producer != nil && v.Producer.OpType == "Constant" {
		return v.Producer.Tensor("value")
	}
	return nil
}

// weightInputs says at which inputs operators take trainable weights.
var weightInputs = map[string][]int{
	"MatMul":                       {0, 1},
	"Gemm":                         {0, 1, 2},
	"MatMulInteger":                {0, 1},
	"Einsum":                       {0, 1},
	"Conv":                         {1, 2},
	"ConvTranspose":                {1, 2},
	"Gather":                       {0},
	"EmbedLayerNormalization":      {2, 3, 4, 5, 6},
	"LayerNormalization":           {1, 2},
	"SimplifiedLayerNormalization": {1},
	"SkipLayerNormalization":       {2, 3, 4},
	"RMSNormalization":             {1},
	"BatchNormalization":           {1, 2},
	"InstanceNormalization":        {1, 2},
	"GroupNormalization":           {1, 2},
	"Attention":                    {1, 2},
	"BiasGelu":                     {1},
	"FastGelu":                     {1},
	"PRelu":                        {1},
	"LSTM":                         {1, 2, 3},
	"GRU":                          {1, 2, 3},
	"RNN":                          {1, 2, 3},
}

// elementwise operators combine an activation with a bias or a scale, Concat
// with a learnt token. Beside anything else a constant is no weight: the mean
// that is subtracted from an image, the number that makes a mask of ones.
var elementwise = map[string]bool{"Add": true, "Sub": true, "Mul": true, "Div": true, "Sum": true, "Concat": true}

// weights lists the constants that a node reads as weights, each once: those
// of floating point, rank 1 or more and more than one element, at the places
// of weightInputs, beside an activation, or within a subgraph.
func (f *dataflow) weights(n *graph.Node) []*graph.Value {
	beside := elementwise[n.OpType] && slices.ContainsFunc(n.Inputs, func(v *graph.Value) bool { return f.activation[v] })
	var found []*graph.Value
	add := func(v *graph.Value, operand bool) {
		for _, c := range f.sources[v] {
			t := tensorOf(c)
			if isWeightTensor(t) && !(operand && looksLikeMask(t)) && !slices.Contains(found, c) {
				found = append(found, c)
			}
		}
	}
	for i, v := range n.Inputs {
		if v != nil && (beside || slices.Contains(weightInputs[n.OpType], i)) {
			add(v, beside)
		}
	}
	for _, v := range n.Captured() {
		add(v, false)
	}
	return found
}

func isWeightTensor(t *graph.Tensor) bool {
	return t != nil && t.DType.IsFloat() && len(t.Dims) > 0 && t.Len() > 1
}

// looksLikeMask tells a constant attention mask from a weight: all elements
// are 0, but for some that are so negative that softmax makes nothing of them.
func looksLikeMask(t *graph.Tensor) bool {
	if len(t.Dims) < 2 {
		return false
	}
	data, err := t.Float32s()
	if err != nil {
		return false
	}
	closed := false
	for _, x := range data {
		if x != 0 && x > -100 {
			return false
		}
		closed = closed || x != 0
	}
	return closed
}
