package kernels

import (
	"fmt"
	"math"

	"github.com/ftk-go/ftk/internal/parallel"
)

// Strides are the distances, in elements, between batches, positions and heads of a tensor; the elements of one head are
// adjacent. The zero value means packed: [batch, seq, heads, dim].
type Strides struct{ Batch, Seq, Head int }

// MaskStrides are the distances in a mask; 0 repeats the mask along that axis. The zero value means [batch, seqK].
type MaskStrides struct{ Batch, Head, Query, Key int }

// AttentionShape describes softmax(Scale·q·kᵀ + mask)·v with many heads.
type AttentionShape struct {
	Batch, SeqQ, SeqK int
	Heads             int // of q and the result
	KVHeads           int // of k and v; 0 means Heads. Heads/KVHeads neighbouring heads share one (grouped queries)
	HeadDim           int
	ValueDim          int         // head size of v and the result; 0 means HeadDim
	Q, K, V, Out      Strides     // gradients have the strides of their tensors
	Mask              MaskStrides // of the additive mask; Key is 0 or 1
	Scale             float32     // 0 means 1/√HeadDim
	Causal            bool        // position i sees positions up to i only
}

// Attention computes dst for q, k, v and an additive mask (nil for none), reading heads where they lie. It needs no memory
// but a tile of at most 256 KiB (more if one row of scores is longer) for every thread. A row whose scores are all equal,
// as when every key has the mask -3.4e38, gets the mean of the values. dst must be none of the inputs.
func Attention(dst, q, k, v, mask []float32, shape AttentionShape) {
	s := shape.complete()
	s.check("Attention", mask, view{"dst", dst, s.Out}, view{"q", q, s.Q}, view{"k", k, s.K}, view{"v", v, s.V})
	t := attentionTasks.Get()
	*t = attentionTask{AttentionShape: s, split: s.parts(), dst: dst, q: q, k: k, v: v, mask: mask}
	parallel.Run(s.Batch*s.KVHeads*t.split, 1, t)
	*t = attentionTask{}
	attentionTasks.Put(t)
}

type attentionTask struct {
	AttentionShape
	split              int // the queries of a head, in so many parts
	dst, q, k, v, mask []float32
	dout, dq, dk, dv   []float32
}

var attentionTasks parallel.Free[attentionTask]

// tileElements bounds the scores held at once: a quarter of a second-level cache.
const tileElements = 64 << 10

// tileRows is how many rows of queries are handled at once.
func (s *AttentionShape) tileRows() int {
	return max(1, min(s.SeqQ, max(16, tileElements/max(1, s.SeqK))))
}

// parts is in how many parts the queries of one head are shared out among threads: one, unless heads are few.
func (s *AttentionShape) parts() int {
	heads := s.Batch * s.KVHeads
	if heads >= 2*parallel.Threads() || heads == 0 {
		return 1
	}
	tiles := (s.SeqQ + s.tileRows() - 1) / s.tileRows()
	return max(1, min(tiles, 2*parallel.Threads()/heads))
}

// Chunk handles a range of (batch, head of k, part of the queries).
func (t *attentionTask) Chunk(_, lo, hi int) {
	mem := scratches.Get()
	defer scratches.Put(mem)
	parts, group := t.split, t.Heads/t.KVHeads
	for i := lo; i < hi; i++ {
		part, kv := i%parts, i/parts
		b, kvHead := kv/t.KVHeads, kv%t.KVHeads
		from, to := t.SeqQ*part/parts, t.SeqQ*(part+1)/parts
		for h := kvHead * group; h < (kvHead+1)*group; h++ {
			for row := from; row < to; row += t.tileRows() {
				t.forwardTile(mem, b, h, kvHead, row, min(t.tileRows(), to-row))
			}
		}
	}
}

// forwardTile computes rows query rows of one head.
func (t *attentionTask) forwardTile(mem *scratch, b, h, kvHead, row, rows int) {
	p := t.probabilities(mem, b, h, kvHead, row, rows)
	v := t.v[b*t.V.Batch+kvHead*t.V.Head:]
	dst := t.dst[b*t.Out.Batch+h*t.Out.Head+row*t.Out.Seq:]
	mem.products.Gemm(false, false, rows, t.ValueDim, t.SeqK, 1, p, t.SeqK, v, t.V.Seq, 0, dst, t.Out.Seq)
}

