package importer

import (
	"errors"
	"fmt"
	"hash/fnv"
	"slices"

	"github.com/owulveryck/onnx-go"
	gonum "gonum.org/v1/gonum/graph"
	"gonum.org/v1/gonum/graph/simple"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/lower"
	"github.com/ftk-go/ftk/internal/passes"
	"github.com/ftk-go/ftk/internal/vm"
)

// Backend is an onnx.Backend: programs that decode models with github.com/owulveryck/onnx-go run them with ftk's
// operators. onnx-go tells a backend nothing of operator set versions; see Opset.
//
// onnx-go hands over a node of the model as one edge for each output and input, followed by ApplyOperation. The backend
// collects the edges and so has the model's nodes back, in order.
type Backend struct {
	// Opset is the version of the standard operator set that the model is written in. It may be changed before Run.
	Opset int64

	*simple.WeightedDirectedGraph
	next    int64
	pending []edge
	nodes   []*operation
	plan    *plan
}

var _ onnx.Backend = (*Backend)(nil)

// NewBackend returns an empty backend for models of operator set 9, the newest that onnx-go knows.
func NewBackend() *Backend {
	return &Backend{Opset: 9, WeightedDirectedGraph: simple.NewWeightedDirectedGraph(0, 0)}
}

// edge says that an operation's output depends on an input, its weight being the input's place.
type edge struct {
	output, input *carrier
	place         int
}

type operation struct {
	onnx.Operation
	inputs, outputs []*carrier
}

// carrier is a value of the model: a node in the terms of onnx-go.
type carrier struct {
	id     int64
	name   string
	tensor tensor.Tensor
	made   bool // by an operation
}

var (
	_ onnx.DataCarrier = (*carrier)(nil)
	_ onnx.Namer       = (*carrier)(nil)
)

// ID is the place in the order in which onnx-go created the nodes, from 0; it finds inputs by it.
func (c *carrier) ID() int64 { return c.id }

// SetName sets the value's ONNX name.
func (c *carrier) SetName(name string) { c.name = name }

// GetName is the value's ONNX name.
func (c *carrier) GetName() string { return c.name }

// SetTensor sets an input or a constant.
func (c *carrier) SetTensor(t tensor.Tensor) error { c.tensor = t; return nil }

// GetTensor is the value last set or computed.
func (c *carrier) GetTensor() tensor.Tensor { return c.tensor }

// NewNode creates a value.
func (b *Backend) NewNode() gonum.Node {
	c := &carrier{id: b.next}
	b.next++
	return c
}

// SetWeightedEdge notes that an output depends on an input.
func (b *Backend) SetWeightedEdge(e gonum.WeightedEdge) {
	out, ok := e.From().(*carrier)
	in, ok2 := e.To().(*carrier)
	if !ok || !ok2 {
		return // not of this backend
	}
	b.pending = append(b.pending, edge{out, in, int(e.Weight())})
	if out.id != in.id {
		b.WeightedDirectedGraph.SetWeightedEdge(e)
	}
}

// ApplyOperation makes an operation of the edges set since the last one.
func (b *Backend) ApplyOperation(o onnx.Operation, outputs ...gonum.Node) error {
	op := &operation{Operation: o}
	for _, n := range outputs {
		c, ok := n.(*carrier)
		if !ok {
			return fmt.Errorf("operation %s: node %d is not of this backend", o.Name, n.ID())
		}
		c.made = true
		op.outputs = append(op.outputs, c)
	}
	for _, e := range b.pending {
		if len(outputs) == 0 || e.output != op.outputs[0] {
			continue // the edges of further outputs say the same again
		}
		for len(op.inputs) <= e.place {
			op.inputs = append(op.inputs, nil)
		}
		op.inputs[e.place] = e.input
	}
	b.pending, b.plan = nil, nil
	// onnx-go gives a node without inputs a made-up one, without data.
	if len(op.inputs) == 1 && op.inputs[0] != nil && op.inputs[0].tensor == nil && !op.inputs[0].made && inputless(o.Name) {
		op.inputs = nil
	}
	if !lower.Supported(&graph.Node{OpType: o.Name}, 0) {
		return &onnx.ErrNotImplemented{Operator: o.Name, Message: "ftk has no such operator"}
	}
	b.nodes = append(b.nodes, op)
	return nil
}

