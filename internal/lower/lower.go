// Package lower turns a graph in memory into a gorgonia.ExprGraph, specialised to concrete input shapes.
//
// The operator table (Table) is the map of what ftk can compute and train natively: a row an operator. The driver walks
// the graph in order; every value is either a constant, known now (shape arithmetic is, once shapes are concrete), or a
// node, known when the graph runs. An operator all of whose inputs are constants is computed on the spot by the same
// lowering function, on a graph of its own, so constants and nodes cannot differ in meaning.
//
// What must hold: the graph is in topological order; Options.Inputs names a shape for every graph input that has no
// initializer.
package lower

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ftk-go/ftk/internal/graph"
)

// Shape is the concrete type of a graph input.
type Shape struct {
	DType graph.DType
	Dims  []int
}

// Options says for which shapes a graph is lowered, and what of it is trained.
type Options struct {
	// Opset is the version of the standard operator set that the graph is written in.
	Opset int64
	// Inputs gives the element type and sizes of each graph input.
	Inputs map[string]Shape
	// Params are the trainable initializers by name. The nodes made for them are bound to these very tensors, so graphs
	// for several shapes share them.
	Params map[string]*tensor.Dense
	// Consts holds the tensors of all other initializers, by name, and what is computed from them alone. Lower fills it;
	// handing the same map to several calls shares the memory between their graphs. It may be nil.
	Consts map[string]*tensor.Dense
	// ShareConsts lets these tensors be views of the initializers' memory, which nothing must write to then.
	ShareConsts bool
	// Dropout names values to be multiplied by a further input, called "dropout:" and the value's name, of its shape.
	Dropout map[string]bool
}

// Lowered is a graph ready to be differentiated and run.
type Lowered struct {
	Graph   *G.ExprGraph
	Inputs  map[string]*G.Node // graph inputs that something depends on, and dropout inputs
	Outputs map[string]*G.Node
	Params  map[string]*G.Node // trainable initializers that something depends on
}

// DropoutInput is the name of the input that a dropout point adds for a value.
func DropoutInput(value string) string { return "dropout:" + value }

// Lower lowers g. Operators that are not in the table are all reported at once, as a *graph.UnsupportedError.
func Lower(g *graph.Graph, o Options) (*Lowered, error) {
	b := &builder{opts: o, g: G.NewGraph(), values: map[*graph.Value]*value{}, named: map[int64]bool{}}
	if b.opts.Consts == nil {
		b.opts.Consts = map[string]*tensor.Dense{}
	}
	nodes := needed(g)
	if err := supported(nodes, o.Opset); err != nil {
		return nil, err
	}
	b.out = &Lowered{Graph: b.g, Inputs: map[string]*G.Node{}, Outputs: map[string]*G.Node{}, Params: map[string]*G.Node{}}
	for _, v := range g.Inputs {
		if v.Init != nil {
			continue
		}
		if err := b.input(v); err != nil {
			return nil, fmt.Errorf("lower: %w", err)
		}
	}
	for _, n := range nodes {
		if err := b.node(n); err != nil {
			return nil, err
		}
	}
	for _, v := range g.Outputs {
		out, err := b.value(v)
		if err != nil {
			return nil, fmt.Errorf("lower: output %q: %w", v.Name, err)
		}
		b.out.Outputs[v.Name] = b.materialise(out)
	}
	return b.out, nil
}

// builder holds the state of one call of Lower.
type builder struct {
	opts   Options
	g      *G.ExprGraph
	out    *Lowered
	values map[*graph.Value]*value
	named  map[int64]bool // nodes that have been given an ONNX name
}

// value is what a graph value has become: a constant or a node. A constant gets a node too where a node needs it.
type value struct {
	name      string
	tensor    *tensor.Dense // not nil for a constant
	node      *G.Node
	static    bool // made of initializers alone: the same for all shapes
	trainable bool // depends on a trainable initializer
}

func (v *value) shape() []int {
	if v.tensor != nil {
		return v.tensor.Shape()
	}
	return v.node.Shape()
}

func (v *value) dtype() tensor.Dtype {
	if v.tensor != nil {
		return v.tensor.Dtype()
	}
	return v.node.Dtype()
}

func (b *builder) input(v *graph.Value) error {
	s, ok := b.opts.Inputs[v.Name]
	if !ok {
		return fmt.Errorf("no shape given for input %q; shapes are given for %s", v.Name, quoted(b.opts.Inputs))
	}
	dt, err := DType(s.DType)
	if err != nil {
		return fmt.Errorf("input %q: %w", v.Name, err)
	}
	for _, d := range s.Dims {
		if d < 0 {
			return fmt.Errorf("input %q: shape %v has a negative size", v.Name, s.Dims)
		}
	}
	n := G.NewTensor(b.g, dt, len(s.Dims), G.WithShape(s.Dims...), G.WithName(v.Name))
	if len(s.Dims) == 0 {
		n = G.NewScalar(b.g, dt, G.WithName(v.Name))
	}
	b.named[n.ID()] = true
	b.out.Inputs[v.Name] = n
	b.values[v], err = b.dropout(&value{name: v.Name, node: n})
	return err
}

