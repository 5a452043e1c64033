package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// isa writes instructions for one width of vector. Its methods name their operands in the order of arithmetic
// (sub(a, b) is a - b) and return new registers unless they say otherwise.
//
// Where the end of a slice fills only part of a vector, mask says which lanes count: load gives zero in the others and
// store leaves memory alone there.
type isa struct {
	name string // suffix of the functions
	wide bool   // AVX-512, else AVX2 with FMA

	partial  bool
	mask     OpmaskVirtual // of AVX-512
	maskBits VecVirtual    // of AVX2: all bits set in lanes that count

	constants map[uint32]Mem
}

// width is the number of float32 in a vector.
func (s *isa) width() int {
	if s.wide {
		return 16
	}
	return 8
}

// function begins a function of the table of innermost loops.
func (s *isa) function(name, signature, doc string) {
	TEXT(name+s.name, NOSPLIT, "func"+signature)
	Pragma("noescape")
	Doc(doc)
}

// end clears the upper halves of the registers, which would slow down code that knows nothing of them, and returns.
func (s *isa) end() {
	VZEROUPPER()
	RET()
}

func (s *isa) vec() VecVirtual {
	if s.wide {
		return ZMM()
	}
	return YMM()
}

// constant gives memory holding v in every lane.
func (s *isa) constant(v float64) Mem { return s.bits(math.Float32bits(float32(v))) }

// bits gives memory holding a bit pattern in every lane.
func (s *isa) bits(b uint32) Mem {
	if m, ok := s.constants[b]; ok {
		return m
	}
	m := GLOBL(fmt.Sprintf("lanes%s_%08x", s.name, b), RODATA|NOPTR)
	for i := range s.width() {
		DATA(4*i, U32(b))
	}
	s.constants[b] = m
	return m
}

// quads gives memory holding first, first+step, … in 64-bit lanes.
func (s *isa) quads(first, step int) Mem {
	m := GLOBL(fmt.Sprintf("quads%s_%d_%d", s.name, first, step), RODATA|NOPTR)
	for i := range s.width() / 2 {
		DATA(8*i, U64(first+i*step))
	}
	return m
}

// broadcast fills a register with a float32 parameter.
func (s *isa) broadcast(param string) VecVirtual {
	x := XMM()
	Load(Param(param), x)
	v := s.vec()
	VBROADCASTSS(x, v)
	return v
}

func (s *isa) zero() VecVirtual {
	v := s.vec()
	if s.wide {
		VPXORD(v, v, v)
	} else {
		VXORPS(v, v, v)
	}
	return v
}

func (s *isa) load(m Mem) VecVirtual {
	v := s.vec()
	switch {
	case !s.partial:
		VMOVUPS(m, v)
	case s.wide:
		VMOVUPS_Z(m, s.mask, v)
	default:
		VMASKMOVPS(m, s.maskBits, v)
	}
	return v
}

func (s *isa) store(v VecVirtual, m Mem) {
	switch {
	case !s.partial:
		VMOVUPS(v, m)
	case s.wide:
		VMOVUPS(v, s.mask, m)
	default:
		VMASKMOVPS(v, s.maskBits, m)
	}
}

// others replaces the lanes that do not count by a constant.
func (s *isa) others(v VecVirtual, neutral float64) VecVirtual {
	if !s.partial {
		return v
	}
	r, c := s.vec(), s.copyOf(s.constant(neutral))
	if s.wide {
		VBLENDMPS(v, c, s.mask, r)
	} else {
		VBLENDVPS(s.maskBits, v, c, r)
	}
	return r
}

func (s *isa) copyOf(x Op) VecVirtual {
	v := s.vec()
	VMOVUPS(x, v)
	return v
}

// b may be memory in all of these.

func (s *isa) add(a VecVirtual, b Op) VecVirtual { v := s.vec(); VADDPS(b, a, v); return v }
func (s *isa) sub(a VecVirtual, b Op) VecVirtual { v := s.vec(); VSUBPS(b, a, v); return v }
func (s *isa) mul(a VecVirtual, b Op) VecVirtual { v := s.vec(); VMULPS(b, a, v); return v }
func (s *isa) div(a VecVirtual, b Op) VecVirtual { v := s.vec(); VDIVPS(b, a, v); return v }
func (s *isa) sqrt(a VecVirtual) VecVirtual      { v := s.vec(); VSQRTPS(a, v); return v }

// min and max give b if either is NaN.
func (s *isa) min(a VecVirtual, b Op) VecVirtual { v := s.vec(); VMINPS(b, a, v); return v }
func (s *isa) max(a VecVirtual, b Op) VecVirtual { v := s.vec(); VMAXPS(b, a, v); return v }

// clamp keeps x within lo and hi; NaN stays.
func (s *isa) clamp(x VecVirtual, lo, hi float64) VecVirtual {
	return s.max(s.copyOf(s.constant(lo)), s.min(s.copyOf(s.constant(hi)), x))
}

func (s *isa) and(a VecVirtual, b Op) VecVirtual {
	v := s.vec()
	if s.wide {
		VPANDD(b, a, v)
	} else {
		VANDPS(b, a, v)
	}
	return v
}

func (s *isa) abs(a VecVirtual) VecVirtual { return s.and(a, s.bits(0x7fffffff)) }

// horner is p = p·x + c, in place.
func (s *isa) horner(p, x VecVirtual, c Op) { VFMADD213PS(c, x, p) }

// addProduct is acc += a·b, in place.
func (s *isa) addProduct(acc, a VecVirtual, b Op) { VFMADD231PS(b, a, acc) }

// subProduct is acc -= a·b, in place.
func (s *isa) subProduct(acc, a VecVirtual, b Op) { VFNMADD231PS(b, a, acc) }

