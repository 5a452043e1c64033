package ort

import (
	"fmt"
	"runtime"
	"unsafe"

	yort "github.com/yalue/onnxruntime_go"
)

// DType is an element type, by its number in the ONNX specification
// (TensorProto.DataType), which onnxruntime uses as well. 0 is unknown.
type DType int32

// The element types that an Array can hold.
const (
	Float32  DType = 1
	Uint8    DType = 2
	Int8     DType = 3
	Uint16   DType = 4
	Int16    DType = 5
	Int32    DType = 6
	Int64    DType = 7
	String   DType = 8
	Bool     DType = 9
	Float16  DType = 10
	Float64  DType = 11
	Uint32   DType = 12
	Uint64   DType = 13
	BFloat16 DType = 16
)

var dtypeNames = map[DType]string{
	0: "unknown", Float32: "float32", Uint8: "uint8", Int8: "int8", Uint16: "uint16", Int16: "int16",
	Int32: "int32", Int64: "int64", String: "string", Bool: "bool", Float16: "float16", Float64: "float64",
	Uint32: "uint32", Uint64: "uint64", BFloat16: "bfloat16",
}

func (d DType) String() string {
	if name, ok := dtypeNames[d]; ok {
		return name
	}
	return fmt.Sprintf("data type %d", int32(d))
}

// Array is a dense tensor in row-major order. Exactly one of the slices is
// set, and has as many elements as Shape says; a rank-0 array has one.
type Array struct {
	Shape []int64
	F32   []float32
	F64   []float64
	I64   []int64
	I32   []int32
	I16   []int16
	I8    []int8
	U64   []uint64
	U32   []uint32
	U16   []uint16
	U8    []uint8
	Bool  []bool
	Str   []string
	F16   []uint16 // IEEE 754 binary16, as bits
	BF16  []uint16 // bfloat16, as bits
}

// DType returns the element type: that of the slice that is set, 0 if none is.
func (a Array) DType() DType {
	dtype, _ := a.held()
	return dtype
}

// held returns the element type and number of elements of the slice set.
func (a Array) held() (DType, int) {
	switch {
	case a.F32 != nil:
		return Float32, len(a.F32)
	case a.F64 != nil:
		return Float64, len(a.F64)
	case a.I64 != nil:
		return Int64, len(a.I64)
	case a.I32 != nil:
		return Int32, len(a.I32)
	case a.I16 != nil:
		return Int16, len(a.I16)
	case a.I8 != nil:
		return Int8, len(a.I8)
	case a.U64 != nil:
		return Uint64, len(a.U64)
	case a.U32 != nil:
		return Uint32, len(a.U32)
	case a.U16 != nil:
		return Uint16, len(a.U16)
	case a.U8 != nil:
		return Uint8, len(a.U8)
	case a.Bool != nil:
		return Bool, len(a.Bool)
	case a.Str != nil:
		return String, len(a.Str)
	case a.F16 != nil:
		return Float16, len(a.F16)
	case a.BF16 != nil:
		return BFloat16, len(a.BF16)
	}
	return 0, 0
}

// check tells whether the array is whole: one slice, as long as Shape says.
func (a Array) check() error {
	dtype, n := a.held()
	if dtype == 0 {
		return fmt.Errorf("the array has no data")
	}
	want, err := elements(a.Shape)
	if err != nil {
		return err
	}
	if n != want {
		return fmt.Errorf("shape %v has %d elements, the data %d", a.Shape, want, n)
	}
	return nil
}

// elements returns the number of elements of a shape.
func elements(shape []int64) (int, error) {
	n := int64(1)
	for _, d := range shape {
		if d < 0 {
			return 0, fmt.Errorf("shape %v has a negative dimension", shape)
		}
		if d > 0 && n > (1<<48)/d {
			return 0, fmt.Errorf("shape %v is too large", shape)
		}
		n *= d
	}
	return int(n), nil
}

// value makes an onnxruntime value that shares the array's memory, pinned by
// pin until the caller unpins it. Strings are copied.
func (a Array) value(pin *runtime.Pinner) (yort.Value, error) {
	switch dtype, _ := a.held(); dtype {
	case Float32:
		return share(a.Shape, a.F32, pin)
	case Float64:
		return share(a.Shape, a.F64, pin)
	case Int64:
		return share(a.Shape, a.I64, pin)
	case Int32:
		return share(a.Shape, a.I32, pin)
	case Int16:
		return share(a.Shape, a.I16, pin)
	case Int8:
		return share(a.Shape, a.I8, pin)
	case Uint64:
		return share(a.Shape, a.U64, pin)
	case Uint32:
		return share(a.Shape, a.U32, pin)
	case Uint16:
		return share(a.Shape, a.U16, pin)
	case Uint8:
		return share(a.Shape, a.U8, pin)
	case Bool:
		return share(a.Shape, a.Bool, pin)
	case String:
		return stringValue(a.Shape, a.Str)
	case Float16:
		return shareBits(a.Shape, a.F16, yort.TensorElementDataTypeFloat16, pin)
	case BFloat16:
		return shareBits(a.Shape, a.BF16, yort.TensorElementDataTypeBFloat16, pin)
	default:
		return nil, fmt.Errorf("the array has no data")
	}
}

