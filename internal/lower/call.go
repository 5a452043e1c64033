package lower

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/op"
	"github.com/ftk-go/ftk/internal/tensorop"
)

// Call is one node being lowered: what a lowering function is given.
type Call struct {
	Node  *graph.Node
	Opset int64 // of the standard domain

	g   *G.ExprGraph
	row *Row
	in  []*value // nil where an optional input is left out
}

// lower computes the node now if all its inputs are constants, and builds nodes otherwise.
func (c *Call) lower() ([]*value, error) {
	for i := range c.row.Min {
		if !c.Has(i) {
			return nil, fmt.Errorf("input %d is missing", i)
		}
	}
	for _, i := range c.row.ConstInputs {
		if c.Has(i) && c.Const(i) == nil {
			return nil, fmt.Errorf("input %d (%q) has to be a constant or computed from sizes", i, c.in[i].name)
		}
	}
	if !c.allConst() {
		return c.row.Lower(c)
	}
	return c.fold()
}

// fold lowers the node on a graph of its own and computes the result.
func (c *Call) fold() ([]*value, error) {
	scratch := *c
	scratch.g = G.NewGraph()
	scratch.in = make([]*value, len(c.in))
	for i, v := range c.in {
		if v != nil {
			scratch.in[i] = &value{name: fmt.Sprintf("%d:%s", i, v.name), tensor: v.tensor}
		}
	}
	outs, err := c.row.Lower(&scratch)
	if err != nil {
		return nil, err
	}
	done := map[int64]*tensor.Dense{}
	for i, out := range outs {
		if out != nil && out.tensor == nil {
			if outs[i], err = evaluated(out, scratch.g, done); err != nil {
				return nil, err
			}
		}
	}
	return outs, nil
}

func evaluated(v *value, g *G.ExprGraph, done map[int64]*tensor.Dense) (*value, error) {
	d, err := evaluate(v.node, g, done)
	return &value{tensor: d}, err
}

// evaluate computes a node of a graph all of whose inputs are bound.
func evaluate(n *G.Node, g *G.ExprGraph, done map[int64]*tensor.Dense) (*tensor.Dense, error) {
	if d, ok := done[n.ID()]; ok {
		return d, nil
	}
	result := n.Value()
	if op := n.Op(); op != nil {
		var in []G.Value
		for kids := g.From(n.ID()); kids.Next(); {
			d, err := evaluate(kids.Node().(*G.Node), g, done)
			if err != nil {
				return nil, err
			}
			in = append(in, d)
		}
		var err error
		if result, err = op.Do(in...); err != nil {
			return nil, err
		}
	}
	d, err := op.Dense(result)
	done[n.ID()] = d
	return d, err
}

func (c *Call) allConst() bool {
	return !slices.ContainsFunc(c.in, func(v *value) bool { return v != nil && v.tensor == nil })
}

// static reports whether the node's outputs depend on initializers and attributes alone.
func (c *Call) static() bool {
	return !slices.ContainsFunc(c.in, func(v *value) bool { return v != nil && !v.static })
}

func (c *Call) trainable() bool {
	return slices.ContainsFunc(c.in, func(v *value) bool { return v != nil && v.trainable })
}

// wrap adds to an error which node it is about.
func (c *Call) wrap(err error) error {
	var unsupported *graph.UnsupportedError
	if errors.As(err, &unsupported) {
		return err
	}
	shapes := make([]string, len(c.in))
	for i, v := range c.in {
		shapes[i] = "-"
		if v != nil {
			shapes[i] = fmt.Sprint([]int(v.shape()))
		}
	}
	op := c.Node.OpType
	if c.row != nil && c.row.Domain != "" {
		op = c.row.Domain + "." + op
	}
	return fmt.Errorf("lower: node %q (%s, opset %d), inputs %s: %w", c.Node.Name, op, c.Opset, strings.Join(shapes, " "), err)
}

// Has reports whether input i is given.
func (c *Call) Has(i int) bool { return i < len(c.in) && c.in[i] != nil }

// N is the node of input i, which must be given.
func (c *Call) N(i int) *G.Node { return c.in[i].materialise(c.g) }

// All lists the nodes of all inputs given.
func (c *Call) All() G.Nodes {
	var ns G.Nodes
	for i := range c.in {
		if c.Has(i) {
			ns = append(ns, c.N(i))
		}
	}
	return ns
}

// Optional is the node of input i, nil if it is left out.
func (c *Call) Optional(i int) *G.Node {
	if !c.Has(i) {
		return nil
	}
	return c.N(i)
}

// Shape is the shape of input i.
func (c *Call) Shape(i int) []int { return c.in[i].shape() }

// Rank is the rank of input i.
func (c *Call) Rank(i int) int { return len(c.in[i].shape()) }

// DType is the element type of input i.
func (c *Call) DType(i int) tensor.Dtype { return c.in[i].dtype() }

