package finetune

import "math/bits"

// Randomness is counter-based: every number is a function of the seed, what it
// is for, and a counter, so there is no state to save and a resumed run draws
// what an uninterrupted one would have drawn.

// Streams: what random numbers are for.
const (
	streamShuffle uint64 = iota + 1
	streamBatchOrder
	streamDropout
)

// mix64 is the output function of SplitMix64 (Steele, Lea, Flood, 2014).
func mix64(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

const golden64 = 0x9e3779b97f4a7c15

// randomKey hashes a seed, a stream and counters to the key of a generator.
func randomKey(seed, stream uint64, counters ...uint64) uint64 {
	k := mix64(seed + golden64)
	k = mix64(k ^ (stream * golden64))
	for _, c := range counters {
		k = mix64(k + (c+1)*golden64)
	}
	return k
}

// randomAt is number i of the generator with this key, as SplitMix64 would
// give it.
func randomAt(key uint64, i int) uint64 { return mix64(key + uint64(i+1)*golden64) }

// shuffle permutes x (Fisher–Yates; Lemire's multiplication for the range).
func shuffle[T any](x []T, key uint64) {
	for i := len(x) - 1; i > 0; i-- {
		hi, _ := bits.Mul64(randomAt(key, i), uint64(i+1))
		x[i], x[hi] = x[hi], x[i]
	}
}
