package graph

import "fmt"

// Check reports whether the model can be written to a file: everything has a
// name, no name is defined twice in a graph, nodes come after what they need,
// and tensors have as much data as their shapes say.
func (m *Model) Check() error {
	if m.Graph == nil {
		return fmt.Errorf("model has no graph")
	}
	if m.IRVersion >= 3 && len(m.Opsets) == 0 {
		return fmt.Errorf("model names no operator set (Opsets)")
	}
	top := make(map[*Value]bool)
	if err := m.Graph.check(top); err != nil {
		return err
	}
	for _, f := range m.Functions {
		if f.Body == nil {
			return fmt.Errorf("function %q has no body", f.Name)
		}
		if err := f.Body.check(make(map[*Value]bool)); err != nil {
			return fmt.Errorf("function %q: %w", f.Name, err)
		}
		for _, a := range f.Defaults {
			if err := a.check(make(map[*Value]bool)); err != nil {
				return fmt.Errorf("function %q: attribute %q: %w", f.Name, a.Name, err)
			}
		}
	}
	for _, t := range m.Training {
		for _, g := range []*Graph{t.Initialization, t.Algorithm} {
			if g == nil {
				continue
			}
			if err := g.check(top); err != nil {
				return fmt.Errorf("training_info: %w", err)
			}
			g.own(func(v *Value) { delete(top, v) })
		}
	}
	return nil
}

// Check is Model.Check for one graph; a value that the graph captures from an
// enclosing one is reported as not defined.
func (g *Graph) Check() error { return g.check(make(map[*Value]bool)) }

// check adds to visible what g defines; the caller takes it out again.
func (g *Graph) check(visible map[*Value]bool) error {
	names := make(map[string]bool)
	define := func(v *Value) error {
		switch {
		case v == nil:
			return fmt.Errorf("graph %q lists a nil value", g.Name)
		case v.Name == "":
			return fmt.Errorf("graph %q has a value without a name", g.Name)
		case names[v.Name]:
			return fmt.Errorf("graph %q defines %q more than once", g.Name, v.Name)
		}
		names[v.Name], visible[v] = true, true
		return nil
	}
	initial := make(map[*Value]bool)
	for _, v := range g.Initializers {
		if err := define(v); err != nil {
			return err
		}
		initial[v] = true
		if v.Init == nil {
			return fmt.Errorf("initializer %q has no data", v.Name)
		}
		if err := v.Init.Check(); err != nil {
			return fmt.Errorf("initializer %q %w", v.Name, err)
		}
	}
	for _, v := range g.Sparse {
		if err := define(v); err != nil {
			return err
		}
		initial[v] = true
		if err := v.Sparse.Check(); err != nil {
			return fmt.Errorf("sparse initializer %q %w", v.Name, err)
		}
	}
	for _, v := range g.Inputs {
		if initial[v] {
			initial[v] = false // one mention among the inputs is right
			continue
		}
		if err := define(v); err != nil {
			return err
		}
	}
	for i, n := range g.Nodes {
		if err := n.check(visible, define); err != nil {
			return fmt.Errorf("node %q (%s, number %d): %w", n.Name, n.OpType, i, err)
		}
	}
	for _, v := range g.Outputs {
		if v == nil || !visible[v] {
			return fmt.Errorf("graph %q: output %q is not produced by any node", g.Name, name(v))
		}
	}
	for _, v := range g.Infos {
		if v == nil {
			return fmt.Errorf("graph %q lists a nil value", g.Name)
		}
	}
	return nil
}

func (n *Node) check(visible map[*Value]bool, define func(*Value) error) error {
	if n.OpType == "" {
		return fmt.Errorf("has no operator")
	}
	for _, v := range n.Inputs {
		if v != nil && !visible[v] {
			return fmt.Errorf("input %q is not defined before it: it is no input or initializer of the graph, and the output of no earlier node", v.Name)
		}
	}
	for _, a := range n.Attrs {
		if err := a.check(visible); err != nil {
			return fmt.Errorf("attribute %q: %w", a.Name, err)
		}
	}
	for _, v := range n.Outputs {
		if v == nil {
			continue
		}
		if v.Producer != n {
			return fmt.Errorf("output %q has another producer", v.Name)
		}
		if err := define(v); err != nil {
			return err
		}
	}
	return nil
}

func (a *Attribute) check(visible map[*Value]bool) error {
	tensors, graphs, sparses := a.Tensors, a.Graphs, a.Sparses
	if a.T != nil {
		tensors = append([]*Tensor{a.T}, tensors...)
	}
	if a.G != nil {
		graphs = append([]*Graph{a.G}, graphs...)
	}
	if a.Sparse != nil {
		sparses = append([]*SparseTensor{a.Sparse}, sparses...)
	}
	for _, t := range tensors {
		if err := t.Check(); err != nil {
			return err
		}
	}
	for _, s := range sparses {
		if err := s.Check(); err != nil {
			return err
		}
	}
	for _, g := range graphs {
		if err := g.check(visible); err != nil {
			return err
		}
		g.own(func(v *Value) { delete(visible, v) })
	}
	return nil
}

// Check reports whether values, indices and dimensions agree.
func (s *SparseTensor) Check() error {
	if s == nil || s.Values == nil || s.Indices == nil {
		return fmt.Errorf("sparse tensor without values or indices")
	}
	for _, t := range []*Tensor{s.Values, s.Indices} {
		if err := t.Check(); err != nil {
			return err
		}
	}
	if countElements(s.Dims) < 0 {
		return fmt.Errorf("sparse tensor of shape %v: a dimension is negative, or they are too large", s.Dims)
	}
	n, rank := s.Values.Len(), int64(len(s.Dims))
	if got := s.Indices.Len(); s.Indices.DType != Int64 || got != n && got != n*rank {
		return fmt.Errorf("sparse tensor of shape %v with %d values: indices are %s, they must be int64 [%d] or [%d %d]",
			s.Dims, n, s.Indices.ShapeString(), n, n, rank)
	}
	return nil
}

func name(v *Value) string {
	if v == nil {
		return ""
	}
	return v.Name
}