func quoted[V any](m map[string]V) string {
	names := slices.Sorted(maps.Keys(m))
	for i, n := range names {
		names[i] = fmt.Sprintf("%q", n)
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// value finds what a graph value has become; an initializer is loaded when it is first asked for.
func (b *builder) value(v *graph.Value) (*value, error) {
	if got, ok := b.values[v]; ok {
		return got, nil
	}
	if v.Init == nil {
		return nil, fmt.Errorf("value %q is used but nothing makes it", v.Name)
	}
	got := &value{name: v.Name, static: true}
	if d, ok := b.opts.Params[v.Name]; ok {
		got.node = constantNode(b.g, v.Name, d)
		got.trainable, got.static = true, false
		b.named[got.node.ID()] = true
		b.out.Params[v.Name] = got.node
	} else {
		var err error
		if got.tensor, err = b.constant(v); err != nil {
			return nil, err
		}
	}
	got, err := b.dropout(got)
	b.values[v] = got
	return got, err
}

func (b *builder) constant(v *graph.Value) (*tensor.Dense, error) {
	if d, ok := b.opts.Consts[v.Name]; ok {
		return d, nil
	}
	make := Tensor
	if b.opts.ShareConsts && v.Init.DType == graph.Float32 {
		make = tensorView
	}
	d, err := make(v.Init)
	if err != nil {
		return nil, fmt.Errorf("initializer %q: %w", v.Name, err)
	}
	b.opts.Consts[v.Name] = d
	return d, nil
}

// node lowers one node of the graph and records its outputs.
func (b *builder) node(n *graph.Node) (err error) {
	c := &Call{Node: n, Opset: b.opts.Opset, g: b.g, row: find(n)}
	defer func() {
		if r := recover(); r != nil { // gorgonia reports some errors by panicking
			err = c.wrap(fmt.Errorf("%v", r))
		}
	}()
	for _, v := range n.Inputs {
		if v == nil {
			c.in = append(c.in, nil)
			continue
		}
		in, err := b.value(v)
		if err != nil {
			return c.wrap(err)
		}
		c.in = append(c.in, in)
	}
	outs, err := c.lower()
	if err != nil {
		return c.wrap(err)
	}
	static, trainable := c.static(), c.trainable()
	for i, v := range n.Outputs {
		if v == nil {
			continue
		}
		if i >= len(outs) {
			return c.wrap(fmt.Errorf("output %d (%q) is not supported", i, v.Name))
		}
		out := outs[i]
		if out.node != nil && !b.named[out.node.ID()] && out.node.Op() != nil {
			G.WithName(v.Name)(out.node)
			b.named[out.node.ID()] = true
		}
		out = &value{name: v.Name, tensor: out.tensor, node: out.node, static: static, trainable: trainable}
		if static && out.tensor != nil {
			if d, ok := b.opts.Consts[v.Name]; ok {
				out.tensor = d
			}
			b.opts.Consts[v.Name] = out.tensor
		}
		if b.values[v], err = b.dropout(out); err != nil {
			return c.wrap(err)
		}
	}
	return nil
}

// dropout multiplies the value by an input of its own if it is a dropout point.
func (b *builder) dropout(v *value) (*value, error) {
	if !b.opts.Dropout[v.name] {
		return v, nil
	}
	x, name := b.materialise(v), DropoutInput(v.name)
	m := G.NewTensor(b.g, x.Dtype(), x.Dims(), G.WithShape(x.Shape()...), G.WithName(name))
	b.out.Inputs[name] = m
	y, err := mul(x, m)
	return &value{name: v.name, node: y, trainable: v.trainable}, err
}

// materialise gives the node of a value; a constant's is an input node bound to the tensor.
func (b *builder) materialise(v *value) *G.Node { return v.materialise(b.g) }

func (v *value) materialise(g *G.ExprGraph) *G.Node {
	if v.node == nil {
		v.node = constantNode(g, v.name, v.tensor)
	}
	return v.node
}

func constantNode(g *G.ExprGraph, name string, d *tensor.Dense) *G.Node {
	if d.Dims() == 0 {
		return G.NewScalar(g, d.Dtype(), G.WithName(name), G.WithValue(d))
	}
	return G.NewTensor(g, d.Dtype(), d.Dims(), G.WithShape(d.Shape()...), G.WithName(name), G.WithValue(d))
}

// needed lists the nodes that the graph's outputs depend on, in order.
func needed(g *graph.Graph) []*graph.Node {
	want := map[*graph.Value]bool{}
	for _, v := range g.Outputs {
		want[v] = true
	}
	var nodes []*graph.Node
	for i := len(g.Nodes) - 1; i >= 0; i-- {
		n := g.Nodes[i]
		if !slices.ContainsFunc(n.Outputs, func(v *graph.Value) bool { return v != nil && want[v] }) {
			continue
		}
		nodes = append(nodes, n)
		for _, v := range n.Inputs {
			want[v] = true
		}
		for _, v := range n.Captured() {
			want[v] = true
		}
	}
	slices.Reverse(nodes)
	return nodes
}
