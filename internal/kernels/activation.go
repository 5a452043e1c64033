package kernels

// Exp is dst = eˣ.
func Exp(dst, x []float32) { unary("Exp", vec.exp, dst, x, costlyGrain) }

// Log is the natural logarithm.
func Log(dst, x []float32) { unary("Log", vec.log, dst, x, costlyGrain) }

// Sqrt is dst = √x.
func Sqrt(dst, x []float32) { unary("Sqrt", vec.sqrt, dst, x, cheapGrain) }

// Erf is the error function.
func Erf(dst, x []float32) { unary("Erf", vec.erf, dst, x, costlyGrain) }

// Tanh is the hyperbolic tangent.
func Tanh(dst, x []float32) { unary("Tanh", vec.tanh, dst, x, costlyGrain) }

// TanhGrad is dx = dy·(1-y²), where y = tanh x.
func TanhGrad(dx, y, dy []float32) { binary("TanhGrad", vec.tanhGrad, dx, y, dy, cheapGrain) }

// Sigmoid is dst = 1/(1+e⁻ˣ).
func Sigmoid(dst, x []float32) { unary("Sigmoid", vec.sigmoid, dst, x, costlyGrain) }

// SigmoidGrad is dx = dy·y·(1-y), where y = sigmoid x.
func SigmoidGrad(dx, y, dy []float32) { binary("SigmoidGrad", vec.sigmoidGrad, dx, y, dy, cheapGrain) }

// Relu is dst = max(x, 0); NaN stays NaN.
func Relu(dst, x []float32) { unary("Relu", vec.relu, dst, x, cheapGrain) }

// ReluGrad is dx = dy where x > 0, else 0; x may be the argument or the value of Relu.
func ReluGrad(dx, x, dy []float32) { binary("ReluGrad", vec.reluGrad, dx, x, dy, cheapGrain) }

// Gelu is dst = x·Φ(x) with the error function (ONNX Gelu, approximate="none").
func Gelu(dst, x []float32) { unary("Gelu", vec.gelu, dst, x, costlyGrain) }

// GeluGrad is dx = dy·gelu'(x).
func GeluGrad(dx, x, dy []float32) { binary("GeluGrad", vec.geluGrad, dx, x, dy, costlyGrain) }

// GeluTanh is the approximation of Gelu with tanh (ONNX Gelu, approximate="tanh").
func GeluTanh(dst, x []float32) { unary("GeluTanh", vec.geluTanh, dst, x, costlyGrain) }

// GeluTanhGrad is dx = dy times the derivative of GeluTanh at x.
func GeluTanhGrad(dx, x, dy []float32) {
	binary("GeluTanhGrad", vec.geluTanhGrad, dx, x, dy, costlyGrain)
}
