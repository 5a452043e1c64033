package serde

import (
	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/onnxpb"
	"google.golang.org/protobuf/proto"
)

// scope holds the values that nodes of a graph can name at the point that
// reading has come to.
type scope struct {
	names map[string]*graph.Value
	outer *scope         // of the enclosing graph, nil at the top
	later map[string]int // what nodes of this graph produce: node index by name
}

func newScope(nodes []*onnxpb.Node, outer *scope) *scope {
	s := &scope{names: make(map[string]*graph.Value), outer: outer, later: make(map[string]int)}
	for i, n := range nodes {
		for _, name := range n.Output {
			s.later[name] = i
		}
	}
	return s
}

// define makes a value known, once.
func (s *scope) define(v *graph.Value) error {
	if s.names[v.Name] != nil {
		return broken("%q is defined more than once", v.Name)
	}
	s.names[v.Name] = v
	return nil
}

// find looks a name up in the graph and then in those around it.
func (s *scope) find(name string) *graph.Value {
	for ; s != nil; s = s.outer {
		if v := s.names[name]; v != nil {
			return v
		}
	}
	return nil
}

// producedLater is the index of a node of this graph, or of one around it,
// that produces the name.
func (s *scope) producedLater(name string) (index int, ok bool) {
	for ; s != nil; s = s.outer {
		if i, ok := s.later[name]; ok {
			return i, true
		}
	}
	return 0, false
}

func (d *decoder) readGraph(p *onnxpb.Graph, outer *scope) (*graph.Graph, *scope, error) {
	g := &graph.Graph{}
	w := &g.Wire
	g.Name = read(w, 2, p.Name)
	g.DocString = read(w, 10, p.DocString)
	g.Metadata = each(p.MetadataProps, readProperty)
	g.Quantization = each(p.QuantizationAnnotation, readAnnotation)
	readUnknown(w, p)

	s := newScope(p.Node, outer)
	if err := d.readInitializers(g, p, s); err != nil {
		return nil, nil, err
	}
	infos := &infoReader{graph: g, scope: s, first: make(map[*graph.Value]*onnxpb.ValueInfo)}
	if err := infos.readInputs(p.Input); err != nil {
		return nil, nil, err
	}
	if err := d.readNodes(g, p.Node, s); err != nil {
		return nil, nil, err
	}
	if err := infos.readOutputs(p.Output); err != nil {
		return nil, nil, err
	}
	if err := infos.readInfos(p.ValueInfo); err != nil {
		return nil, nil, err
	}
	return g, s, nil
}

func writeGraph(g *graph.Graph) *onnxpb.Graph {
	w := &g.Wire
	return withUnknown(w, &onnxpb.Graph{
		Node:                   each(g.Nodes, writeNode),
		Name:                   write(w, 2, g.Name),
		Initializer:            each(g.Initializers, writeInitializer),
		DocString:              write(w, 10, g.DocString),
		Input:                  writeInfos(g, graph.InInputs, g.Inputs),
		Output:                 writeInfos(g, graph.InOutputs, g.Outputs),
		ValueInfo:              writeInfos(g, graph.InInfos, g.Infos),
		QuantizationAnnotation: each(g.Quantization, writeAnnotation),
		SparseInitializer:      each(g.Sparse, writeSparseInitializer),
		MetadataProps:          each(g.Metadata, writeProperty),
	})
}

func (d *decoder) readInitializers(g *graph.Graph, p *onnxpb.Graph, s *scope) error {
	for i, t := range p.Initializer {
		tensor, err := d.readTensor(t)
		if err != nil {
			return within(err, "initializer %q", t.GetName())
		}
		if tensor.Name == "" {
			return broken("initializer %d has no name", i)
		}
		v := &graph.Value{Name: tensor.Name, Init: tensor}
		if err := s.define(v); err != nil {
			return within(err, "initializers")
		}
		g.Initializers = append(g.Initializers, v)
	}
	for i, t := range p.SparseInitializer {
		tensor, err := d.readSparse(t)
		if err != nil {
			return within(err, "sparse initializer %q", t.GetValues().GetName())
		}
		if t.GetValues().GetName() == "" {
			return broken("sparse initializer %d has no name", i)
		}
		v := &graph.Value{Name: tensor.Values.Name, Sparse: tensor}
		if err := s.define(v); err != nil {
			return within(err, "sparse initializers")
		}
		g.Sparse = append(g.Sparse, v)
	}
	return nil
}

func writeInitializer(v *graph.Value) *onnxpb.Tensor {
	p := writeTensor(v.Init)
	p.Name = &v.Name
	return p
}

func writeSparseInitializer(v *graph.Value) *onnxpb.SparseTensor {
	p := writeSparse(v.Sparse)
	p.Values.Name = &v.Name
	return p
}

