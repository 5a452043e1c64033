package graph

import (
	"encoding/binary"
	"fmt"
	"math"
	"unsafe"

	"golang.org/x/sys/cpu"
)

// NewFloat32 makes a float32 tensor, stored as raw data; data is copied. If it
// has not as many elements as dims say, Check reports it, and so does all that
// reads the tensor or writes it to a file.
func NewFloat32(name string, dims []int64, data []float32) *Tensor {
	return &Tensor{Name: name, DType: Float32, Dims: append([]int64{}, dims...), Storage: Storage{Raw: packFloat32(data)}}
}

// NewInt64 makes an int64 tensor, stored as raw data; data is copied. See
// NewFloat32 for a wrong number of elements.
func NewInt64(name string, dims []int64, data []int64) *Tensor {
	raw := make([]byte, 8*len(data))
	for i, v := range data {
		binary.LittleEndian.PutUint64(raw[8*i:], uint64(v))
	}
	return &Tensor{Name: name, DType: Int64, Dims: append([]int64{}, dims...), Storage: Storage{Raw: raw}}
}

// NewRaw makes a tensor of any type but String from little-endian bytes, which
// it keeps.
func NewRaw(name string, d DType, dims []int64, raw []byte) (*Tensor, error) {
	if raw == nil {
		raw = []byte{}
	}
	t := &Tensor{Name: name, DType: d, Dims: append([]int64{}, dims...), Storage: Storage{Raw: raw}}
	if err := t.Check(); err != nil {
		return nil, fmt.Errorf("tensor %q: %w", name, err)
	}
	return t, nil
}

// Raw is the tensor's data as little-endian bytes, as raw_data has it, reading
// external data where the tensor has that. The result must not be written to.
func (t *Tensor) Raw() ([]byte, error) {
	if err := t.Check(); err != nil {
		return nil, t.wrap(err)
	}
	s := &t.Storage
	switch {
	case t.Segment != nil:
		return nil, t.wrap(fmt.Errorf("is a segment of a larger tensor, which ftk does not read"))
	case t.DType == String:
		return nil, t.wrap(fmt.Errorf("strings have no raw form"))
	case t.Location == InFile:
		b, err := s.External.Bytes(t.byteLen())
		return b, t.wrap(err)
	case len(s.Raw) > 0:
		return s.Raw, nil
	}
	return t.packTyped(), nil
}

// packTyped encodes the typed fields as raw_data would have them.
func (t *Tensor) packTyped() []byte {
	s, le := &t.Storage, binary.LittleEndian
	b := make([]byte, t.byteLen())
	switch t.DType {
	case Float32, Complex64:
		return packFloat32(s.Floats)
	case Float64, Complex128:
		for i, v := range s.Float64s {
			le.PutUint64(b[8*i:], math.Float64bits(v))
		}
	case Int64:
		for i, v := range s.Int64s {
			le.PutUint64(b[8*i:], uint64(v))
		}
	case Uint64:
		for i, v := range s.Uint64s {
			le.PutUint64(b[8*i:], v)
		}
	case Uint32:
		for i, v := range s.Uint64s {
			le.PutUint32(b[4*i:], uint32(v))
		}
	case Int32:
		for i, v := range s.Int32s {
			le.PutUint32(b[4*i:], uint32(v))
		}
	case Int16, Uint16, Float16, BFloat16:
		for i, v := range s.Int32s {
			le.PutUint16(b[2*i:], uint16(v))
		}
	default: // 8 bits and fewer: one byte an entry
		for i, v := range s.Int32s {
			b[i] = byte(v)
		}
	}
	return b
}

// Float32View is Float32s without a copy where the data lies in memory as
// float32: then it is the tensor's own and must not be written to.
func (t *Tensor) Float32View() ([]float32, error) {
	if raw := t.Storage.Raw; t.DType == Float32 && t.Location == InModel && !cpu.IsBigEndian && t.Segment == nil && t.Check() == nil &&
		len(raw) > 0 && uintptr(unsafe.Pointer(&raw[0]))%4 == 0 {
		return unsafe.Slice((*float32)(unsafe.Pointer(&raw[0])), len(raw)/4), nil
	}
	return t.Float32s()
}