func share[T yort.TensorData](shape []int64, data []T, pin *runtime.Pinner) (yort.Value, error) {
	if len(shape) == 0 {
		return yort.NewScalar(data[0])
	}
	if len(data) == 0 {
		data = make([]T, 1)[:0] // a pointer that is not nil
	}
	pin.Pin(unsafe.SliceData(data))
	return yort.NewTensor(yort.Shape(shape), data)
}

func stringValue(shape []int64, data []string) (yort.Value, error) {
	if len(shape) == 0 {
		return nil, fmt.Errorf("a string of rank 0 is not supported; give it the shape [1]")
	}
	tensor, err := yort.NewStringTensor(yort.Shape(shape))
	if err != nil {
		return nil, err
	}
	if err := tensor.SetContents(data); err != nil {
		_ = tensor.Destroy()
		return nil, err
	}
	return tensor, nil
}

func shareBits(shape []int64, data []uint16, dtype yort.TensorElementDataType, pin *runtime.Pinner) (yort.Value, error) {
	if len(shape) == 0 || len(data) == 0 {
		return nil, fmt.Errorf("a 16-bit float array of shape %v is not supported: it must have a dimension and an element", shape)
	}
	pin.Pin(unsafe.SliceData(data))
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(data))), 2*len(data))
	return yort.NewCustomDataTensor(yort.Shape(shape), bytes, dtype)
}

// arrayOf takes the contents of an onnxruntime value that owns Go memory; the
// memory stays valid when the value is destroyed.
func arrayOf(v yort.Value) (Array, error) {
	a := Array{Shape: []int64(v.GetShape())}
	switch v := v.(type) {
	case *yort.Tensor[float32]:
		a.F32 = v.GetData()
	case *yort.Tensor[float64]:
		a.F64 = v.GetData()
	case *yort.Tensor[int64]:
		a.I64 = v.GetData()
	case *yort.Tensor[int32]:
		a.I32 = v.GetData()
	case *yort.Tensor[int16]:
		a.I16 = v.GetData()
	case *yort.Tensor[int8]:
		a.I8 = v.GetData()
	case *yort.Tensor[uint64]:
		a.U64 = v.GetData()
	case *yort.Tensor[uint32]:
		a.U32 = v.GetData()
	case *yort.Tensor[uint16]:
		a.U16 = v.GetData()
	case *yort.Tensor[uint8]:
		a.U8 = v.GetData()
	case *yort.Tensor[bool]:
		a.Bool = v.GetData()
	case *yort.StringTensor:
		contents, err := v.GetContents()
		if err != nil {
			return Array{}, err
		}
		a.Str = contents
	default:
		return Array{}, fmt.Errorf("%v is not supported as an output", v.GetONNXType())
	}
	return a, nil
}

// newArray returns an array of zeros.
func newArray(dtype DType, shape []int64) (Array, error) {
	n, err := elements(shape)
	if err != nil {
		return Array{}, err
	}
	a := Array{Shape: shape}
	switch dtype {
	case Float32:
		a.F32 = make([]float32, n)
	case Float64:
		a.F64 = make([]float64, n)
	case Int64:
		a.I64 = make([]int64, n)
	case Int32:
		a.I32 = make([]int32, n)
	case Int16:
		a.I16 = make([]int16, n)
	case Int8:
		a.I8 = make([]int8, n)
	case Uint64:
		a.U64 = make([]uint64, n)
	case Uint32:
		a.U32 = make([]uint32, n)
	case Uint16:
		a.U16 = make([]uint16, n)
	case Uint8:
		a.U8 = make([]uint8, n)
	case Bool:
		a.Bool = make([]bool, n)
	case Float16:
		a.F16 = make([]uint16, n)
	case BFloat16:
		a.BF16 = make([]uint16, n)
	default:
		return Array{}, fmt.Errorf("%v is not supported as an output of a fixed shape", dtype)
	}
	return a, nil
}

// fromScalar puts the content of a rank-0 value into the array a, made by
// newArray, that stands for it.
func (a Array) fromScalar(v yort.Value) error {
	switch v := v.(type) {
	case *yort.Scalar[float32]:
		a.F32[0] = v.GetData()
	case *yort.Scalar[float64]:
		a.F64[0] = v.GetData()
	case *yort.Scalar[int64]:
		a.I64[0] = v.GetData()
	case *yort.Scalar[int32]:
		a.I32[0] = v.GetData()
	case *yort.Scalar[int16]:
		a.I16[0] = v.GetData()
	case *yort.Scalar[int8]:
		a.I8[0] = v.GetData()
	case *yort.Scalar[uint64]:
		a.U64[0] = v.GetData()
	case *yort.Scalar[uint32]:
		a.U32[0] = v.GetData()
	case *yort.Scalar[uint16]:
		a.U16[0] = v.GetData()
	case *yort.Scalar[uint8]:
		a.U8[0] = v.GetData()
	case *yort.Scalar[bool]:
		a.Bool[0] = v.GetData()
	default:
		return fmt.Errorf("%T is not a scalar", v)
	}
	return nil
}
