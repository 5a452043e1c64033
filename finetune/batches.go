package finetune

import (
	"context"
	"iter"
	"math"
	"math/bits"
	"slices"

	"github.com/ftk-go/ftk/finetune/dataset"
)

// lengthStep is how far apart padded lengths are. Every shape needs a plan,
// which takes some milliseconds to make; padding costs computation in every
// batch. With these steps it is 3 % at most, and there are few shapes.
func lengthStep(n int) int {
	switch {
	case n <= 64:
		return 1
	case n <= 128:
		return 2
	case n <= 256:
		return 4
	}
	return 8
}

// batchPlan is the examples of one batch, or of a part of it, and its padded
// length.
type batchPlan struct {
	examples []dataset.Example
	seq      int  // padded length
	before   int  // examples of the batch in the parts before
	more     bool // there are further parts
}

func paddedLength(n, limit int) int {
	step := lengthStep(n)
	return min((n+step-1)/step*step, max(limit, n))
}

// selection is the examples of a set that are trained or evaluated on, and how
// they are cut into batches.
type selection struct {
	set       *dataset.Set
	examples  dataset.Examples
	size      int // examples of a batch, in training; the last may have fewer
	maxLength int // tokens
}

func (s *selection) batches() int { return (s.examples.Len() + s.size - 1) / s.size }

// megabatch is how many batches have their examples sorted by length together,
// so that a batch has sequences of like length and the order is still random
// (transformers: LengthGroupedSampler, mega_batch_mult).
const megabatch = 50

// tokenisedAtOnce is how many examples, the first ones, are tokenised while the
// data is read, where later ones may be batch by batch: as many as show what is
// wrong with the tokenizer, and how many texts are too long. (It is a variable
// for tests with small sets.)
var tokenisedAtOnce = 2048

// orderVersion counts the rules of trainingOrder, of parts and of dropout masks:
// a checkpoint says how many batches are done, which means nothing under others.
const orderVersion = 3

// trainingOrder is the batches of an epoch: examples shuffled, sorted by length
// within a megabatch, cut into batches, and these shuffled within the
// megabatch. All batches have the same size but one, which has the rest. The
// order depends on selection, seed and epoch alone; any part of it can be
// computed without the rest, and one megabatch is in memory at a time.
type trainingOrder struct {
	selection
	shuffled    permutation
	seed, epoch uint64
	partial     int // the batch that has the rest; -1 if there is none
}

func newTrainingOrder(s selection, seed uint64, epoch int) *trainingOrder {
	n := s.examples.Len()
	o := &trainingOrder{selection: s, seed: seed, epoch: uint64(epoch), partial: -1}
	o.shuffled = newPermutation(n, randomKey(seed, streamShuffle, o.epoch))
	if n%s.size > 0 {
		m := (o.batches() - 1) / megabatch
		last := make([]int, o.batches()-m*megabatch)
		for i := range last {
			last[i] = i
		}
		shuffle(last, o.batchKey(m))
		o.partial = m*megabatch + slices.Index(last, len(last)-1)
	}
	return o
}

// batchKey is for the order of the batches of megabatch m.
func (o *trainingOrder) batchKey(m int) uint64 {
	return randomKey(o.seed, streamBatchOrder, o.epoch, uint64(m))
}

// rows is the number of examples of a batch.
func (o *trainingOrder) rows(batch int) int {
	if batch == o.partial {
		return o.examples.Len() % o.size
	}
	return o.size
}

// from yields the batches from number first on. Each is valid until the next.
// When ctx ends, its error is the last that it yields.
func (o *trainingOrder) from(ctx context.Context, first int) iter.Seq2[batchPlan, error] {
	return func(yield func(batchPlan, error) bool) {
		var c cutter
		for m := first / megabatch; m*megabatch < o.batches(); m++ {
			c.begin()
			lo := m * megabatch * o.size
			for i := lo; i < min(lo+megabatch*o.size, o.examples.Len()); i++ {
				if err := c.take(ctx, &o.selection, o.shuffled.at(i)); err != nil {
					yield(batchPlan{}, err)
					return
				}
			}
			batches := c.cut(o.maxLength, func(_, left int) int { return min(o.size, left) })
			shuffle(batches, o.batchKey(m))
			for _, b := range batches[max(0, first-m*megabatch):] {
				if !yield(b, nil) {
					return
				}
			}
		}
	}
}

// blockExamples is how many neighbouring examples are sorted by length together
// where nothing is learnt from them.
const blockExamples = 8192

// forwardTokens is how many tokens, padding included, go through a network at
// once where nothing is learnt: as few as keep the results of a layer in the
// processor's caches, and as many as keep the products of matrices fast.
const forwardTokens = 1024

// forwardRows is how many examples go through at once, of which the longest is
// known; left are those that the block still has. The ends of many blocks would
// all have shapes of their own, which take a plan each.
func forwardRows(longest, left int, many bool) int {
	rows := max(1, forwardTokens/longest)
	if left < rows && many {
		rows = 1 << (bits.Len(uint(left)) - 1)
	}
	return min(rows, left)
}

