package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// chains is how many accumulators a reduction keeps: an addition takes four cycles, and each waits for the one before.
const chains = 4

func (s *isa) result(v VecVirtual) {
	Store(v.AsX(), ReturnIndex(0))
	s.end()
}

func (s *isa) reductions() {
	s.function("max", "(x []float32) float32", "max"+s.name+" is the largest element; NaN are passed over.")
	x, n := slicePtr("x"), sliceLen("x")
	lowest := s.constant(math.Inf(-1))
	acc := s.accumulators(chains, func() VecVirtual { return s.copyOf(lowest) })
	s.each(n, chains, func(at func(GPVirtual) Mem, u int) {
		VMAXPS(acc[u], s.others(s.load(at(x)), math.Inf(-1)), acc[u])
	})
	s.result(s.fold(acc, func(a, b, dst Op) { VMAXPS(a, b, dst) }))

	s.function("sum", "(x []float32) float32", "sum"+s.name+" is Σ x.")
	x, n = slicePtr("x"), sliceLen("x")
	acc = s.accumulators(chains, s.zero)
	s.each(n, chains, func(at func(GPVirtual) Mem, u int) {
		VADDPS(s.load(at(x)), acc[u], acc[u])
	})
	s.result(s.total(acc))

	s.function("dot", "(x, y []float32) float32", "dot"+s.name+" is Σ x·y.")
	x, n = slicePtr("x"), sliceLen("x")
	y := slicePtr("y")
	acc = s.accumulators(chains, s.zero)
	s.each(n, chains, func(at func(GPVirtual) Mem, u int) {
		s.addProduct(acc[u], s.load(at(x)), s.load(at(y)))
	})
	s.result(s.total(acc))

	s.function("squaresAround", "(x []float32, mean float32) float32", "squaresAround"+s.name+" is Σ (x-mean)².")
	x, n = slicePtr("x"), sliceLen("x")
	mean := s.broadcast("mean")
	acc = s.accumulators(chains, s.zero)
	s.each(n, chains, func(at func(GPVirtual) Mem, u int) {
		d := s.sub(s.load(at(x)), mean)
		if s.partial {
			d = s.others(d, 0)
		}
		s.addProduct(acc[u], d, d)
	})
	s.result(s.total(acc))

	s.widened("sumSquares", "Σ x² in float64.", func(half, acc VecVirtual) { VFMADD231PD(half, half, acc) })
	s.widened("sum64", "Σ x in float64.", func(half, acc VecVirtual) { VADDPD(half, acc, acc) })
}

// widened is a sum in float64, to which half a vector at a time is added.
func (s *isa) widened(name, doc string, add func(half, acc VecVirtual)) {
	s.function(name, "(x []float32) float64", name+s.name+" is "+doc)
	x, n := slicePtr("x"), sliceLen("x")
	acc := s.accumulators(chains, s.zero)
	s.each(n, 2, func(at func(GPVirtual) Mem, u int) {
		v := s.load(at(x))
		low, high, half := s.vec(), s.vec(), v
		if s.wide {
			VCVTPS2PD(v.AsY(), low)
			half = YMM()
			VEXTRACTF64X4(Imm(1), v, half)
		} else {
			VCVTPS2PD(v.AsX(), low)
			half = XMM()
			VEXTRACTF128(Imm(1), v, half)
		}
		VCVTPS2PD(half, high)
		add(low, acc[2*u])
		add(high, acc[2*u+1])
	})
	VADDPD(acc[2], acc[0], acc[0])
	VADDPD(acc[3], acc[1], acc[1])
	VADDPD(acc[1], acc[0], acc[0])
	v := acc[0]
	if s.wide {
		high := YMM()
		VEXTRACTF64X4(Imm(1), v, high)
		VADDPD(high, v.AsY(), v.AsY())
	}
	high := XMM()
	VEXTRACTF128(Imm(1), v.AsY(), high)
	VADDPD(high, v.AsX(), v.AsX())
	VPERMILPD(Imm(1), v.AsX(), high)
	VADDPD(high, v.AsX(), v.AsX())
	s.result(v)
}

