// Package compose appends ONNX nodes to a graph in memory, in the spelling of
// the model's opset (axes as an attribute or as an input, and so on).
//
// It is what the builders in package models and the heads in package heads
// write with. Nodes are named by scope, as exporters do:
// "/encoder/layer.0/attention/self/query/MatMul", their outputs
// "…/MatMul_output_0"; a name that the graph has already gets a number.
// Nodes are appended in the order of the calls, so a graph that was sorted
// stays sorted.
package compose

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/ftk-go/ftk/internal/graph"
)

// Builder appends nodes to one graph. In gives a Builder for the same graph
// under a deeper scope; they share names and constants.
type Builder struct {
	*shared
	scope string
}

type shared struct {
	g         *graph.Graph
	opset     int64
	nodes     map[string]bool // node names taken
	values    map[string]bool // value names taken
	constants map[string]*graph.Value
	// constantNodes: small constants become Constant nodes, as torch.onnx.export
	// writes them, instead of initializers.
	constantNodes bool
}

// New returns a Builder for g, whose model imports the standard domain at the
// given opset version.
func New(g *graph.Graph, opset int64) *Builder {
	s := &shared{
		g: g, opset: opset,
		nodes: map[string]bool{}, values: map[string]bool{"": true}, constants: map[string]*graph.Value{},
	}
	see := func(vs []*graph.Value) {
		for _, v := range vs {
			if v != nil {
				s.values[v.Name] = true
			}
		}
	}
	see(g.Inputs)
	see(g.Outputs)
	see(g.Initializers)
	for _, n := range g.Nodes {
		s.nodes[n.Name] = true
		see(n.Inputs)
		see(n.Outputs)
	}
	return &Builder{shared: s}
}

// UseConstantNodes makes small constants Constant nodes from here on.
func (b *Builder) UseConstantNodes() { b.constantNodes = true }

// Opset is the standard domain's version that nodes are written in.
func (b *Builder) Opset() int64 { return b.opset }

// In returns a Builder that writes under scope: In("encoder").In("layer.0").
func (b *Builder) In(scope string) *Builder {
	return &Builder{shared: b.shared, scope: b.scope + "/" + scope}
}

// Input declares a graph input.
func (b *Builder) Input(name string, elem graph.DType, shape ...graph.Dim) *graph.Value {
	v := &graph.Value{Name: name, Type: graph.TensorOf(elem, shape...)}
	b.values[name] = true
	b.g.Inputs = append(b.g.Inputs, v)
	return v
}

// Output makes v a graph output under the given name, element type and shape.
// A name that another value of the graph bears gets a number.
func (b *Builder) Output(v *graph.Value, name string, elem graph.DType, shape ...graph.Dim) *graph.Value {
	if v.Name != name {
		delete(b.values, v.Name)
		v.Name = b.fresh(b.values, name)
	}
	v.Type = graph.TensorOf(elem, shape...)
	b.g.Outputs = append(b.g.Outputs, v)
	return v
}

// Initializer adds a float32 tensor under the name given, or a numbered one if
// that is taken.
func (b *Builder) Initializer(name string, dims []int64, data []float32) *graph.Value {
	return b.initializer(graph.NewFloat32(b.fresh(b.values, name), dims, data))
}

func (b *Builder) initializer(t *graph.Tensor) *graph.Value {
	v := &graph.Value{
		Name: t.Name,
		Type: graph.TensorOf(t.DType, graph.FixedDims(t.Dims...)...),
		Init: t,
	}
	b.g.Initializers = append(b.g.Initializers, v)
	return v
}

// Attr sets one attribute of a node: the value's type decides which kind.
type Attr struct {
	Name  string
	Value any // int, float32, string, []int64 or *graph.Tensor
}

// Op appends a node with one output and returns that.
func (b *Builder) Op(op string, inputs ...*graph.Value) *graph.Value {
	return b.OpWith(op, nil, inputs...)
}

// OpWith is Op with attributes.
func (b *Builder) OpWith(op string, attrs []Attr, inputs ...*graph.Value) *graph.Value {
	name := b.fresh(b.nodes, b.scope+"/"+op)
	n := &graph.Node{Name: name, OpType: op, Inputs: inputs}
	for _, a := range attrs {
		switch x := a.Value.(type) {
		case int:
			n.SetInt(a.Name, int64(x))
		case float32:
			n.SetFloat(a.Name, x)
		case string:
			n.SetStr(a.Name, x)
		case []int64:
			n.SetInts(a.Name, x...)
		case *graph.Tensor:
			n.SetTensor(a.Name, x)
		default:
			panic(fmt.Sprintf("compose: attribute %s of type %T", a.Name, a.Value)) // a fault of this program
		}
	}
	out := &graph.Value{Name: b.fresh(b.values, name+"_output_0"), Producer: n}
	n.Outputs = []*graph.Value{out}
	b.g.Nodes = append(b.g.Nodes, n)
	return out
}

// Ints is an int64 constant of rank 1, stored once however often it is asked for.
func (b *Builder) Ints(x ...int64) *graph.Value {
	parts := make([]string, len(x))
	for i, n := range x {
		parts[i] = strconv.FormatInt(n, 10)
	}
	key := "ints_" + strings.Join(parts, "_")
	return b.constant(key, func(name string) *graph.Tensor {
		return graph.NewInt64(name, []int64{int64(len(x))}, append([]int64(nil), x...))
	})
}

// Int is an int64 constant of rank 0.
func (b *Builder) Int(x int64) *graph.Value {
	return b.constant(fmt.Sprintf("int_%d", x), func(name string) *graph.Tensor {
		return graph.NewInt64(name, nil, []int64{x})
	})
}

// Float is a float32 constant of rank 0.
func (b *Builder) Float(x float32) *graph.Value {
	return b.constant("float_"+strconv.FormatFloat(float64(x), 'g', -1, 32), func(name string) *graph.Tensor {
		return graph.NewFloat32(name, nil, []float32{x})
	})
}

func (b *Builder) constant(key string, make func(name string) *graph.Tensor) *graph.Value {
	if b.constantNodes { // one each, as torch writes them: nothing shared
		return b.OpWith("Constant", []Attr{{"value", make("")}})
	}
	if v, ok := b.constants[key]; ok {
		return v
	}
	v := b.initializer(make(b.fresh(b.values, key)))
	b.constants[key] = v
	return v
}

func (b *Builder) fresh(taken map[string]bool, name string) string {
	unique := name
	for i := 1; taken[unique]; i++ {
		unique = name + "_" + strconv.Itoa(i)
	}
	taken[unique] = true
	return unique
}
