package graph

import (
	"fmt"
	"math"
	"strings"
)

// Tensor is constant data: an initializer, or the value of an attribute. Its
// data is immutable; see Set… for replacing it.
//
// At most one of the fields of Storage holds the data, the one that the file
// used, so that an untouched tensor is written back as it came. Raw, Float32s
// and Int64s read all of them alike.
type Tensor struct {
	Name      string // of an initializer: the value's name, which has precedence
	DType     DType
	Dims      []int64
	DocString string
	Metadata  []Property
	Storage   Storage
	Location  DataLocation
	Segment   *Segment
	Wire
}

// Storage is a tensor's data in one of the forms of TensorProto.
type Storage struct {
	Raw      []byte    // raw_data: little endian; not nil where the file has the field
	Floats   []float32 // float_data: float32, complex64 (real and imaginary part)
	Int32s   []int32   // int32_data: bool, integers up to 32 bits, bits of float16 and smaller
	Strings  []string  // string_data
	Int64s   []int64   // int64_data
	Float64s []float64 // double_data: float64, complex128 (real and imaginary part)
	Uint64s  []uint64  // uint64_data: uint32, uint64
	External *External // external_data; it holds the data when Location is InFile
}

// DataLocation says whether a tensor's data is in the model or in a file of
// its own (TensorProto.DataLocation).
type DataLocation int32

// The places for a tensor's data.
const (
	InModel DataLocation = 0
	InFile  DataLocation = 1
)

// Segment says which part of a larger tensor this one is. ONNX reserves it.
type Segment struct {
	Begin, End int64
	Wire
}

// SparseTensor is a constant given by its non-zero elements: Values [nnz] and
// their Indices, [nnz] into the flattened tensor or [nnz rank].
type SparseTensor struct {
	Values  *Tensor
	Indices *Tensor
	Dims    []int64
	Wire
}

// Len is the number of elements, 1 for a scalar; -1 if a dimension is negative
// or the number does not fit into 63 bits.
func (t *Tensor) Len() int64 { return countElements(t.Dims) }

func countElements(dims []int64) int64 {
	n, overflow := int64(1), false
	for _, d := range dims {
		switch {
		case d < 0:
			return -1
		case d == 0:
			n, overflow = 0, false
		case n > math.MaxInt64/d:
			overflow = true
		default:
			n *= d
		}
	}
	if n == 0 {
		return 0
	}
	if overflow {
		return -1
	}
	return n
}

// byteLen is the length of the tensor's raw data, -1 if it has none or it does
// not fit into 63 bits.
func (t *Tensor) byteLen() int64 {
	n, bits := t.Len(), t.DType.Bits()
	if n < 0 || bits == 0 {
		return -1
	}
	if bits < 8 {
		per := 8 / bits
		return n/per + min(n%per, 1)
	}
	if n > math.MaxInt64/(bits/8) {
		return -1
	}
	return n * (bits / 8)
}

// ByteLen is the length in bytes of the data as Raw would return it; 0 for
// strings and for tensors that Check refuses.
func (t *Tensor) ByteLen() int64 { return max(t.byteLen(), 0) }

// ShapeString is like "float32[2 3]".
func (t *Tensor) ShapeString() string {
	return t.DType.String() + strings.ReplaceAll(fmt.Sprint(t.Dims), ",", "")
}