func readAnnotation(p *onnxpb.TensorAnnotation) graph.Annotation {
	var a graph.Annotation
	a.Tensor = read(&a.Wire, 1, p.TensorName)
	a.Parameters = each(p.QuantParameterTensorNames, readProperty)
	readUnknown(&a.Wire, p)
	return a
}

func writeAnnotation(a graph.Annotation) *onnxpb.TensorAnnotation {
	return withUnknown(&a.Wire, &onnxpb.TensorAnnotation{
		TensorName:                write(&a.Wire, 1, a.Tensor),
		QuantParameterTensorNames: each(a.Parameters, writeProperty),
	})
}

// infoReader reads the lists in which a graph describes values. What the first
// mention of a value says is kept in the value; what a later one says
// differently, and what a body says of a value that it captures, in
// graph.Graph.Restated.
type infoReader struct {
	graph *graph.Graph
	scope *scope
	first map[*graph.Value]*onnxpb.ValueInfo
}

func (r *infoReader) readInputs(ps []*onnxpb.ValueInfo) error {
	for i, p := range ps {
		name := p.GetName()
		if name == "" {
			return broken("graph input %d has no name", i)
		}
		v := r.scope.names[name]
		if v == nil {
			v = &graph.Value{Name: name}
			if err := r.scope.define(v); err != nil {
				return err
			}
		} else if v.Init == nil && v.Sparse == nil || r.first[v] != nil {
			return within(broken("%q is defined more than once", name), "graph inputs")
		}
		r.graph.Inputs = append(r.graph.Inputs, v)
		r.describe(graph.InInputs, v, 0, p)
	}
	return nil
}

func (r *infoReader) readOutputs(ps []*onnxpb.ValueInfo) error {
	seen := make(map[*graph.Value]int)
	for i, p := range ps {
		name := p.GetName()
		if name == "" {
			return broken("graph output %d has no name", i)
		}
		v := r.scope.find(name)
		if v == nil {
			return within(broken("no node produces it"), "graph output %q", name)
		}
		r.graph.Outputs = append(r.graph.Outputs, v)
		r.describe(graph.InOutputs, v, seen[v], p)
		seen[v]++
	}
	return nil
}

// readInfos reads value_info, in which names may stand that the graph does not
// have: optimisers forget to remove them.
func (r *infoReader) readInfos(ps []*onnxpb.ValueInfo) error {
	stale := make(map[string]*graph.Value)
	seen := make(map[*graph.Value]int)
	for _, p := range ps {
		name := p.GetName()
		v := r.scope.names[name]
		if v == nil {
			v = stale[name]
		}
		if v == nil {
			v = &graph.Value{Name: name}
			stale[name] = v
		}
		r.graph.Infos = append(r.graph.Infos, v)
		r.describe(graph.InInfos, v, seen[v], p)
		seen[v]++
	}
	return nil
}

func (r *infoReader) describe(list graph.MentionList, v *graph.Value, nth int, p *onnxpb.ValueInfo) {
	first, captured := r.first[v], r.scope.names[v.Name] != v && list == graph.InOutputs
	switch {
	case captured:
	case first == nil:
		r.first[v] = p
		readInfo(v, p)
		return
	case proto.Equal(first, p):
		return
	}
	if r.graph.Restated == nil {
		r.graph.Restated = make(map[graph.Mention]*graph.Value)
	}
	restated := &graph.Value{}
	readInfo(restated, p)
	r.graph.Restated[graph.Mention{List: list, Value: v, Nth: nth}] = restated
}

func writeInfos(g *graph.Graph, list graph.MentionList, vs []*graph.Value) []*onnxpb.ValueInfo {
	seen := make(map[*graph.Value]int)
	return each(vs, func(v *graph.Value) *onnxpb.ValueInfo {
		says := v
		if r := g.Restated[graph.Mention{List: list, Value: v, Nth: seen[v]}]; r != nil {
			says = r
		}
		seen[v]++
		p := writeInfo(says)
		p.Name = write(&says.Wire, 1, v.Name)
		return p
	})
}

func readInfo(v *graph.Value, p *onnxpb.ValueInfo) {
	w := &v.Wire
	v.Name = read(w, 1, p.Name)
	if p.Type != nil {
		v.Type = readType(p.Type)
	}
	v.DocString = read(w, 3, p.DocString)
	v.Metadata = each(p.MetadataProps, readProperty)
	readUnknown(w, p)
}

func writeInfo(v *graph.Value) *onnxpb.ValueInfo {
	w := &v.Wire
	return withUnknown(w, &onnxpb.ValueInfo{
		Name:          write(w, 1, v.Name),
		Type:          writeType(v.Type),
		DocString:     write(w, 3, v.DocString),
		MetadataProps: each(v.Metadata, writeProperty),
	})
}
