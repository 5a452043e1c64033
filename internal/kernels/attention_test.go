package kernels

import (
	"fmt"
	"math"
	"testing"

	"github.com/ftk-go/ftk/internal/parallel"
)

// attentionOf computes attention and its gradients in float64, element by element, for a complete shape.
func attentionOf(dout, q, k, v, mask []float32, s AttentionShape) (out, dq, dk, dv []float64) {
	out, dq, dk, dv = make([]float64, len(dout)), make([]float64, len(q)), make([]float64, len(k)), make([]float64, len(v))
	for b := range s.Batch {
		for h := range s.Heads {
			kv := h / (s.Heads / s.KVHeads)
			for i := range s.SeqQ {
				qAt, oAt := b*s.Q.Batch+i*s.Q.Seq+h*s.Q.Head, b*s.Out.Batch+i*s.Out.Seq+h*s.Out.Head
				kAt := func(j int) int { return b*s.K.Batch + j*s.K.Seq + kv*s.K.Head }
				vAt := func(j int) int { return b*s.V.Batch + j*s.V.Seq + kv*s.V.Head }
				scores := make([]float64, s.SeqK)
				for j := range scores {
					for d := range s.HeadDim {
						scores[j] += float64(q[qAt+d]) * float64(k[kAt(j)+d])
					}
					scores[j] *= float64(s.Scale)
					if mask != nil {
						scores[j] += float64(mask[b*s.Mask.Batch+h*s.Mask.Head+i*s.Mask.Query+j*s.Mask.Key])
						if scores[j] < -math.MaxFloat32 {
							scores[j] = -math.MaxFloat32 // the sum is taken in float32
						} else if scores[j] < -1e38 {
							scores[j] = float64(float32(scores[j]))
						}
					}
					if s.Causal && j > i {
						scores[j] = math.Inf(-1)
					}
				}
				p := softmaxOf(scores)
				dp, dot := make([]float64, s.SeqK), 0.0
				for j := range p {
					for d := range s.ValueDim {
						out[oAt+d] += p[j] * float64(v[vAt(j)+d])
						dv[vAt(j)+d] += p[j] * float64(dout[oAt+d])
						dp[j] += float64(dout[oAt+d]) * float64(v[vAt(j)+d])
					}
					dot += p[j] * dp[j]
				}
				for j := range p {
					ds := float64(s.Scale) * p[j] * (dp[j] - dot)
					for d := range s.HeadDim {
						dq[qAt+d] += ds * float64(k[kAt(j)+d])
						dk[kAt(j)+d] += ds * float64(q[qAt+d])
					}
				}
			}
		}
	}
	return out, dq, dk, dv
}