// Check reports whether dimensions, element type and the amount of data agree.
// It does not read external data.
func (t *Tensor) Check() error {
	for _, d := range t.Dims {
		if d < 0 {
			return fmt.Errorf("shape %v has a negative dimension", t.Dims)
		}
	}
	if !t.DType.Valid() {
		return fmt.Errorf("has element type %d, which ONNX does not define", int32(t.DType))
	}
	n := t.Len()
	if n < 0 || t.DType != String && t.byteLen() < 0 {
		return fmt.Errorf("shape %v has more elements than fit into memory", t.Dims)
	}
	if t.Segment != nil {
		return nil // a part of a tensor: how large is not ours to say
	}
	have, err := t.storedAs()
	if err != nil {
		return err
	}
	switch have {
	case inExternal:
		if l := t.Storage.External.Length; l >= 0 && l != t.byteLen() {
			return fmt.Errorf("external data has %d bytes, shape %s needs %d", l, t.ShapeString(), t.byteLen())
		}
		return nil
	case inRaw:
		if t.DType == String && t.Len() == 0 {
			return nil
		}
		if int64(len(t.Storage.Raw)) != t.byteLen() {
			return fmt.Errorf("raw data has %d bytes, shape %s needs %d", len(t.Storage.Raw), t.ShapeString(), t.byteLen())
		}
		return nil
	}
	field, stored := t.typedField()
	if have != inNone && have != field {
		return fmt.Errorf("holds its %s data in %s, not in %s", t.DType, have, field)
	}
	if want := t.typedLen(); stored != want {
		if have == inNone {
			return fmt.Errorf("has no data, shape %s needs %d elements", t.ShapeString(), t.Len())
		}
		return fmt.Errorf("%s has %d elements, shape %s needs %d", field, stored, t.ShapeString(), want)
	}
	return nil
}

// The names that TensorProto has for the places of data.
const (
	inNone     = ""
	inRaw      = "raw_data"
	inFloat    = "float_data"
	inInt32    = "int32_data"
	inString   = "string_data"
	inInt64    = "int64_data"
	inDouble   = "double_data"
	inUint64   = "uint64_data"
	inExternal = "external_data"
)

// storedAs is the one field of Storage that holds the data.
func (t *Tensor) storedAs() (string, error) {
	s, have := &t.Storage, inNone
	for _, f := range []struct {
		name string
		used bool
	}{
		{inRaw, s.Raw != nil}, {inFloat, len(s.Floats) > 0}, {inInt32, len(s.Int32s) > 0},
		{inString, len(s.Strings) > 0}, {inInt64, len(s.Int64s) > 0}, {inDouble, len(s.Float64s) > 0},
		{inUint64, len(s.Uint64s) > 0}, {inExternal, t.Location == InFile},
	} {
		if !f.used {
			continue
		}
		if have != inNone && !(have == inRaw && len(s.Raw) == 0) {
			return "", fmt.Errorf("has data both in %s and in %s", have, f.name)
		}
		have = f.name
	}
	if have == inExternal && s.External == nil {
		return "", fmt.Errorf("says that its data is in a file and does not name the file")
	}
	if have == inRaw && len(s.Raw) > 0 && t.DType == String {
		return "", fmt.Errorf("holds strings in raw_data")
	}
	if have == inExternal && t.DType == String {
		return "", fmt.Errorf("holds strings in external data")
	}
	return have, nil
}

// typedField is the field in which a tensor of this type holds its elements
// when they are not in raw_data, and how many that field has.
func (t *Tensor) typedField() (string, int64) {
	s := &t.Storage
	switch t.DType {
	case Float32, Complex64:
		return inFloat, int64(len(s.Floats))
	case Float64, Complex128:
		return inDouble, int64(len(s.Float64s))
	case Int64:
		return inInt64, int64(len(s.Int64s))
	case Uint32, Uint64:
		return inUint64, int64(len(s.Uint64s))
	case String:
		return inString, int64(len(s.Strings))
	}
	return inInt32, int64(len(s.Int32s))
}

// typedLen is how many entries that field must have.
func (t *Tensor) typedLen() int64 {
	switch t.DType {
	case Complex64, Complex128:
		return 2 * t.Len()
	case Uint4, Int4, Float4E2M1, Uint2, Int2:
		return t.byteLen()
	}
	return t.Len()
}

// Clone copies the tensor's description; the data, which is immutable, is
// shared.
func (t *Tensor) Clone() *Tensor {
	if t == nil {
		return nil
	}
	c := *t
	c.Dims = append([]int64(nil), t.Dims...)
	c.Metadata = append([]Property(nil), t.Metadata...)
	return &c
}

func (s *SparseTensor) clone() *SparseTensor {
	if s == nil {
		return nil
	}
	c := *s
	c.Values, c.Indices = s.Values.Clone(), s.Indices.Clone()
	return &c
}
