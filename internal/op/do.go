package op

import (
	"fmt"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Do runs a Kernel of float32 output on gorgonia values and allocates that; it is what a Kernel's Do method calls.
// A scalar result is a *gorgonia.F32, as gorgonia's own operators expect.
func Do(k Kernel, inputs ...G.Value) (G.Value, error) {
	in, shape, err := prepare(k, inputs)
	if err != nil {
		return nil, err
	}
	return runInto(k, newDense(shape), in)
}

// PreallocDo is Do with memory to use for the output; it is what a Kernel's UsePreallocDo method calls.
func PreallocDo(k Kernel, prealloc G.Value, inputs ...G.Value) (G.Value, error) {
	in, shape, err := prepare(k, inputs)
	if err != nil {
		return nil, err
	}
	out, ok := prealloc.(*tensor.Dense)
	if !ok || !sameShape(out.Shape(), shape) || out.Dtype() != tensor.Float32 || !contiguous(out) {
		out = newDense(shape)
	}
	return runInto(k, out, in)
}

func runInto(k Kernel, out *tensor.Dense, in []*tensor.Dense) (G.Value, error) {
	if err := k.Run(out, in); err != nil {
		return nil, fmt.Errorf("%v: %w", k, err)
	}
	if out.Shape().IsScalar() {
		return G.NewF32(out.Float32s()[0]), nil
	}
	return out, nil
}

func prepare(k Kernel, inputs []G.Value) ([]*tensor.Dense, tensor.Shape, error) {
	in := make([]*tensor.Dense, len(inputs))
	dims := make([]G.DimSizer, len(inputs))
	for i, v := range inputs {
		d, err := Dense(v)
		if err != nil {
			return nil, nil, fmt.Errorf("%v: input %d: %w", k, i, err)
		}
		in[i], dims[i] = d, d.Shape()
	}
	shape, err := k.InferShape(dims...)
	return in, shape, err
}

// Dense gives a value as a contiguous row-major tensor: itself where it is one already, a copy where it is a
// transposed or sliced view, a tensor of rank 0 where it is a scalar.
func Dense(v G.Value) (*tensor.Dense, error) {
	switch v := v.(type) {
	case *tensor.Dense:
		if contiguous(v) {
			return v, nil
		}
		if m, ok := v.Materialize().(*tensor.Dense); ok {
			return m, nil
		}
		return nil, fmt.Errorf("cannot make %T of shape %v contiguous", v, v.Shape())
	case nil:
		return nil, fmt.Errorf("no value")
	case G.Scalar:
		return tensor.New(tensor.FromScalar(v.Data())), nil
	default:
		return nil, fmt.Errorf("value of type %T, want a dense tensor", v)
	}
}

func contiguous(d *tensor.Dense) bool {
	return d.DataSize() == 0 || !d.RequiresIterator() && !d.DataOrder().IsColMajor() && d.DataOrder().IsContiguous()
}

func newDense(shape tensor.Shape) *tensor.Dense {
	if shape.IsScalar() {
		return tensor.New(tensor.FromScalar(float32(0)))
	}
	return tensor.New(tensor.WithShape(shape...), tensor.Of(tensor.Float32))
}
