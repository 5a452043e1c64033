package kernels

import "math"

// Portable Go versions of the innermost loops with transcendental functions: evaluated in float64, then rounded.

const (
	invSqrt2   = 1 / math.Sqrt2
	invSqrt2Pi = 0.398942280401432677939946059934381868 // 1/√(2π)

	// gelu(x) ≈ x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³))), Hendrycks & Gimpel, arXiv:1606.08415, section 2.
	sqrt2OverPi = 0.797884560802865355879892119868763737
	geluCubic   = 0.044715
)

func expGo(dst, x []float32) {
	x = x[:len(dst)]
	for i, v := range x {
		dst[i] = float32(math.Exp(float64(v)))
	}
}

func logGo(dst, x []float32) {
	x = x[:len(dst)]
	for i, v := range x {
		dst[i] = float32(math.Log(float64(v)))
	}
}

func sqrtGo(dst, x []float32) {
	x = x[:len(dst)]
	for i, v := range x {
		dst[i] = float32(math.Sqrt(float64(v)))
	}
}

func tanhGo(dst, x []float32) {
	x = x[:len(dst)]
	for i, v := range x {
		dst[i] = float32(math.Tanh(float64(v)))
	}
}

func erfGo(dst, x []float32) {
	x = x[:len(dst)]
	for i, v := range x {
		dst[i] = float32(math.Erf(float64(v)))
	}
}

func sigmoidGo(dst, x []float32) {
	x = x[:len(dst)]
	for i, v := range x {
		dst[i] = float32(1 / (1 + math.Exp(-float64(v))))
	}
}

func tanhGradGo(dx, y, dy []float32) {
	y, dy = y[:len(dx)], dy[:len(dx)]
	for i := range dx {
		dx[i] = dy[i] * (1 - y[i]) * (1 + y[i])
	}
}

func sigmoidGradGo(dx, y, dy []float32) {
	y, dy = y[:len(dx)], dy[:len(dx)]
	for i := range dx {
		dx[i] = dy[i] * y[i] * (1 - y[i])
	}
}

// gelu(x) = x·Φ(x), with Φ by erfc so that nothing cancels for negative x.
func geluGo(dst, x []float32) {
	x = x[:len(dst)]
	for i, v := range x {
		v := float64(v)
		dst[i] = float32(v * 0.5 * math.Erfc(-v*invSqrt2))
	}
}

// gelu'(x) = Φ(x) + x·φ(x)
func geluGradGo(dx, x, dy []float32) {
	x, dy = x[:len(dx)], dy[:len(dx)]
	for i, v := range x {
		v := float64(v)
		slope := 0.5 * math.Erfc(-v*invSqrt2)
		if density := math.Exp(-0.5 * v * v); density > 0 { // else v may be infinite
			slope += v * invSqrt2Pi * density
		}
		dx[i] = float32(float64(dy[i]) * slope)
	}
}

// x/2·(1 + tanh u) = x·sigmoid(2u)
func geluTanhGo(dst, x []float32) {
	x = x[:len(dst)]
	for i, v := range x {
		v := float64(v)
		dst[i] = float32(v / (1 + math.Exp(-2*sqrt2OverPi*(v+geluCubic*v*v*v))))
	}
}

// With s = sigmoid(2u): s + x·s·(1-s)·2u'
func geluTanhGradGo(dx, x, dy []float32) {
	x, dy = x[:len(dx)], dy[:len(dx)]
	for i, v := range x {
		v := float64(v)
		s := 1 / (1 + math.Exp(-2*sqrt2OverPi*(v+geluCubic*v*v*v)))
		slope := s
		if falling := s * (1 - s); falling > 0 { // else v may be infinite
			slope += v * falling * 2 * sqrt2OverPi * (1 + 3*geluCubic*v*v)
		}
		dx[i] = float32(float64(dy[i]) * slope)
	}
}

func expSumGo(dst, x []float32, shift float32) float32 {
	x = x[:len(dst)]
	var sum float64
	for i, v := range x {
		e := float32(math.Exp(float64(v - shift)))
		dst[i] = e
		sum += float64(e)
	}
	return float32(sum)
}
