package models

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/passes"
)

// Parts are the two halves of a model that was split at the freeze boundary.
type Parts struct {
	// Prefix computes the boundary values from the model's inputs, those of
	// them that it needs: the frozen part. Nil where nothing
	// is worth computing ahead.
	Prefix *graph.Model
	// Suffix computes the wanted outputs: the trainable part. Its inputs are
	// the boundary values, in order, and then the model's inputs that it still
	// needs. Values and initializers have the names they have in the model.
	Suffix *graph.Model
	// Boundary names every value that crosses, with what it is like.
	Boundary []Crossing
	// Trainable are the initializers in Suffix that are to be trained; those of
	// the ones asked for that the outputs depend on.
	Trainable []*graph.Value
}

// Crossing is one value at the boundary.
type Crossing struct {
	Value *graph.Value // in the model that was split
	// SeqAxis is the axis along the sequence, for a value per token, which may
	// be stored without padding; PerExample for one that has no such axis;
	// UnknownAxis where the operators before it do not tell, and for what no
	// weight has gone into: a mask, of which the padding matters. Axis 0 is the
	// batch.
	SeqAxis int
}

// Values of Crossing.SeqAxis that are not an axis.
const (
	PerExample  = -1
	UnknownAxis = -2
)

// Split cuts a model in two: what nothing trainable feeds, and the rest.
//
// The cut is as late as can be. Values that do not depend on the elements of
// the inputs (positions, shapes), and what is cheaply made of inputs alone
// (masks), are computed again in the suffix instead of crossing; so are values
// that a few elementwise operators make of others that cross anyway.
func Split(m *graph.Model, trainable, outputs []*graph.Value) (*Parts, error) {
	info, err := Describe(m)
	if err != nil {
		return nil, err
	}
	c := &cutter{dataflow: analyse(m.Graph), trained: map[*graph.Value]bool{}}
	for _, v := range trainable {
		if v.Init == nil || !slices.Contains(m.Graph.Initializers, v) {
			return nil, fmt.Errorf("models: %q is to be trained and is no initializer of the model", v.Name)
		}
		c.trained[v] = true
	}
	for _, n := range m.Graph.Nodes {
		if slices.ContainsFunc(requires(n), func(v *graph.Value) bool { return c.trained[v] }) {
			for _, v := range n.Outputs {
				c.trained[v] = true // what depends on a trained initializer
			}
		}
	}
	delete(c.trained, nil)
	if !slices.ContainsFunc(outputs, func(v *graph.Value) bool { return c.trained[v] }) {
		return nil, fmt.Errorf("models: none of the %d trainable initializers leads to the output", len(trainable))
	}
	c.cut(outputs)
	c.thin()

	axes := newAxisTracer(info, c.dataflow)
	p := &Parts{}
	for _, v := range c.ordered() {
		axis := axes.of(v)
		if !c.activation[v] && !axes.fixed { // a mask: what it says of padding is not zero
			axis = UnknownAxis
		}
		p.Boundary = append(p.Boundary, Crossing{v, axis})
	}
	crossing := c.ordered()
	if len(crossing) > 0 {
		if p.Prefix, err = part(m, nil, crossing); err != nil {
			return nil, err
		}
	}
	if p.Suffix, err = part(m, crossing, outputs); err != nil {
		return nil, err
	}
	// Passes on the suffix recognise attention by shapes, which the file seldom tells of inner values.
	dims := passes.Dims(m.Graph, m.Opset(""))
	for i, v := range p.Suffix.Graph.Inputs[:len(crossing)] {
		if v.Type == nil {
			v.Type = &graph.Type{} // of an element type that is known when it has been computed
		}
		if v.Type.Kind == graph.TensorType && v.Type.Shape == nil {
			v.Type.Shape = dims(crossing[i])
		}
	}
	for _, v := range trainable {
		if w := p.Suffix.Graph.Value(v.Name); w != nil && w.Init != nil {
			p.Trainable = append(p.Trainable, w)
		}
	}
	return p, nil
}

// part extracts what computes outputs from given values and those of the
// model's inputs that are needed besides.
func part(m *graph.Model, given, outputs []*graph.Value) (*graph.Model, error) {
	_, missing := m.Graph.Extract(given, outputs)
	inputs := slices.Clone(given)
	for _, v := range m.Graph.Inputs {
		if slices.Contains(missing, v) {
			inputs = append(inputs, v)
		}
	}
	g, missing := m.Graph.Extract(inputs, outputs)
	if len(missing) > 0 {
		names := make([]string, len(missing))
		for i, v := range missing {
			names[i] = fmt.Sprintf("%q", v.Name)
		}
		return nil, &graph.FormatError{What: "nothing computes the values " + strings.Join(names, ", ")}
	}
	originals := slices.Concat(inputs, outputs)
	for i, v := range slices.Concat(g.Inputs, g.Outputs) {
		t := ElemType(originals[i])
		switch { // exporters leave out the types of inner values; onnxruntime finds those that stay unknown
		case t == graph.Undefined:
		case v.Type == nil:
			v.Type = &graph.Type{Elem: t}
		case v.Type.Kind == graph.TensorType:
			v.Type.Elem = t
		}
	}
	return &graph.Model{
		IRVersion:    max(m.IRVersion, 4), // before, initializers had to be inputs
		ProducerName: m.ProducerName, Opsets: slices.Clone(m.Opsets), Functions: m.Functions,
		Graph: g,
	}, nil
}