func TestAttention(t *testing.T) {
	padding := func(batch, seqK int, low float32) []float32 {
		mask := make([]float32, batch*seqK)
		for b := range batch {
			for j := seqK - b*seqK/batch; j < seqK; j++ {
				mask[b*seqK+j] = low
			}
		}
		return mask
	}
	all := make([]float32, 3*9)
	Fill(all, -math.MaxFloat32)
	cases := []struct {
		name  string
		mask  []float32
		shape AttentionShape
	}{
		{"smallest", nil, AttentionShape{Batch: 1, SeqQ: 1, SeqK: 1, Heads: 1, HeadDim: 1}},
		{"plain", nil, AttentionShape{Batch: 2, SeqQ: 17, SeqK: 17, Heads: 3, HeadDim: 8}},
		{"cross, own scale", nil, AttentionShape{Batch: 2, SeqQ: 5, SeqK: 33, Heads: 2, HeadDim: 32, Scale: 0.3}},
		{"padding", padding(3, 40, -10000), AttentionShape{Batch: 3, SeqQ: 40, SeqK: 40, Heads: 2, HeadDim: 16}},
		{"padding of -Inf", padding(3, 9, -inf), AttentionShape{Batch: 3, SeqQ: 9, SeqK: 9, Heads: 2, HeadDim: 16}},
		{"fully masked", all, AttentionShape{Batch: 3, SeqQ: 9, SeqK: 9, Heads: 2, HeadDim: 16}},
		{"mask of every head and query", normal(2*3*10*12, 9), AttentionShape{Batch: 2, SeqQ: 10, SeqK: 12, Heads: 3, HeadDim: 8, Mask: MaskStrides{3 * 10 * 12, 10 * 12, 12, 1}}},
		{"mask of every query, one for all keys", normal(10, 9), AttentionShape{Batch: 2, SeqQ: 10, SeqK: 12, Heads: 3, HeadDim: 8, Mask: MaskStrides{Query: 1}}},
		{"causal", nil, AttentionShape{Batch: 2, SeqQ: 20, SeqK: 20, Heads: 2, HeadDim: 16, Causal: true}},
		{"grouped heads, wider values", nil, AttentionShape{Batch: 2, SeqQ: 6, SeqK: 11, Heads: 6, KVHeads: 2, HeadDim: 8, ValueDim: 12}},
		{"q, k, v in one tensor", padding(2, 16, -10000), AttentionShape{Batch: 2, SeqQ: 16, SeqK: 16, Heads: 2, HeadDim: 8,
			Q: Strides{16 * 48, 48, 8}, K: Strides{16 * 48, 48, 8}, V: Strides{16 * 48, 48, 8}}},
		{"several tiles", nil, AttentionShape{Batch: 1, SeqQ: 70, SeqK: 2100, Heads: 1, HeadDim: 4}},
	}
	eachVersion(t, func(t *testing.T) {
		for _, th := range []int{1, 2} {
			threads(t, th)
			for _, c := range cases {
				s := c.shape.complete()
				size := func(st Strides, seq, heads, dim int) int {
					return (s.Batch-1)*st.Batch + (seq-1)*st.Seq + (heads-1)*st.Head + dim
				}
				q, k, v := normal(size(s.Q, s.SeqQ, s.Heads, s.HeadDim), 1), normal(size(s.K, s.SeqK, s.KVHeads, s.HeadDim), 2), normal(size(s.V, s.SeqK, s.KVHeads, s.ValueDim), 3)
				dout := normal(size(s.Out, s.SeqQ, s.Heads, s.ValueDim), 4)
				out, dq, dk, dv := attentionOf(dout, q, k, v, c.mask, s)

				got := make([]float32, len(dout))
				Fill(got, nan)
				Attention(got, q, k, v, c.mask, c.shape)
				compare(t, c.name, got, out, 4e-6, 2e-6)
				// Between the heads of a tensor with strides nothing is written.
				gq, gk, gv := make([]float32, len(q)), make([]float32, len(k)), make([]float32, len(v))
				AttentionGrad(gq, gk, gv, dout, q, k, v, c.mask, c.shape)
				compare(t, c.name+": dq", gq, dq, 1e-5, 5e-6)
				compare(t, c.name+": dk", gk, dk, 1e-5, 5e-6)
				compare(t, c.name+": dv", gv, dv, 1e-5, 5e-6)
				AttentionGrad(gq, gk, gv, dout, q, k, v, c.mask, c.shape)
				compare(t, c.name+": dk again", gk, dk, 1e-5, 5e-6)
			}
		}
	})
}

func TestAttentionRefusesWhatDoesNotFit(t *testing.T) {
	x := make([]float32, 2*4*8)
	s := AttentionShape{Batch: 2, SeqQ: 4, SeqK: 4, Heads: 2, HeadDim: 4}
	Attention(x, append([]float32{}, x...), x, x, nil, s)
	for name, f := range map[string]func(){
		"short q":    func() { Attention(x, x[1:], x, x, nil, s) },
		"short mask": func() { Attention(x, x, x, x, x[:7], s) },
		"heads":      func() { s := s; s.KVHeads = 3; Attention(x, x, x, x, nil, s) },
		"strides":    func() { s := s; s.K = Strides{32, 3, 4}; Attention(x, x, x, x, nil, s) },
	} {
		mustPanic(t, name, f)
	}
}

