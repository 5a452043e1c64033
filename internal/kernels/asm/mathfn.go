package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Cody & Waite's two parts of ln 2: the first has so few bits that a multiple of it up to 2⁸ is exact.
const (
	ln2High = 0.693359375
	ln2Low  = math.Ln2 - ln2High
)

// exp of x within [-104, 89]; NaN stays. With n = round(x/ln 2), exp x = 2ⁿ·exp r, |r| ≤ ln 2/2.
func (s *isa) exp(x VecVirtual) VecVirtual {
	x = s.clamp(x, -104, 89)
	n := s.round(s.mul(x, s.constant(math.Log2E)))
	r := s.copyOf(x)
	s.subProduct(r, n, s.constant(ln2High))
	s.subProduct(r, n, s.constant(ln2Low))
	p := s.poly(r, expTerms) // exp r = 1 + r + r²·P(r)
	s.horner(p, r, s.constant(1))
	s.horner(p, r, s.constant(1))
	return s.timesPowerOf2(p, n)
}

// round gives the nearest integer, as a float.
func (s *isa) round(x VecVirtual) VecVirtual {
	v := s.vec()
	if s.wide {
		VRNDSCALEPS(Imm(0), x, v)
	} else {
		VROUNDPS(Imm(0), x, v)
	}
	return v
}

// timesPowerOf2 is x·2ⁿ for n in [-151, 129], rounded once if the result is not a normal number.
func (s *isa) timesPowerOf2(x, n VecVirtual) VecVirtual {
	v := s.vec()
	if s.wide {
		VSCALEFPS(n, x, v)
		return v
	}
	// Two steps, because 2ⁿ itself may be out of range. A NaN in n gives some power; x is then NaN too.
	whole, half, power := s.vec(), s.vec(), s.vec()
	VCVTPS2DQ(n, whole)
	VPSRAD(Imm(1), whole, half)
	VPSUBD(half, whole, whole)
	VMOVUPS(x, v)
	for _, e := range []VecVirtual{half, whole} {
		VPADDD(s.bits(127), e, power)
		VPSLLD(Imm(23), power, power)
		VMULPS(power, v, v)
	}
	return v
}

// log of x by its exponent and the mantissa m in [√½, √2): log x = e·ln 2 + log m.
func (s *isa) log(x VecVirtual) VecVirtual {
	// Numbers below the normal ones are brought up first.
	small := s.compare(less, x, s.bits(0x00800000))
	scaled := s.choose(small, s.mul(x, s.constant(1<<23)), x)
	shift := s.choose(small, s.copyOf(s.constant(-23)), s.zero())

	// With the bits of √½ subtracted, the exponent field counts from √½ on.
	above, e := s.vec(), s.vec()
	s.subInt(scaled, s.bits(math.Float32bits(math.Sqrt2/2)), above)
	VPSRAD(Imm(23), above, e)
	VCVTDQ2PS(e, e)
	m := s.and(above, s.bits(0x007fffff))
	s.addInt(m, s.bits(math.Float32bits(math.Sqrt2/2)), m)
	VADDPS(shift, e, e)

	r := s.sub(m, s.constant(1))
	square := s.mul(r, r)
	p := s.mul(s.mul(s.poly(r, logTerms), r), square) // log(1+r) = r - r²/2 + r³·P(r)
	s.addProduct(p, e, s.constant(ln2Low))
	s.addProduct(p, square, s.constant(-0.5))
	v := s.add(p, r)
	s.addProduct(v, e, s.constant(ln2High))

	v = s.choose(s.compare(equal, x, s.bits(0x7f800000)), x, v) // +Inf
	v = s.choose(s.compare(equal, x, s.zero()), s.copyOf(s.bits(0xff800000)), v)
	v = s.choose(s.compare(less, x, s.zero()), s.copyOf(s.bits(0x7fc00000)), v)
	return s.choose(s.compare(unord, x, x), x, v)
}

func (s *isa) addInt(a VecVirtual, b Op, dst VecVirtual) { VPADDD(b, a, dst) }
func (s *isa) subInt(a VecVirtual, b Op, dst VecVirtual) { VPSUBD(b, a, dst) }

// oddRational is x·P(x²)/Q(x²) for x held within ±limit, and within ±1 itself.
func (s *isa) oddRational(x VecVirtual, limit float64, above, below []float64) VecVirtual {
	x = s.clamp(x, -limit, limit)
	square := s.mul(x, x)
	p := s.mul(s.poly(square, above), x)
	return s.clamp(s.div(p, s.poly(square, below)), -1, 1)
}