// probabilities fills mem.a with the softmax of rows rows of scores: [rows, SeqK].
func (t *attentionTask) probabilities(mem *scratch, b, h, kvHead, row, rows int) []float32 {
	mem.a = resized(mem.a, t.tileRows()*t.SeqK)
	p := mem.a[:rows*t.SeqK]
	q := t.q[b*t.Q.Batch+h*t.Q.Head+row*t.Q.Seq:]
	k := t.k[b*t.K.Batch+kvHead*t.K.Head:]
	mem.products.Gemm(false, true, rows, t.SeqK, t.HeadDim, 1, q, t.Q.Seq, k, t.K.Seq, 0, p, t.SeqK)
	switch {
	case t.Causal:
		for r := range rows { // of keys seen, the others weigh nothing
			scores := p[r*t.SeqK : (r+1)*t.SeqK]
			seen := min(row+r+1, t.SeqK)
			clear(scores[seen:])
			vec.softmaxRows(scores[:seen], 1, t.maskOf(mem, b, h, row+r)[:seen], t.Scale)
		}
	case t.mask != nil && t.Mask.Query != 0:
		for r := range rows {
			vec.softmaxRows(p[r*t.SeqK:(r+1)*t.SeqK], 1, t.maskOf(mem, b, h, row+r), t.Scale)
		}
	default:
		vec.softmaxRows(p, rows, t.maskOf(mem, b, h, row), t.Scale)
	}
	return p
}

// maskOf is the mask of one query: [SeqK].
func (t *attentionTask) maskOf(mem *scratch, b, h, query int) []float32 {
	if t.mask == nil {
		return zeros(t.SeqK)
	}
	at := b*t.Mask.Batch + h*t.Mask.Head + query*t.Mask.Query
	if t.Mask.Key == 1 {
		return t.mask[at : at+t.SeqK]
	}
	mem.mask = resized(mem.mask, t.SeqK)
	fill(mem.mask, nil, t.mask[at])
	return mem.mask
}

// complete fills in what zero values stand for.
func (s AttentionShape) complete() AttentionShape {
	if s.KVHeads == 0 {
		s.KVHeads = s.Heads
	}
	if s.ValueDim == 0 {
		s.ValueDim = s.HeadDim
	}
	if s.Scale == 0 && s.HeadDim > 0 {
		s.Scale = float32(1 / math.Sqrt(float64(s.HeadDim)))
	}
	packed := func(t *Strides, seq, heads, dim int) {
		if *t == (Strides{}) {
			*t = Strides{seq * heads * dim, heads * dim, dim}
		}
	}
	packed(&s.Q, s.SeqQ, s.Heads, s.HeadDim)
	packed(&s.K, s.SeqK, s.KVHeads, s.HeadDim)
	packed(&s.V, s.SeqK, s.KVHeads, s.ValueDim)
	packed(&s.Out, s.SeqQ, s.Heads, s.ValueDim)
	if s.Mask == (MaskStrides{}) {
		s.Mask = MaskStrides{Batch: s.SeqK, Key: 1}
	}
	return s
}

// view is a tensor as the kernel is to read it.
type view struct {
	name    string
	data    []float32
	strides Strides
}

// check panics if the shape makes no sense or an element lies outside its slice.
func (s *AttentionShape) check(kernel string, mask []float32, views ...view) {
	if s.Batch < 0 || s.SeqQ < 0 || s.SeqK < 0 || s.Heads < 1 || s.HeadDim < 1 || s.ValueDim < 1 || s.KVHeads < 1 || s.Heads%s.KVHeads != 0 {
		panic(fmt.Sprintf("kernels: %s: %d batches, %d queries, %d keys, %d heads on %d, of %d and %d elements", kernel, s.Batch, s.SeqQ, s.SeqK, s.Heads, s.KVHeads, s.HeadDim, s.ValueDim))
	}
	if s.Batch == 0 {
		return
	}
	for _, v := range views {
		seq, heads, dim := s.SeqQ, s.Heads, s.HeadDim
		switch v.name {
		case "k", "dk":
			seq, heads = s.SeqK, s.KVHeads
		case "v", "dv":
			seq, heads, dim = s.SeqK, s.KVHeads, s.ValueDim
		case "dst", "dout":
			dim = s.ValueDim
		}
		if seq == 0 {
			continue
		}
		if v.strides.Batch < 0 || v.strides.Head < 0 || v.strides.Seq < dim && seq > 1 {
			panic(fmt.Sprintf("kernels: %s: strides %+v of %s", kernel, v.strides, v.name))
		}
		if last := (s.Batch-1)*v.strides.Batch + (seq-1)*v.strides.Seq + (heads-1)*v.strides.Head + dim; last > len(v.data) {
			panic(fmt.Sprintf("kernels: %s: %s has %d elements, needs %d", kernel, v.name, len(v.data), last))
		}
	}
	if m := s.Mask; mask != nil && s.SeqQ > 0 && s.SeqK > 0 {
		last := (s.Batch-1)*m.Batch + (s.Heads-1)*m.Head + (s.SeqQ-1)*m.Query + (s.SeqK-1)*m.Key + 1
		if m.Batch < 0 || m.Head < 0 || m.Query < 0 || m.Key < 0 || m.Key > 1 || last > len(mask) {
			panic(fmt.Sprintf("kernels: %s: mask has %d elements and strides %+v, needs %d", kernel, len(mask), m, last))
		}
	}
}
