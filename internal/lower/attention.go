package lower

import (
	"errors"
	"fmt"
	"math"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ftk-go/ftk/internal/op"
	"github.com/ftk-go/ftk/internal/tensorop"
)

const masked = op.Masked

// attentionCall is the Attention operator (opset 23, 24) with its sizes worked out.
type attentionCall struct {
	*Call
	flat            bool // q, k, v are [batch sequence heads·dim] rather than [batch heads sequence dim]
	batch, seqQ     int
	headsQ, headsKV int
	dimQK, dimV     int
	seqK, past      int // seqK counts the past
	scale, softcap  float64
	causal          bool
	mask            *G.Node // additive, nil if none
	maskTrainable   bool
	added           bool // the file's mask is a number to be added, not a choice of keys
}

const (
	attentionMask = iota + 3 // inputs after q, k, v
	attentionPastKey
	attentionPastValue
	attentionKeyLengths
)

func attention(c *Call) ([]*value, error) {
	a, err := newAttention(c)
	if err != nil {
		return nil, err
	}
	if err := a.additiveMask(); err != nil {
		return nil, err
	}
	if a.fusable() && !a.added {
		return one(op.AttentionWhere(c.N(0), c.N(1), c.N(2), a.mask, a.headsQ, float32(a.scale)))
	}
	if a.fusable() {
		return one(op.Attention(c.N(0), c.N(1), c.N(2), a.mask, a.headsQ, float32(a.scale)))
	}
	return a.decomposed()
}

func newAttention(c *Call) (*attentionCall, error) {
	a := &attentionCall{Call: c, softcap: c.AttrFloat("softcap", 0), causal: c.AttrInt("is_causal", 0) == 1}
	q, k, v := c.Shape(0), c.Shape(1), c.Shape(2)
	if len(q) != len(k) || len(q) != len(v) || q[0] != k[0] || q[0] != v[0] {
		return nil, errors.New("query, key and value do not fit together")
	}
	switch len(q) {
	case 3:
		a.flat, a.headsQ, a.headsKV = true, c.AttrInt("q_num_heads", 0), c.AttrInt("kv_num_heads", 0)
		if a.headsQ < 1 || a.headsKV < 1 || q[2]%a.headsQ != 0 || k[2]%a.headsKV != 0 || v[2]%a.headsKV != 0 {
			return nil, fmt.Errorf("%d and %d heads do not divide the widths", a.headsQ, a.headsKV)
		}
		a.seqQ, a.seqK, a.dimQK, a.dimV = q[1], k[1], q[2]/a.headsQ, v[2]/a.headsKV
	case 4:
		a.headsQ, a.headsKV, a.seqQ, a.seqK, a.dimQK, a.dimV = q[1], k[1], q[2], k[2], q[3], v[3]
	default:
		return nil, errors.New("want rank 3 or 4")
	}
	a.batch = q[0]
	if a.headsQ%a.headsKV != 0 {
		return nil, fmt.Errorf("%d query heads are not a multiple of %d key heads", a.headsQ, a.headsKV)
	}
	if c.Has(attentionPastKey) {
		a.past = c.Shape(attentionPastKey)[2]
		a.seqK += a.past
	}
	a.scale = 1 / math.Sqrt(float64(a.dimQK))
	if c.Node.Attr("scale") != nil {
		a.scale = c.AttrFloat("scale", 0)
	}
	return a, nil
}

// fusable reports whether op.Attention computes the same.
func (a *attentionCall) fusable() bool {
	return a.flat && a.headsQ == a.headsKV && a.dimQK == a.dimV && a.past == 0 && !a.Has(attentionPastKey) &&
		a.softcap == 0 && a.Outputs() == 1 && a.DType(0) == tensor.Float32 && !a.maskTrainable
}

// additiveMask makes one tensor to be added to the scores of all the ways in which keys can be masked.
func (a *attentionCall) additiveMask() error {
	var s steps
	dt := a.DType(0)
	if a.Has(attentionMask) {
		m := a.N(attentionMask)
		a.maskTrainable = a.in[attentionMask].trainable
		a.added = m.Dtype() != tensor.Bool
		if !a.added {
			bad, zero := tensorop.Scalar(a.g, dt, masked), tensorop.Scalar(a.g, dt, 0)
			m = s.do(func() (*G.Node, error) { return tensorop.Where(m, zero, bad) })
		}
		if s.err == nil && m.Dims() > 0 && m.Shape()[m.Dims()-1] < a.seqK && m.Shape()[m.Dims()-1] != 1 { // the rest is masked
			after := make([]int, m.Dims())
			after[len(after)-1] = a.seqK - m.Shape()[m.Dims()-1]
			m = s.do(func() (*G.Node, error) { return tensorop.Pad(m, make([]int, len(after)), after, "constant", masked) })
		}
		a.add(&s, m)
	}
	if a.causal {
		a.add(&s, s.do(func() (*G.Node, error) { return a.causalMask(dt) }))
	}
	if a.Has(attentionKeyLengths) {
		a.add(&s, s.do(func() (*G.Node, error) { return a.lengthMask(dt) }))
	}
	return s.err
}