func TestKernelsDoNotAllocate(t *testing.T) {
	threads(t, 2)
	const b, s, h, d = 4, 48, 4, 16
	x := normal(b*s*h*d, 1)
	y, z, w, row := append([]float32{}, x...), append([]float32{}, x...), append([]float32{}, x...), make([]float32, h*d)
	grads := [3][]float32{make([]float32, len(x)), make([]float32, len(x)), make([]float32, len(x))}
	mask, labels, ids := make([]float32, b*s), make([]int64, b*s), make([]int64, b*s)
	loss, touched := make([]float32, b*s), []int32{3, 1, 2}
	shape := AttentionShape{Batch: b, SeqQ: s, SeqK: s, Heads: h, HeadDim: d}
	eachVersion(t, func(t *testing.T) {
		for name, f := range map[string]func(){
			"Add":           func() { Add(y, x, x) },
			"Gelu":          func() { Gelu(y, x) },
			"GeluGrad":      func() { GeluGrad(y, x, z) },
			"SumRows":       func() { SumRows(row, x, b*s, h*d, true) },
			"SoftmaxRows":   func() { SoftmaxRows(y, x, b*s, h*d) },
			"LayerNorm":     func() { LayerNorm(y, x, row, nil, b*s, h*d, 1e-5) },
			"LayerNormGrad": func() { LayerNormGrad(y, row, row, x, row, z, b*s, h*d, 1e-5) },
			"Attention":     func() { Attention(w, x, y, z, mask, shape) },
			"AttentionGrad": func() { AttentionGrad(grads[0], grads[1], grads[2], w, x, y, z, mask, shape) },
			"CrossEntropy":  func() { _ = CrossEntropy(loss, x, labels, b*s, h*d, 0.1) },
			"GatherRows":    func() { _ = GatherRows(y, x, ids, h*d) },
			"Scatter":       func() { _ = ScatterAddRows(y, x, ids, h*d) },
			"AdamW":         func() { AdamW(y, x, grads[0], grads[1], AdamWStep{GradScale: 1, BiasCorr1: 1, BiasCorr2: 1}) },
			"SumSquares":    func() { SumSquares(x) },
			"SquaresOfRows": func() { SumSquaresRows(x, touched, h*d) },
			"DropoutMask":   func() { DropoutMask(y, 0.1, 3, 0) },
		} {
			f()
			if n := testing.AllocsPerRun(20, f); n != 0 {
				t.Errorf("%s: %v allocations a call", name, n)
			}
		}
	})
}

// Memory of a long sequence is that of one tile for every thread, not of all scores.
func TestAttentionMemoryDoesNotGrowWithTheSquare(t *testing.T) {
	threads(t, 2)
	const s, d = 4096, 8
	x := normal(s*d, 1)
	out, dq, dk, dv := make([]float32, s*d), make([]float32, s*d), make([]float32, s*d), make([]float32, s*d)
	shape := AttentionShape{Batch: 1, SeqQ: s, SeqK: s, Heads: 1, HeadDim: d}
	Attention(out, x, x, x, nil, shape)
	AttentionGrad(dq, dk, dv, x, x, x, x, nil, shape)
	var held []*scratch
	for range parallel.Threads() {
		m := scratches.Get()
		held = append(held, m)
		if held := max(cap(m.a), cap(m.b)); held > max(tileElements, 16*s) {
			t.Errorf("a thread holds %d elements for a sequence of %d", held, s)
		}
	}
	for _, m := range held {
		scratches.Put(m)
	}
}

func ExampleAttention() {
	q := []float32{1, 0} // one query, two keys, of which the second is masked
	k := []float32{1, 0, 0, 1}
	v := []float32{3, 4, 100, 100}
	out := make([]float32, 2)
	Attention(out, q, k, v, []float32{0, -math.MaxFloat32}, AttentionShape{Batch: 1, SeqQ: 1, SeqK: 2, Heads: 1, HeadDim: 2})
	fmt.Println(out)
	// Output: [3 4]
}
