package serde

import (
	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/onnxpb"
)

// readFunction reads a function, whose body sees nothing outside of it.
func (d *decoder) readFunction(p *onnxpb.Function) (*graph.Function, error) {
	f := &graph.Function{Body: &graph.Graph{}}
	w := &f.Wire
	f.Name = read(w, 1, p.Name)
	f.DocString = read(w, 8, p.DocString)
	f.Domain = read(w, 10, p.Domain)
	f.Overload = read(w, 13, p.Overload)
	f.Attributes = p.Attribute
	f.Opsets = each(p.OpsetImport, readOpset)
	f.Metadata = each(p.MetadataProps, readProperty)
	readUnknown(w, p)

	s := newScope(p.Node, nil)
	var err error
	if f.Defaults, err = d.readAttributes(p.AttributeProto, s); err != nil {
		return nil, err
	}
	for _, name := range p.Input {
		v := &graph.Value{Name: name}
		if err := s.define(v); err != nil {
			return nil, within(err, "inputs")
		}
		f.Body.Inputs = append(f.Body.Inputs, v)
	}
	if err := d.readNodes(f.Body, p.Node, s); err != nil {
		return nil, err
	}
	for _, name := range p.Output {
		v := s.names[name]
		if v == nil {
			return nil, within(broken("no node produces it"), "output %q", name)
		}
		f.Body.Outputs = append(f.Body.Outputs, v)
	}
	infos := &infoReader{graph: f.Body, scope: s, first: make(map[*graph.Value]*onnxpb.ValueInfo)}
	return f, infos.readInfos(p.ValueInfo)
}

func writeFunction(f *graph.Function) *onnxpb.Function {
	w := &f.Wire
	return withUnknown(w, &onnxpb.Function{
		Name:           write(w, 1, f.Name),
		Input:          each(f.Body.Inputs, valueName),
		Output:         each(f.Body.Outputs, valueName),
		Attribute:      f.Attributes,
		Node:           each(f.Body.Nodes, writeNode),
		DocString:      write(w, 8, f.DocString),
		OpsetImport:    each(f.Opsets, writeOpset),
		Domain:         write(w, 10, f.Domain),
		AttributeProto: each(f.Defaults, writeAttribute),
		ValueInfo:      writeInfos(f.Body, graph.InInfos, f.Body.Infos),
		Overload:       write(w, 13, f.Overload),
		MetadataProps:  each(f.Metadata, writeProperty),
	})
}
