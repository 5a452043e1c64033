package lower

import (
	"fmt"
	"slices"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ftk-go/ftk/internal/op"
	"github.com/ftk-go/ftk/internal/tensorop"
)

// steps builds a formula of several nodes and keeps the first error.
type steps struct{ err error }

func (s *steps) do(f func() (*G.Node, error)) *G.Node {
	if s.err != nil {
		return nil
	}
	var n *G.Node
	n, s.err = f()
	return n
}

func (s *steps) binary(name string, a, b *G.Node) *G.Node {
	return s.do(func() (*G.Node, error) { return arithmetic(name, a, b) })
}

func (s *steps) apply(name string, x *G.Node) *G.Node {
	return s.do(func() (*G.Node, error) { return tensorop.Apply(name, x) })
}

func (s *steps) affine(x *G.Node, a, b float64) *G.Node {
	return s.do(func() (*G.Node, error) { return tensorop.Affine(x, a, b) })
}

func (s *steps) reduce(name string, x *G.Node, axes []int) *G.Node {
	return s.do(func() (*G.Node, error) { return tensorop.Reduce(name, x, axes, true) })
}

func (s *steps) reshape(x *G.Node, shape ...int) *G.Node {
	return s.do(func() (*G.Node, error) { return tensorop.Reshape(x, shape...) })
}

func (s *steps) transpose(x *G.Node, perm ...int) *G.Node {
	return s.do(func() (*G.Node, error) { return tensorop.Transpose(x, perm) })
}

// layerNormalization normalises over the axes from axis on; mean and inverse standard deviation are further outputs.
func layerNormalization(c *Call) ([]*value, error) {
	axis, err := tensorop.Axis(c.AttrInt("axis", -1), c.Rank(0))
	if err != nil {
		return nil, err
	}
	x, shape := c.N(0), append([]int{}, c.Shape(0)...)
	width := product(shape[axis:])
	eps := c.AttrFloat("epsilon", 1e-5)
	fits := isWhole(c.Shape(1), shape[axis:]) && (!c.Has(2) || isWhole(c.Shape(2), shape[axis:]))
	if x.Dtype() == tensor.Float32 && fits && c.Outputs() == 1 {
		var s steps
		rows := s.reshape(x, product(shape[:axis]), width)
		if axis == len(shape)-1 {
			rows = x
		}
		gamma := s.reshape(c.N(1), width)
		var beta *G.Node
		if c.Has(2) {
			beta = s.reshape(c.N(2), width)
		}
		y := s.do(func() (*G.Node, error) { return op.LayerNorm(rows, gamma, beta, float32(eps)) })
		return one(s.reshape(y, shape...), s.err)
	}
	var s steps
	axes := axesFrom(axis, len(shape))
	mean := s.reduce("ReduceMean", x, axes)
	d := s.binary("Sub", x, mean)
	variance := s.reduce("ReduceMean", s.binary("Mul", d, d), axes)
	inverse := s.apply("Reciprocal", s.apply("Sqrt", s.affine(variance, 1, eps)))
	y := s.binary("Mul", s.binary("Mul", d, inverse), c.N(1))
	if c.Has(2) {
		y = s.binary("Add", y, c.N(2))
	}
	return many(G.Nodes{y, mean, inverse}[:max(1, c.Outputs())], s.err)
}

func axesFrom(axis, rank int) []int {
	var axes []int
	for i := axis; i < rank; i++ {
		axes = append(axes, i)
	}
	return axes
}

// rmsNormalization divides by the root of the mean square over the axes from axis on.
func rmsNormalization(c *Call) ([]*value, error) {
	axis, err := tensorop.Axis(c.AttrInt("axis", -1), c.Rank(0))
	if err != nil {
		return nil, err
	}
	var s steps
	x := c.N(0)
	square := s.reduce("ReduceMean", s.binary("Mul", x, x), axesFrom(axis, c.Rank(0)))
	inverse := s.apply("Reciprocal", s.apply("Sqrt", s.affine(square, 1, c.AttrFloat("epsilon", 1e-5))))
	return one(s.binary("Mul", s.binary("Mul", x, inverse), c.N(1)), s.err)
}

// channelwise reshapes a vector [C] so that it goes with axis 1 of x.
func channelwise(s *steps, v *G.Node, rank int) *G.Node {
	shape := make([]int, rank-1)
	for i := range shape {
		shape[i] = 1
	}
	shape[0] = v.Shape()[0]
	return s.reshape(v, shape...)
}