// poly is c[0] + c[1]·x + c[2]·x² + …
func (s *isa) poly(x VecVirtual, c []float64) VecVirtual {
	p := s.copyOf(s.constant(c[len(c)-1]))
	for i := len(c) - 2; i >= 0; i-- {
		s.horner(p, x, s.constant(c[i]))
	}
	return p
}

// Predicates of compare (AVX, ordered and quiet).
const (
	less    = 17
	equal   = 0
	greater = 30
	unord   = 3
)

// lanes is the result of a comparison.
type lanes struct {
	k OpmaskVirtual
	v VecVirtual
}

func (s *isa) compare(predicate uint8, a VecVirtual, b Op) lanes {
	if s.wide {
		k := K()
		VCMPPS(U8(predicate), b, a, k)
		return lanes{k: k}
	}
	v := s.vec()
	VCMPPS(U8(predicate), b, a, v)
	return lanes{v: v}
}

// choose is yes in the lanes where the comparison held, else no.
func (s *isa) choose(l lanes, yes, no VecVirtual) VecVirtual {
	r := s.vec()
	if s.wide {
		VBLENDMPS(yes, no, l.k, r)
	} else {
		VBLENDVPS(l.v, yes, no, r)
	}
	return r
}

// each writes loops over n elements: unroll vectors at a time, then one, then what is left. body handles one vector;
// at gives the place of that vector in a slice, u numbers it within the unrolled loop.
func (s *isa) each(n GPVirtual, unroll int, body func(at func(base GPVirtual) Mem, u int)) {
	label := fmt.Sprintf("n%d", s.unique())
	i, next, w := GP64(), GP64(), s.width()
	at := func(u int) func(GPVirtual) Mem {
		return func(base GPVirtual) Mem { return Mem{Base: base, Index: i, Scale: 4, Disp: 4 * w * u} }
	}
	XORQ(i, i)
	if unroll > 1 {
		MOVQ(U32(unroll*w), next)
		CMPQ(next, n)
		JG(LabelRef(label + "single"))
		Label(label + "unrolled")
		for u := range unroll {
			body(at(u), u)
		}
		MOVQ(next, i)
		ADDQ(Imm(uint64(unroll*w)), next)
		CMPQ(next, n)
		JLE(LabelRef(label + "unrolled"))
	}
	Label(label + "single")
	LEAQ(Mem{Base: i, Disp: w}, next)
	CMPQ(next, n)
	JG(LabelRef(label + "rest"))
	Label(label + "one")
	body(at(0), 0)
	MOVQ(next, i)
	ADDQ(Imm(uint64(w)), next)
	CMPQ(next, n)
	JLE(LabelRef(label + "one"))
	Label(label + "rest")
	s.rest(i, n, label+"done")
	s.partial = true
	body(at(0), 0)
	s.partial = false
	Label(label + "done")
}

// rest sets the mask for elements i to n, or jumps if there are none.
func (s *isa) rest(i, n GPVirtual, none string) {
	left := GP64()
	MOVQ(n, left)
	SUBQ(i, left)
	JE(LabelRef(none))
	if s.wide {
		ones := GP64()
		MOVQ(U32(0xffff), ones)
		BZHIQ(left, ones, ones)
		s.mask = K()
		KMOVW(ones.As32(), s.mask)
		return
	}
	table := GP64()
	LEAQ(s.window(), table)
	NEGQ(left)
	s.maskBits = YMM()
	VMOVUPS(Mem{Base: table, Index: left, Scale: 4, Disp: 32}, s.maskBits)
}

var labels int

func (s *isa) unique() int { labels++; return labels }

var windowMem *Mem

// window is 8 lanes of ones and 8 of zeros: read from 8-n on, the first n lanes are ones.
func (s *isa) window() Mem {
	if windowMem == nil {
		m := GLOBL("window"+s.name, RODATA|NOPTR)
		for i := range 16 {
			b := uint32(0)
			if i < 8 {
				b = 0xffffffff
			}
			DATA(4*i, U32(b))
		}
		windowMem = &m
	}
	return *windowMem
}

// total adds up the lanes of the accumulators, pairwise, into the lowest lane of a register.
func (s *isa) total(acc []VecVirtual) VecVirtual {
	return s.fold(acc, func(a, b, dst Op) { VADDPS(a, b, dst) })
}

// fold combines accumulators, then the halves of what is left until one lane remains.
func (s *isa) fold(acc []VecVirtual, combine func(a, b, dst Op)) VecVirtual {
	for len(acc) > 1 {
		for i := range len(acc) / 2 {
			combine(acc[i+len(acc)/2], acc[i], acc[i])
		}
		acc = acc[:len(acc)/2]
	}
	v := acc[0]
	if s.wide {
		high := YMM()
		VEXTRACTF64X4(Imm(1), v, high)
		combine(high, v.AsY(), v.AsY())
	}
	high := XMM()
	VEXTRACTF128(Imm(1), v.AsY(), high)
	combine(high, v.AsX(), v.AsX())
	VPERMILPS(Imm(0x4e), v.AsX(), high)
	combine(high, v.AsX(), v.AsX())
	VPERMILPS(Imm(0xb1), v.AsX(), high)
	combine(high, v.AsX(), v.AsX())
	return v
}

func (s *isa) accumulators(n int, initial func() VecVirtual) []VecVirtual {
	acc := make([]VecVirtual, n)
	for i := range acc {
		acc[i] = initial()
	}
	return acc
}

func slicePtr(name string) GPVirtual {
	return Load(Param(name).Base(), GP64()).(GPVirtual)
}

func gp(name string) GPVirtual {
	return Load(Param(name), GP64()).(GPVirtual)
}

func sliceLen(name string) GPVirtual {
	return Load(Param(name).Len(), GP64()).(GPVirtual)
}
