package graph

import (
	"fmt"
	"slices"
	"strings"
)

// Use is one place where a value is used: input Index of Node, or, where Node
// is nil, output Index of the graph. Graph is the graph that Node or output
// belongs to: for a value captured by the body of an If or Loop, that body.
type Use struct {
	Node  *Node
	Index int
	Graph *Graph
}

// Uses finds where every value is used, in the graph and in the subgraphs of
// its nodes. The order of a value's uses is the order of execution.
func (g *Graph) Uses() map[*Value][]Use {
	uses := make(map[*Value][]Use)
	g.walkUses(func(v *Value, u Use) { uses[v] = append(uses[v], u) })
	return uses
}

func (g *Graph) walkUses(f func(*Value, Use)) {
	for _, n := range g.Nodes {
		for i, v := range n.Inputs {
			if v != nil {
				f(v, Use{Node: n, Index: i, Graph: g})
			}
		}
		for _, sub := range n.Subgraphs() {
			sub.walkUses(f)
		}
	}
	for i, v := range g.Outputs {
		f(v, Use{Index: i, Graph: g})
	}
}

// own visits the values that belong to g itself: inputs, initializers, and what
// its nodes produce. A value may come twice.
func (g *Graph) own(f func(*Value)) {
	for _, list := range [][]*Value{g.Inputs, g.Initializers, g.Sparse} {
		for _, v := range list {
			f(v)
		}
	}
	for _, n := range g.Nodes {
		for _, v := range n.Outputs {
			if v != nil {
				f(v)
			}
		}
	}
}

// Value finds an input, an initializer or a node's output by name, nil if
// there is none. Values of subgraphs and of enclosing graphs are not searched.
func (g *Graph) Value(name string) *Value {
	var found *Value
	g.own(func(v *Value) {
		if v.Name == name && found == nil {
			found = v
		}
	})
	return found
}

// Values lists inputs, initializers and the outputs of nodes, each once.
func (g *Graph) Values() []*Value {
	var vs []*Value
	seen := make(map[*Value]bool)
	g.own(func(v *Value) {
		if !seen[v] {
			seen[v] = true
			vs = append(vs, v)
		}
	})
	return vs
}

// Node finds a node by name, nil if there is none.
func (g *Graph) Node(name string) *Node {
	for _, n := range g.Nodes {
		if n.Name == name {
			return n
		}
	}
	return nil
}

// NewName is prefix if no value or node of the graph or its subgraphs has that
// name, else prefix with the first free number: "prefix_1".
func (g *Graph) NewName(prefix string) string {
	taken := make(map[string]bool)
	g.collectNames(prefix, taken)
	if prefix != "" && !taken[prefix] {
		return prefix
	}
	for i := 1; ; i++ {
		if name := fmt.Sprintf("%s_%d", prefix, i); !taken[name] {
			return name
		}
	}
}

func (g *Graph) collectNames(prefix string, taken map[string]bool) {
	add := func(v *Value) {
		if v != nil && strings.HasPrefix(v.Name, prefix) {
			taken[v.Name] = true
		}
	}
	g.own(add)
	for _, list := range [][]*Value{g.Outputs, g.Infos} {
		for _, v := range list {
			add(v)
		}
	}
	for _, n := range g.Nodes {
		if strings.HasPrefix(n.Name, prefix) {
			taken[n.Name] = true
		}
		for _, v := range n.Inputs {
			add(v)
		}
		for _, sub := range n.Subgraphs() {
			sub.collectNames(prefix, taken)
		}
	}
}

// AddInput adds a graph input.
func (g *Graph) AddInput(name string, t *Type) *Value {
	v := &Value{Name: name, Type: t}
	g.Inputs = append(g.Inputs, v)
	return v
}

// AddInitializer adds an initializer; name must be free. The tensor takes the
// name.
func (g *Graph) AddInitializer(name string, t *Tensor) *Value {
	t.Name = name
	v := &Value{Name: name, Init: t}
	g.Initializers = append(g.Initializers, v)
	return v
}

// AddNode appends a node; a nil input is an optional one left out. It has one
// output, or as many as nOutputs says. Where name is empty a free one is made
// of the operator; an output is called after the node ("name_output_0") and
// may be renamed.
func (g *Graph) AddNode(op, name string, inputs []*Value, nOutputs ...int) *Node {
	if name == "" {
		name = g.NewName(op)
	}
	outputs := 1
	if len(nOutputs) > 0 {
		outputs = nOutputs[0]
	}
	n := &Node{Name: name, OpType: op, Inputs: slices.Clone(inputs)}
	for i := range outputs {
		out := g.NewName(fmt.Sprintf("%s_output_%d", name, i))
		n.Outputs = append(n.Outputs, &Value{Name: out, Producer: n})
	}
	g.Nodes = append(g.Nodes, n)
	return n
}

// Output is the node's first output, nil if it is left out.
func (n *Node) Output() *Value {
	if len(n.Outputs) == 0 {
		return nil
	}
	return n.Outputs[0]
}