// batchNormalization in inference form: with the stored mean and variance.
func batchNormalization(c *Call) ([]*value, error) {
	if c.AttrInt("training_mode", 0) == 1 || c.Outputs() > 1 {
		return nil, fmt.Errorf("training mode is not supported")
	}
	if c.Node.Int("spatial", 1) == 0 {
		return nil, fmt.Errorf("spatial=0 is not supported")
	}
	var s steps
	r := c.Rank(0)
	if r < 2 {
		return nil, fmt.Errorf("want a channel axis")
	}
	inverse := s.apply("Reciprocal", s.apply("Sqrt", s.affine(c.N(4), 1, c.AttrFloat("epsilon", 1e-5))))
	factor := s.binary("Mul", c.N(1), inverse)
	shift := s.binary("Sub", c.N(2), s.binary("Mul", c.N(3), factor))
	if s.err != nil {
		return nil, s.err
	}
	return one(s.binary("Add", s.binary("Mul", c.N(0), channelwise(&s, factor, r)), channelwise(&s, shift, r)), s.err)
}

// instanceNormalization normalises each channel of each example over space.
func instanceNormalization(c *Call) ([]*value, error) {
	var s steps
	r := c.Rank(0)
	if r < 3 {
		return nil, fmt.Errorf("want [batch channel space…]")
	}
	y := standardised(&s, c.N(0), axesFrom(2, r), c.AttrFloat("epsilon", 1e-5))
	return one(s.binary("Add", s.binary("Mul", y, channelwise(&s, c.N(1), r)), channelwise(&s, c.N(2), r)), s.err)
}

func standardised(s *steps, x *G.Node, axes []int, eps float64) *G.Node {
	d := s.binary("Sub", x, s.reduce("ReduceMean", x, axes))
	variance := s.reduce("ReduceMean", s.binary("Mul", d, d), axes)
	return s.binary("Mul", d, s.apply("Reciprocal", s.apply("Sqrt", s.affine(variance, 1, eps))))
}

// groupNormalization normalises groups of channels; scale and bias are per channel since opset 21, per group before.
func groupNormalization(c *Call) ([]*value, error) {
	var s steps
	shape := append([]int{}, c.Shape(0)...)
	groups := c.AttrInt("num_groups", 0)
	if len(shape) < 3 || groups < 1 || shape[1]%groups != 0 {
		return nil, fmt.Errorf("%d groups do not divide the channels", groups)
	}
	x := s.reshape(c.N(0), shape[0], groups, shape[1]/groups, product(shape[2:]))
	y := standardised(&s, x, []int{2, 3}, c.AttrFloat("epsilon", 1e-5))
	if c.Shape(1)[0] == groups && groups != shape[1] {
		y = s.binary("Add", s.binary("Mul", y, channelwise(&s, c.N(1), 4)), channelwise(&s, c.N(2), 4))
		return one(s.reshape(y, shape...), s.err)
	}
	y = s.reshape(y, shape...)
	return one(s.binary("Add", s.binary("Mul", y, channelwise(&s, c.N(1), len(shape))), channelwise(&s, c.N(2), len(shape))), s.err)
}

// meanVarianceNormalization standardises over the given axes.
func meanVarianceNormalization(c *Call) ([]*value, error) {
	axes := c.AttrInts("axes")
	if axes == nil {
		axes = []int{0, 2, 3}
	}
	axes, err := tensorop.Axes(axes, c.Rank(0))
	if err != nil {
		return nil, err
	}
	var s steps
	x := c.N(0)
	d := s.binary("Sub", x, s.reduce("ReduceMean", x, axes))
	deviation := s.affine(s.apply("Sqrt", s.reduce("ReduceMean", s.binary("Mul", d, d), axes)), 1, 1e-9)
	return one(s.binary("Div", d, deviation), s.err)
}

// lpNormalization divides by the p-norm along an axis.
func lpNormalization(c *Call) ([]*value, error) {
	axis, err := tensorop.Axis(c.AttrInt("axis", -1), c.Rank(0))
	if err != nil {
		return nil, err
	}
	name := map[int]string{1: "ReduceL1", 2: "ReduceL2"}[c.AttrInt("p", 2)]
	if name == "" {
		return nil, fmt.Errorf("p is %d, want 1 or 2", c.AttrInt("p", 2))
	}
	var s steps
	norm := s.reduce(name, c.N(0), []int{axis})
	// A vector of zeros stays one. (The bound is PyTorch's in normalize; it shows in the gradient there.)
	tiny := tensorop.Scalar(c.g, c.DType(0), 1e-12)
	return one(s.binary("Div", c.N(0), s.binary("Max", norm, tiny)), s.err)
}

// isWhole tells whether a shape that broadcasts to another, with whatever axes
// before that one's, has all its elements.
func isWhole(shape, of []int) bool {
	return slices.Equal(withoutOnes(shape), withoutOnes(of))
}

// withoutOnes is a shape without the axes of length 1 at its front.
func withoutOnes(shape []int) []int {
	for len(shape) > 0 && shape[0] == 1 {
		shape = shape[1:]
	}
	return shape
}
