package finetune

import "math/bits"

// permutation is a random order of 0 … n-1 that is computed, not kept: a
// balanced Feistel network on as many bits as n takes (an even number),
// applied again while the result is n or more (Black and Rogaway, Ciphers with
// arbitrary finite domains, 2002). Its round function is that of the other
// random numbers (see random.go).
type permutation struct {
	n    uint64
	half int // bits
	keys [feistelRounds]uint64
}

// feistelRounds makes the place of one element uniform, and nearly that of two
// together, also where n is small.
const feistelRounds = 8

func newPermutation(n int, key uint64) permutation {
	p := permutation{n: uint64(n), half: max(1, (bits.Len64(uint64(n-1))+1)/2)}
	for i := range p.keys {
		p.keys[i] = randomAt(key, i)
	}
	return p
}

// at gives element i of the order.
func (p *permutation) at(i int) int {
	x := uint64(i)
	for {
		if x = p.encrypt(x); x < p.n {
			return int(x) // after 4 rounds of the loop at most, on average
		}
	}
}

func (p *permutation) encrypt(x uint64) uint64 {
	mask := uint64(1)<<p.half - 1
	l, r := x>>p.half, x&mask
	for _, key := range p.keys {
		l, r = r, l^mix64(key+r*golden64)&mask
	}
	return l<<p.half | r
}
