package finetune

import "slices"

// chunks cuts a data set into the batches in which the features of its
// examples are computed: examples of like length, so that there is little
// padding. They depend on the lengths alone, not on the order in which
// examples are asked for, so that the same set has the same features to the
// bit, whoever asks.
type chunks struct {
	length func(int) int
	total  int
	left   int // examples not done
	blocks []*chunkBlock
}

const (
	// chunkTokens is how many tokens, padding included, a chunk has at most: as
	// few as keep the results of a layer in the processor's caches, and as many as
	// keep the products of matrices fast.
	chunkTokens = 1024
	// blockExamples is how many neighbouring examples are sorted by length
	// together.
	blockExamples = 8192
)

// chunkBlock is the chunks of one block.
type chunkBlock struct {
	order []int32 // examples, longest first
	start []int   // of each chunk in order
	chunk []int32 // of each example of the block
	done  []bool
}

func newChunks(examples int, length func(int) int) *chunks {
	return &chunks{length: length, total: examples, left: examples, blocks: make([]*chunkBlock, (examples+blockExamples-1)/blockExamples)}
}

// of returns the examples of the chunk that e belongs to, longest first; nil
// if it is done.
func (c *chunks) of(e int) []int32 {
	b, i := c.find(e)
	if b.done[i] {
		return nil
	}
	end := len(b.order)
	if i+1 < len(b.start) {
		end = b.start[i+1]
	}
	return b.order[b.start[i]:end]
}

// finish marks the chunk of e as done.
func (c *chunks) finish(e int) {
	if examples := c.of(e); examples != nil {
		c.left -= len(examples)
		b, i := c.find(e)
		b.done[i] = true
	}
}

// find gives the block of e and its chunk there.
func (c *chunks) find(e int) (*chunkBlock, int) {
	n := e / blockExamples
	if c.blocks[n] == nil {
		c.blocks[n] = c.cut(n)
	}
	return c.blocks[n], int(c.blocks[n].chunk[e%blockExamples])
}

// cut makes block n.
func (c *chunks) cut(n int) *chunkBlock {
	first, end := n*blockExamples, min((n+1)*blockExamples, c.total)
	b := &chunkBlock{order: make([]int32, 0, end-first), chunk: make([]int32, end-first)}
	for e := first; e < end; e++ {
		b.order = append(b.order, int32(e))
	}
	slices.SortStableFunc(b.order, func(x, y int32) int { return c.length(int(y)) - c.length(int(x)) })
	for at := 0; at < len(b.order); {
		rows := max(1, chunkTokens/c.length(int(b.order[at])))
		next := min(at+rows, len(b.order))
		for _, e := range b.order[at:next] {
			b.chunk[int(e)-first] = int32(len(b.start))
		}
		b.start = append(b.start, at)
		at = next
	}
	b.done = make([]bool, len(b.start))
	return b
}
