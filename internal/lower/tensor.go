package lower

import (
	bits "encoding/binary"
	"fmt"
	"math"

	"gorgonia.org/tensor"

	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/tensorop"
)

var dtypes = map[graph.DType]tensor.Dtype{
	graph.Float32: tensor.Float32, graph.Float64: tensor.Float64, graph.Bool: tensor.Bool,
	graph.Int64: tensor.Int64, graph.Int32: tensor.Int32, graph.Int16: tensor.Int16, graph.Int8: tensor.Int8,
	graph.Uint64: tensor.Uint64, graph.Uint32: tensor.Uint32, graph.Uint16: tensor.Uint16, graph.Uint8: tensor.Uint8,
}

// DType is the element type that values of an ONNX type have natively.
func DType(d graph.DType) (tensor.Dtype, error) {
	if dt, ok := dtypes[d]; ok {
		return dt, nil
	}
	return tensor.Dtype{}, fmt.Errorf("element type %v is not supported natively", d)
}

// ONNXType is the ONNX element type of a native one.
func ONNXType(dt tensor.Dtype) graph.DType {
	for k, v := range dtypes {
		if v == dt {
			return k
		}
	}
	return graph.Undefined
}

// Tensor copies an ONNX tensor into native memory. Half precision becomes float32.
func Tensor(t *graph.Tensor) (*tensor.Dense, error) {
	shape := make(tensor.Shape, len(t.Dims))
	for i, d := range t.Dims {
		shape[i] = int(d)
	}
	if t.DType == graph.Float32 || t.DType == graph.Float16 || t.DType == graph.BFloat16 {
		v, err := t.Float32s()
		if err != nil {
			return nil, err
		}
		return FromSlice(v, shape...), nil
	}
	dt, err := DType(t.DType)
	if err != nil {
		return nil, err
	}
	raw, err := t.Raw()
	if err != nil {
		return nil, err
	}
	d := tensorop.NewDense(dt, shape)
	if len(raw) > 0 {
		copyLittleEndian(d.Uint8s(), raw, int(dt.Size()))
	}
	return d, nil
}

// tensorView is Tensor for float32, on the very memory of the ONNX tensor where that is possible.
func tensorView(t *graph.Tensor) (*tensor.Dense, error) {
	v, err := t.Float32View()
	if err != nil {
		return nil, err
	}
	shape := make(tensor.Shape, len(t.Dims))
	for i, d := range t.Dims {
		shape[i] = int(d)
	}
	return FromSlice(v, shape...), nil
}

// copyLittleEndian copies elements of a file's byte order into memory of the machine's.
func copyLittleEndian(dst, src []byte, width int) {
	if bits.NativeEndian.Uint16([]byte{1, 0}) == 1 || width == 1 {
		copy(dst, src)
		return
	}
	for i := 0; i+width <= len(src); i += width {
		for j := range width {
			dst[i+j] = src[i+width-1-j]
		}
	}
}

// FromSlice makes a tensor of a slice, which it keeps.
func FromSlice[T any](v []T, shape ...int) *tensor.Dense {
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(v))
}

// FromInts makes an int64 tensor.
func FromInts(v []int, shape ...int) *tensor.Dense {
	out := make([]int64, len(v))
	for i, x := range v {
		out[i] = int64(x)
	}
	return FromSlice(out, shape...)
}

// ONNXTensor copies a native tensor into an ONNX one.
func ONNXTensor(name string, d *tensor.Dense) (*graph.Tensor, error) {
	dims := make([]int64, d.Dims())
	for i, n := range d.Shape() {
		dims[i] = int64(n)
	}
	raw := []byte{}
	if d.Size() > 0 {
		src := d.Uint8s()
		raw = make([]byte, len(src))
		copyLittleEndian(raw, src, int(d.Dtype().Size()))
	}
	return graph.NewRaw(name, ONNXType(d.Dtype()), dims, raw)
}

// Numbers converts the elements of a tensor to int64; floats are cut towards zero and clamped.
func Numbers(d *tensor.Dense) ([]int64, error) {
	if d.Size() == 0 && d.Dims() > 0 {
		return nil, nil
	}
	switch d.Dtype() {
	case tensor.Int64:
		return d.Int64s(), nil
	case tensor.Int32:
		return convert(d.Int32s()), nil
	case tensor.Int16:
		return convert(d.Int16s()), nil
	case tensor.Int8:
		return convert(d.Int8s()), nil
	case tensor.Uint8:
		return convert(d.Uint8s()), nil
	case tensor.Uint16:
		return convert(d.Uint16s()), nil
	case tensor.Uint32:
		return convert(d.Uint32s()), nil
	case tensor.Uint64:
		return convert(d.Uint64s()), nil
	case tensor.Float32:
		return convertFloat(d.Float32s()), nil
	case tensor.Float64:
		return convertFloat(d.Float64s()), nil
	case tensor.Bool:
		out := make([]int64, d.Size())
		for i, b := range d.Bools() {
			if b {
				out[i] = 1
			}
		}
		return out, nil
	}
	return nil, fmt.Errorf("elements of type %v are not numbers", d.Dtype())
}

func convert[T int32 | int16 | int8 | uint8 | uint16 | uint32 | uint64](v []T) []int64 {
	out := make([]int64, len(v))
	for i, x := range v {
		out[i] = int64(x)
	}
	return out
}

func convertFloat[T float32 | float64](v []T) []int64 {
	out := make([]int64, len(v))
	for i, x := range v {
		f := float64(x)
		switch {
		case f >= math.MaxInt64:
			out[i] = math.MaxInt64
		case f <= math.MinInt64:
			out[i] = math.MinInt64
		case f == f:
			out[i] = int64(f)
		}
	}
	return out
}
