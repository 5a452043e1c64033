// Package passes brings a graph into the form that lowering knows best: the many ways in which exporters write the same
// thing become the newest standard operators (LayerNormalization, Gelu, Attention) and two of ftk's own (Linear,
// Projections), and what is only noise (Constant and Identity nodes, arithmetic on shapes) goes.
//
// Each pass is a file with its pre- and postconditions stated. What must hold of every pass: the graph computes the same
// values as before; every value that is kept (graph outputs and names asked for) still exists under its name; a weight,
// that is a float initializer of the file with more than one element, is never computed into something else, so that it
// can be trained under its name. Values that come to be others (one position of a sequence instead of all) get other names.
// A pass that does not recognise a pattern exactly leaves it alone.
//
// The graph on disk is never rewritten by passes: Canonical works on a clone.
package passes

import (
	"fmt"
	"slices"

	"github.com/ftk-go/ftk/internal/graph"
)

// Domain is the domain of operators that only passes make.
const Domain = "ftk"

// Canonical returns the canonical form of m's graph. Values named in keep survive, as graph outputs do, if they are live.
// Standard operators that no pass touches stay in the version of m's opset, which is what to give lower.Options.
func Canonical(m *graph.Model, keep ...string) (*graph.Graph, error) {
	g, _ := m.Graph.Clone()
	return g, Run(g, m.Opset(""), keep...)
}

// Run brings a graph into canonical form in place. opset is the version of the standard operators that it is written in.
func Run(g *graph.Graph, opset int64, keep ...string) error {
	s := newState(g, opset)
	for _, v := range g.Outputs {
		s.keep[v] = true
	}
	for _, name := range keep {
		if v := g.Value(name); v != nil {
			s.keep[v] = true
		}
	}
	for _, p := range []struct {
		name string
		run  func(*state) error
	}{
		{"bypass", bypass},
		{"fold", fold},
		{"contrib", contrib},
		{"shapes", shapes},
		{"fold", fold},
		{"layernorm", layerNorm},
		{"gelu", gelu},
		{"linear", linear},
		{"attention", attention},
		{"rows", rows},
		{"projections", projections},
	} {
		s.uses = nil
		if err := p.run(s); err != nil {
			return fmt.Errorf("pass %s: %w", p.name, err)
		}
		s.sweep()
	}
	return g.Sort()
}

// state is the graph in the hands of the passes.
type state struct {
	g       *graph.Graph
	opset   int64
	keep    map[*graph.Value]bool
	weights []*graph.Value
	uses    map[*graph.Value][]graph.Use // as of the start of the pass, nil: not counted yet
	dims    *inference                   // symbolic shapes, nil: not inferred yet
	names   int
}

func newState(g *graph.Graph, opset int64) *state {
	s := &state{g: g, opset: opset, keep: map[*graph.Value]bool{}}
	for _, v := range g.Initializers {
		if v.Init != nil && v.Init.DType.IsFloat() && v.Init.Len() > 1 {
			s.weights = append(s.weights, v)
		}
	}
	return s
}

// sweep removes what nothing kept depends on.
func (s *state) sweep() {
	outputs := s.g.Outputs
	for v := range s.keep {
		if v.Producer != nil && slices.Contains(s.g.Nodes, v.Producer) && !slices.Contains(outputs, v) {
			s.g.Outputs = append(slices.Clone(s.g.Outputs), v)
		}
	}
	s.g.RemoveDead()
	s.g.Outputs = outputs
	s.uses, s.dims = nil, nil
}

func (s *state) usesOf(v *graph.Value) []graph.Use {
	if s.uses == nil {
		s.uses = s.g.Uses()
	}
	return s.uses[v]
}

// private reports whether a value is used by the given nodes only, and need not be kept.
func (s *state) private(v *graph.Value, by ...*graph.Node) bool {
	return !s.keep[v] && !slices.ContainsFunc(s.usesOf(v), func(u graph.Use) bool { return !slices.Contains(by, u.Node) })
}

// enclosed reports whether what the nodes compute, the last one's output excepted, is used by these nodes only.
func (s *state) enclosed(nodes ...*graph.Node) bool {
	for _, n := range nodes[:len(nodes)-1] {
		for _, v := range n.Outputs {
			if v != nil && !s.private(v, nodes...) {
				return false
			}
		}
	}
	return true
}

// replace puts a new node in the place of an old one: it takes over the old one's first output, and with it its name and
// its users.
func (s *state) replace(old *graph.Node, op, domain string, inputs ...*graph.Value) *graph.Node {
	for len(inputs) > 0 && inputs[len(inputs)-1] == nil {
		inputs = inputs[:len(inputs)-1]
	}
	n := &graph.Node{Name: old.Name, OpType: op, Domain: domain, Inputs: inputs, Outputs: old.Outputs[:1:1]}
	old.Outputs[0].Producer = n
	s.g.Nodes[slices.Index(s.g.Nodes, old)] = n
	s.uses = nil
	return n
}

// insert adds a node just before another one.
func (s *state) insert(before *graph.Node, op string, inputs ...*graph.Value) *graph.Value {
	s.names++
	n := &graph.Node{Name: s.g.NewName(before.Name + "/" + op), OpType: op, Inputs: inputs}
	out := &graph.Value{Name: s.g.NewName(before.Name + "/" + op + "_output"), Producer: n}
	n.Outputs = []*graph.Value{out}
	s.g.Nodes = slices.Insert(s.g.Nodes, slices.Index(s.g.Nodes, before), n)
	s.uses = nil
	return out
}

// op is the node that makes v if its operator is one of the given standard ones, else nil.
func op(v *graph.Value, types ...string) *graph.Node {
	if v == nil || v.Producer == nil || v.Producer.Domain != "" && v.Producer.Domain != "ai.onnx" || !slices.Contains(types, v.Producer.OpType) {
		return nil
	}
	return v.Producer
}

// number is the value of a constant of one element.
func number(v *graph.Value) (float64, bool) {
	if v == nil || v.Init == nil || v.Init.Len() != 1 {
		return 0, false
	}
	if v.Init.DType.IsFloat() {
		f, err := v.Init.Float32s()
		return at(f, err)
	}
	i, err := v.Init.Int64s()
	return at(i, err)
}

func at[T float32 | int64](v []T, err error) (float64, bool) {
	if err != nil || len(v) != 1 {
		return 0, false
	}
	return float64(v[0]), true
}

// integers is the value of a constant of integers.
func integers(v *graph.Value) ([]int64, bool) {
	if v == nil || v.Init == nil || v.Init.DType.IsFloat() {
		return nil, false
	}
	i, err := v.Init.Int64s()
	return i, err == nil
}

// split returns a binary node's constant number and its other input.
func split(n *graph.Node) (x *graph.Value, c float64, ok bool) {
	if n == nil || len(n.Inputs) != 2 {
		return nil, 0, false
	}
	if c, ok := number(n.Inputs[1]); ok {
		return n.Inputs[0], c, true
	}
	c, ok = number(n.Inputs[0])
	return n.Inputs[1], c, ok
}

// axesOf is a node's axes: input 1 in newer operator sets, an attribute in older ones.
func axesOf(n *graph.Node) ([]int64, bool) {
	if v := n.Input(1); v != nil {
		return integers(v)
	}
	a := n.Ints("axes")
	return a, a != nil
}
