package op

import (
	"fmt"
	"slices"

	"github.com/ftk-go/ftk/internal/kernels"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Attention is multi-head scaled dot-product attention: softmax(scale · q·kᵀ + mask) · v for each head.
//
// q is [batch, seqQ, heads·dim], k [batch, seqK, heads·dim], v [batch, seqK, heads·dim]; heads are read by stride, nothing
// is transposed, and where q, k and v are Projections of one input, nothing is copied. mask, if not nil, is added to the scores and broadcasts to [batch, heads, seqQ, seqK] from rank 4 or
// fewer (leading dimensions of 1 understood). The result is [batch, seqQ, heads·dim].
//
// Gradients come from one pass that computes the probabilities anew, packed as [dq | dk | dv], or as the columns that q, k
// and v are. The mask has none.
func Attention(q, k, v, mask *G.Node, heads int, scale float32) (*G.Node, error) {
	return newAttention(q, k, v, mask, attentionAttrs{heads: heads, scale: scale})
}

// AttentionWhere is Attention with a mask, of 0 and Masked, that chooses: a score so masked is replaced by a number, as
// Where does it, rather than lowered. That is the same but for a query all of whose keys are masked. The result is the mean
// of v in both, but here it does not depend on q and k, and they have no gradient of it.
func AttentionWhere(q, k, v, mask *G.Node, heads int, scale float32) (*G.Node, error) {
	return newAttention(q, k, v, mask, attentionAttrs{heads: heads, scale: scale, where: mask != nil})
}

func newAttention(q, k, v, mask *G.Node, o attentionAttrs) (*G.Node, error) {
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
	if qkv := joined(q, k, v); qkv != nil {
		o.joined = true
		nodes = append(G.Nodes{qkv}, nodes[3:]...)
	}
	return Apply(&attention{Base: NewBase("Attention", o.String(), nodes, 3), attentionAttrs: o}, nodes...)
}

type attentionAttrs struct {
	heads  int
	scale  float32
	joined bool // q, k, v are the columns of one operand [batch, sequence, 3·heads·dim]
	where  bool // see AttentionWhere
}

func (o attentionAttrs) String() string {
	s := fmt.Sprintf("heads=%d scale=%v", o.heads, o.scale)
	if o.joined {
		s += " joined"
	}
	if o.where {
		s += " where"
	}
	return s
}

// parts is how many inputs hold q, k and v.
func (o attentionAttrs) parts() int {
	if o.joined {
		return 1
	}
	return 3
}

// operands gives the shapes of q, k, v and the mask (nil for none) from those of the inputs.
func (o attentionAttrs) operands(in []tensor.Shape) (q, k, v, mask tensor.Shape, err error) {
	if len(in) > o.parts() {
		mask = in[o.parts()]
	}
	if !o.joined {
		return in[0], in[1], in[2], mask, nil
	}
	q = in[0].Clone()
	if len(q) != 3 || q[2]%3 != 0 {
		return nil, nil, nil, nil, fmt.Errorf("Attention: query, key and value %v: want [batch, sequence, 3·heads·dim]", q)
	}
	q[2] /= 3
	return q, q, q, mask, nil
}

// read gives the memory of q, k, v and the mask, and the kernel's description of them.
func (o attentionAttrs) read(in []*tensor.Dense) (q, k, v, mask []float32, s kernels.AttentionShape) {
	first, keys := in[0].Shape(), in[min(1, o.parts()-1)].Shape()
	mask, maskShape := o.mask(in, keys[1])
	if !o.joined {
		return in[0].Float32s(), in[1].Float32s(), in[2].Float32s(), mask, o.shape(first[0], first[1], keys[1], first[2], maskShape)
	}
	s = o.shape(first[0], first[1], first[1], first[2]/3, maskShape)
	s.Q = kernels.Strides{Batch: first[1] * first[2], Seq: first[2], Head: s.HeadDim}
	s.K, s.V = s.Q, s.Q
	q, k, v = thirds(in[0].Float32s(), s)
	return q, k, v, mask, s
}

// thirds are q, k and v, or their gradients, in one tensor.
func thirds(x []float32, s kernels.AttentionShape) (q, k, v []float32) {
	width := s.Heads * s.HeadDim
	return x, x[min(width, len(x)):], x[min(2*width, len(x)):]
}

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

// shape gives the kernel's description of contiguous q, k and v.
func (o attentionAttrs) shape(batch, seqQ, seqK, width int, mask tensor.Shape) kernels.AttentionShape {
	s := kernels.AttentionShape{Batch: batch, SeqQ: seqQ, SeqK: seqK, Heads: o.heads, HeadDim: width / o.heads, Scale: o.scale}
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
	q, kk, v, mask, err := k.operands(s)
	if err != nil {
		return nil, err
	}
	if err := k.check(q, kk, v, mask); err != nil {
		return nil, err
	}
	return q.Clone(), nil
}

func (k *attention) Run(out *tensor.Dense, in []*tensor.Dense) error {
	q, kk, v, mask, s := k.read(in)
	kernels.Attention(out.Float32s(), q, kk, v, mask, s)
	return nil
}

func (k *attention) DiffWRT(n int) []bool {
	wrt := make([]bool, n) // all but the mask
	for i := range k.parts() {
		wrt[i] = true
	}
	return wrt
}

func (k *attention) SymDiff(in G.Nodes, out, dy *G.Node) (G.Nodes, error) {
	nodes := append(G.Nodes{dy}, in...)
	dims := 1
	if k.joined {
		dims = in[0].Dims()
	}
	g := &attentionGrad{Base: NewBase("AttentionGrad", k.attentionAttrs.String(), nodes, dims), attentionAttrs: k.attentionAttrs}
	packed, err := Apply(g, nodes...)
	if err != nil {
		return nil, err
	}
	grads := G.Nodes{packed}
	if !k.joined {
		if grads, err = unpack(packed, []tensor.Shape{in[0].Shape(), in[1].Shape(), in[2].Shape()}); err != nil {
			return nil, err
		}
	}
	return append(grads, nil)[:len(in)], nil
}

func (k *attention) Do(in ...G.Value) (G.Value, error) { return Do(k, in...) }
func (k *attention) UsePreallocDo(p G.Value, in ...G.Value) (G.Value, error) {
	return PreallocDo(k, p, in...)
}

// attentionGrad is [dq | dk | dv] from dy, q, k, v, mask: a vector, or columns where they are the columns of one operand.
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
	q, kk, v, _, err := k.operands(s[1:])
	if err != nil {
		return nil, err
	}
	if !sameShape(s[0], q) {
		return nil, fmt.Errorf("AttentionGrad: dy %v and q %v differ", s[0], q)
	}
	if k.joined {
		return s[1].Clone(), nil
	}
	return tensor.Shape{count(q) + count(kk) + count(v)}, nil
}