func (a *attentionCall) add(s *steps, m *G.Node) {
	if a.mask == nil {
		a.mask = m
		return
	}
	a.mask = s.binary("Add", a.mask, m)
}

// causalMask masks the keys after each query: [seqQ seqK].
func (a *attentionCall) causalMask(dt tensor.Dtype) (*G.Node, error) {
	d := tensorop.NewDense(tensor.Float32, tensor.Shape{a.seqQ, a.seqK})
	for i := range d.Float32s() {
		if i%a.seqK > i/a.seqK+a.past {
			d.Float32s()[i] = masked
		}
	}
	return tensorop.Cast(tensorop.Constant(a.g, fmt.Sprintf("causal:%d:%d:%d", a.seqQ, a.seqK, a.past), d), dt)
}

// lengthMask masks the keys beyond each example's length: [batch 1 1 seqK].
func (a *attentionCall) lengthMask(dt tensor.Dtype) (*G.Node, error) {
	at := make([]int, a.seqK)
	for i := range at {
		at[i] = i
	}
	positions := tensorop.Constant(a.g, fmt.Sprintf("positions:%d", a.seqK), FromInts(at, a.seqK))
	lengths, err := tensorop.Reshape(a.N(attentionKeyLengths), a.batch, 1, 1, 1)
	if err != nil {
		return nil, err
	}
	inside, err := tensorop.Compare("Less", positions, lengths)
	if err != nil {
		return nil, err
	}
	return tensorop.Where(inside, tensorop.Scalar(a.g, dt, 0), tensorop.Scalar(a.g, dt, masked))
}

// decomposed builds attention from matrix products and softmax.
func (a *attentionCall) decomposed() ([]*value, error) {
	var s steps
	q := a.heads(&s, a.N(0), a.headsQ, a.dimQK)
	k := a.heads(&s, a.N(1), a.headsKV, a.dimQK)
	v := a.heads(&s, a.N(2), a.headsKV, a.dimV)
	if a.Has(attentionPastKey) {
		k = s.do(func() (*G.Node, error) { return tensorop.Concat(2, a.N(attentionPastKey), k) })
		v = s.do(func() (*G.Node, error) { return tensorop.Concat(2, a.N(attentionPastValue), v) })
	}
	presentK, presentV := k, v
	k, v = a.repeat(&s, k, a.dimQK), a.repeat(&s, v, a.dimV)
	scores := s.do(func() (*G.Node, error) {
		if a.DType(0) == tensor.Float32 {
			return op.MatMul(q, k, false, true)
		}
		kt, err := tensorop.Transpose(k, []int{0, 1, 3, 2})
		if err != nil {
			return nil, err
		}
		return productBySums(q, kt)
	})
	scores = s.affine(scores, a.scale, 0)
	stages := [4]*G.Node{scores}
	if a.softcap != 0 {
		scores = s.affine(s.apply("Tanh", s.affine(scores, 1/a.softcap, 0)), a.softcap, 0)
	}
	stages[1] = scores
	if a.mask != nil {
		m := a.mask
		if m.Dims() == 3 { // [heads or 1, seqQ, seqK]
			m = s.reshape(m, append([]int{1}, m.Shape()...)...)
		}
		scores = s.binary("Add", scores, m)
	}
	stages[2] = scores
	p := s.do(func() (*G.Node, error) { return tensorop.Softmax(scores, 3, false) })
	stages[3] = p
	y := s.do(func() (*G.Node, error) { return product2(p, v) })
	if a.flat {
		y = s.reshape(s.transpose(y, 0, 2, 1, 3), a.batch, a.seqQ, a.headsQ*a.dimV)
	}
	mode := a.AttrInt("qk_matmul_output_mode", 0)
	if mode < 0 || mode > 3 {
		return nil, fmt.Errorf("qk_matmul_output_mode %d is not defined", mode)
	}
	if a.Outputs() > 3 && mode == 2 && a.mask != nil { // -Inf is finite here, so that sums of it are
		least, inf := tensorop.Scalar(a.g, a.DType(0), masked/2), tensorop.Scalar(a.g, a.DType(0), math.Inf(-1))
		seen := s.do(func() (*G.Node, error) { return tensorop.Compare("Greater", scores, least) })
		stages[mode] = s.do(func() (*G.Node, error) { return tensorop.Where(seen, scores, inf) })
	}
	return many(G.Nodes{y, presentK, presentV, stages[mode]}, s.err)
}

// heads brings q, k or v into [batch heads sequence dim].
func (a *attentionCall) heads(s *steps, x *G.Node, heads, dim int) *G.Node {
	if !a.flat {
		return x
	}
	return s.transpose(s.reshape(x, a.batch, x.Shape()[1], heads, dim), 0, 2, 1, 3)
}

// repeat gives every group of query heads its key head (grouped-query attention).
func (a *attentionCall) repeat(s *steps, x *G.Node, dim int) *G.Node {
	n := a.headsQ / a.headsKV
	if n == 1 {
		return x
	}
	x = s.reshape(x, a.batch, a.headsKV, 1, a.seqK, dim)
	x = s.do(func() (*G.Node, error) { return tensorop.Expand(x, []int{a.batch, a.headsKV, n, a.seqK, dim}) })
	return s.reshape(x, a.batch, a.headsQ, a.seqK, dim)
}
