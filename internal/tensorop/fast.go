package tensorop

import (
	"slices"

	"gorgonia.org/tensor"

	"github.com/ftk-go/ftk/internal/kernels"
)

// The vectorised paths of package kernels, for float32 and the layouts that training meets most.

// vectorised gives a function of Functions its fast forms.
func vectorised(f Function) Function {
	switch f.Name {
	case "Exp":
		f.Fast = kernels.Exp
	case "Log":
		f.Fast = kernels.Log
	case "Sqrt":
		f.Fast = kernels.Sqrt
	case "Erf":
		f.Fast = kernels.Erf
	case "Tanh":
		f.Fast = kernels.Tanh
		f.FastD = func(dst, _, y, dy []float32) { kernels.TanhGrad(dst, y, dy) }
	case "Sigmoid":
		f.Fast = kernels.Sigmoid
		f.FastD = func(dst, _, y, dy []float32) { kernels.SigmoidGrad(dst, y, dy) }
	case "Relu":
		f.Fast = kernels.Relu
		f.FastD = func(dst, x, _, dy []float32) { kernels.ReluGrad(dst, x, dy) }
	}
	return f
}

// fastPairs is the kernel for operands of one shape, or for a matrix and a row added to it; nil if neither.
func fastPairs(op string, p pairs) Kernel {
	same := len(p.shape) == 1 && p.a[0] == 1 && p.b[0] == 1
	row := len(p.shape) == 2 && slices.Equal(p.a, []int{p.shape[1], 1}) && slices.Equal(p.b, []int{0, 1})
	if same {
		if f := map[string]func(dst, a, b []float32){"Add": kernels.Add, "Sub": kernels.Sub, "Mul": kernels.Mul, "Div": kernels.Div}[op]; f != nil {
			return func(out *tensor.Dense, in []*tensor.Dense) error {
				f(values[float32](out), values[float32](in[0]), values[float32](in[1]))
				return nil
			}
		}
	}
	if row && op == "Add" {
		return func(out *tensor.Dense, in []*tensor.Dense) error {
			kernels.AddRow(values[float32](out), values[float32](in[0]), values[float32](in[1]))
			return nil
		}
	}
	return nil
}

// fastSum is the kernel that sums the rows of a matrix, as gradients of biases do; nil for other reductions.
func fastSum(r reduction) Kernel {
	if len(r.shape) != 2 || !slices.Equal(r.out, []int{0, 1}) {
		return nil
	}
	return func(out *tensor.Dense, in []*tensor.Dense) error {
		kernels.SumRows(values[float32](out), values[float32](in[0]), r.shape[0], r.shape[1], false)
		return nil
	}
}