func (k *attentionGrad) Run(out *tensor.Dense, in []*tensor.Dense) error {
	q, kk, v, mask, s := k.read(in[1:])
	d := out.Float32s()
	dq, dk, dv := thirds(d, s)
	if !k.joined {
		dq, dk, dv = d[:len(q)], d[len(q):len(q)+len(kk)], d[len(q)+len(kk):]
	}
	var blind []int
	if k.where && mask != nil {
		blind = blindQueries(mask, s)
	}
	if len(blind) > 0 { // their scores do not depend on q: 0 will do, and gives k no gradient
		q = slices.Clone(q)
		clearQueries(q, blind, s)
	}
	kernels.AttentionGrad(dq, dk, dv, in[0].Float32s(), q, kk, v, mask, s)
	clearQueries(dq, blind, s)
	return nil
}

func (k *attentionGrad) Do(in ...G.Value) (G.Value, error) { return Do(k, in...) }
func (k *attentionGrad) UsePreallocDo(p G.Value, in ...G.Value) (G.Value, error) {
	return PreallocDo(k, p, in...)
}

// mask is the mask among the inputs, if there is one that matters. To add one number to all scores alike changes no
// probability; to replace them all does.
func (o attentionAttrs) mask(in []*tensor.Dense, seqK int) ([]float32, tensor.Shape) {
	i := o.parts()
	switch {
	case len(in) <= i:
		return nil, nil
	case count(in[i].Shape()) > 1:
		return in[i].Float32s(), in[i].Shape()
	case !o.where || seqK < 2 || in[i].Float32s()[0] > Masked:
		return nil, nil
	}
	return slices.Repeat(in[i].Float32s(), seqK), tensor.Shape{seqK}
}