// Const is the value of input i if it is a constant, else nil.
func (c *Call) Const(i int) *tensor.Dense {
	if !c.Has(i) {
		return nil
	}
	return c.in[i].tensor
}

// Ints is the value of a constant input of integers.
func (c *Call) Ints(i int) ([]int, error) {
	d := c.Const(i)
	if d == nil {
		return nil, fmt.Errorf("input %d has to be a constant or computed from sizes", i)
	}
	f, err := Numbers(d)
	if err != nil {
		return nil, fmt.Errorf("input %d: %w", i, err)
	}
	out := make([]int, len(f))
	for i, v := range f {
		out[i] = int(v)
	}
	return out, nil
}

// Int is the value of a constant input of one integer.
func (c *Call) Int(i int) (int, error) {
	v, err := c.Ints(i)
	if err == nil && len(v) != 1 {
		err = fmt.Errorf("input %d has %d elements, want 1", i, len(v))
	}
	if err != nil {
		return 0, err
	}
	return v[0], nil
}

// Number is the value of a constant input of one element; def where it is left out.
func (c *Call) Number(i int, def float64) (float64, error) {
	if !c.Has(i) {
		return def, nil
	}
	d := c.Const(i)
	if d == nil {
		return 0, fmt.Errorf("input %d has to be a constant", i)
	}
	var f float64
	switch {
	case d.Size() != 1:
		return 0, fmt.Errorf("input %d has %d elements, want 1", i, d.Size())
	case d.Dtype() == tensor.Float32:
		f = float64(d.Float32s()[0])
	case d.Dtype() == tensor.Float64:
		f = d.Float64s()[0]
	default:
		v, err := Numbers(d)
		if err != nil {
			return 0, err
		}
		f = float64(v[0])
	}
	return f, nil
}

// IntsAt is an integer list that newer operator sets give as input i and older ones as an attribute. ok tells whether it
// is given at all.
func (c *Call) IntsAt(i int, attr string) (v []int, ok bool, err error) {
	if c.Has(i) {
		v, err = c.Ints(i)
		return v, true, err
	}
	a := c.Node.Attr(attr)
	return c.AttrInts(attr), a != nil, nil
}

// AttrInts is an integer list attribute.
func (c *Call) AttrInts(name string) []int {
	var v []int
	for _, x := range c.Node.Ints(name) {
		v = append(v, int(x))
	}
	return v
}

// AttrInt is an integer attribute.
func (c *Call) AttrInt(name string, def int) int { return int(c.Node.Int(name, int64(def))) }

// AttrFloat is a float attribute.
func (c *Call) AttrFloat(name string, def float32) float64 { return float64(c.Node.Float(name, def)) }

// Outputs is how many outputs of the node are used, counting up to the last.
func (c *Call) Outputs() int {
	n := 0
	for i, v := range c.Node.Outputs {
		if v != nil && v.Name != "" {
			n = i + 1
		}
	}
	return n
}

func one(n *G.Node, err error) ([]*value, error) {
	if err != nil {
		return nil, err
	}
	return []*value{{node: n}}, nil
}

func many(ns G.Nodes, err error) ([]*value, error) {
	if err != nil {
		return nil, err
	}
	var vs []*value
	for _, n := range ns {
		vs = append(vs, &value{node: n})
	}
	return vs, nil
}

func constants(ds ...*tensor.Dense) ([]*value, error) {
	var vs []*value
	for _, d := range ds {
		vs = append(vs, &value{tensor: d})
	}
	return vs, nil
}

func mul(a, b *G.Node) (*G.Node, error) { return tensorop.Binary("Mul", a, b) }

// Fold computes a node all of whose inputs are initializers (or that has none): its outputs, nil for those left out.
func Fold(n *graph.Node, opset int64) (outs []*graph.Tensor, err error) {
	c := &Call{Node: n, Opset: opset, row: find(n)}
	defer func() {
		if r := recover(); r != nil {
			err = c.wrap(fmt.Errorf("%v", r))
		}
	}()
	if err := supported([]*graph.Node{n}, opset); err != nil {
		return nil, err
	}
	for _, v := range n.Inputs {
		if v == nil {
			c.in = append(c.in, nil)
			continue
		}
		d, err := Tensor(v.Init)
		if err != nil {
			return nil, c.wrap(err)
		}
		c.in = append(c.in, &value{name: v.Name, tensor: d, static: true})
	}
	results, err := c.lower()
	if err != nil {
		return nil, c.wrap(err)
	}
	for i, v := range n.Outputs {
		if v == nil || i >= len(results) {
			outs = append(outs, nil)
			continue
		}
		t, err := ONNXTensor(v.Name, results[i].tensor)
		if err != nil {
			return nil, c.wrap(err)
		}
		outs = append(outs, t)
	}
	return outs, nil
}