func inputless(op string) bool {
	return slices.Contains([]string{"Constant", "RandomNormal", "RandomUniform"}, op)
}

// plan is the model made ready to run for certain shapes.
type plan struct {
	key     string
	machine *vm.Machine
	inputs  map[*carrier]*G.Node
	outputs map[*carrier]*G.Node
}

// Run computes every value of the model that no operation uses, and sets the tensors of their nodes.
func (b *Backend) Run() error {
	values, g, err := b.model()
	if err != nil {
		return err
	}
	if err := b.prepare(values, g); err != nil {
		return err
	}
	for c, n := range b.plan.inputs {
		d, err := dense(c)
		if err != nil {
			return err
		}
		if err := G.Let(n, d); err != nil {
			return fmt.Errorf("input %q: %w", c.name, err)
		}
	}
	if err := b.plan.machine.RunAll(); err != nil {
		return err
	}
	for c, n := range b.plan.outputs {
		d, ok := n.Value().(*tensor.Dense)
		if !ok {
			d = tensor.New(tensor.FromScalar(n.Value().Data()))
		}
		c.tensor = d.Clone().(*tensor.Dense)
	}
	return nil
}

// ExprGraph lowers the model, for the shapes that its inputs' tensors have now.
func (b *Backend) ExprGraph() (*G.ExprGraph, error) {
	values, g, err := b.model()
	if err != nil {
		return nil, err
	}
	low, err := lower.Lower(g, b.options(values))
	if err != nil {
		return nil, err
	}
	return low.Graph, nil
}

// prepare makes the plan unless there is one for the same shapes and constants.
func (b *Backend) prepare(values map[*carrier]*graph.Value, g *graph.Graph) error {
	o := b.options(values)
	key := keyOf(values, o)
	if b.plan != nil && b.plan.key == key {
		return nil
	}
	if err := passes.Run(g, b.Opset); err != nil {
		return err
	}
	low, err := lower.Lower(g, o)
	if err != nil {
		return err
	}
	p := &plan{key: key, inputs: map[*carrier]*G.Node{}, outputs: map[*carrier]*G.Node{}}
	var keep G.Nodes
	for c, v := range values {
		if n, ok := low.Inputs[v.Name]; ok {
			p.inputs[c] = n
		}
		if n, ok := low.Outputs[v.Name]; ok {
			p.outputs[c] = n
			keep = append(keep, n)
		}
	}
	if p.machine, err = vm.New(low.Graph, vm.Options{Keep: keep}); err != nil {
		return err
	}
	b.plan = p
	return nil
}

// model rebuilds the node list. Leaves with float data are inputs; integers and booleans are constants, for they may say
// shapes, and so is what an operator needs to be one.
func (b *Backend) model() (map[*carrier]*graph.Value, *graph.Graph, error) {
	if len(b.nodes) == 0 {
		return nil, nil, errors.New("the model has no operations")
	}
	g := &graph.Graph{}
	values := map[*carrier]*graph.Value{}
	used := map[*carrier]bool{}
	for i, op := range b.nodes {
		n := &graph.Node{Name: fmt.Sprintf("%d:%s", i, op.Name), OpType: op.Name}
		for place, c := range op.inputs {
			if c == nil || c.name == "" && c.tensor == nil && !c.made {
				n.Inputs = append(n.Inputs, nil)
				continue
			}
			used[c] = true
			v, err := valueOf(g, values, c, slices.Contains(lower.ConstInputs(n), place))
			if err != nil {
				return nil, nil, err
			}
			n.Inputs = append(n.Inputs, v)
		}
		for _, c := range op.outputs {
			v := &graph.Value{Name: nameOf(c), Producer: n}
			values[c] = v
			n.Outputs = append(n.Outputs, v)
		}
		if err := setAttributes(n, op.Attributes); err != nil {
			return nil, nil, fmt.Errorf("operation %s: %w", op.Name, err)
		}
		g.Nodes = append(g.Nodes, n)
	}
	for _, op := range b.nodes {
		for _, c := range op.outputs {
			if !used[c] && c.name != "" {
				g.Outputs = append(g.Outputs, values[c])
			}
		}
	}
	return values, g, nil
}