// evaluationBatches yields batches of examples sorted by length in blocks,
// longest first, so that a lack of memory shows at once. Each is valid until
// the next. When ctx ends, its error is the last that it yields.
func evaluationBatches(ctx context.Context, set *dataset.Set, examples dataset.Examples, maxLength int) iter.Seq2[batchPlan, error] {
	return func(yield func(batchPlan, error) bool) {
		s := selection{set: set, examples: examples, maxLength: maxLength}
		many := examples.Len() > blockExamples
		var c cutter
		for lo := 0; lo < examples.Len(); lo += blockExamples {
			c.begin()
			for i := lo; i < min(lo+blockExamples, examples.Len()); i++ {
				if err := c.take(ctx, &s, i); err != nil {
					yield(batchPlan{}, err)
					return
				}
			}
			for _, b := range c.cut(maxLength, func(longest, left int) int { return forwardRows(longest, left, many) }) {
				if !yield(b, nil) {
					return
				}
			}
		}
	}
}

// cutter cuts examples into batches of like length. Its memory is reused.
type cutter struct {
	taken, sorted []dataset.Example
	batches       []batchPlan
}

func (c *cutter) begin() { c.taken = c.taken[:0] }

// take adds example i of a selection, which may have to be tokenised for it.
func (c *cutter) take(ctx context.Context, s *selection, i int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	e, err := s.set.Example(s.examples.At(i))
	c.taken = append(c.taken, e)
	return err
}

// cut gives the batches of what was taken, those with the longest examples
// first. rows says how many of the examples left go into a batch, by the
// length of the longest.
func (c *cutter) cut(maxLength int, rows func(longest, left int) int) []batchPlan {
	c.sorted = longestFirst(c.sorted, c.taken)
	c.batches = c.batches[:0]
	for rest := c.sorted; len(rest) > 0; {
		longest := rest[0].Length
		n := rows(longest, len(rest))
		c.batches = append(c.batches, batchPlan{examples: rest[:n:n], seq: paddedLength(longest, maxLength)})
		rest = rest[n:]
	}
	return c.batches
}

// partCost is what a part of a training batch costs, in tokens: weights are read
// once more for it, and gradients added to; products of few rows are slower.
// (For weights of P elements a token takes 6·P floating-point operations, and
// to read or add to them all as long as some 30 tokens.) It is a variable for
// tests.
var partCost = 96

// inParts cuts batches, sorted by length, where padding would take longer than
// another part does; at a cost of 0 no padding is left. A batch counts as one in
// training; see batchPlan.more. (A model without an attention mask would take
// padding for text, and what it gives for one text would depend on the others.)
func inParts(batches iter.Seq2[batchPlan, error], cost int) iter.Seq2[batchPlan, error] {
	return func(yield func(batchPlan, error) bool) {
		var ends []int
		for b, err := range batches {
			if err != nil {
				yield(b, err)
				return
			}
			ends = cutAt(ends[:0], b, cost)
			for i, lo := 0, 0; i < len(ends); lo, i = ends[i], i+1 {
				seq := b.examples[lo].Length
				if cost > 0 {
					seq = min(b.seq, paddedLength(seq, b.seq))
				}
				if !yield(batchPlan{b.examples[lo:ends[i]], seq, lo, i+1 < len(ends)}, nil) {
					return
				}
			}
		}
	}
}

// cutAt appends where the parts of a batch end.
func cutAt(ends []int, b batchPlan, cost int) []int {
	n := len(b.examples)
	if cost == 0 {
		for at := 0; at < n; {
			at += sameLength(b.examples[at:])
			ends = append(ends, at)
		}
		return ends
	}
	// The cheapest way, by dynamic programming over few places, so that there
	// are few shapes: best[j] is the least cost of the first j steps of rows.
	step := max(8, (n+maxParts-1)/maxParts)
	var best, from [maxParts + 1]int
	steps := (n + step - 1) / step
	for j := 1; j <= steps; j++ {
		best[j] = math.MaxInt
		for i := range j {
			c := best[i] + cost + (min(j*step, n)-i*step)*b.examples[i*step].Length
			if c < best[j] {
				best[j], from[j] = c, i
			}
		}
	}
	for j := steps; j > 0; j = from[j] {
		ends = append(ends, min(j*step, n))
	}
	slices.Reverse(ends)
	return ends
}

// maxParts is how many parts a batch is cut into at most.
const maxParts = 16

// sameLength counts the examples at the front that are as long as the first.
func sameLength(examples []dataset.Example) int {
	n := slices.IndexFunc(examples, func(e dataset.Example) bool { return e.Length != examples[0].Length })
	if n < 0 {
		return len(examples)
	}
	return n
}

// longestFirst sorts examples by length into the memory of to. Those of the
// same length stay in order.
func longestFirst(to, examples []dataset.Example) []dataset.Example {
	longest := 0
	for _, e := range examples {
		longest = max(longest, e.Length)
	}
	next := make([]int, longest+2) // counts of longest-length, moved by one; then where the next of each goes
	for _, e := range examples {
		next[longest-e.Length+1]++
	}
	for i := 1; i < len(next); i++ {
		next[i] += next[i-1]
	}
	to = resize(to, len(examples))
	for _, e := range examples {
		at := &next[longest-e.Length]
		to[*at] = e
		*at++
	}
	return to
}
