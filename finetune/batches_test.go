package finetune

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTrainingBatches(t *testing.T) {
	length := func(i int32) int { return 3 + int(i*7919%60) }
	examples := make([]int32, 1003)
	for i := range examples {
		examples[i] = int32(i)
	}
	batches := trainingBatches(examples, length, 16, 62, 1, 0)
	seen := map[int32]bool{}
	partial, slots, tokens := 0, 0, 0
	for _, b := range batches {
		if len(b.examples) != 16 {
			partial++
			if len(b.examples) != 1003%16 {
				t.Errorf("a batch of %d", len(b.examples))
			}
		}
		for _, e := range b.examples {
			if seen[e] {
				t.Errorf("example %d twice", e)
			}
			seen[e] = true
			tokens += length(e)
			if length(e) > b.seq {
				t.Errorf("example of %d tokens in a batch padded to %d", length(e), b.seq)
			}
		}
		slots += len(b.examples) * b.seq
	}
	if len(seen) != 1003 || partial != 1 {
		t.Errorf("%d examples, %d partial batches", len(seen), partial)
	}
	if waste := float64(slots)/float64(tokens) - 1; waste > 0.1 {
		t.Errorf("padding adds %.0f %%", 100*waste)
	}
	opt := cmp.AllowUnexported(batchPlan{})
	if !cmp.Equal(batches, trainingBatches(examples, length, 16, 62, 1, 0), opt) {
		t.Error("the same seed and epoch give other batches")
	}
	if cmp.Equal(batches, trainingBatches(examples, length, 16, 62, 1, 1), opt) || cmp.Equal(batches, trainingBatches(examples, length, 16, 62, 2, 0), opt) {
		t.Error("another epoch or seed gives the same batches")
	}
}

func TestPaddedLength(t *testing.T) {
	shapes := map[int]bool{}
	for n := 1; n <= 512; n++ {
		padded := paddedLength(n, 512)
		if padded < n || float64(padded-n) > 0.031*float64(n) {
			t.Errorf("%d tokens are padded to %d", n, padded)
		}
		shapes[padded] = true
	}
	if len(shapes) > 160 {
		t.Errorf("%d shapes", len(shapes))
	}
	for _, c := range [][3]int{{61, 62, 61}, {65, 128, 66}, {121, 121, 121}, {127, 127, 127}, {300, 302, 302}, {10, 0, 10}} {
		if got := paddedLength(c[0], c[1]); got != c[2] {
			t.Errorf("%d tokens, at most %d, are padded to %d, want %d", c[0], c[1], got, c[2])
		}
	}
}

func TestShuffleIsUniform(t *testing.T) {
	var counts [4][4]int
	const rounds = 40_000
	for r := range rounds {
		x := []int{0, 1, 2, 3}
		shuffle(x, randomKey(5, streamShuffle, uint64(r)))
		for place, v := range x {
			counts[place][v]++
		}
	}
	for place := range counts {
		for v, n := range counts[place] {
			if math.Abs(float64(n)/rounds-0.25) > 0.01 { // 4.6 standard deviations
				t.Errorf("%d at place %d in %d of %d rounds", v, place, n, rounds)
			}
		}
	}
}

func TestDropoutMask(t *testing.T) {
	mask := make([]float32, 100_000)
	dropoutMask(mask, 0.1, randomKey(1, streamDropout, 3))
	zeros := 0
	for _, v := range mask {
		switch v {
		case 0:
			zeros++
		case float32(1 / 0.9):
		default:
			t.Fatalf("mask has %v", v)
		}
	}
	if math.Abs(float64(zeros)/1e5-0.1) > 0.004 {
		t.Errorf("%d of 100000 dropped, want a tenth", zeros)
	}
	dropoutMask(mask, 0, 1)
	for _, v := range mask {
		if v != 1 {
			t.Fatal("dropout 0 changes values")
		}
	}
}