func valueOf(g *graph.Graph, values map[*carrier]*graph.Value, c *carrier, constant bool) (*graph.Value, error) {
	if v, ok := values[c]; ok {
		return v, nil
	}
	d, err := dense(c)
	if err != nil {
		return nil, err
	}
	name := nameOf(c)
	if dt := d.Dtype(); !constant && (dt == tensor.Float32 || dt == tensor.Float64) {
		values[c] = g.AddInput(name, graph.TensorOf(lower.ONNXType(dt)))
		return values[c], nil
	}
	t, err := lower.ONNXTensor(name, d)
	if err != nil {
		return nil, fmt.Errorf("value %q: %w", c.name, err)
	}
	values[c] = g.AddInitializer(name, t)
	return values[c], nil
}

// nameOf makes names unique: onnx-go allows values without.
func nameOf(c *carrier) string {
	if c.name == "" {
		return fmt.Sprintf("#%d", c.id)
	}
	return c.name
}

func dense(c *carrier) (*tensor.Dense, error) {
	d, ok := c.tensor.(*tensor.Dense)
	if !ok {
		return nil, fmt.Errorf("value %q has no data", c.name)
	}
	if d.RequiresIterator() || !d.DataOrder().IsRowMajor() {
		m, ok := d.Materialize().(*tensor.Dense)
		if !ok {
			return nil, fmt.Errorf("value %q cannot be made contiguous", c.name)
		}
		return m, nil
	}
	return d, nil
}

func (b *Backend) options(values map[*carrier]*graph.Value) lower.Options {
	o := lower.Options{Opset: b.Opset, Inputs: map[string]lower.Shape{}}
	for c, v := range values {
		if v.Producer == nil && v.Init == nil {
			o.Inputs[v.Name] = lower.Shape{DType: v.DType(), Dims: c.tensor.Shape().Clone()}
		}
	}
	return o
}

// keyOf tells apart what a plan depends on: shapes of inputs and values of constants.
func keyOf(values map[*carrier]*graph.Value, o lower.Options) string {
	h := fnv.New64a()
	var constants []*graph.Value
	for _, v := range values {
		if v.Init != nil {
			constants = append(constants, v)
		}
	}
	slices.SortFunc(constants, func(a, b *graph.Value) int { return slices.Compare([]byte(a.Name), []byte(b.Name)) })
	for _, v := range constants {
		raw, _ := v.Init.Raw()
		fmt.Fprintf(h, "%s %v %v %x", v.Name, v.Init.DType, v.Init.Dims, raw)
	}
	return fmt.Sprint(o.Opset, o.Inputs, h.Sum64())
}

func setAttributes(n *graph.Node, attrs map[string]any) error {
	for name, a := range attrs {
		switch a := a.(type) {
		case float32:
			n.SetFloat(name, a)
		case int64:
			n.SetInt(name, a)
		case string:
			n.SetStr(name, a)
		case []float32:
			n.SetFloats(name, a...)
		case []int64:
			n.SetInts(name, a...)
		case tensor.Tensor:
			d, err := dense(&carrier{name: name, tensor: a})
			if err != nil {
				return err
			}
			t, err := lower.ONNXTensor(name, d)
			if err != nil {
				return fmt.Errorf("attribute %q: %w", name, err)
			}
			n.SetTensor(name, t)
		case []string:
			n.Attrs = append(n.Attrs, &graph.Attribute{Name: name, Type: graph.AttrStrings, Strings: a})
		default:
			return fmt.Errorf("attribute %q is of a kind (%T) that is not supported", name, a)
		}
	}
	return nil
}