func (s *isa) sigmoid(x VecVirtual) VecVirtual {
	e := s.exp(s.negative(x))
	return s.div(s.copyOf(s.constant(1)), s.add(e, s.constant(1)))
}

func (s *isa) negative(x VecVirtual) VecVirtual {
	v := s.vec()
	if s.wide {
		VPXORD(s.bits(0x80000000), x, v)
	} else {
		VXORPS(s.bits(0x80000000), x, v)
	}
	return v
}

// geluLimit is where exp(-x²/2) has become 0.
const geluLimit = 14.5

// normal gives Φ(x), the distribution function of the normal distribution, exp(-x²/2), and x held within ±geluLimit.
// Φ(-a) = exp(-a²/2)·t·P(t) with t = 1/(1+0.35a) for a ≥ 0: exact relatively, however small.
func (s *isa) normal(x VecVirtual) (phi, density, held VecVirtual) {
	held = s.clamp(x, -geluLimit, geluLimit)
	a := s.abs(held)
	t := s.copyOf(s.constant(1))
	below := s.copyOf(s.constant(1))
	s.addProduct(below, a, s.constant(millsStep))
	t = s.div(t, below)
	density = s.exp(s.mul(s.mul(a, s.constant(-0.5)), a))
	lower := s.mul(s.mul(s.poly(t, millsTerms), t), density)
	upper := s.sub(s.copyOf(s.constant(1)), lower)
	return s.choose(s.compare(less, held, s.zero()), lower, upper), density, held
}

func (s *isa) gelu(x VecVirtual) VecVirtual {
	phi, _, _ := s.normal(x)
	return s.mul(phi, x)
}

// gelu' = Φ(x) + x·exp(-x²/2)/√(2π)
func (s *isa) geluGrad(x, dy VecVirtual) VecVirtual {
	slope, density, held := s.normal(x)
	s.addProduct(slope, s.mul(held, s.constant(1/math.Sqrt(2*math.Pi))), density)
	return s.mul(slope, dy)
}

// 2u, where gelu ≈ x·sigmoid(2u), is x·(linear + cubic·x²).
var (
	geluLinear = 2 * math.Sqrt(2/math.Pi)
	geluCubic  = geluLinear * 0.044715
)

func (s *isa) geluTanh(x VecVirtual) VecVirtual {
	inner := s.copyOf(s.constant(-geluLinear))
	s.addProduct(inner, s.mul(x, x), s.constant(-geluCubic))
	e := s.exp(s.mul(inner, x))
	return s.div(x, s.add(e, s.constant(1)))
}

// With e = exp(-2u), σ = 1/(1+e): σ + x·e·σ²·(2u)'. Beyond ±10 the slope is 0 or 1.
func (s *isa) geluTanhGrad(x, dy VecVirtual) VecVirtual {
	x = s.clamp(x, -10, 10)
	square := s.mul(x, x)
	inner := s.copyOf(s.constant(-geluLinear))
	s.addProduct(inner, square, s.constant(-geluCubic))
	e := s.exp(s.mul(inner, x))
	sigma := s.div(s.copyOf(s.constant(1)), s.add(e, s.constant(1)))
	slope := s.copyOf(s.constant(geluLinear))
	s.addProduct(slope, square, s.constant(3*geluCubic))
	slope = s.mul(s.mul(slope, x), s.mul(s.mul(e, sigma), sigma))
	return s.mul(s.add(slope, sigma), dy)
}

func (s *isa) functions() {
	s.unary("exp", "eˣ.", s.exp)
	s.unary("log", "the natural logarithm.", s.log)
	s.unary("erf", "the error function.", func(x VecVirtual) VecVirtual { return s.oddRational(x, 4, erfAbove, erfBelow) })
	s.unary("tanh", "the hyperbolic tangent.", func(x VecVirtual) VecVirtual { return s.oddRational(x, 9.02, tanhAbove, tanhBelow) })
	s.unary("sigmoid", "1/(1+e⁻ˣ).", s.sigmoid)
	s.unary("gelu", "x·Φ(x).", s.gelu)
	s.unary("geluTanh", "gelu by tanh.", s.geluTanh)
	s.binary("geluGrad", "dy (here y) times the slope of gelu.", s.geluGrad)
	s.binary("geluTanhGrad", "dy (here y) times the slope of geluTanh.", s.geluTanhGrad)
}
