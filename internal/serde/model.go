package serde

import (
	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/onnxpb"
)

func (d *decoder) readModel(p *onnxpb.Model) (*graph.Model, error) {
	if p.Graph == nil {
		return nil, broken("is not an ONNX model, or is cut short: it has no graph")
	}
	m := &graph.Model{}
	w := &m.Wire
	m.IRVersion = read(w, 1, p.IrVersion)
	m.ProducerName = read(w, 2, p.ProducerName)
	m.ProducerVersion = read(w, 3, p.ProducerVersion)
	m.Domain = read(w, 4, p.Domain)
	m.ModelVersion = read(w, 5, p.ModelVersion)
	m.DocString = read(w, 6, p.DocString)
	m.Opsets = each(p.OpsetImport, readOpset)
	m.Metadata = each(p.MetadataProps, readProperty)
	m.Devices = each(p.Configuration, readDeviceConfig)
	readUnknown(w, p)
	if m.IRVersion >= 3 && len(m.Opsets) == 0 {
		return nil, broken("names no operator set (opset_import); it may be cut short")
	}
	g, outer, err := d.readGraph(p.Graph, nil)
	if err != nil {
		return nil, err
	}
	m.Graph = g
	for _, t := range p.TrainingInfo {
		info, err := d.readTrainingInfo(t, outer)
		if err != nil {
			return nil, within(err, "training_info")
		}
		m.Training = append(m.Training, info)
	}
	for _, f := range p.Functions {
		function, err := d.readFunction(f)
		if err != nil {
			return nil, within(err, "function %q", f.GetName())
		}
		m.Functions = append(m.Functions, function)
	}
	return m, nil
}

func writeModel(m *graph.Model) *onnxpb.Model {
	w := &m.Wire
	return withUnknown(w, &onnxpb.Model{
		IrVersion:       write(w, 1, m.IRVersion),
		ProducerName:    write(w, 2, m.ProducerName),
		ProducerVersion: write(w, 3, m.ProducerVersion),
		Domain:          write(w, 4, m.Domain),
		ModelVersion:    write(w, 5, m.ModelVersion),
		DocString:       write(w, 6, m.DocString),
		Graph:           writeGraph(m.Graph),
		OpsetImport:     each(m.Opsets, writeOpset),
		MetadataProps:   each(m.Metadata, writeProperty),
		TrainingInfo:    each(m.Training, writeTrainingInfo),
		Functions:       each(m.Functions, writeFunction),
		Configuration:   each(m.Devices, writeDeviceConfig),
	})
}

func readOpset(p *onnxpb.OperatorSetId) graph.Opset {
	var o graph.Opset
	o.Domain = read(&o.Wire, 1, p.Domain)
	o.Version = read(&o.Wire, 2, p.Version)
	readUnknown(&o.Wire, p)
	return o
}

func writeOpset(o graph.Opset) *onnxpb.OperatorSetId {
	return withUnknown(&o.Wire, &onnxpb.OperatorSetId{
		Domain:  write(&o.Wire, 1, o.Domain),
		Version: write(&o.Wire, 2, o.Version),
	})
}

func readProperty(p *onnxpb.Property) graph.Property {
	var r graph.Property
	r.Key = read(&r.Wire, 1, p.Key)
	r.Value = read(&r.Wire, 2, p.Value)
	readUnknown(&r.Wire, p)
	return r
}

func writeProperty(r graph.Property) *onnxpb.Property {
	return withUnknown(&r.Wire, &onnxpb.Property{
		Key:   write(&r.Wire, 1, r.Key),
		Value: write(&r.Wire, 2, r.Value),
	})
}

// readTrainingInfo reads graphs that may name initializers of the model's
// graph, its outer scope.
func (d *decoder) readTrainingInfo(p *onnxpb.TrainingInfo, outer *scope) (*graph.TrainingInfo, error) {
	t := &graph.TrainingInfo{}
	var err error
	if p.Initialization != nil {
		if t.Initialization, _, err = d.readGraph(p.Initialization, outer); err != nil {
			return nil, within(err, "initialization")
		}
	}
	if p.Algorithm != nil {
		if t.Algorithm, _, err = d.readGraph(p.Algorithm, outer); err != nil {
			return nil, within(err, "algorithm")
		}
	}
	t.InitializationBinding = each(p.InitializationBinding, readProperty)
	t.UpdateBinding = each(p.UpdateBinding, readProperty)
	readUnknown(&t.Wire, p)
	return t, nil
}

func writeTrainingInfo(t *graph.TrainingInfo) *onnxpb.TrainingInfo {
	p := &onnxpb.TrainingInfo{
		InitializationBinding: each(t.InitializationBinding, writeProperty),
		UpdateBinding:         each(t.UpdateBinding, writeProperty),
	}
	if t.Initialization != nil {
		p.Initialization = writeGraph(t.Initialization)
	}
	if t.Algorithm != nil {
		p.Algorithm = writeGraph(t.Algorithm)
	}
	return withUnknown(&t.Wire, p)
}
