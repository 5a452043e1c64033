package graph

import "slices"

// Clone copies the model deeply; tensor data, being immutable, is shared.
func (m *Model) Clone() *Model {
	c := *m
	c.Opsets = slices.Clone(m.Opsets)
	c.Metadata = slices.Clone(m.Metadata)
	to := make(map[*Value]*Value)
	if m.Graph != nil {
		c.Graph = m.Graph.cloneInto(to)
	}
	c.Functions = nil
	for _, f := range m.Functions {
		d := *f
		d.Attributes = slices.Clone(f.Attributes)
		d.Opsets = slices.Clone(f.Opsets)
		d.Metadata = slices.Clone(f.Metadata)
		d.Defaults = cloneAttrs(f.Defaults, to)
		d.Body = f.Body.cloneInto(to)
		c.Functions = append(c.Functions, &d)
	}
	c.Training = nil
	for _, t := range m.Training {
		d := *t
		if t.Initialization != nil {
			d.Initialization = t.Initialization.cloneInto(to)
		}
		if t.Algorithm != nil {
			d.Algorithm = t.Algorithm.cloneInto(to)
		}
		c.Training = append(c.Training, &d)
	}
	return &c
}

// Clone copies the graph deeply and tells which value became which, those of
// subgraphs included. Tensor data, being immutable, is shared; values captured
// from an enclosing graph stay the same.
func (g *Graph) Clone() (*Graph, map[*Value]*Value) {
	to := make(map[*Value]*Value)
	return g.cloneInto(to), to
}

func (g *Graph) cloneInto(to map[*Value]*Value) *Graph {
	c := *g
	g.own(func(v *Value) { cloneValue(v, to) })
	for _, v := range g.Infos {
		cloneValue(v, to)
	}
	c.Inputs, c.Outputs = mapped(g.Inputs, to), mapped(g.Outputs, to)
	c.Initializers, c.Sparse, c.Infos = mapped(g.Initializers, to), mapped(g.Sparse, to), mapped(g.Infos, to)
	c.Metadata = slices.Clone(g.Metadata)
	c.Quantization = slices.Clone(g.Quantization)
	c.Nodes = make([]*Node, len(g.Nodes))
	for i, n := range g.Nodes {
		c.Nodes[i] = n.cloneInto(to)
	}
	if g.Restated != nil {
		c.Restated = make(map[Mention]*Value, len(g.Restated))
		for m, v := range g.Restated {
			m.Value = lookup(m.Value, to)
			d := *v
			d.Type = v.Type.clone()
			c.Restated[m] = &d
		}
	}
	return &c
}

func cloneValue(v *Value, to map[*Value]*Value) *Value {
	if c := to[v]; c != nil {
		return c
	}
	c := *v
	c.Type = v.Type.clone()
	c.Init = v.Init.Clone()
	c.Sparse = v.Sparse.clone()
	c.Metadata = slices.Clone(v.Metadata)
	c.Producer = nil // set when its node is cloned
	to[v] = &c
	return &c
}

func (n *Node) cloneInto(to map[*Value]*Value) *Node {
	c := *n
	c.Inputs = mapped(n.Inputs, to)
	c.Outputs = mapped(n.Outputs, to)
	for _, v := range c.Outputs {
		if v != nil {
			v.Producer = &c
		}
	}
	c.Attrs = cloneAttrs(n.Attrs, to)
	c.Metadata = slices.Clone(n.Metadata)
	return &c
}

func cloneAttrs(attrs []*Attribute, to map[*Value]*Value) []*Attribute {
	if attrs == nil {
		return nil
	}
	cs := make([]*Attribute, len(attrs))
	for i, a := range attrs {
		c := *a
		c.T, c.Sparse, c.TP = a.T.Clone(), a.Sparse.clone(), a.TP.clone()
		c.Floats, c.Ints, c.Strings = slices.Clone(a.Floats), slices.Clone(a.Ints), slices.Clone(a.Strings)
		if a.G != nil {
			c.G = a.G.cloneInto(to)
		}
		c.Graphs = slices.Clone(a.Graphs)
		for j, g := range a.Graphs {
			c.Graphs[j] = g.cloneInto(to)
		}
		c.Tensors = slices.Clone(a.Tensors)
		for j, t := range a.Tensors {
			c.Tensors[j] = t.Clone()
		}
		c.Sparses = slices.Clone(a.Sparses)
		for j, s := range a.Sparses {
			c.Sparses[j] = s.clone()
		}
		c.Types = slices.Clone(a.Types)
		for j, t := range a.Types {
			c.Types[j] = t.clone()
		}
		cs[i] = &c
	}
	return cs
}

func mapped(vs []*Value, to map[*Value]*Value) []*Value {
	if vs == nil {
		return nil
	}
	cs := make([]*Value, len(vs))
	for i, v := range vs {
		cs[i] = lookup(v, to)
	}
	return cs
}

// lookup is what v became, v itself where it was not cloned.
func lookup(v *Value, to map[*Value]*Value) *Value {
	if c := to[v]; c != nil {
		return c
	}
	return v
}
