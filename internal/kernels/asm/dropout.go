package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// What package kernels says of the mask: elements of a block, and counters of the generator that make one.
const (
	maskBlock     = 32
	blockCounters = maskBlock / 4
)

// Philox4x32-10; see package kernels.
const (
	philoxM0     = 0xd2511f53
	philoxM1     = 0xcd9e8d57
	philoxRounds = 10
)

// dropoutMask keeps each word of the generator's state in the lower halves of 64-bit lanes, where the multiplication
// takes its factors; what the upper halves hold does not matter.
func (s *isa) dropoutMask() {
	s.function("dropoutMask", "(dst []float32, counter uint64, keys *[20]uint32, threshold uint32, keep float32)",
		"dropoutMask"+s.name+" writes blocks of a dropout mask.")
	dst, n, keys, keep := slicePtr("dst"), sliceLen("dst"), gp("keys"), s.broadcast("keep")
	limit, threshold := XMM(), s.vec()
	VMOVD(Load(Param("threshold"), GP32()), limit)
	VPBROADCASTD(limit, threshold)

	// Each vector holds the next few counters of a block.
	vectors := maskBlock / 2 / s.width()
	counters := make([]VecVirtual, vectors)
	start, first := XMM(), s.vec()
	VMOVQ(gp("counter"), start)
	VPBROADCASTQ(start, first)
	for v := range counters {
		counters[v] = s.vec()
		VPADDQ(s.quads(v*s.width()/2, 1), first, counters[v])
	}
	next := s.quads(blockCounters, 0)
	i := GP64()
	XORQ(i, i)
	Label("block")
	CMPQ(i, n)
	JGE(LabelRef("done"))
	for v, words := range s.philox(counters, keys) {
		VPADDQ(next, counters[v], counters[v])
		for half := range 2 {
			random := s.interleave(words[2*half], words[2*half+1])
			at := Mem{Base: dst, Index: i, Scale: 4, Disp: 4 * (half*maskBlock/2 + v*s.width())}
			s.store(s.unlessBelow(random, threshold, keep), at)
		}
	}
	ADDQ(Imm(maskBlock), i)
	JMP(LabelRef("block"))
	Label("done")
	s.end()
}

// philox gives the four words of each counter.
func (s *isa) philox(counters []VecVirtual, keys GPVirtual) [][4]VecVirtual {
	words := make([][4]VecVirtual, len(counters))
	for v, c := range counters {
		upper := s.vec()
		VPSRLQ(Imm(32), c, upper)
		words[v] = [4]VecVirtual{c, upper, s.zero(), s.zero()}
	}
	for r := range philoxRounds {
		key0, key1 := s.roundKey(keys, 2*r), s.roundKey(keys, 2*r+1)
		for v, w := range words {
			p0, p1, high0, high1 := s.vec(), s.vec(), s.vec(), s.vec()
			VPMULUDQ(s.bits(philoxM0), w[0], p0)
			VPMULUDQ(s.bits(philoxM1), w[2], p1)
			VPSRLQ(Imm(32), p0, high0)
			VPSRLQ(Imm(32), p1, high1)
			words[v] = [4]VecVirtual{s.xor3(high1, w[1], key0), p1, s.xor3(high0, w[3], key1), p0}
		}
	}
	return words
}

// roundKey gives one of the keys in every lane: with AVX-512 instructions read it from memory so.
func (s *isa) roundKey(keys GPVirtual, i int) Op {
	m := Mem{Base: keys, Disp: 4 * i}
	if s.wide {
		return m
	}
	v := s.vec()
	VPBROADCASTD(m, v)
	return v
}

// xor3 is a ^ b ^ key, in place of a.
func (s *isa) xor3(a, b VecVirtual, key Op) VecVirtual {
	if s.wide {
		VPTERNLOGD_BCST(U8(0x96), key, b, a)
	} else {
		VPXOR(b, a, a)
		VPXOR(key, a, a)
	}
	return a
}

// interleave puts the lower halves of the 64-bit lanes of odd beside those of even, in place of even.
func (s *isa) interleave(even, odd VecVirtual) VecVirtual {
	const twice = 0xa0 // each lower half, and again in the upper one
	if s.wide {
		lanes, k := GP32(), K()
		MOVL(U32(0xaaaa), lanes)
		KMOVW(lanes, k)
		VPSHUFD(U8(twice), odd, k, even)
		return even
	}
	doubled := s.vec()
	VPSHUFD(U8(twice), odd, doubled)
	VPBLENDD(U8(0xaa), doubled, even, even)
	return even
}

// unlessBelow is v where x, taken as unsigned numbers, is limit or more, else zero.
func (s *isa) unlessBelow(x, limit, v VecVirtual) VecVirtual {
	r := s.vec()
	if s.wide {
		k := K()
		VPCMPUD(U8(5), limit, x, k)
		VMOVAPS_Z(v, k, r)
		return r
	}
	VPMAXUD(limit, x, r)
	VPCMPEQD(x, r, r)
	VANDPS(v, r, r)
	return r
}
