package graph

import "iter"

// Tensors visits every tensor of the model once: initializers, attributes of
// nodes, in subgraphs, functions and training graphs too.
func (m *Model) Tensors() iter.Seq[*Tensor] {
	return func(yield func(*Tensor) bool) {
		w := &tensorWalk{yield: yield}
		if m.Graph != nil {
			w.graph(m.Graph)
		}
		for _, f := range m.Functions {
			w.graph(f.Body)
			w.attributes(f.Defaults)
		}
		for _, t := range m.Training {
			for _, g := range []*Graph{t.Initialization, t.Algorithm} {
				if g != nil {
					w.graph(g)
				}
			}
		}
	}
}

// tensorWalk visits tensors until it is told to stop.
type tensorWalk struct {
	yield   func(*Tensor) bool
	stopped bool
}

func (w *tensorWalk) visit(t *Tensor) {
	if t != nil && !w.stopped {
		w.stopped = !w.yield(t)
	}
}

func (w *tensorWalk) sparse(s *SparseTensor) {
	if s != nil {
		w.visit(s.Values)
		w.visit(s.Indices)
	}
}

func (w *tensorWalk) graph(g *Graph) {
	for _, v := range g.Initializers {
		w.visit(v.Init)
	}
	for _, v := range g.Sparse {
		w.sparse(v.Sparse)
	}
	for _, n := range g.Nodes {
		w.attributes(n.Attrs)
	}
}

func (w *tensorWalk) attributes(attrs []*Attribute) {
	for _, a := range attrs {
		w.visit(a.T)
		w.sparse(a.Sparse)
		for _, t := range a.Tensors {
			w.visit(t)
		}
		for _, s := range a.Sparses {
			w.sparse(s)
		}
		if a.G != nil {
			w.graph(a.G)
		}
		for _, g := range a.Graphs {
			w.graph(g)
		}
	}
}
