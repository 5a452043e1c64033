package serde

import (
	"fmt"

	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/onnxpb"
)

func (d *decoder) readNodes(g *graph.Graph, ps []*onnxpb.Node, s *scope) error {
	g.Nodes = make([]*graph.Node, 0, len(ps))
	for i, p := range ps {
		n, err := d.readNode(p, s)
		if err != nil {
			return within(err, "%s", nodeLabel(p.GetName(), p.GetOpType(), i))
		}
		for _, v := range n.Outputs {
			if v == nil {
				continue
			}
			if err := s.define(v); err != nil {
				return within(err, "%s", nodeLabel(n.Name, n.OpType, i))
			}
		}
		g.Nodes = append(g.Nodes, n)
	}
	return nil
}

func nodeLabel(name, op string, index int) string {
	if name == "" {
		return fmt.Sprintf("node %d (%s)", index, op)
	}
	return fmt.Sprintf("node %q (%s)", name, op)
}

func (d *decoder) readNode(p *onnxpb.Node, s *scope) (*graph.Node, error) {
	n := &graph.Node{}
	w := &n.Wire
	n.Name = read(w, 3, p.Name)
	n.OpType = read(w, 4, p.OpType)
	n.DocString = read(w, 6, p.DocString)
	n.Domain = read(w, 7, p.Domain)
	n.Overload = read(w, 8, p.Overload)
	n.Metadata = each(p.MetadataProps, readProperty)
	n.Devices = each(p.DeviceConfigurations, readNodeDevice)
	readUnknown(w, p)
	if n.OpType == "" {
		return nil, broken("has no operator")
	}
	for _, name := range p.Input {
		v, err := readInput(name, s)
		if err != nil {
			return nil, err
		}
		n.Inputs = append(n.Inputs, v)
	}
	for _, name := range p.Output {
		var v *graph.Value
		if name != "" {
			v = &graph.Value{Name: name, Producer: n}
		}
		n.Outputs = append(n.Outputs, v)
	}
	var err error
	n.Attrs, err = d.readAttributes(p.Attribute, s)
	return n, err
}

func readInput(name string, s *scope) (*graph.Value, error) {
	if name == "" {
		return nil, nil
	}
	if v := s.find(name); v != nil {
		return v, nil
	}
	if i, ok := s.producedLater(name); ok {
		return nil, broken("input %q is produced only later, by node %d: nodes are not in topological order, or depend on each other in a circle", name, i)
	}
	return nil, broken("input %q is not defined: it is no graph input, no initializer, and no node produces it", name)
}

func writeNode(n *graph.Node) *onnxpb.Node {
	w := &n.Wire
	return withUnknown(w, &onnxpb.Node{
		Input:                each(n.Inputs, valueName),
		Output:               each(n.Outputs, valueName),
		Name:                 write(w, 3, n.Name),
		OpType:               write(w, 4, n.OpType),
		Attribute:            each(n.Attrs, writeAttribute),
		DocString:            write(w, 6, n.DocString),
		Domain:               write(w, 7, n.Domain),
		Overload:             write(w, 8, n.Overload),
		MetadataProps:        each(n.Metadata, writeProperty),
		DeviceConfigurations: each(n.Devices, writeNodeDevice),
	})
}

// valueName is empty for an optional value left out.
func valueName(v *graph.Value) string {
	if v == nil {
		return ""
	}
	return v.Name
}

func (d *decoder) readAttributes(ps []*onnxpb.Attribute, s *scope) ([]*graph.Attribute, error) {
	seen := make(map[string]bool, len(ps))
	return eachErr(ps, func(p *onnxpb.Attribute) (*graph.Attribute, error) {
		if seen[p.GetName()] {
			return nil, broken("attribute %q is there more than once", p.GetName())
		}
		seen[p.GetName()] = true
		a, err := d.readAttribute(p, s)
		return a, within(err, "attribute %q", p.GetName())
	})
}

func (d *decoder) readAttribute(p *onnxpb.Attribute, s *scope) (*graph.Attribute, error) {
	a := &graph.Attribute{}
	w := &a.Wire
	a.Name = read(w, 1, p.Name)
	a.Type = graph.AttrType(read(w, 20, p.Type))
	a.RefAttr = read(w, 21, p.RefAttrName)
	a.DocString = read(w, 13, p.DocString)
	a.F = readAs(w, 2, p.F, stated(a, graph.AttrFloat))
	a.I = readAs(w, 3, p.I, stated(a, graph.AttrInt))
	a.S = readBytes(w, 4, p.S, stated(a, graph.AttrString))
	a.Floats, a.Ints = p.Floats, p.Ints
	a.Strings = each(p.Strings, func(b []byte) string { return string(b) })
	if p.Tp != nil {
		a.TP = readType(p.Tp)
	}
	a.Types = each(p.TypeProtos, readType)
	readUnknown(w, p)

	subgraph := func(p *onnxpb.Graph) (*graph.Graph, error) {
		g, _, err := d.readGraph(p, s)
		return g, err
	}
	var err error
	if p.T != nil {
		if a.T, err = d.readTensor(p.T); err != nil {
			return nil, err
		}
	}
	if p.G != nil {
		if a.G, err = subgraph(p.G); err != nil {
			return nil, err
		}
	}
	if p.SparseTensor != nil {
		if a.Sparse, err = d.readSparse(p.SparseTensor); err != nil {
			return nil, err
		}
	}
	if a.Tensors, err = eachErr(p.Tensors, d.readTensor); err != nil {
		return nil, err
	}
	if a.Graphs, err = eachErr(p.Graphs, subgraph); err != nil {
		return nil, err
	}
	a.Sparses, err = eachErr(p.SparseTensors, d.readSparse)
	return a, err
}

func writeAttribute(a *graph.Attribute) *onnxpb.Attribute {
	w := &a.Wire
	p := &onnxpb.Attribute{
		Name:          write(w, 1, a.Name),
		F:             writeAs(w, 2, a.F, stated(a, graph.AttrFloat)),
		I:             writeAs(w, 3, a.I, stated(a, graph.AttrInt)),
		S:             writeBytes(w, 4, a.S, stated(a, graph.AttrString)),
		Floats:        a.Floats,
		Ints:          a.Ints,
		Strings:       each(a.Strings, func(s string) []byte { return []byte(s) }),
		Tensors:       each(a.Tensors, writeTensor),
		Graphs:        each(a.Graphs, writeGraph),
		DocString:     write(w, 13, a.DocString),
		Tp:            writeType(a.TP),
		TypeProtos:    each(a.Types, writeType),
		Type:          write(w, 20, int32(a.Type)),
		RefAttrName:   write(w, 21, a.RefAttr),
		SparseTensors: each(a.Sparses, writeSparse),
	}
	if a.T != nil {
		p.T = writeTensor(a.T)
	}
	if a.G != nil {
		p.G = writeGraph(a.G)
	}
	if a.Sparse != nil {
		p.SparseTensor = writeSparse(a.Sparse)
	}
	return withUnknown(w, p)
}

// stated reports whether an attribute's value of type t is to be written even
// when it is zero, as the specification wants.
func stated(a *graph.Attribute, t graph.AttrType) bool { return a.Type == t && a.RefAttr == "" }
