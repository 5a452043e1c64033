package serde

import (
	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/onnxpb"
)

func readType(p *onnxpb.Type) *graph.Type {
	t := &graph.Type{}
	t.Denotation = read(&t.Wire, 6, p.Denotation)
	readUnknown(&t.Wire, p)
	w := &t.Body
	element := func(p *onnxpb.Type) *graph.Type {
		if p == nil {
			return nil
		}
		return readType(p)
	}
	switch v := p.Value.(type) {
	case *onnxpb.Type_TensorType_:
		t.Kind = graph.TensorType
		readTensorType(t, v.TensorType)
	case *onnxpb.Type_SparseTensorType:
		t.Kind = graph.SparseTensorType
		readTensorType(t, v.SparseTensorType)
	case *onnxpb.Type_SequenceType:
		t.Kind = graph.SequenceType
		t.Of = element(v.SequenceType.ElemType)
		readUnknown(w, v.SequenceType)
	case *onnxpb.Type_OptionalType:
		t.Kind = graph.OptionalType
		t.Of = element(v.OptionalType.ElemType)
		readUnknown(w, v.OptionalType)
	case *onnxpb.Type_MapType:
		t.Kind = graph.MapType
		t.Elem = graph.DType(read(w, 1, v.MapType.KeyType))
		t.Of = element(v.MapType.ValueType)
		readUnknown(w, v.MapType)
	case *onnxpb.Type_OpaqueType:
		t.Kind = graph.OpaqueType
		t.Opaque.Domain = read(w, 1, v.OpaqueType.Domain)
		t.Opaque.Name = read(w, 2, v.OpaqueType.Name)
		readUnknown(w, v.OpaqueType)
	default:
		t.Kind = graph.NoType
	}
	return t
}

func writeType(t *graph.Type) *onnxpb.Type {
	if t == nil {
		return nil
	}
	p := &onnxpb.Type{Denotation: write(&t.Wire, 6, t.Denotation)}
	w := &t.Body
	switch t.Kind {
	case graph.TensorType:
		p.Value = &onnxpb.Type_TensorType_{TensorType: writeTensorType(t)}
	case graph.SparseTensorType:
		p.Value = &onnxpb.Type_SparseTensorType{SparseTensorType: writeTensorType(t)}
	case graph.SequenceType:
		p.Value = &onnxpb.Type_SequenceType{SequenceType: withUnknown(w, &onnxpb.Type_Sequence{ElemType: writeType(t.Of)})}
	case graph.OptionalType:
		p.Value = &onnxpb.Type_OptionalType{OptionalType: withUnknown(w, &onnxpb.Type_Optional{ElemType: writeType(t.Of)})}
	case graph.MapType:
		p.Value = &onnxpb.Type_MapType{MapType: withUnknown(w, &onnxpb.Type_Map{
			KeyType: write(w, 1, int32(t.Elem)), ValueType: writeType(t.Of),
		})}
	case graph.OpaqueType:
		p.Value = &onnxpb.Type_OpaqueType{OpaqueType: withUnknown(w, &onnxpb.Type_Opaque{
			Domain: write(w, 1, t.Opaque.Domain), Name: write(w, 2, t.Opaque.Name),
		})}
	}
	return withUnknown(&t.Wire, p)
}

func readTensorType(t *graph.Type, p *onnxpb.Type_TensorType) {
	t.Elem = graph.DType(read(&t.Body, 1, p.ElemType))
	readUnknown(&t.Body, p)
	if p.Shape != nil {
		t.Shape = make([]graph.Dim, len(p.Shape.Dim))
		for i, d := range p.Shape.Dim {
			t.Shape[i] = readDim(d)
		}
		readUnknown(&t.ShapeWire, p.Shape)
	}
}

func writeTensorType(t *graph.Type) *onnxpb.Type_TensorType {
	p := &onnxpb.Type_TensorType{ElemType: write(&t.Body, 1, int32(t.Elem))}
	if t.Shape != nil {
		p.Shape = withUnknown(&t.ShapeWire, &onnxpb.TensorShape{Dim: each(t.Shape, writeDim)})
	}
	return withUnknown(&t.Body, p)
}

// Fields of Dimension, of which a dimension has at most one.
const (
	dimValue = 1
	dimParam = 2
)

// readDim keeps a negative size, which some exporters write for "not known".
func readDim(p *onnxpb.TensorShape_Dimension) graph.Dim {
	d := graph.Dim{Size: -1}
	d.Denotation = read(&d.Wire, 3, p.Denotation)
	switch v := p.Value.(type) {
	case *onnxpb.TensorShape_Dimension_DimValue:
		readDimValue(&d, v.DimValue)
	case *onnxpb.TensorShape_Dimension_DimParam:
		readDimParam(&d, v.DimParam)
	}
	readUnknown(&d.Wire, p)
	return d
}

func writeDim(d graph.Dim) *onnxpb.TensorShape_Dimension {
	p := &onnxpb.TensorShape_Dimension{Denotation: write(&d.Wire, 3, d.Denotation)}
	switch dimField(d) {
	case dimValue:
		p.Value = &onnxpb.TensorShape_Dimension_DimValue{DimValue: d.Size}
	case dimParam:
		p.Value = &onnxpb.TensorShape_Dimension_DimParam{DimParam: d.Name}
	}
	return withUnknown(&d.Wire, p)
}

func readDimValue(d *graph.Dim, size int64) {
	d.Size = size
	if size < 0 {
		d.Wire.Zero |= 1 << dimValue
	}
}

func readDimParam(d *graph.Dim, name string) {
	d.Name = name
	if name == "" {
		d.Wire.Zero |= 1 << dimParam
	}
}

// dimField is the field that says what d says, 0 for none.
func dimField(d graph.Dim) int {
	switch {
	case d.Name != "":
		return dimParam
	case d.Size >= 0 || d.Wire.Zero>>dimValue&1 == 1:
		return dimValue
	case d.Wire.Zero>>dimParam&1 == 1:
		return dimParam
	}
	return 0
}
