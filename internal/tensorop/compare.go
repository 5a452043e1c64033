package tensorop

import (
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Compare applies Equal, Greater, GreaterOrEqual, Less or LessOrEqual with broadcasting; the result is boolean.
func Compare(op string, a, b *G.Node) (*G.Node, error) {
	dt := a.Dtype()
	if dt != b.Dtype() {
		return nil, typeError(op, dt, b.Dtype())
	}
	p, err := planPairs(a.Shape(), b.Shape())
	if err != nil {
		return nil, err
	}
	var run Kernel
	switch dt {
	case tensor.Float32:
		run = pairKernel(p, comparison[float32](op))
	case tensor.Float64:
		run = pairKernel(p, comparison[float64](op))
	case tensor.Int64:
		run = pairKernel(p, comparison[int64](op))
	case tensor.Int32:
		run = pairKernel(p, comparison[int32](op))
	case tensor.Int16:
		run = pairKernel(p, comparison[int16](op))
	case tensor.Int8:
		run = pairKernel(p, comparison[int8](op))
	case tensor.Uint64:
		run = pairKernel(p, comparison[uint64](op))
	case tensor.Uint32:
		run = pairKernel(p, comparison[uint32](op))
	case tensor.Uint16:
		run = pairKernel(p, comparison[uint16](op))
	case tensor.Uint8:
		run = pairKernel(p, comparison[uint8](op))
	case tensor.Bool:
		if op == "Equal" {
			run = pairKernel(p, lift(func(a, b bool) bool { return a == b }))
		}
	}
	if run == nil {
		return nil, typeError(op, dt)
	}
	return define(spec{name: op, dtype: tensor.Bool, shape: p.result, run: run}, a, b)
}

func comparison[T number](op string) vectors[T, bool] {
	switch op {
	case "Equal":
		return lift(func(a, b T) bool { return a == b })
	case "Greater":
		return lift(func(a, b T) bool { return a > b })
	case "GreaterOrEqual":
		return lift(func(a, b T) bool { return a >= b })
	case "Less":
		return lift(func(a, b T) bool { return a < b })
	default:
		return lift(func(a, b T) bool { return a <= b })
	}
}

// Logic applies And, Or or Xor with broadcasting.
func Logic(op string, a, b *G.Node) (*G.Node, error) {
	if a.Dtype() != tensor.Bool || b.Dtype() != tensor.Bool {
		return nil, typeError(op, a.Dtype(), b.Dtype())
	}
	p, err := planPairs(a.Shape(), b.Shape())
	if err != nil {
		return nil, err
	}
	f := map[string]func(a, b bool) bool{
		"And": func(a, b bool) bool { return a && b },
		"Or":  func(a, b bool) bool { return a || b },
		"Xor": func(a, b bool) bool { return a != b },
	}[op]
	return define(spec{name: op, dtype: tensor.Bool, shape: p.result, run: pairKernel(p, lift(f))}, a, b)
}
