package tensorop

import "math"

// arithmetic holds the operators that all numbers have.
func arithmetic[T number](op string) (vectors[T, T], bool) {
	switch op {
	case "Add":
		return vectors[T, T]{
			func(d, a, b []T) {
				for i := range d {
					d[i] = a[i] + b[i]
				}
			},
			func(d, a []T, b T) {
				for i := range d {
					d[i] = a[i] + b
				}
			},
			func(d []T, a T, b []T) {
				for i := range d {
					d[i] = a + b[i]
				}
			}}, true
	case "Sub":
		return vectors[T, T]{
			func(d, a, b []T) {
				for i := range d {
					d[i] = a[i] - b[i]
				}
			},
			func(d, a []T, b T) {
				for i := range d {
					d[i] = a[i] - b
				}
			},
			func(d []T, a T, b []T) {
				for i := range d {
					d[i] = a - b[i]
				}
			}}, true
	case "Mul":
		return vectors[T, T]{
			func(d, a, b []T) {
				for i := range d {
					d[i] = a[i] * b[i]
				}
			},
			func(d, a []T, b T) {
				for i := range d {
					d[i] = a[i] * b
				}
			},
			func(d []T, a T, b []T) {
				for i := range d {
					d[i] = a * b[i]
				}
			}}, true
	case "Max":
		return lift(func(a, b T) T { return max(a, b) }), true
	case "Min":
		return lift(func(a, b T) T { return min(a, b) }), true
	}
	return vectors[T, T]{}, false
}

func floatArithmetic[T float](op string) vectors[T, T] {
	if f, ok := arithmetic[T](op); ok {
		return f
	}
	switch op {
	case "Div":
		return vectors[T, T]{
			func(d, a, b []T) {
				for i := range d {
					d[i] = a[i] / b[i]
				}
			},
			func(d, a []T, b T) {
				for i := range d {
					d[i] = a[i] / b
				}
			},
			func(d []T, a T, b []T) {
				for i := range d {
					d[i] = a / b[i]
				}
			}}
	case "Pow":
		f := lift(func(a, b T) T { return T(math.Pow(float64(a), float64(b))) })
		power := f.vs
		f.vs = func(d, a []T, b T) {
			if b != 2 {
				power(d, a, b)
				return
			}
			for i := range d {
				d[i] = a[i] * a[i]
			}
		}
		return f
	case "Fmod":
		return lift(func(a, b T) T { return T(math.Mod(float64(a), float64(b))) })
	case "Mod":
		return lift(func(a, b T) T { return a - b*T(math.Floor(float64(a/b))) })
	case "PowGradA": // b·a^(b−1)
		return lift(func(a, b T) T {
			if b == 0 {
				return 0
			}
			return b * T(math.Pow(float64(a), float64(b-1)))
		})
	case "PowGradB": // aᵇ·ln a; 0 where a is 0, as in PyTorch
		return lift(func(a, b T) T {
			if a == 0 && b >= 0 {
				return 0
			}
			return T(math.Pow(float64(a), float64(b)) * math.Log(float64(a)))
		})
	case "MaxGrad": // share of a in max(a, b): ties are halved, as in PyTorch
		return lift(func(a, b T) T { return share[T](a > b, a == b) })
	case "MinGrad":
		return lift(func(a, b T) T { return share[T](a < b, a == b) })
	case "PRelu":
		return lift(func(a, b T) T {
			if a < 0 {
				return a * b
			}
			return a
		})
	case "PReluGradA":
		return lift(func(a, b T) T {
			if a < 0 {
				return b
			}
			return 1
		})
	case "PReluGradB":
		return lift(func(a, _ T) T { return min(a, 0) })
	}
	return vectors[T, T]{}
}

func share[T float](wins, ties bool) T {
	switch {
	case wins:
		return 1
	case ties:
		return 0.5
	}
	return 0
}

func intArithmetic[T integer](op string) vectors[T, T] {
	if f, ok := arithmetic[T](op); ok {
		return f
	}
	switch op {
	case "Div":
		return lift(func(a, b T) T {
			if b == 0 {
				return 0 // undefined in ONNX; a fault would take the program down
			}
			return a / b
		})
	case "Mod": // sign of the divisor
		return lift(func(a, b T) T {
			if b == 0 {
				return 0
			}
			r := a % b
			if r != 0 && (r < 0) != (b < 0) {
				r += b
			}
			return r
		})
	case "Fmod": // sign of the dividend
		return lift(func(a, b T) T {
			if b == 0 {
				return 0
			}
			return a % b
		})
	case "Pow":
		return lift(intPow[T])
	case "BitShiftLEFT":
		return lift(func(a, b T) T { return a << uint64(b) })
	case "BitShiftRIGHT":
		return lift(func(a, b T) T { return a >> uint64(b) })
	case "BitwiseAnd":
		return lift(func(a, b T) T { return a & b })
	case "BitwiseOr":
		return lift(func(a, b T) T { return a | b })
	case "BitwiseXor":
		return lift(func(a, b T) T { return a ^ b })
	case "PRelu":
		return lift(func(a, b T) T {
			if a < 0 {
				return a * b
			}
			return a
		})
	}
	return vectors[T, T]{}
}

func intPow[T integer](a, b T) T {
	if b < 0 {
		return T(math.Pow(float64(a), float64(b)))
	}
	r := T(1)
	for ; b > 0; b >>= 1 {
		if b&1 == 1 {
			r *= a
		}
		a *= a
	}
	return r
}
