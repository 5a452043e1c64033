package kernels

import (
	"github.com/ftk-go/ftk/internal/parallel"
)

// AttentionGrad computes the gradients of Attention from that of its result, dout. The probabilities are computed anew,
// tile by tile, in twice the memory of Attention. dq, dk, dv are overwritten; they have the strides of q, k, v, and may
// thus lie in one tensor if q, k, v do. None may be an input.
func AttentionGrad(dq, dk, dv, dout, q, k, v, mask []float32, shape AttentionShape) {
	s := shape.complete()
	s.check("AttentionGrad", mask, view{"dq", dq, s.Q}, view{"dk", dk, s.K}, view{"dv", dv, s.V}, view{"dout", dout, s.Out},
		view{"q", q, s.Q}, view{"k", k, s.K}, view{"v", v, s.V})
	t := attentionGradTasks.Get()
	*t = attentionGradTask{attentionTask{AttentionShape: s, q: q, k: k, v: v, mask: mask, dout: dout, dq: dq, dk: dk, dv: dv}}
	parallel.Run(s.Batch*s.KVHeads, 1, t)
	*t = attentionGradTask{}
	attentionGradTasks.Put(t)
}

type attentionGradTask struct{ attentionTask }

var attentionGradTasks parallel.Free[attentionGradTask]

// Chunk handles a range of (batch, head of k): all that adds to one head's dk and dv is done by one thread, in order.
func (t *attentionGradTask) Chunk(_, lo, hi int) {
	mem := scratches.Get()
	defer scratches.Put(mem)
	group := t.Heads / t.KVHeads
	for i := lo; i < hi; i++ {
		b, kvHead := i/t.KVHeads, i%t.KVHeads
		beta := float32(0) // the first tile overwrites dk and dv
		for h := kvHead * group; h < (kvHead+1)*group; h++ {
			for row := 0; row < t.SeqQ; row += t.tileRows() {
				t.backwardTile(mem, b, h, kvHead, row, min(t.tileRows(), t.SeqQ-row), beta)
				beta = 1
			}
		}
		if beta == 0 { // no queries
			for j := range t.SeqK {
				clear(t.dk[b*t.K.Batch+kvHead*t.K.Head+j*t.K.Seq:][:t.HeadDim])
				clear(t.dv[b*t.V.Batch+kvHead*t.V.Head+j*t.V.Seq:][:t.ValueDim])
			}
		}
	}
}

// backwardTile adds what rows query rows of one head contribute. With P the probabilities (Dao et al., FlashAttention,
// arXiv:2205.14135, appendix B.2):
//
//	dV += Pᵀ·dO    dP = dO·Vᵀ    dS = Scale·P∘(dP - rowsum(P∘dP))    dQ = dS·K    dK += dSᵀ·Q
func (t *attentionGradTask) backwardTile(mem *scratch, b, h, kvHead, row, rows int, beta float32) {
	p := t.probabilities(mem, b, h, kvHead, row, rows)
	mem.b = resized(mem.b, t.tileRows()*t.SeqK)
	ds := mem.b[:rows*t.SeqK]
	qAt, kAt, vAt := b*t.Q.Batch+h*t.Q.Head+row*t.Q.Seq, b*t.K.Batch+kvHead*t.K.Head, b*t.V.Batch+kvHead*t.V.Head
	dout := t.dout[b*t.Out.Batch+h*t.Out.Head+row*t.Out.Seq:]

	mem.products.Gemm(true, false, t.SeqK, t.ValueDim, rows, 1, p, t.SeqK, dout, t.Out.Seq, beta, t.dv[vAt:], t.V.Seq)
	mem.products.Gemm(false, true, rows, t.SeqK, t.ValueDim, 1, dout, t.Out.Seq, t.v[vAt:], t.V.Seq, 0, ds, t.SeqK)
	vec.softmaxGradRows(ds, p, rows, t.SeqK, t.Scale)
	mem.products.Gemm(false, false, rows, t.HeadDim, t.SeqK, 1, ds, t.SeqK, t.k[kAt:], t.K.Seq, 0, t.dq[qAt:], t.Q.Seq)
	mem.products.Gemm(true, false, t.SeqK, t.HeadDim, rows, 1, ds, t.SeqK, t.q[qAt:], t.Q.Seq, beta, t.dk[kAt:], t.K.Seq)
}
