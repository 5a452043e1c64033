package graph

import "slices"

// Extract copies the part of g that computes outputs from inputs: it walks
// back from the outputs, stops at the inputs, and takes along the nodes and
// initializers on the way. The result's inputs and outputs are copies of
// those given, in the same order; an input that is an initializer in g is a
// plain input in the result. All names are kept, g is not changed.
//
// missing lists the values of g that outputs also depend on and that neither
// inputs nor initializers nor nodes provide: g's own inputs not given, and
// values captured from an enclosing graph. The extracted graph refers to
// copies of them without declaring them, and is complete only if there are
// none.
func (g *Graph) Extract(inputs, outputs []*Value) (part *Graph, missing []*Value) {
	given := make(map[*Value]bool, len(inputs))
	for _, v := range inputs {
		given[v] = true
	}
	needed, nodes := g.dependencies(given, outputs)

	to := make(map[*Value]*Value)
	for _, v := range inputs {
		c := cloneValue(v, to)
		c.Init, c.Sparse = nil, nil
	}
	part = &Graph{
		Name: g.Name, DocString: g.DocString,
		Metadata: slices.Clone(g.Metadata), Wire: g.Wire,
		Inputs: mapped(inputs, to),
	}
	for _, v := range g.Initializers {
		if needed[v] && !given[v] {
			part.Initializers = append(part.Initializers, cloneValue(v, to))
		}
	}
	for _, v := range g.Sparse {
		if needed[v] && !given[v] {
			part.Sparse = append(part.Sparse, cloneValue(v, to))
		}
	}
	for _, n := range g.Nodes {
		if !nodes[n] {
			continue
		}
		for _, v := range n.requires() {
			if to[v] == nil {
				missing = append(missing, v)
				cloneValue(v, to)
			}
		}
		for _, v := range n.Outputs {
			if v != nil && !given[v] {
				cloneValue(v, to)
			}
		}
		part.Nodes = append(part.Nodes, n.extractInto(to, given))
	}
	for _, v := range outputs {
		if to[v] == nil {
			missing = append(missing, v)
			cloneValue(v, to)
		}
	}
	part.Outputs = mapped(outputs, to)
	for _, v := range g.Infos {
		if to[v] != nil && !slices.Contains(part.Infos, to[v]) {
			part.Infos = append(part.Infos, to[v])
		}
	}
	for _, a := range g.Quantization {
		if slices.ContainsFunc(part.Values(), func(v *Value) bool { return v.Name == a.Tensor }) {
			part.Quantization = append(part.Quantization, a)
		}
	}
	return part, missing
}

// dependencies walks back from outputs up to what is given.
func (g *Graph) dependencies(given map[*Value]bool, outputs []*Value) (values map[*Value]bool, nodes map[*Node]bool) {
	inGraph := make(map[*Node]bool, len(g.Nodes))
	for _, n := range g.Nodes {
		inGraph[n] = true
	}
	values, nodes = make(map[*Value]bool), make(map[*Node]bool)
	todo := slices.Clone(outputs)
	for len(todo) > 0 {
		v := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if values[v] {
			continue
		}
		values[v] = true
		p := v.Producer
		if given[v] || p == nil || !inGraph[p] || nodes[p] {
			continue
		}
		nodes[p] = true
		todo = append(todo, p.requires()...)
	}
	return values, nodes
}

// extractInto copies a node of which some outputs may be given from outside:
// those get a value of their own, which nobody uses.
func (n *Node) extractInto(to map[*Value]*Value, given map[*Value]bool) *Node {
	c := *n
	c.Inputs = mapped(n.Inputs, to)
	c.Outputs = slices.Clone(n.Outputs)
	for i, v := range n.Outputs {
		switch {
		case v == nil:
		case given[v]:
			c.Outputs[i] = nil // the given value takes its place
		default:
			c.Outputs[i] = to[v]
			to[v].Producer = &c
		}
	}
	c.Attrs = cloneAttrs(n.Attrs, to)
	c.Metadata = slices.Clone(n.Metadata)
	return &c
}
