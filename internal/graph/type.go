package graph

import (
	"fmt"
	"strings"
)

// Type is the type of a value: for a tensor, its element type and shape.
// Shape is nil when even the rank is unknown; it is empty, not nil, for a
// scalar.
type Type struct {
	Elem  DType // of a tensor or sparse tensor; the key type of a map
	Shape []Dim

	Kind       TypeKind // TensorType unless said otherwise
	Of         *Type    // the element of a sequence or optional, the value of a map
	Opaque     OpaqueName
	Denotation string
	Wire
	Body      Wire // of the message within TypeProto: TypeProto.Tensor, .Sequence, …
	ShapeWire Wire // of the TensorShapeProto
}

// TypeKind says which kind of value a Type describes.
type TypeKind int

// The kinds of type of TypeProto.
const (
	TensorType TypeKind = iota
	SparseTensorType
	SequenceType
	MapType
	OptionalType
	OpaqueType
	NoType // a TypeProto that says nothing
)

// OpaqueName names an opaque type.
type OpaqueName struct{ Domain, Name string }

// Dim is one axis: a size, or a name for a size not known before run time
// ("batch"), or neither (Size -1, no name). Where there is a name, Size has no
// meaning.
type Dim struct {
	Size       int64 // -1 where not known
	Name       string
	Denotation string
	Wire
}

// FixedDims makes a shape of known sizes. It is never nil.
func FixedDims(sizes ...int64) []Dim {
	d := make([]Dim, len(sizes))
	for i, s := range sizes {
		d[i].Size = s
	}
	return d
}

// NamedDim is an axis whose size is known by name only.
func NamedDim(name string) Dim { return Dim{Size: -1, Name: name} }

// Known reports whether the axis has a size.
func (d Dim) Known() bool { return d.Name == "" && d.Size >= 0 }

// String is the size, the name, or "?".
func (d Dim) String() string {
	switch {
	case d.Name != "":
		return d.Name
	case d.Size >= 0:
		return fmt.Sprint(d.Size)
	}
	return "?"
}

// TensorOf is the type of a tensor.
func TensorOf(elem DType, shape ...Dim) *Type {
	return &Type{Elem: elem, Shape: append([]Dim{}, shape...)}
}

// String is like "float32[batch 128]"; "float32[…]" when the rank is unknown.
func (t *Type) String() string {
	if t == nil {
		return "unknown"
	}
	switch t.Kind {
	case SequenceType:
		return "sequence(" + t.Of.String() + ")"
	case OptionalType:
		return "optional(" + t.Of.String() + ")"
	case MapType:
		return "map(" + t.Elem.String() + ", " + t.Of.String() + ")"
	case OpaqueType:
		return "opaque(" + t.Opaque.Domain + "." + t.Opaque.Name + ")"
	case NoType:
		return "unknown"
	}
	s := t.Elem.String()
	if t.Kind == SparseTensorType {
		s = "sparse " + s
	}
	if t.Shape == nil {
		return s + "[…]"
	}
	dims := make([]string, len(t.Shape))
	for i, d := range t.Shape {
		dims[i] = d.String()
	}
	return s + "[" + strings.Join(dims, " ") + "]"
}

// clone copies t deeply.
func (t *Type) clone() *Type {
	if t == nil {
		return nil
	}
	c := *t
	if t.Shape != nil {
		c.Shape = append([]Dim{}, t.Shape...)
	}
	c.Of = t.Of.clone()
	return &c
}