func (s *isa) softmax() {
	s.function("expSum", "(dst, x []float32, shift float32) float32", "expSum"+s.name+" is dst = exp(x-shift), and Σ dst.")
	dst, n, x, shift := slicePtr("dst"), sliceLen("dst"), slicePtr("x"), s.broadcast("shift")
	acc := s.accumulators(2, s.zero)
	s.each(n, 2, func(at func(GPVirtual) Mem, u int) {
		e := s.exp(s.sub(s.load(at(x)), shift))
		s.store(e, at(dst))
		VADDPS(s.others(e, 0), acc[u], acc[u])
	})
	s.result(s.total(acc))

	s.function("softmaxGrad", "(dx, y, dy []float32, dot, s float32)", "softmaxGrad"+s.name+" is dx = s·y·(dy-dot).")
	dx, n, y, dy := slicePtr("dx"), sliceLen("dx"), slicePtr("y"), slicePtr("dy")
	dot, scale := s.broadcast("dot"), s.broadcast("s")
	s.each(n, 1, func(at func(GPVirtual) Mem, _ int) {
		s.store(s.mul(s.mul(s.load(at(y)), scale), s.sub(s.load(at(dy)), dot)), at(dx))
	})
	s.end()
}

// softmaxRows handles several rows in a call: those of attention are short.
func (s *isa) softmaxRows() {
	s.function("softmaxRows", "(x []float32, rows int, mask []float32, s float32)", "softmaxRows"+s.name+" makes each row of x, as long as mask, the softmax of s·x + mask.")
	x, rows, mask, n := slicePtr("x"), gp("rows"), slicePtr("mask"), sliceLen("mask")
	scalar := s.broadcast("s")
	s.eachRow(rows, func() {
		top := s.accumulators(2, func() VecVirtual { return s.copyOf(s.constant(math.Inf(-1))) })
		s.each(n, 2, func(at func(GPVirtual) Mem, u int) {
			v := s.load(at(mask))
			s.addProduct(v, s.load(at(x)), scalar)
			s.store(v, at(x))
			VMAXPS(top[u], s.others(v, math.Inf(-1)), top[u])
		})
		shift := s.repeat(s.fold(top, func(a, b, dst Op) { VMAXPS(a, b, dst) }))
		sum := s.accumulators(2, s.zero)
		s.each(n, 2, func(at func(GPVirtual) Mem, u int) {
			e := s.exp(s.sub(s.load(at(x)), shift))
			s.store(e, at(x))
			VADDPS(s.others(e, 0), sum[u], sum[u])
		})
		inverse := s.div(s.copyOf(s.constant(1)), s.repeat(s.total(sum)))
		s.each(n, 1, func(at func(GPVirtual) Mem, _ int) { s.store(s.mul(s.load(at(x)), inverse), at(x)) })
		LEAQ(Mem{Base: x, Index: n, Scale: 4}, x)
	})
	s.end()

	s.function("softmaxGradRows", "(dx, y []float32, rows, cols int, s float32)", "softmaxGradRows"+s.name+" is dx = s·y·(dx - Σ y·dx) for each row.")
	dx, y, rows, n := slicePtr("dx"), slicePtr("y"), gp("rows"), gp("cols")
	scalar = s.broadcast("s")
	s.eachRow(rows, func() {
		acc := s.accumulators(2, s.zero)
		s.each(n, 2, func(at func(GPVirtual) Mem, u int) { s.addProduct(acc[u], s.load(at(dx)), s.load(at(y))) })
		dot := s.repeat(s.total(acc))
		s.each(n, 1, func(at func(GPVirtual) Mem, _ int) {
			s.store(s.mul(s.mul(s.load(at(y)), scalar), s.sub(s.load(at(dx)), dot)), at(dx))
		})
		LEAQ(Mem{Base: dx, Index: n, Scale: 4}, dx)
		LEAQ(Mem{Base: y, Index: n, Scale: 4}, y)
	})
	s.end()
}

// eachRow runs body rows times.
func (s *isa) eachRow(rows GPVirtual, body func()) {
	label := fmt.Sprintf("row%d", s.unique())
	TESTQ(rows, rows)
	JE(LabelRef(label + "done"))
	Label(label)
	body()
	DECQ(rows)
	JNZ(LabelRef(label))
	Label(label + "done")
}

// repeat fills a register with the lowest lane of another.
func (s *isa) repeat(v VecVirtual) VecVirtual {
	r := s.vec()
	VBROADCASTSS(v.AsX(), r)
	return r
}