// Float32s is the tensor's data as float32, converted from float16, bfloat16
// or float64 where needed. The result is the caller's own.
func (t *Tensor) Float32s() ([]float32, error) {
	if !t.DType.IsFloat() {
		return nil, t.wrap(fmt.Errorf("has %s elements, not floating point", t.DType))
	}
	if t.DType == Float32 && len(t.Storage.Floats) > 0 && t.Segment == nil && t.Check() == nil {
		return append([]float32(nil), t.Storage.Floats...), nil
	}
	b, err := t.Raw()
	if err != nil {
		return nil, err
	}
	v, le := make([]float32, t.Len()), binary.LittleEndian
	switch t.DType {
	case Float32:
		unpackFloat32(v, b)
	case Float64:
		for i := range v {
			v[i] = float32(math.Float64frombits(le.Uint64(b[8*i:])))
		}
	case Float16:
		for i := range v {
			v[i] = halfToFloat32(le.Uint16(b[2*i:]))
		}
	case BFloat16:
		for i := range v {
			v[i] = math.Float32frombits(uint32(le.Uint16(b[2*i:])) << 16)
		}
	}
	return v, nil
}

// Int64s is the tensor's data as int64, converted from any integer type or
// bool. The result is the caller's own.
func (t *Tensor) Int64s() ([]int64, error) {
	if !t.DType.IsInt() && t.DType != Bool {
		return nil, t.wrap(fmt.Errorf("has %s elements, not integers", t.DType))
	}
	b, err := t.Raw()
	if err != nil {
		return nil, err
	}
	v, le := make([]int64, t.Len()), binary.LittleEndian
	for i := range v {
		switch t.DType {
		case Int64, Uint64:
			v[i] = int64(le.Uint64(b[8*i:]))
		case Int32:
			v[i] = int64(int32(le.Uint32(b[4*i:])))
		case Uint32:
			v[i] = int64(le.Uint32(b[4*i:]))
		case Int16:
			v[i] = int64(int16(le.Uint16(b[2*i:])))
		case Uint16:
			v[i] = int64(le.Uint16(b[2*i:]))
		case Int8:
			v[i] = int64(int8(b[i]))
		default: // Uint8, Bool
			v[i] = int64(b[i])
		}
	}
	return v, nil
}

// Strings is the data of a string tensor. It must not be written to.
func (t *Tensor) Strings() ([]string, error) {
	if t.DType != String {
		return nil, t.wrap(fmt.Errorf("has %s elements, not strings", t.DType))
	}
	if err := t.Check(); err != nil {
		return nil, t.wrap(err)
	}
	return t.Storage.Strings, nil
}

// SetFloat32s puts new data in place of the tensor's, converting to its
// element type (float32, float16, bfloat16, float64; to nearest even). The
// shape stays. Data that was in float_data stays there; all other, external
// data included, goes to raw data. v is copied.
func (t *Tensor) SetFloat32s(v []float32) error {
	if !t.DType.IsFloat() {
		return t.wrap(fmt.Errorf("has %s elements, not floating point", t.DType))
	}
	if int64(len(v)) != t.Len() {
		return t.wrap(fmt.Errorf("%d new elements, shape %s needs %d", len(v), t.ShapeString(), t.Len()))
	}
	if t.DType == Float32 && len(t.Storage.Floats) > 0 {
		t.Storage = Storage{Floats: append([]float32(nil), v...)}
		return nil
	}
	var b []byte
	le := binary.LittleEndian
	switch t.DType {
	case Float32:
		b = packFloat32(v)
	case Float64:
		b = make([]byte, 8*len(v))
		for i, x := range v {
			le.PutUint64(b[8*i:], math.Float64bits(float64(x)))
		}
	case Float16:
		b = make([]byte, 2*len(v))
		for i, x := range v {
			le.PutUint16(b[2*i:], float32ToHalf(x))
		}
	case BFloat16:
		b = make([]byte, 2*len(v))
		for i, x := range v {
			le.PutUint16(b[2*i:], float32ToBFloat16(x))
		}
	}
	t.Storage, t.Location = Storage{Raw: b}, InModel
	return nil
}

func (t *Tensor) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("tensor %q: %w", t.Name, err)
}

func packFloat32(v []float32) []byte {
	b := make([]byte, 4*len(v))
	for i, x := range v {
		binary.LittleEndian.PutUint32(b[4*i:], math.Float32bits(x))
	}
	return b
}

func unpackFloat32(dst []float32, b []byte) {
	for i := range dst {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
}