// Input is the node's input i, nil if it is left out.
func (n *Node) Input(i int) *Value {
	if i < 0 || i >= len(n.Inputs) {
		return nil
	}
	return n.Inputs[i]
}

// ReplaceUses makes every user of old use replacement instead, in subgraphs
// too, but for the node that produces the replacement: it may be made from old.
// Where old is a graph output, the output keeps its name and type: the
// replacement takes them over and old gets the replacement's. That cannot be
// where the replacement is not produced by a node of g, or is a graph output
// already; then old remains the output.
func (g *Graph) ReplaceUses(old, replacement *Value) {
	if old == replacement {
		return
	}
	g.replaceInputs(old, replacement)
	at := slices.Index(g.Outputs, old)
	if at < 0 || replacement.Producer == nil || slices.Contains(g.Outputs, replacement) ||
		!slices.Contains(g.Nodes, replacement.Producer) {
		return
	}
	for i, v := range g.Outputs {
		if v == old {
			g.Outputs[i] = replacement
		}
	}
	old.Name, replacement.Name = replacement.Name, old.Name
	old.Type, replacement.Type = replacement.Type, old.Type
	old.DocString, replacement.DocString = replacement.DocString, old.DocString
	old.Metadata, replacement.Metadata = replacement.Metadata, old.Metadata
	old.Wire, replacement.Wire = replacement.Wire, old.Wire
	swap := func(v *Value) *Value {
		switch v {
		case old:
			return replacement
		case replacement:
			return old
		}
		return v
	}
	for i, v := range g.Infos { // entries stay with the names
		g.Infos[i] = swap(v)
	}
	restated := make(map[Mention]*Value, len(g.Restated))
	for m, v := range g.Restated {
		m.Value = swap(m.Value)
		restated[m] = v
	}
	g.Restated = restated
}

func (g *Graph) replaceInputs(old, replacement *Value) {
	for _, n := range g.Nodes {
		if n == replacement.Producer {
			continue
		}
		for i, v := range n.Inputs {
			if v == old {
				n.Inputs[i] = replacement
			}
		}
		for _, sub := range n.Subgraphs() {
			sub.replaceInputs(old, replacement)
			for i, v := range sub.Outputs {
				if v == old {
					sub.Outputs[i] = replacement
				}
			}
		}
	}
}

// RemoveDead removes nodes whose outputs nobody uses, initializers nobody
// uses, and the value_info of what was removed. Graph inputs stay.
func (g *Graph) RemoveDead() {
	live := make(map[*Value]bool)
	for _, v := range g.Outputs {
		live[v] = true
	}
	kept := make([]*Node, 0, len(g.Nodes))
	removed := make(map[*Value]bool)
	for _, n := range slices.Backward(g.Nodes) {
		if !slices.ContainsFunc(n.Outputs, func(v *Value) bool { return v != nil && live[v] }) {
			for _, v := range n.Outputs {
				removed[v] = true
			}
			continue
		}
		kept = append(kept, n)
		for _, v := range n.requires() {
			live[v] = true
		}
	}
	slices.Reverse(kept)
	g.Nodes = kept
	dead := func(v *Value) bool {
		if !live[v] {
			removed[v] = true
		}
		return !live[v]
	}
	for _, v := range g.Inputs {
		live[v] = true
	}
	g.Initializers = slices.DeleteFunc(g.Initializers, dead)
	g.Sparse = slices.DeleteFunc(g.Sparse, dead)
	g.Infos = slices.DeleteFunc(g.Infos, func(v *Value) bool { return removed[v] })
}

// requires lists the values that must be there before the node runs: its
// inputs, and what its subgraphs capture.
func (n *Node) requires() []*Value {
	var vs []*Value
	for _, v := range n.Inputs {
		if v != nil {
			vs = append(vs, v)
		}
	}
	return append(vs, n.Captured()...)
}

// Captured lists the values of enclosing graphs that the node's subgraphs use,
// each once.
func (n *Node) Captured() []*Value {
	subs := n.Subgraphs()
	if len(subs) == 0 {
		return nil
	}
	var captured []*Value
	seen := make(map[*Value]bool)
	for _, sub := range subs {
		for _, v := range sub.Captured() {
			if !seen[v] {
				seen[v] = true
				captured = append(captured, v)
			}
		}
	}
	return captured
}

// Captured lists the values of enclosing graphs that g uses, each once.
func (g *Graph) Captured() []*Value {
	inside := make(map[*Value]bool)
	g.walkOwn(func(v *Value) { inside[v] = true })
	var captured []*Value
	g.walkUses(func(v *Value, _ Use) {
		if !inside[v] {
			inside[v] = true
			captured = append(captured, v)
		}
	})
	return captured
}

// walkOwn visits the values of g and of its subgraphs.
func (g *Graph) walkOwn(f func(*Value)) {
	g.own(f)
	for _, n := range g.Nodes {
		for _, sub := range n.Subgraphs() {
			sub.walkOwn(f)
		}
	}
}