func (s *isa) normalisation() {
	s.function("normalize", "(dst, x, gamma, beta []float32, mean, rstd float32)", "normalize"+s.name+" is dst = (x-mean)·rstd·γ + β.")
	dst, n, x, gamma, beta := slicePtr("dst"), sliceLen("dst"), slicePtr("x"), slicePtr("gamma"), slicePtr("beta")
	mean, rstd := s.broadcast("mean"), s.broadcast("rstd")
	s.each(n, 1, func(at func(GPVirtual) Mem, _ int) {
		v := s.load(at(beta))
		s.addProduct(v, s.mul(s.sub(s.load(at(x)), mean), rstd), s.load(at(gamma)))
		s.store(v, at(dst))
	})
	s.end()

	s.function("normGradSums", "(x, gamma, dy []float32, mean, rstd float32) (sum, sumX float32)", "normGradSums"+s.name+" is Σ γ·dy and Σ γ·dy·x̂, where x̂ = (x-mean)·rstd.")
	x, n = slicePtr("x"), sliceLen("x")
	gamma, dy := slicePtr("gamma"), slicePtr("dy")
	mean = s.broadcast("mean")
	acc, accX := s.accumulators(2, s.zero), s.accumulators(2, s.zero)
	s.each(n, 2, func(at func(GPVirtual) Mem, u int) {
		d := s.mul(s.load(at(gamma)), s.load(at(dy)))
		VADDPS(d, acc[u], acc[u])
		s.addProduct(accX[u], d, s.sub(s.load(at(x)), mean))
	})
	g, gx, factor := s.total(acc), s.total(accX), XMM()
	Load(Param("rstd"), factor)
	VMULSS(factor, gx.AsX(), gx.AsX())
	Store(g.AsX(), ReturnIndex(0))
	Store(gx.AsX(), ReturnIndex(1))
	s.end()

	s.function("normGrad", "(dx, x, gamma, dy []float32, mean, rstd, a, b float32)", "normGrad"+s.name+" is dx = rstd·(γ·dy - a - b·x̂).")
	dx, n, x, gamma, dy := slicePtr("dx"), sliceLen("dx"), slicePtr("x"), slicePtr("gamma"), slicePtr("dy")
	mean, rstd = s.broadcast("mean"), s.broadcast("rstd")
	a, b := s.broadcast("a"), s.broadcast("b")
	s.each(n, 1, func(at func(GPVirtual) Mem, _ int) {
		v := s.sub(s.mul(s.load(at(gamma)), s.load(at(dy))), a)
		s.subProduct(v, s.mul(s.sub(s.load(at(x)), mean), rstd), b)
		s.store(s.mul(v, rstd), at(dx))
	})
	s.end()

	s.function("normGradParam", "(dgamma, dbeta, x, dy []float32, mean, rstd float32)", "normGradParam"+s.name+" is dγ += dy·x̂, dβ += dy.")
	dgamma, n, dbeta := slicePtr("dgamma"), sliceLen("dgamma"), slicePtr("dbeta")
	x, dy = slicePtr("x"), slicePtr("dy")
	mean, rstd = s.broadcast("mean"), s.broadcast("rstd")
	s.each(n, 1, func(at func(GPVirtual) Mem, _ int) {
		d, v := s.load(at(dy)), s.load(at(dgamma))
		s.addProduct(v, s.mul(s.sub(s.load(at(x)), mean), rstd), d)
		s.store(v, at(dgamma))
		s.store(s.add(s.load(at(dbeta)), d), at(dbeta))
	})
	s.end()
}

// adamW reads the settings in the order of package kernels' constants.
func (s *isa) adamW() {
	s.function("adamW", "(param, grad, m, v []float32, s *[8]float32)", "adamW"+s.name+" is one step of AdamW.")
	param, n, grad, m, v := slicePtr("param"), sliceLen("param"), slicePtr("grad"), slicePtr("m"), slicePtr("v")
	fields := Load(Param("s"), GP64()).(GPVirtual)
	scalar := make([]VecVirtual, 8)
	for i := range scalar {
		scalar[i] = s.vec()
		VBROADCASTSS(Mem{Base: fields, Disp: 4 * i}, scalar[i])
	}
	gradScale, oneMinusBeta1, beta2, oneMinusBeta2, rsqrtBias, eps, step, decay := scalar[0], scalar[1], scalar[2], scalar[3], scalar[4], scalar[5], scalar[6], scalar[7]
	s.each(n, 1, func(at func(GPVirtual) Mem, _ int) {
		g := s.mul(s.load(at(grad)), gradScale)
		first := s.load(at(m))
		s.addProduct(first, s.sub(g, first), oneMinusBeta1)
		s.store(first, at(m))
		second := s.mul(s.load(at(v)), beta2)
		s.addProduct(second, s.mul(g, g), oneMinusBeta2)
		s.store(second, at(v))
		below := s.sqrt(second)
		s.horner(below, rsqrtBias, eps)
		p := s.mul(s.load(at(param)), decay)
		s.subProduct(p, s.div(first, below), step)
		s.store(p, at(param))
	})
	s.end()
}
