package dataset

import (
	"math/bits"
	"sort"
)

// Examples is a choice of the examples of a set, in their order: all of them,
// or those of a bitmap, which takes less than 0.15 bytes for each example of
// the set. Two choices that exclude each other share it.
type Examples struct {
	length  int
	chosen  *bitmap // nil: all
	inverse bool    // those whose bit is not set
}

// bitmap has a bit for each example.
type bitmap struct {
	words []uint64
	ranks []int64 // bits set before each block of blockWords words
}

// blockWords is the number of words between entries of ranks.
const blockWords = 8

// newBitmap returns a bitmap of n zeros, without ranks.
func newBitmap(n int) *bitmap { return &bitmap{words: make([]uint64, (n+63)/64)} }

func (b *bitmap) set(i int) { b.words[i/64] |= 1 << (i % 64) }

// rank counts the bits; it comes after the last set.
func (b *bitmap) rank() {
	var n int64
	for i, w := range b.words {
		if i%blockWords == 0 {
			b.ranks = append(b.ranks, n)
		}
		n += int64(bits.OnesCount64(w))
	}
}

// All returns all examples of the set.
func (s *Set) All() Examples { return Examples{length: s.Len()} }

// Len returns how many examples are chosen.
func (e *Examples) Len() int { return e.length }

// At returns the number in the set of the chosen example i.
func (e *Examples) At(i int) int {
	if e.chosen == nil {
		return i
	}
	before := func(block int) int {
		n := int(e.chosen.ranks[block])
		if e.inverse {
			n = block*blockWords*64 - n
		}
		return n
	}
	block := sort.Search(len(e.chosen.ranks), func(b int) bool { return before(b) > i }) - 1
	left := i - before(block) // to pass over from the start of the block
	for at := block * blockWords; ; at++ {
		w := e.word(at)
		n := bits.OnesCount64(w)
		if left < n {
			for ; left > 0; left-- {
				w &= w - 1
			}
			return at*64 + bits.TrailingZeros64(w)
		}
		left -= n
	}
}

// word has a bit set for each chosen one of 64 examples; beyond the last
// example of the set it may have others.
func (e *Examples) word(i int) uint64 {
	if e.inverse {
		return ^e.chosen.words[i]
	}
	return e.chosen.words[i]
}

// Has tells whether the example of the set with this number is chosen.
func (e *Examples) Has(number int) bool {
	return e.chosen == nil || e.word(number/64)>>(number%64)&1 == 1
}
