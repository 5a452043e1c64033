package serde

import (
	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/onnxpb"
)

// readTensor takes the message's data over without copying it.
func (d *decoder) readTensor(p *onnxpb.Tensor) (*graph.Tensor, error) {
	t := &graph.Tensor{Dims: p.Dims}
	w := &t.Wire
	t.DType = graph.DType(read(w, 2, p.DataType))
	if p.Segment != nil {
		t.Segment = readSegment(p.Segment)
	}
	t.Name = read(w, 8, p.Name)
	t.DocString = read(w, 12, p.DocString)
	t.Location = graph.DataLocation(read(w, 14, p.DataLocation))
	t.Metadata = each(p.MetadataProps, readProperty)
	t.Storage = graph.Storage{
		Raw:      p.RawData,
		Floats:   p.FloatData,
		Int32s:   p.Int32Data,
		Strings:  each(p.StringData, func(b []byte) string { return string(b) }),
		Int64s:   p.Int64Data,
		Float64s: p.DoubleData,
		Uint64s:  p.Uint64Data,
	}
	readUnknown(w, p)
	if err := d.readExternal(t, p); err != nil {
		return nil, broken("%v", err)
	}
	if err := t.Check(); err != nil {
		return nil, broken("%v", err)
	}
	if t.Location == graph.InFile && t.Segment == nil && d.dir != "" {
		if err := t.Storage.External.Stat(t.ByteLen()); err != nil {
			return nil, broken("%v", err)
		}
	}
	return t, nil
}

func writeTensor(t *graph.Tensor) *onnxpb.Tensor {
	w, s := &t.Wire, &t.Storage
	p := &onnxpb.Tensor{
		Dims:          t.Dims,
		DataType:      write(w, 2, int32(t.DType)),
		FloatData:     s.Floats,
		Int32Data:     s.Int32s,
		StringData:    each(s.Strings, func(s string) []byte { return []byte(s) }),
		Int64Data:     s.Int64s,
		Name:          write(w, 8, t.Name),
		RawData:       s.Raw,
		DoubleData:    s.Float64s,
		Uint64Data:    s.Uint64s,
		DocString:     write(w, 12, t.DocString),
		DataLocation:  write(w, 14, int32(t.Location)),
		MetadataProps: each(t.Metadata, writeProperty),
	}
	if s.External != nil {
		p.ExternalData = each(s.External.Properties, writeProperty)
	}
	if t.Segment != nil {
		p.Segment = writeSegment(t.Segment)
	}
	return withUnknown(w, p)
}

func (d *decoder) readExternal(t *graph.Tensor, p *onnxpb.Tensor) error {
	if len(p.ExternalData) == 0 {
		return nil
	}
	properties := each(p.ExternalData, readProperty)
	e, err := graph.NewExternal(properties, d.dir)
	if err != nil && t.Location != graph.InFile {
		e, err = &graph.External{Properties: properties}, nil // not in use
	}
	t.Storage.External = e
	return err
}

func readSegment(p *onnxpb.Tensor_Segment) *graph.Segment {
	s := &graph.Segment{}
	s.Begin = read(&s.Wire, 1, p.Begin)
	s.End = read(&s.Wire, 2, p.End)
	readUnknown(&s.Wire, p)
	return s
}

func writeSegment(s *graph.Segment) *onnxpb.Tensor_Segment {
	return withUnknown(&s.Wire, &onnxpb.Tensor_Segment{
		Begin: write(&s.Wire, 1, s.Begin),
		End:   write(&s.Wire, 2, s.End),
	})
}

func (d *decoder) readSparse(p *onnxpb.SparseTensor) (*graph.SparseTensor, error) {
	s := &graph.SparseTensor{Dims: p.Dims}
	readUnknown(&s.Wire, p)
	if p.Values == nil || p.Indices == nil {
		return nil, broken("sparse tensor without values or indices")
	}
	var err error
	if s.Values, err = d.readTensor(p.Values); err != nil {
		return nil, within(err, "values")
	}
	if s.Indices, err = d.readTensor(p.Indices); err != nil {
		return nil, within(err, "indices")
	}
	if err := s.Check(); err != nil {
		return nil, broken("%v", err)
	}
	return s, nil
}

func writeSparse(s *graph.SparseTensor) *onnxpb.SparseTensor {
	return withUnknown(&s.Wire, &onnxpb.SparseTensor{
		Values:  writeTensor(s.Values),
		Indices: writeTensor(s.Indices),
		Dims:    s.Dims,
	})
}
