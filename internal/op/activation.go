package op

import (
	"fmt"

	"github.com/ftk-go/ftk/internal/kernels"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Activation names an elementwise function.
type Activation int

// The activations. Gelu is x·Φ(x) with the exact normal distribution (erf), GeluTanh its approximation with tanh, both
// as in Hendrycks & Gimpel 2016 and ONNX Gelu.
const (
	Identity Activation = iota
	GeluErf
	GeluTanh
	Relu
	Tanh
	Sigmoid
)

var activationNames = [...]string{"Identity", "Gelu", "GeluTanh", "Relu", "Tanh", "Sigmoid"}

// String is the activation's name.
func (a Activation) String() string {
	if a < 0 || int(a) >= len(activationNames) {
		return fmt.Sprintf("Activation(%d)", int(a))
	}
	return activationNames[a]
}

// fromOutput says whether the gradient is computed from the output rather than the input.
func (a Activation) fromOutput() bool { return a == Relu || a == Tanh || a == Sigmoid }

// Gelu is the GELU of x, any shape; approxTanh chooses the approximation.
func Gelu(x *G.Node, approxTanh bool) (*G.Node, error) {
	if approxTanh {
		return Activate(x, GeluTanh)
	}
	return Activate(x, GeluErf)
}

// Activate applies an activation to x, any shape. Its gradient is one pass over dy and x (or, where it follows from the
// result alone, y).
func Activate(x *G.Node, a Activation) (*G.Node, error) {
	if err := sameGraph(a.String(), x); err != nil {
		return nil, err
	}
	if err := wantType(a.String(), tensor.Float32, x); err != nil {
		return nil, err
	}
	if a == Identity {
		return x, nil
	}
	if a < 0 || int(a) >= len(activationNames) {
		return nil, fmt.Errorf("op: unknown activation %d", int(a))
	}
	return Apply(&activate{Base: NewBase(a.String(), "", G.Nodes{x}, x.Dims()), act: a}, x)
}

type activate struct {
	Base
	act Activation
}

func (k *activate) InferShape(ds ...G.DimSizer) (tensor.Shape, error) {
	s, err := Shapes(k, ds)
	if err != nil {
		return nil, err
	}
	return s[0].Clone(), nil
}

func (k *activate) Recomputable() {}

func (k *activate) InPlace() []int { return []int{0} }

func (k *activate) Run(out *tensor.Dense, in []*tensor.Dense) error {
	k.act.apply(out.Float32s(), in[0].Float32s())
	return nil
}

func (k *activate) RunPart(out *tensor.Dense, in []*tensor.Dense, row, rows, col, cols int) {
	y, x, width := out.Float32s(), in[0].Float32s(), lastDim(out.Shape())
	for i := row*width + col; rows > 0; i, rows = i+width, rows-1 {
		k.act.apply(y[i:i+cols], x[i:i+cols])
	}
}

// apply is y = act(x).
func (a Activation) apply(y, x []float32) {
	switch a {
	case GeluErf:
		kernels.Gelu(y, x)
	case GeluTanh:
		kernels.GeluTanh(y, x)
	case Relu:
		kernels.Relu(y, x)
	case Tanh:
		kernels.Tanh(y, x)
	case Sigmoid:
		kernels.Sigmoid(y, x)
	}
}

func (k *activate) DiffWRT(int) []bool { return []bool{true} }

func (k *activate) SymDiff(in G.Nodes, out, dy *G.Node) (G.Nodes, error) {
	ref := in[0]
	if k.act.fromOutput() {
		ref = out
	}
	g := &activateGrad{Base: NewBase(k.act.String()+"Grad", "", G.Nodes{ref, dy}, ref.Dims()), act: k.act}
	dx, err := Apply(g, ref, dy)
	return G.Nodes{dx}, err
}

func (k *activate) Do(in ...G.Value) (G.Value, error) { return Do(k, in...) }
func (k *activate) UsePreallocDo(p G.Value, in ...G.Value) (G.Value, error) {
	return PreallocDo(k, p, in...)
}

// activateGrad computes dx from x (or y, see Activation.fromOutput) and dy.
type activateGrad struct {
	Base
	noGrad
	act Activation
}

func (k *activateGrad) InferShape(ds ...G.DimSizer) (tensor.Shape, error) {
	s, err := Shapes(k, ds)
	if err != nil {
		return nil, err
	}
	if !sameShape(s[0], s[1]) {
		return nil, fmt.Errorf("%v: x %v and dy %v differ", k, s[0], s[1])
	}
	return s[0].Clone(), nil
}

func (k *activateGrad) InPlace() []int { return []int{1, 0} }

func (k *activateGrad) Run(out *tensor.Dense, in []*tensor.Dense) error {
	k.act.applyGrad(out.Float32s(), in[0].Float32s(), in[1].Float32s())
	return nil
}

func (k *activateGrad) RunPart(out *tensor.Dense, in []*tensor.Dense, row, rows, col, cols int) {
	dx, ref, dy, width := out.Float32s(), in[0].Float32s(), in[1].Float32s(), lastDim(out.Shape())
	for i := row*width + col; rows > 0; i, rows = i+width, rows-1 {
		k.act.applyGrad(dx[i:i+cols], ref[i:i+cols], dy[i:i+cols])
	}
}

// applyGrad is dx = dy times the derivative, which follows from ref, see fromOutput.
func (a Activation) applyGrad(dx, ref, dy []float32) {
	switch a {
	case GeluErf:
		kernels.GeluGrad(dx, ref, dy)
	case GeluTanh:
		kernels.GeluTanhGrad(dx, ref, dy)
	case Relu:
		kernels.ReluGrad(dx, ref, dy)
	case Tanh:
		kernels.TanhGrad(dx, ref, dy)
	case Sigmoid:
		kernels.SigmoidGrad(dx, ref, dy)
	}
}

func (k *activateGrad) Do(in ...G.Value) (G.Value, error) { return Do(k, in...) }
func (k *activateGrad) UsePreallocDo(p G.Value, in ...G.Value) (G.Value, error) {
	return PreallocDo(k, p, in...)
}
