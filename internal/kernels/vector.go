package kernels

// vector is the set of innermost loops: each works on one slice on one thread. Inputs have the length of dst (callers see
// to it; assembly does not check).
type vector struct {
	name string

	add, sub, mul, div func(dst, x, y []float32)
	scale              func(dst, x []float32, s float32) // dst = s·x
	axpy               func(dst, x []float32, s float32) // dst += s·x
	offset             func(dst, x []float32, s float32) // dst = x + s

	addRows func(dst, x []float32, rows, stride int) // dst += Σ rows of x, which lie stride apart

	exp, log, sqrt, tanh, sigmoid, relu, erf, gelu, geluTanh func(dst, x []float32)
	tanhGrad, sigmoidGrad                                    func(dx, y, dy []float32) // y is the function's value
	reluGrad, geluGrad, geluTanhGrad                         func(dx, x, dy []float32) // x is its argument

	max           func(x []float32) float32 // -Inf for none; NaN are passed over
	sum           func(x []float32) float32
	dot           func(x, y []float32) float32
	squaresAround func(x []float32, mean float32) float32       // Σ (x-mean)²
	expSum        func(dst, x []float32, shift float32) float32 // dst = exp(x-shift); Σ dst
	softmaxGrad   func(dx, y, dy []float32, dot, s float32)     // dx = s·y·(dy-dot)

	softmaxRows     func(x []float32, rows int, mask []float32, s float32) // each row x = softmax(s·x + mask)
	softmaxGradRows func(dx, y []float32, rows, cols int, s float32)       // each row dx = s·y·(dx - Σ y·dx)

	normalize     func(dst, x, gamma, beta []float32, mean, rstd float32)
	normGradSums  func(x, gamma, dy []float32, mean, rstd float32) (g, gx float32) // Σ γ·dy, Σ γ·dy·x̂
	normGrad      func(dx, x, gamma, dy []float32, mean, rstd, a, b float32)       // dx = rstd·(γ·dy - a - b·x̂)
	normGradParam func(dgamma, dbeta, x, dy []float32, mean, rstd float32)         // dγ += dy·x̂, dβ += dy
	sumSquares    func(x []float32) float64
	sum64         func(x []float32) float64 // Σ x in float64
	adamW         func(param, grad, m, v []float32, s *adamWScalars)

	dropoutMask func(dst []float32, counter uint64, keys *philoxKeys, threshold uint32, keep float32) // whole blocks
}

// vec is the version in use.
var vec = &portable

// Version names the innermost loops in use: "go", "avx2" or "avx512".
func Version() string { return vec.name }

// Vectorised says whether they are assembly.
func Vectorised() bool { return vec.name != portable.name }

var portable = vector{
	name: "go",
	add:  addGo, sub: subGo, mul: mulGo, div: divGo, scale: scaleGo, axpy: axpyGo, offset: offsetGo, addRows: addRowsGo,
	exp: expGo, log: logGo, sqrt: sqrtGo, tanh: tanhGo, sigmoid: sigmoidGo, relu: reluGo, erf: erfGo, gelu: geluGo, geluTanh: geluTanhGo,
	tanhGrad: tanhGradGo, sigmoidGrad: sigmoidGradGo, reluGrad: reluGradGo, geluGrad: geluGradGo, geluTanhGrad: geluTanhGradGo,
	max: maxGo, sum: sumGo, dot: dotGo, squaresAround: squaresAroundGo,
	expSum: expSumGo, softmaxGrad: softmaxGradGo, softmaxRows: softmaxRowsGo, softmaxGradRows: softmaxGradRowsGo,
	normalize: normalizeGo, normGradSums: normGradSumsGo, normGrad: normGradGo, normGradParam: normGradParamGo,
	sumSquares: sumSquaresGo, sum64: sum64Go, adamW: adamWGo, dropoutMask: dropoutMaskGo,
}
