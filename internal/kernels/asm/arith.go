package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// unary writes dst = f(x).
func (s *isa) unary(name, doc string, f func(x VecVirtual) VecVirtual) {
	s.function(name, "(dst, x []float32)", name+s.name+" is "+doc)
	dst, n, x := slicePtr("dst"), sliceLen("dst"), slicePtr("x")
	s.each(n, 1, func(at func(GPVirtual) Mem, _ int) {
		s.store(f(s.load(at(x))), at(dst))
	})
	s.end()
}

// binary writes dst = f(x, y).
func (s *isa) binary(name, doc string, f func(x, y VecVirtual) VecVirtual) {
	s.function(name, "(dst, x, y []float32)", name+s.name+" is "+doc)
	dst, n, x, y := slicePtr("dst"), sliceLen("dst"), slicePtr("x"), slicePtr("y")
	s.each(n, 1, func(at func(GPVirtual) Mem, _ int) {
		s.store(f(s.load(at(x)), s.load(at(y))), at(dst))
	})
	s.end()
}

// withScalar writes dst = f(x, s), or f(x, s, dst).
func (s *isa) withScalar(name, doc string, f func(x, scalar VecVirtual, dst Mem) VecVirtual) {
	s.function(name, "(dst, x []float32, s float32)", name+s.name+" is "+doc)
	dst, n, x, scalar := slicePtr("dst"), sliceLen("dst"), slicePtr("x"), s.broadcast("s")
	s.each(n, 1, func(at func(GPVirtual) Mem, _ int) {
		s.store(f(s.load(at(x)), scalar, at(dst)), at(dst))
	})
	s.end()
}

func (s *isa) arithmetic() {
	s.binary("add", "dst = x + y.", func(x, y VecVirtual) VecVirtual { return s.add(x, y) })
	s.binary("sub", "dst = x - y.", func(x, y VecVirtual) VecVirtual { return s.sub(x, y) })
	s.binary("mul", "dst = x·y.", func(x, y VecVirtual) VecVirtual { return s.mul(x, y) })
	s.binary("div", "dst = x/y.", func(x, y VecVirtual) VecVirtual { return s.div(x, y) })
	s.withScalar("scale", "dst = s·x.", func(x, scalar VecVirtual, _ Mem) VecVirtual { return s.mul(x, scalar) })
	s.withScalar("offset", "dst = x + s.", func(x, scalar VecVirtual, _ Mem) VecVirtual { return s.add(x, scalar) })
	s.withScalar("axpy", "dst += s·x.", func(x, scalar VecVirtual, dst Mem) VecVirtual {
		sum := s.load(dst)
		s.addProduct(sum, x, scalar)
		return sum
	})
	s.addRows()

	s.unary("sqrt", "dst = √x.", s.sqrt)
	s.unary("relu", "dst = max(x, 0).", func(x VecVirtual) VecVirtual { return s.max(s.zero(), x) })
	s.binary("reluGrad", "dy where x > 0, else 0.", func(x, dy VecVirtual) VecVirtual {
		return s.choose(s.compare(greater, x, s.zero()), dy, s.zero())
	})
	s.binary("tanhGrad", "dy·(1-x²), where x is the tanh.", func(y, dy VecVirtual) VecVirtual {
		one := s.copyOf(s.constant(1))
		return s.mul(s.mul(dy, s.sub(one, y)), s.add(y, s.constant(1)))
	})
	s.binary("sigmoidGrad", "dy·x·(1-x), where x is the sigmoid.", func(y, dy VecVirtual) VecVirtual {
		return s.mul(s.mul(dy, y), s.sub(s.copyOf(s.constant(1)), y))
	})
}

// addRows keeps the sums of up to four vectors of columns in registers while it goes down the rows.
func (s *isa) addRows() {
	s.function("addRows", "(dst, x []float32, rows, stride int)", "addRows"+s.name+" adds rows of x, stride apart, to dst.")
	dst, n, x := slicePtr("dst"), sliceLen("dst"), slicePtr("x")
	rows := Load(Param("rows"), GP64()).(GPVirtual)
	stride := Load(Param("stride"), GP64()).(GPVirtual)
	SHLQ(Imm(2), stride)

	i, next, w := GP64(), GP64(), s.width()
	down := func(vectors int, label string) {
		acc := s.accumulators(vectors, s.zero)
		row, r := GP64(), GP64()
		LEAQ(Mem{Base: x, Index: i, Scale: 4}, row)
		MOVQ(rows, r)
		Label(label)
		for u, a := range acc {
			VADDPS(s.load(Mem{Base: row, Disp: 4 * w * u}), a, a)
		}
		ADDQ(stride, row)
		DECQ(r)
		JNZ(LabelRef(label))
		for u, a := range acc {
			m := Mem{Base: dst, Index: i, Scale: 4, Disp: 4 * w * u}
			s.store(s.add(a, s.load(m)), m)
		}
	}
	XORQ(i, i)
	for _, vectors := range []int{4, 1} {
		name := map[int]string{4: "four", 1: "single"}[vectors]
		Label(name)
		LEAQ(Mem{Base: i, Disp: vectors * w}, next)
		CMPQ(next, n)
		JG(LabelRef(name + "done"))
		down(vectors, name+"rows")
		MOVQ(next, i)
		JMP(LabelRef(name))
		Label(name + "done")
	}
	s.rest(i, n, "done")
	s.partial = true
	down(1, "restrows")
	s.partial = false
	Label("done")
	s.end()
}
