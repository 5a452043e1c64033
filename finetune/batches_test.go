package finetune

import (
	"context"
	"errors"
	"iter"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ftk-go/ftk/finetune/dataset"
)

// setOfLengths is a set of n examples of so many tokens.
func setOfLengths(t *testing.T, n int, length func(i int) int) *dataset.Set {
	t.Helper()
	i := -1
	set, err := dataset.FromRecords(make([]dataset.Record, n), func(_, _ string) (dataset.Encoding, error) {
		i++
		return dataset.Encoding{IDs: make([]int64, length(i))}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { set.Close() })
	return set
}

// collect lists batches, with memory of their own.
func collect(t *testing.T, plans iter.Seq2[batchPlan, error]) []batchPlan {
	t.Helper()
	var all []batchPlan
	for p, err := range plans {
		if err != nil {
			t.Fatal(err)
		}
		p.examples = slices.Clone(p.examples)
		all = append(all, p)
	}
	return all
}

// checkBatches tells whether batches have each example once and little padding.
func checkBatches(t *testing.T, batches []batchPlan, examples int) {
	t.Helper()
	seen := map[int]bool{}
	slots, tokens := 0, 0
	for _, b := range batches {
		for _, e := range b.examples {
			if seen[e.Number] {
				t.Errorf("example %d twice", e.Number)
			}
			seen[e.Number] = true
			tokens += e.Length
			if e.Length > b.seq {
				t.Errorf("example of %d tokens in a batch padded to %d", e.Length, b.seq)
			}
		}
		slots += len(b.examples) * b.seq
	}
	if len(seen) != examples {
		t.Errorf("%d examples, want %d", len(seen), examples)
	}
	if waste := float64(slots)/float64(tokens) - 1; waste > 0.1 {
		t.Errorf("padding adds %.0f %%", 100*waste)
	}
}

func TestTrainingBatches(t *testing.T) {
	set := setOfLengths(t, 4003, func(i int) int { return 3 + i*7919%60 })
	opt := cmp.AllowUnexported(batchPlan{})
	for _, c := range []struct{ size, partial int }{{16, 4003 % 16}, {32, 4003 % 32}, {4003, 0}, {5000, 4003}, {1, 0}} {
		chosen := selection{set, set.All(), c.size, 62}
		order := newTrainingOrder(chosen, 1, 0)
		batches := collect(t, order.from(t.Context(), 0))
		if len(batches) != order.batches() {
			t.Errorf("size %d: %d batches, %d are announced", c.size, len(batches), order.batches())
		}
		if c.size <= 32 {
			checkBatches(t, batches, 4003)
		}
		partial := 0
		for i, b := range batches {
			if len(b.examples) != order.rows(i) {
				t.Errorf("size %d: batch %d has %d examples, %d are announced", c.size, i, len(b.examples), order.rows(i))
			}
			if len(b.examples) != c.size {
				partial = len(b.examples)
			}
		}
		if partial != c.partial {
			t.Errorf("size %d: the partial batch has %d examples, want %d", c.size, partial, c.partial)
		}
		for _, first := range []int{1, 49, 50, 51, 100, len(batches) - 1, len(batches)} {
			if first <= len(batches) && !cmp.Equal(collect(t, order.from(t.Context(), first)), batches[first:], opt, cmpopts.EquateEmpty()) {
				t.Errorf("size %d: from batch %d on they differ", c.size, first)
			}
		}
		if !cmp.Equal(batches, collect(t, newTrainingOrder(chosen, 1, 0).from(t.Context(), 0)), opt) {
			t.Error("the same seed and epoch give other batches")
		}
		if cmp.Equal(batches, collect(t, newTrainingOrder(chosen, 1, 1).from(t.Context(), 0)), opt) && c.size < 4003 {
			t.Error("another epoch gives the same batches")
		}
		if cmp.Equal(batches, collect(t, newTrainingOrder(chosen, 2, 0).from(t.Context(), 0)), opt) && c.size < 4003 {
			t.Error("another seed gives the same batches")
		}
	}
}

func TestEvaluationBatches(t *testing.T) {
	const n = 2*blockExamples + 1000
	set := setOfLengths(t, n, func(i int) int { return 3 + i*7919%60 })
	batches := collect(t, evaluationBatches(t.Context(), set, set.All(), 62))
	checkBatches(t, batches, n)
	done, blocks, small := 0, 0, 0
	for i, b := range batches {
		if done%blockExamples == 0 {
			blocks++
			if b.seq != batches[0].seq {
				t.Errorf("block %d begins with %d tokens", blocks, b.seq)
			}
		} else if b.seq > batches[i-1].seq {
			t.Errorf("batch %d is longer than the one before", i)
		}
		done += len(b.examples)
		switch size := len(b.examples) * b.seq; {
		case size > forwardTokens:
			t.Errorf("batch %d has %d tokens", i, size)
		case size < forwardTokens*9/10:
			small++
		}
	}
	if blocks != 3 || small > 9*blocks { // at the ends of blocks, halved and halved
		t.Errorf("%d blocks, %d small batches", blocks, small)
	}
}

func TestLongestFirst(t *testing.T) {
	var in []dataset.Example
	for i, n := range []int{4, 1, 9, 4, 9, 2, 1} {
		in = append(in, dataset.Example{Number: i, Length: n})
	}
	var got []int
	for _, e := range longestFirst(nil, in) {
		got = append(got, e.Number)
	}
	if want := []int{2, 4, 0, 3, 5, 1, 6}; !slices.Equal(got, want) {
		t.Errorf("order %v, want %v", got, want)
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

// A run that is interrupted does not wait for the texts of a megabatch.
func TestBatchesEndWithTheContext(t *testing.T) {
	set := setOfLengths(t, 100, func(i int) int { return 1 + i })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for what, plans := range map[string]iter.Seq2[batchPlan, error]{
		"training":   newTrainingOrder(selection{set, set.All(), 8, 62}, 1, 0).from(ctx, 0),
		"evaluation": evaluationBatches(ctx, set, set.All(), 62),
	} {
		n := 0
		for p, err := range plans {
			if n++; !errors.Is(err, context.Canceled) || len(p.examples) > 0 {
				t.Errorf("%s: %+v, %v", what, p, err)
			}
		}
		if n != 1 {
			t.Errorf("%s: %d batches", what, n)
		}
	}
}

// Batches that --grad-accum joins count as one large one: by their examples, and
// together 1; also the last group, and that with the batch that has the rest.
func TestGroupsCountAsOneBatch(t *testing.T) {
	for _, c := range []struct{ examples, size, group int }{{100, 8, 1}, {100, 8, 4}, {100, 8, 5}, {96, 8, 4}, {3, 8, 4}, {4003, 16, 7}} {
		set := setOfLengths(t, c.examples, func(i int) int { return 1 + i%9 })
		a := accumulation{newTrainingOrder(selection{set, set.All(), c.size, 62}, 1, 0), c.group}
		sum, rows, at := 0.0, 0, 0
		for b, err := range a.from(t.Context(), 0) {
			if err != nil {
				t.Fatal(err)
			}
			n := len(b.examples)
			// In two parts, as a batch may be cut.
			sum += float64(a.weight(at, n/2)) + float64(a.weight(at, n-n/2))
			rows += n
			if each := float64(a.weight(at, 1)); math.Abs(each*float64(n)-float64(a.weight(at, n))) > 1e-6 {
				t.Errorf("%+v: batch %d: weights are not by examples", c, at)
			}
			if at++; a.complete(at) {
				if math.Abs(sum-1) > 1e-5 {
					t.Errorf("%+v: the weights up to batch %d are %v together", c, at, sum)
				}
				sum = 0
			}
		}
		if rows != c.examples || sum != 0 {
			t.Errorf("%+v: %d examples, %v left", c, rows, sum)
		}
	}
}

// While a batch is in use the next are tokenised.
func TestNextBatchIsTokenisedMeanwhile(t *testing.T) {
	const early, late = 256, 3 * megabatch // read at once; kept as texts
	var encoded atomic.Int32
	encode := func(text, _ string) (dataset.Encoding, error) {
		encoded.Add(1)
		return dataset.Encoding{IDs: make([]int64, 1+len(text))}, nil
	}
	path := filepath.Join(t.TempDir(), "a.csv")
	if err := os.WriteFile(path, []byte("text\n"+strings.Repeat("some\n", early+late)), 0o644); err != nil {
		t.Fatal(err)
	}
	set, err := dataset.Load(t.Context(), path, dataset.LoadOptions{
		Options: dataset.Options{Unlabelled: true}, Encode: encode, AtOnce: early, Dir: t.TempDir(), Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	c := tinyConfig(t)
	n, err := newNetwork(c.Model, &c.Settings, []string{"a", "b"})
	if err != nil {
		t.Fatal(err)
	}
	defer n.close()
	f := &feeder{net: n, set: set, inputs: n.suffix.Inputs}
	order := newTrainingOrder(selection{set, set.All(), 1, 64}, 1, 0)
	want := encoded.Load()
	texts := func(lo, hi int) { // that are wanted of this part of the order
		for i := lo; i < min(hi, set.Len()); i++ {
			if order.shuffled.at(i) >= set.Tokenised() {
				want++
			}
		}
	}
	texts(0, megabatch)
	at := 0
	for _, err := range f.batches(t.Context(), order.from(t.Context(), 0), true) {
		if err != nil {
			t.Fatal(err)
		}
		if at++; at%megabatch != 0 {
			continue
		}
		texts(at, at+megabatch) // while the last batch of a megabatch is in use
		for until := time.Now().Add(5 * time.Second); encoded.Load() < want && time.Now().Before(until); {
			time.Sleep(time.Millisecond)
		}
		if n := encoded.Load(); n != want {
			t.Fatalf("%d texts are tokenised when batch %d is in use, want %d", n, at, want)
		}
	}
	if at != order.batches() || set.Tokenised() != early {
		t.Errorf("%d batches, %d examples tokenised at once", at, set.Tokenised())
	}
}

// A batch is cut where that is cheapest: all examples are there once, in order,
// and no other way to cut it in two costs less.
func TestBatchesInParts(t *testing.T) {
	for _, c := range []struct {
		rows, cost int
		length     func(i int) int
	}{
		{32, partCost, func(i int) int { return 60 - i }},
		{32, partCost, func(i int) int { return 20 }},
		{32, partCost, func(i int) int { return max(5, 90-30*i) }},
		{500, partCost, func(i int) int { return 3 + (500-i)*(500-i)/1000 }},
		{7, partCost, func(i int) int { return 200 - 20*i }},
		{32, 0, func(i int) int { return 60 - i/5 }},
	} {
		b := batchPlan{seq: c.length(0)}
		for i := range c.rows {
			b.examples = append(b.examples, dataset.Example{Number: i, Length: c.length(i)})
		}
		plans := func(yield func(batchPlan, error) bool) { yield(b, nil) }
		at, parts, got := 0, 0, 0
		for p, err := range inParts(plans, c.cost) {
			if err != nil || p.before != at || p.examples[0].Number != at || p.seq < p.examples[0].Length || p.seq > b.seq {
				t.Fatalf("%+v: part %+v at %d, %v", c, p, at, err)
			}
			at += len(p.examples)
			if p.more != (at < c.rows) {
				t.Errorf("%+v: more is %v after %d", c, p.more, at)
			}
			parts++
			got += c.cost + len(p.examples)*p.seq
			if last := p.examples[len(p.examples)-1]; c.cost == 0 && last.Length != p.seq {
				t.Errorf("%+v: a part of %d tokens has an example of %d", c, p.seq, last.Length)
			}
		}
		if at != c.rows || parts > maxParts && c.cost > 0 {
			t.Errorf("%+v: %d examples in %d parts", c, at, parts)
		}
		step := max(8, (c.rows+maxParts-1)/maxParts)
		for cut := 0; cut < c.rows; cut += step {
			want := cut*b.seq + (c.rows-cut)*c.length(cut)
			if cut > 0 {
				want += c.cost
			}
			if want += c.cost; c.cost > 0 && got > want+2*c.rows { // lengths may be rounded up
				t.Errorf("%+v: costs %d, cut at %d alone %d", c, got, cut, want)
			}
		}
	}
}
