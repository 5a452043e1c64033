package finetune

import (
	"math/bits"
	"slices"

	"github.com/ftk-go/ftk/finetune/dataset"
)

// chunks cuts a data set into the batches in which the features of its
// examples are computed: examples of like length, so that there is little
// padding. They depend on the lengths alone, not on the order in which
// examples are asked for, so that the same set has the same features to the
// bit, whoever asks. A bit an example is kept; how a block is cut is found
// anew from the lengths where it is not one of the few that were needed last.
type chunks struct {
	set    *dataset.Set
	masked bool          // the model can tell padding
	left   int           // examples not done
	done   []uint64      // a bit for each example
	recent []*chunkBlock // the last used first
	read   []dataset.Example
}

// recentBlocks is how many blocks are in memory, of some 300 KB each.
const recentBlocks = 4

// chunkBlock is the chunks of one block.
type chunkBlock struct {
	number int
	sorted []dataset.Example // longest first
	start  []int             // of each chunk in sorted
	chunk  []uint16          // of each example of the block
}

// newChunks begins with what is done already, a bit for each example; nil:
// nothing. A chunk for a model that is not masked has no padding at all.
func newChunks(set *dataset.Set, masked bool, done []uint64) *chunks {
	if done == nil {
		done = make([]uint64, (set.Len()+63)/64)
	}
	c := &chunks{set: set, masked: masked, left: set.Len(), done: done}
	for _, w := range done {
		c.left -= bits.OnesCount64(w)
	}
	return c
}

// of returns the examples of the chunk that an example belongs to, longest
// first; nil if it is done. They are valid until the next call.
func (c *chunks) of(example int) ([]dataset.Example, error) {
	if c.done[example/64]>>(example%64)&1 == 1 {
		return nil, nil
	}
	b, err := c.block(example / blockExamples)
	if err != nil {
		return nil, err
	}
	i := int(b.chunk[example%blockExamples])
	end := len(b.sorted)
	if i+1 < len(b.start) {
		end = b.start[i+1]
	}
	return b.sorted[b.start[i]:end], nil
}

// finish marks the examples of a chunk as done.
func (c *chunks) finish(examples []dataset.Example) {
	c.left -= len(examples)
	for _, e := range examples {
		c.done[e.Number/64] |= 1 << (e.Number % 64)
	}
}

// block gives block n.
func (c *chunks) block(n int) (*chunkBlock, error) {
	at := slices.IndexFunc(c.recent, func(b *chunkBlock) bool { return b.number == n })
	found := at >= 0
	switch {
	case found:
	case len(c.recent) < recentBlocks:
		at, c.recent = len(c.recent), append(c.recent, &chunkBlock{})
	default:
		at = len(c.recent) - 1
	}
	b := c.recent[at]
	copy(c.recent[1:at+1], c.recent[:at])
	c.recent[0] = b
	if found {
		return b, nil
	}
	return b, c.cut(b, n)
}

// cut makes b block n.
func (c *chunks) cut(b *chunkBlock, n int) error {
	b.number = -1 // until it is complete
	first, end := n*blockExamples, min((n+1)*blockExamples, c.set.Len())
	c.read = c.read[:0]
	for e, err := range c.set.Scan(first, end) {
		if err != nil {
			return err
		}
		c.read = append(c.read, e)
	}
	b.sorted, b.start, b.chunk = longestFirst(b.sorted, c.read), b.start[:0], resize(b.chunk, end-first)
	for at := 0; at < len(b.sorted); {
		next := at + forwardRows(b.sorted[at].Length, len(b.sorted)-at, c.set.Len() > blockExamples)
		if !c.masked {
			next = at + sameLength(b.sorted[at:next])
		}
		for _, e := range b.sorted[at:next] {
			b.chunk[e.Number-first] = uint16(len(b.start))
		}
		b.start = append(b.start, at)
		at = next
	}
	b.number = n
	return nil
}