// cutter finds the values that cross.
type cutter struct {
	*dataflow
	trained  map[*graph.Value]bool // what depends on something trained
	crossing map[*graph.Value]bool
}

// cheapOps are natively supported and cost little: masks are made of them, and
// what is elementwise between two values that cross.
var cheapOps = map[string]bool{
	"Abs": true, "Add": true, "And": true, "ArgMax": true, "ArgMin": true, "BitwiseAnd": true, "BitwiseNot": true,
	"BitwiseOr": true, "BitwiseXor": true, "Cast": true, "CastLike": true, "Ceil": true, "Clip": true, "Concat": true,
	"Constant": true, "ConstantOfShape": true, "CumSum": true, "Div": true, "Dropout": true, "Equal": true,
	"Expand": true, "EyeLike": true, "Flatten": true, "Floor": true, "Gather": true, "GatherElements": true,
	"GatherND": true, "Greater": true, "GreaterOrEqual": true, "Identity": true, "IsInf": true, "IsNaN": true,
	"LayerNormalization": true, "Less": true, "LessOrEqual": true, "Log": true, "Max": true, "Min": true, "Mod": true,
	"Mul": true, "Neg": true, "Not": true, "Or": true, "Pow": true, "Range": true, "Reciprocal": true,
	"ReduceMax": true, "ReduceMean": true, "ReduceMin": true, "ReduceSum": true, "Reshape": true, "Round": true,
	"ScatterElements": true, "ScatterND": true, "Shape": true, "Sign": true, "Size": true, "Slice": true,
	"Split": true, "Sqrt": true, "Squeeze": true, "Sub": true, "Sum": true, "Tile": true, "Transpose": true,
	"Trilu": true, "Unsqueeze": true, "Where": true, "Xor": true,
}

// cut walks back from the outputs and stops where nothing trained leads to.
func (c *cutter) cut(outputs []*graph.Value) {
	c.crossing = map[*graph.Value]bool{}
	seen := map[*graph.Value]bool{}
	var shapesOf []*graph.Value // wanted for their shape alone, as far as is known
	todo := slices.Clone(outputs)
	for len(todo) > 0 {
		v := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		switch {
		case seen[v] || v.Producer == nil:
		case !c.trained[v] && shapeOps[v.Producer.OpType]:
			shapesOf = append(shapesOf, requires(v.Producer)...)
		case c.trained[v] || c.again(v):
			todo = append(todo, requires(v.Producer)...)
		default:
			c.crossing[v] = true
		}
		seen[v] = true
	}
	for _, v := range shapesOf {
		if !c.lookedUp(v) {
			c.crossing[v] = true
		}
	}
}

// again tells whether an untrained value is computed again in the suffix: it
// has no data in it, so it is not a feature of an example but of the batch's
// shape; or cheap operators make it of inputs alone.
func (c *cutter) again(v *graph.Value) bool {
	if !c.data[v] {
		return true
	}
	return !c.activation[v] && c.cheaply(v, nil)
}

// cheaply: cheap operators make v of graph inputs, of what has no data, and of
// the values in from.
func (c *cutter) cheaply(v *graph.Value, from map[*graph.Value]bool) bool {
	return c.made(v, from, func(n *graph.Node) bool {
		wide := func(w *graph.Value) bool { return len(tensorOf(w).Dims) > 1 }
		return cheapOps[n.OpType] && !slices.ContainsFunc(c.weights(n), wide)
	})
}

// lookedUp: cheap operators make v of graph inputs, tables included. That will
// do for a value of which only the shape is wanted, GPT-2's embeddings: the
// shape is known before anything is computed.
func (c *cutter) lookedUp(v *graph.Value) bool {
	return c.made(v, c.crossing, func(n *graph.Node) bool { return cheapOps[n.OpType] })
}

// made: operators that are allowed make v of graph inputs, of what has no
// data, and of the values in from.
func (c *cutter) made(v *graph.Value, from map[*graph.Value]bool, allowed func(*graph.Node) bool) bool {
	seen := map[*graph.Value]bool{}
	todo := []*graph.Value{v}
	for len(todo) > 0 {
		v := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[v] || from[v] || v.Producer == nil || !c.data[v] {
			continue
		}
		seen[v] = true
		if d := v.Producer.Domain; d != "" && d != "ai.onnx" || !allowed(v.Producer) {
			return false
		}
		todo = append(todo, requires(v.Producer)...)
	}
	return true
}

// thin drops values that are cheaply made of others that cross.
func (c *cutter) thin() {
	for _, v := range slices.Backward(c.ordered()) {
		delete(c.crossing, v)
		if !c.activation[v] || !c.cheaply(v, c.crossing) {
			c.crossing[v] = true
		}
	}
}

// ordered lists what crosses in the order of computation.
func (c *cutter) ordered() []*graph.Value {
	var vs []*graph.Value
	for _, n := range c.g.Nodes {
		for _, v := range n.Outputs {
			if v != nil && c.crossing[v] {
				vs = append(vs, v)
			}
		}
	}
	return vs
}
