package kernels

import (
	"fmt"
	"math"
	"testing"
)

// Known answers of Random123, the authors' own implementation of Philox: tests/kat_vectors, "philox4x32 10".
func TestPhiloxKnownAnswers(t *testing.T) {
	for _, c := range []struct {
		counter [4]uint32
		key     uint64 // its first word in the lower half
		want    [4]uint32
	}{
		{[4]uint32{}, 0, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{[4]uint32{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, 0xffffffff_ffffffff, [4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
		{[4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0x299f31d0_a4093822, [4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
	} {
		keys := philoxKeysOf(c.key)
		var got [4]uint32
		got[0], got[1], got[2], got[3] = philox(c.counter[0], c.counter[1], c.counter[2], c.counter[3], &keys)
		if got != c.want {
			t.Errorf("counter %x, key %x: %x, want %x", c.counter, c.key, got, c.want)
		}
	}
}

// maskAt is element i of a mask, as DropoutMask's comment says.
func maskAt(i int, rate float64, key uint64) float32 {
	keys := philoxKeysOf(key)
	counter := uint64(8*(i/32) + i%16/2)
	var w [4]uint32
	w[0], w[1], w[2], w[3] = philox(uint32(counter), uint32(counter>>32), 0, 0, &keys)
	if float64(w[i%32/16*2+i%2]) < math.Floor(rate*(1<<32)) {
		return 0
	}
	return float32(1 / (1 - rate))
}

// Every version gives every element the same bits, whatever the length, the place in memory and the number of threads,
// and writes nothing beside dst.
func TestDropoutMaskDependsOnKeyAndPlaceAlone(t *testing.T) {
	const guard = 12345
	lengths := []int{1023, 1024, 16383, 16384, 16385, 100_003, 262_144 + 17}
	for n := range 101 {
		lengths = append(lengths, n)
	}
	rates := []float64{0, 1e-9, 0.1, 0.5, 0.9, 1 - 1e-12}
	keys := []uint64{0, 1, 0x0123456789abcdef, math.MaxUint64}
	want := map[string][]float32{}
	for _, rate := range rates {
		for _, key := range keys {
			x := make([]float32, 262_144+17)
			for i := range x {
				x[i] = maskAt(i, rate, key)
			}
			want[fmt.Sprint(rate, key)] = x
		}
	}
	mem := make([]float32, 262_144+64)
	eachVersion(t, func(t *testing.T) {
		for _, th := range []int{1, 2, 3, 7} {
			threads(t, th)
			for k, n := range lengths {
				for offset := range 5 {
					rate, key := rates[(k+offset)%len(rates)], keys[(k+offset+th)%len(keys)]
					around := mem[:n+offset+40]
					for i := range around {
						around[i] = guard
					}
					first := 0 // of the mask
					if k%2 > 0 && n < len(mem)/2 {
						first = 7*k*(offset+th) + 64*(k%3)
					}
					DropoutMask(around[offset:offset+n:offset+n], rate, key, uint64(first))
					what := fmt.Sprintf("%d elements from %d at offset %d, rate %v, key %x, %d threads", n, first, offset, rate, key, th)
					sameBits(t, what, around[offset:offset+n], want[fmt.Sprint(rate, key)][first:])
					for i, v := range around {
						if (i < offset || i >= offset+n) && v != guard {
							t.Fatalf("%s: wrote element %d", what, i-offset)
						}
					}
				}
			}
		}
	})
}

// The loops carry counters beyond 32 bits, which no slice in memory is long enough for.
func TestDropoutMaskOfLargeCounters(t *testing.T) {
	keys := philoxKeysOf(3)
	for _, counter := range []uint64{1<<32 - 3, 1<<32 - 8, 1 << 40, math.MaxUint64 - 9} {
		want, got := make([]float32, 5*maskBlock), make([]float32, 5*maskBlock)
		dropoutMaskGo(want, counter, &keys, 1<<31, 2)
		for _, v := range available() {
			v.dropoutMask(got, counter, &keys, 1<<31, 2)
			sameBits(t, fmt.Sprintf("%s from counter %x", v.name, counter), got, want)
		}
	}
}

// A word that is the threshold is not below it.
func TestDropoutMaskAtTheThreshold(t *testing.T) {
	keys := philoxKeysOf(9)
	for j := range uint32(blockCounters) {
		var w [4]uint32
		w[0], w[1], w[2], w[3] = philox(j, 0, 0, 0, &keys)
		for k, word := range w {
			at := int(2*j) + k%2 + k/2*maskBlock/2
			for _, v := range available() {
				var kept, dropped [maskBlock]float32
				v.dropoutMask(kept[:], 0, &keys, word, 2)
				v.dropoutMask(dropped[:], 0, &keys, word+1, 2)
				if kept[at] != 2 || dropped[at] != 0 {
					t.Errorf("%s: word %x of element %d gives %v at its own threshold, %v at the next", v.name, word, at, kept[at], dropped[at])
				}
			}
		}
	}
}

func TestDropoutMaskIsRandom(t *testing.T) {
	const n = 1 << 20
	mask := func(rate float64, key uint64) []float32 {
		x := make([]float32, n)
		DropoutMask(x, rate, key, 0)
		return x
	}
	// correlation of the zeros of x with those of y, in standard deviations of what independent ones would have.
	correlation := func(x, y []float32, rate float64) float64 {
		var sum float64
		for i := range x {
			a, b := -rate, -rate
			if x[i] == 0 {
				a++
			}
			if y[i] == 0 {
				b++
			}
			sum += a * b
		}
		return sum / (rate * (1 - rate)) / math.Sqrt(float64(len(x)))
	}
	for _, rate := range []float64{0.001, 0.1, 0.3, 0.5, 0.9} {
		for _, key := range []uint64{0, 1, 1 << 32, 0xfedcba9876543210} {
			what := fmt.Sprintf("rate %v, key %x", rate, key)
			x := mask(rate, key)
			zeros := 0
			var zerosAt [32]int // each place of a block
			for i, v := range x {
				switch v {
				case 0:
					zeros++
					zerosAt[i%32]++
				case float32(1 / (1 - rate)):
				default:
					t.Fatalf("%s: element %d is %v", what, i, v)
				}
			}
			deviation := math.Sqrt(n * rate * (1 - rate))
			if z := (float64(zeros) - n*rate) / deviation; math.Abs(z) > 5 {
				t.Errorf("%s: %d of %d are zero, %.1f standard deviations off", what, zeros, n, z)
			}
			for place, zeros := range zerosAt {
				if z := (float64(zeros) - n/32*rate) / (deviation / math.Sqrt(32)); math.Abs(z) > 5 {
					t.Errorf("%s: %d zeros at place %d of blocks, %.1f standard deviations off", what, zeros, place, z)
				}
			}
			for _, lag := range []int{1, 2, 3, 4, 8, 15, 16, 17, 31, 32, 64, 384, 768, 16384} {
				if z := correlation(x[lag:], x[:n-lag], rate); math.Abs(z) > 5 {
					t.Errorf("%s: elements %d apart are correlated, %.1f standard deviations", what, lag, z)
				}
			}
			for _, other := range []uint64{key + 1, key ^ 1<<31, key ^ 1<<32, key + 1<<32 + 1, key ^ 1<<63, ^key} {
				if z := correlation(x, mask(rate, other), rate); math.Abs(z) > 5 {
					t.Errorf("%s: correlated with key %x, %.1f standard deviations", what, other, z)
				}
			}
		}
	}
}

// Pairs and triples of neighbours, all eight patterns of them, are as frequent as independent elements make them.
func TestDropoutMaskPatterns(t *testing.T) {
	const n = 1 << 20
	x := make([]float32, n)
	for key := range uint64(8) {
		DropoutMask(x, 0.5, key, 0)
		var counts [8]int
		for i := 0; i+3 <= n; i += 3 {
			pattern := 0
			for j := range 3 {
				if x[i+j] == 0 {
					pattern |= 1 << j
				}
			}
			counts[pattern]++
		}
		var chi2 float64
		for _, c := range counts {
			expected := float64(n/3) / 8
			chi2 += (float64(c) - expected) * (float64(c) - expected) / expected
		}
		if chi2 > 40 { // 7 degrees of freedom: once in 800 000
			t.Errorf("key %d: χ² of patterns is %.1f: %v", key, chi2, counts)
		}
	}
}

func TestDropoutMaskOfRateZero(t *testing.T) {
	eachVersion(t, func(t *testing.T) {
		x := make([]float32, 100_001)
		for key := range uint64(5) {
			DropoutMask(x, 0, key, 0)
			for i, v := range x {
				if v != 1 {
					t.Fatalf("key %d: element %d is %v, want 1", key, i, v)
				}
			}
		}
	})
}

func TestDropoutMaskRefusesRates(t *testing.T) {
	for _, rate := range []float64{-0.1, 1, 1.5, math.NaN(), math.Inf(1)} {
		mustPanic(t, fmt.Sprint("rate ", rate), func() { DropoutMask(make([]float32, 3), rate, 1, 0) })
	}
}
