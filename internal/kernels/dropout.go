package kernels

import (
	"fmt"
	"math"
	"math/bits"

	"github.com/ftk-go/ftk/internal/parallel"
)

// DropoutMask fills dst with the elements from number first on of an endless mask: 0, each with probability rate, and
// 1/(1-rate) where it is not 0; rate is at least 0 and less than 1. Element i depends on rate, key and i alone: not on
// where dst begins and ends, the version of the innermost loops or the number of threads.
//
// Element i is 0 if a random word is below rate·2³². The words are those of Philox4x32-10 (Salmon et al., Parallel random
// numbers: as easy as 1, 2, 3, SC 2011), which makes four of a 128-bit counter and a 64-bit key, here key. They are dealt
// out in blocks of 32 elements, so that vectors of every width can be stored as they are computed: of block b the
// elements 2j and 2j+1 (j < 8) are the first two words of counter 8b+j, and the elements 16+2j and 17+2j the last two.
func DropoutMask(dst []float32, rate float64, key, first uint64) {
	if !(rate >= 0 && rate < 1) {
		panic(fmt.Sprintf("kernels: DropoutMask: rate %v", rate))
	}
	t := dropoutTasks.Get()
	t.dst, t.keys = dst, philoxKeysOf(key)
	t.threshold, t.keep = uint32(rate*(1<<32)), float32(1/(1-rate))
	t.counter = first / maskBlock * blockCounters
	if before := first % maskBlock; before > 0 {
		t.block(0)
		t.dst = dst[copy(dst, t.some[before:]):]
		t.counter += blockCounters
	}
	parallel.Run((len(t.dst)+maskBlock-1)/maskBlock, cheapGrain/maskBlock, t)
	t.dst = nil
	dropoutTasks.Put(t)
}

const (
	maskBlock     = 32 // elements
	blockCounters = maskBlock / 4
)

// dropoutTask writes blocks of a mask.
type dropoutTask struct {
	dst       []float32
	keys      philoxKeys
	threshold uint32
	keep      float32
	counter   uint64             // of the first block
	some      [maskBlock]float32 // a block of which dst has only a part
}

var dropoutTasks parallel.Free[dropoutTask]

func (t *dropoutTask) Chunk(_, lo, hi int) {
	whole := min(hi, len(t.dst)/maskBlock)
	vec.dropoutMask(t.dst[lo*maskBlock:whole*maskBlock], t.counter+uint64(lo)*blockCounters, &t.keys, t.threshold, t.keep)
	if whole < hi {
		t.block(whole)
		copy(t.dst[whole*maskBlock:], t.some[:])
	}
}

// block writes a whole block to some.
func (t *dropoutTask) block(n int) {
	vec.dropoutMask(t.some[:], t.counter+uint64(n)*blockCounters, &t.keys, t.threshold, t.keep)
}

const (
	philoxRounds = 10

	philoxM0, philoxM1 = 0xd2511f53, 0xcd9e8d57 // factors
	philoxW0, philoxW1 = 0x9e3779b9, 0xbb67ae85 // what the key grows by from round to round
)

// philoxKeys holds the two words of key of each round.
type philoxKeys = [2 * philoxRounds]uint32

func philoxKeysOf(key uint64) (k philoxKeys) {
	k0, k1 := uint32(key), uint32(key>>32)
	for r := range philoxRounds {
		k[2*r], k[2*r+1] = k0, k1
		k0 += philoxW0
		k1 += philoxW1
	}
	return k
}

// philox gives the words of one counter.
func philox(c0, c1, c2, c3 uint32, k *philoxKeys) (w0, w1, w2, w3 uint32) {
	for r := 0; r < len(k); r += 2 {
		p0, p1 := philoxM0*uint64(c0), philoxM1*uint64(c2)
		c0, c1, c2, c3 = uint32(p1>>32)^c1^k[r], uint32(p1), uint32(p0>>32)^c3^k[r+1], uint32(p0)
	}
	return c0, c1, c2, c3
}

func dropoutMaskGo(dst []float32, counter uint64, keys *philoxKeys, threshold uint32, keep float32) {
	for ; len(dst) >= maskBlock; dst = dst[maskBlock:] {
		for j := range blockCounters {
			w0, w1, w2, w3 := philox(uint32(counter), uint32(counter>>32), 0, 0, keys)
			at := dst[2*j : 2*j+maskBlock/2+2]
			at[0], at[1] = unlessBelow(w0, threshold, keep), unlessBelow(w1, threshold, keep)
			at[maskBlock/2], at[maskBlock/2+1] = unlessBelow(w2, threshold, keep), unlessBelow(w3, threshold, keep)
			counter++
		}
	}
}

// unlessBelow is v where x is limit or more, else 0, without a branch that could not be foretold.
func unlessBelow(x, limit uint32, v float32) float32 {
	_, below := bits.Sub32(x, limit, 0)
	return math.Float32frombits(math.Float32bits(v) & (below - 1))
}
