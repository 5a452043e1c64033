package op

import (
	"fmt"

	"github.com/ftk-go/ftk/internal/kernels"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// LayerNorm normalises x [..., n] over its last axis: (x - mean) / sqrt(var + eps) · gamma + beta, gamma [n], beta [n] or
// nil (ONNX LayerNormalization with axis -1; Ba et al. 2016).
//
// Gradients come from one pass that recomputes mean and variance from x, packed as [dx | dgamma | dbeta].
func LayerNorm(x, gamma, beta *G.Node, eps float32) (*G.Node, error) {
	nodes := G.Nodes{x, gamma}
	if beta != nil {
		nodes = append(nodes, beta)
	}
	if err := sameGraph("LayerNorm", nodes...); err != nil {
		return nil, err
	}
	if err := wantType("LayerNorm", tensor.Float32, nodes...); err != nil {
		return nil, err
	}
	k := &layerNorm{Base: NewBase("LayerNorm", fmt.Sprint(eps), nodes, x.Dims()), eps: eps}
	return Apply(k, nodes...)
}

type layerNorm struct {
	Base
	eps float32
}

func (k *layerNorm) InferShape(ds ...G.DimSizer) (tensor.Shape, error) {
	s, err := Shapes(k, ds)
	if err != nil {
		return nil, err
	}
	if len(s[0]) == 0 {
		return nil, fmt.Errorf("LayerNorm: x is a scalar")
	}
	for i, p := range s[1:] {
		if len(p) != 1 || p[0] != lastDim(s[0]) {
			return nil, fmt.Errorf("LayerNorm: %s is %v, want [%d] for x %v", [...]string{"gamma", "beta"}[i], p, lastDim(s[0]), s[0])
		}
	}
	return s[0].Clone(), nil
}

func (k *layerNorm) Recomputable() {}

func (k *layerNorm) InPlace() []int { return []int{0} }

func (k *layerNorm) Run(out *tensor.Dense, in []*tensor.Dense) error {
	k.RunWholeRows(out, in, 0, rowsOf(out.Shape()))
	return nil
}

func (k *layerNorm) RunWholeRows(out *tensor.Dense, in []*tensor.Dense, row, rows int) {
	var beta []float32
	if len(in) == 3 {
		beta = in[2].Float32s()
	}
	width := lastDim(out.Shape())
	from, to := row*width, (row+rows)*width
	kernels.LayerNorm(out.Float32s()[from:to], in[0].Float32s()[from:to], in[1].Float32s(), beta, rows, width, k.eps)
}

func (k *layerNorm) DiffWRT(n int) []bool { return allTrue(n) }

func (k *layerNorm) SymDiff(in G.Nodes, out, dy *G.Node) (G.Nodes, error) {
	x, gamma := in[0], in[1]
	g := &layerNormGrad{Base: NewBase("LayerNormGrad", fmt.Sprint(k.eps), G.Nodes{x, gamma, dy}, 1), eps: k.eps}
	packed, err := Apply(g, x, gamma, dy)
	if err != nil {
		return nil, err
	}
	shapes := []tensor.Shape{x.Shape(), gamma.Shape(), gamma.Shape()}
	return unpack(packed, shapes[:len(in)])
}

func (k *layerNorm) Do(in ...G.Value) (G.Value, error) { return Do(k, in...) }
func (k *layerNorm) UsePreallocDo(p G.Value, in ...G.Value) (G.Value, error) {
	return PreallocDo(k, p, in...)
}

// layerNormGrad is [dx | dgamma | dbeta] from x, gamma, dy.
type layerNormGrad struct {
	Base
	noGrad
	eps float32
}

func (k *layerNormGrad) InferShape(ds ...G.DimSizer) (tensor.Shape, error) {
	s, err := Shapes(k, ds)
	if err != nil {
		return nil, err
	}
	if !sameShape(s[0], s[2]) {
		return nil, fmt.Errorf("LayerNormGrad: x %v and dy %v differ", s[0], s[2])
	}
	return tensor.Shape{count(s[0]) + 2*lastDim(s[0])}, nil
}

func (k *layerNormGrad) Run(out *tensor.Dense, in []*tensor.Dense) error {
	s := in[0].Shape()
	n, w := count(s), lastDim(s)
	d := out.Float32s()
	kernels.LayerNormGrad(d[:n], d[n:n+w], d[n+w:], in[0].Float32s(), in[1].Float32s(), in[2].Float32s(), rowsOf(s), w, k.eps)
	return nil
}

func (k *layerNormGrad) Do(in ...G.Value) (G.Value, error) { return Do(k, in...) }
func (k *layerNormGrad) UsePreallocDo(p G.Value, in ...G.Value) (G.Value, error) {
	return PreallocDo(k, p, in...)
}

// unpack takes consecutive parts of a vector as Views of the given shapes.
func unpack(packed *G.Node, shapes []tensor.Shape) (G.Nodes, error) {
	parts, offset := make(G.Nodes, len(shapes)), 0
	for i, s := range shapes {
		var err error
		if parts[i], err = View(packed, offset, s...); err != nil {
			return nil, err
		}
		offset += count(s)
	}
	return parts, nil
}
