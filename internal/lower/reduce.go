package lower

import (
	"errors"

	"github.com/ftk-go/ftk/internal/tensorop"
)

// reduce is any of the Reduce… operators. The axes are an input since opset 18 (ReduceSum: 13), an attribute before.
func reduce(c *Call) ([]*value, error) {
	axes, ok, err := c.IntsAt(1, "axes")
	if err != nil {
		return nil, err
	}
	if !ok || len(axes) == 0 {
		if c.AttrInt("noop_with_empty_axes", 0) == 1 {
			return reduceNothing(c)
		}
		axes = nil
		for i := range c.Rank(0) {
			axes = append(axes, i)
		}
	}
	if axes, err = tensorop.Axes(axes, c.Rank(0)); err != nil {
		return nil, err
	}
	return one(tensorop.Reduce(c.Node.OpType, c.N(0), axes, c.AttrInt("keepdims", 1) == 1))
}

// reduceNothing reduces groups of one element: only the function around the reduction is left.
func reduceNothing(c *Call) ([]*value, error) {
	return one(tensorop.Reduce(c.Node.OpType, c.N(0), nil, true))
}

// softmax and its kin: along one axis since opset 13 (default the last); before, x counts as a matrix whose columns are
// all axes from the given one on (default 1).
func softmax(c *Call) ([]*value, error) {
	x := c.N(0)
	shape := append([]int{}, c.Shape(0)...)
	axis := c.AttrInt("axis", -1)
	coerced := c.Opset < 13
	if coerced {
		axis = c.AttrInt("axis", 1)
		if axis < 0 {
			axis += len(shape)
		}
		if axis < 0 || axis > len(shape) {
			return nil, errors.New("axis is out of range")
		}
		var err error
		if x, err = tensorop.Reshape(x, product(shape[:axis]), product(shape[axis:])); err != nil {
			return nil, err
		}
		axis = 1
	}
	var err error
	switch c.Node.OpType {
	case "Hardmax":
		x, err = tensorop.Hardmax(x, axis)
	default:
		x, err = tensorop.Softmax(x, axis, c.Node.OpType == "LogSoftmax")
	}
	if err != nil {
		return nil, err
	}
	return one(tensorop.Reshape(x, shape...))
}
