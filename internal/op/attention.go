package op

import (
	"fmt"

	"github.com/ftk-go/ftk/internal/kernels"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Attention is multi-head scaled dot-product attention: softmax(scale · q·kᵀ + mask) · v for each head.
//
// q is [batch, seqQ, heads·dim], k [batch, seqK, heads·dim], v [batch, seqK, heads·dim]; heads are read by stride, nothing
// is transposed. mask, if not nil, is added to the scores and broadcasts to [batch, heads, seqQ, seqK] from rank 4 or
// fewer (leading dimensions of 1 understood). The result is [batch, seqQ, heads·dim].
//
// Gradients come from one pass that computes the probabilities anew, packed as [dq | dk | dv]. The mask has none.
func Attention(q, k, v, mask *G.Node, heads int, scale float32) (*G.Node, error) {
	nodes := G.Nodes{q, k, v}
	if mask != nil {
		nodes = append(nodes, mask)
	}
	if err := sameGraph("Attention", nodes...); err != nil {
		return nil, err
	}
	if err := wantType("Attention", tensor.Float32, nodes...); err != nil {
		return nil, err
	}
	o := attentionAttrs{heads: heads, scale: scale}
	return Apply(&attention{Base: NewBase("Attention", o.String(), nodes, 3), attentionAttrs: o}, nodes...)
}

type attentionAttrs struct {
	heads int
	scale float32
}

func (o attentionAttrs) String() string { return fmt.Sprintf("heads=%d scale=%v", o.heads, o.scale) }

// check returns an error unless the shapes fit; mask may be nil.
func (o attentionAttrs) check(q, k, v, mask tensor.Shape) error {
	if len(q) != 3 || len(k) != 3 || len(v) != 3 {
		return fmt.Errorf("Attention: q %v, k %v, v %v: want rank 3 [batch, sequence, heads·dim]", q, k, v)
	}
	if q[0] != k[0] || !sameShape(k, v) || q[2] != k[2] {
		return fmt.Errorf("Attention: q %v, k %v, v %v do not fit", q, k, v)
	}
	if o.heads < 1 || q[2]%o.heads != 0 {
		return fmt.Errorf("Attention: width %d of q %v is not a multiple of %d heads", q[2], q, o.heads)
	}
	full := tensor.Shape{q[0], o.heads, q[1], k[1]}
	if len(mask) > 4 {
		return fmt.Errorf("Attention: mask %v has rank %d, want at most 4", mask, len(mask))
	}
	for i, d := range mask {
		if f := full[4-len(mask)+i]; d != 1 && d != f {
			return fmt.Errorf("Attention: mask %v does not broadcast to %v (batch, heads, query, key)", mask, full)
		}
	}
	return nil
}

// shape gives the kernel's description of contiguous q, k, v.
func (o attentionAttrs) shape(q, k, mask tensor.Shape) kernels.AttentionShape {
	s := kernels.AttentionShape{
		Batch: q[0], SeqQ: q[1], SeqK: k[1], Heads: o.heads, HeadDim: q[2] / o.heads, Scale: o.scale,
	}
	to := [4]*int{&s.Mask.Batch, &s.Mask.Head, &s.Mask.Query, &s.Mask.Key}
	stride := 1
	for i := len(mask) - 1; i >= 0; i-- {
		if mask[i] != 1 {
			*to[4-len(mask)+i] = stride
		}
		stride *= mask[i]
	}
	return s
}

type attention struct {
	Base
	attentionAttrs
}

func (k *attention) String() string { return k.Base.String() }

func (k *attention) InferShape(ds ...G.DimSizer) (tensor.Shape, error) {
	s, err := Shapes(k, ds)
	if err != nil {
		return nil, err
	}
	var mask tensor.Shape
	if len(s) == 4 {
		mask = s[3]
	}
	if err := k.check(s[0], s[1], s[2], mask); err != nil {
		return nil, err
	}
	return s[0].Clone(), nil
}

func (k *attention) Run(out *tensor.Dense, in []*tensor.Dense) error {
	mask, maskShape := optionalMask(in, 3)
	s := k.shape(in[0].Shape(), in[1].Shape(), maskShape)
	kernels.Attention(out.Float32s(), in[0].Float32s(), in[1].Float32s(), in[2].Float32s(), mask, s)
	return nil
}

func (k *attention) DiffWRT(n int) []bool { return []bool{true, true, true, false}[:n] }

func (k *attention) SymDiff(in G.Nodes, out, dy *G.Node) (G.Nodes, error) {
	nodes := append(G.Nodes{dy}, in...)
	g := &attentionGrad{Base: NewBase("AttentionGrad", k.attentionAttrs.String(), nodes, 1), attentionAttrs: k.attentionAttrs}
	packed, err := Apply(g, nodes...)
	if err != nil {
		return nil, err
	}
	grads, err := unpack(packed, []tensor.Shape{in[0].Shape(), in[1].Shape(), in[2].Shape()})
	if err != nil {
		return nil, err
	}
	return append(grads, nil)[:len(in)], nil
}

func (k *attention) Do(in ...G.Value) (G.Value, error) { return Do(k, in...) }
func (k *attention) UsePreallocDo(p G.Value, in ...G.Value) (G.Value, error) {
	return PreallocDo(k, p, in...)
}

// attentionGrad is [dq | dk | dv] from dy, q, k, v, mask.
type attentionGrad struct {
	Base
	noGrad
	attentionAttrs
}

func (k *attentionGrad) String() string { return k.Base.String() }

func (k *attentionGrad) InferShape(ds ...G.DimSizer) (tensor.Shape, error) {
	s, err := Shapes(k, ds)
	if err != nil {
		return nil, err
	}
	if !sameShape(s[0], s[1]) {
		return nil, fmt.Errorf("AttentionGrad: dy %v and q %v differ", s[0], s[1])
	}
	return tensor.Shape{count(s[1]) + count(s[2]) + count(s[3])}, nil
}

func (k *attentionGrad) Run(out *tensor.Dense, in []*tensor.Dense) error {
	mask, maskShape := optionalMask(in, 4)
	dy, q, kk, v := in[0], in[1], in[2], in[3]
	s := k.shape(q.Shape(), kk.Shape(), maskShape)
	d, nq, nk := out.Float32s(), count(q.Shape()), count(kk.Shape())
	kernels.AttentionGrad(d[:nq], d[nq:nq+nk], d[nq+nk:], dy.Float32s(), q.Float32s(), kk.Float32s(), v.Float32s(), mask, s)
	return nil
}

func (k *attentionGrad) Do(in ...G.Value) (G.Value, error) { return Do(k, in...) }
func (k *attentionGrad) UsePreallocDo(p G.Value, in ...G.Value) (G.Value, error) {
	return PreallocDo(k, p, in...)
}

// optionalMask is the mask at input i, if there is one. A mask of one element shifts all scores alike, which changes no
// probability.
func optionalMask(in []*tensor.Dense, i int) ([]float32, tensor.Shape) {
	if len(in) <= i || count(in[i].Shape()) == 1 {
		return nil, nil
	}
	return in[i].Float32s(), in[i].Shape()
}
