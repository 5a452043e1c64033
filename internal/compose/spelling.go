package compose

import "github.com/ftk-go/ftk/internal/graph"

// Operators whose spelling changed between opsets. "Since" versions are those
// of the ONNX operator changelog.

// Cast to another element type.
func (b *Builder) Cast(x *graph.Value, to graph.DType) *graph.Value {
	return b.OpWith("Cast", []Attr{{"to", int(to)}}, x)
}

// Unsqueeze inserts axes of size 1; axes became an input in opset 13.
func (b *Builder) Unsqueeze(x *graph.Value, axes ...int64) *graph.Value {
	if b.opset < 13 {
		return b.OpWith("Unsqueeze", []Attr{{"axes", axes}}, x)
	}
	return b.Op("Unsqueeze", x, b.Ints(axes...))
}

// ReduceSum adds up along axes; axes became an input in opset 13.
func (b *Builder) ReduceSum(x *graph.Value, keepDims bool, axes ...int64) *graph.Value {
	return b.reduce("ReduceSum", 13, x, keepDims, axes)
}

// ReduceMean averages along axes; axes became an input in opset 18.
func (b *Builder) ReduceMean(x *graph.Value, keepDims bool, axes ...int64) *graph.Value {
	return b.reduce("ReduceMean", 18, x, keepDims, axes)
}

func (b *Builder) reduce(op string, asInput int64, x *graph.Value, keepDims bool, axes []int64) *graph.Value {
	keep := 0
	if keepDims {
		keep = 1
	}
	if b.opset < asInput {
		return b.OpWith(op, []Attr{{"axes", axes}, {"keepdims", keep}}, x)
	}
	return b.OpWith(op, []Attr{{"keepdims", keep}}, x, b.Ints(axes...))
}

// AtLeast is the larger of x and min, elementwise: Clip with the bound as an
// attribute before opset 11, as an input since.
func (b *Builder) AtLeast(x *graph.Value, min float32) *graph.Value {
	if b.opset < 11 {
		return b.OpWith("Clip", []Attr{{"min", min}}, x)
	}
	return b.Op("Clip", x, b.Float(min))
}

// Pick takes element i along an axis, which goes away: Gather with a scalar.
func (b *Builder) Pick(x *graph.Value, axis int, i int64) *graph.Value {
	return b.OpWith("Gather", []Attr{{"axis", axis}}, x, b.Int(i))
}

// Transpose permutes axes.
func (b *Builder) Transpose(x *graph.Value, perm ...int64) *graph.Value {
	return b.OpWith("Transpose", []Attr{{"perm", perm}}, x)
}

// Linear is x·w + bias for x [… in], w [in out], bias [out], as MatMul and Add.
func (b *Builder) Linear(x, w, bias *graph.Value) *graph.Value {
	return b.Op("Add", bias, b.Op("MatMul", x, w)) // bias first, as torch writes it
}

// Gelu is x/2·(1+erf(x/√2)) in five nodes, as every exporter before opset 20
// writes it and every runtime recognises it.
func (b *Builder) Gelu(x *graph.Value) *graph.Value {
	erf := b.Op("Erf", b.Op("Div", x, b.Float(1.4142135381698608)))
	return b.Op("Mul", b.Op("Mul", x, b.Op("Add", erf, b.Float(1))), b.Float(0.5))
}

// GeluTanh is the tanh approximation x/2·(1+tanh(√(2/π)·(x+0.044715·x³))).
func (b *Builder) GeluTanh(x *graph.Value) *graph.Value {
	cube := b.Op("Mul", b.Op("Pow", x, b.Float(3)), b.Float(0.044715))
	tanh := b.Op("Tanh", b.Op("Mul", b.Op("Add", x, cube), b.Float(0.7978845608028654)))
	return b.Op("Mul", b.Op("Mul", x, b.Float(0.5)), b.Op("Add", tanh, b.Float(1)))
}

// LayerNorm normalises the last axis (Ba et al. 2016): the operator since
// opset 17, before that the nine nodes that torch writes.
func (b *Builder) LayerNorm(x, gamma, beta *graph.Value, eps float32) *graph.Value {
	if b.opset >= 17 {
		return b.OpWith("LayerNormalization", []Attr{{"axis", -1}, {"epsilon", eps}}, x, gamma, beta)
	}
	centred := b.Op("Sub", x, b.ReduceMean(x, true, -1))
	variance := b.ReduceMean(b.Op("Pow", centred, b.Float(2)), true, -1)
	scaled := b.Op("Div", centred, b.Op("Sqrt", b.Op("Add", variance, b.Float(eps))))
	return b.Op("Add", b.Op("Mul", scaled, gamma), beta)
}
