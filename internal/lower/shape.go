package lower

import (
	"errors"
	"fmt"
	"slices"

	G "gorgonia.org/gorgonia"

	"github.com/ftk-go/ftk/internal/tensorop"
)

func reshape(c *Call) ([]*value, error) {
	target, err := c.Ints(1)
	if err != nil {
		return nil, err
	}
	shape, err := resolveShape(c.Shape(0), target, c.AttrInt("allowzero", 0) == 1)
	if err != nil {
		return nil, err
	}
	return reshaped(c, shape)
}

// resolveShape replaces 0 (the input's size, unless allowZero) and −1 (what is left) in Reshape's target.
func resolveShape(from, target []int, allowZero bool) ([]int, error) {
	shape := slices.Clone(target)
	rest, known := -1, 1
	for i, d := range target {
		switch {
		case d == -1 && rest < 0:
			rest = i
			continue
		case d < 0:
			return nil, fmt.Errorf("target shape %v is not one a tensor can have", target)
		case d == 0 && !allowZero:
			if i >= len(from) {
				return nil, fmt.Errorf("target shape %v copies axis %d, which the input does not have", target, i)
			}
			shape[i] = from[i]
		}
		known *= shape[i]
	}
	n := 1
	for _, d := range from {
		n *= d
	}
	if rest >= 0 {
		if known == 0 || n%known != 0 {
			return nil, fmt.Errorf("%d elements do not divide into %v", n, target)
		}
		shape[rest] = n / known
		known = n
	}
	if known != n {
		return nil, fmt.Errorf("%d elements do not fit into %v", n, shape)
	}
	return shape, nil
}

func reshaped(c *Call, shape []int) ([]*value, error) { return one(tensorop.Reshape(c.N(0), shape...)) }

func squeeze(c *Call) ([]*value, error) {
	axes, ok, err := c.IntsAt(1, "axes")
	if err != nil {
		return nil, err
	}
	if !ok {
		for i, d := range c.Shape(0) {
			if d == 1 {
				axes = append(axes, i)
			}
		}
	}
	return one(tensorop.Squeeze(c.N(0), axes))
}

func unsqueeze(c *Call) ([]*value, error) {
	axes, _, err := c.IntsAt(1, "axes")
	if err != nil {
		return nil, err
	}
	return one(tensorop.Unsqueeze(c.N(0), axes))
}

func flatten(c *Call) ([]*value, error) {
	s := c.Shape(0)
	axis := c.AttrInt("axis", 1)
	if axis < 0 {
		axis += len(s)
	}
	if axis < 0 || axis > len(s) {
		return nil, fmt.Errorf("axis %d is out of range for rank %d", axis, len(s))
	}
	rows, cols := product(s[:axis]), product(s[axis:])
	return reshaped(c, []int{rows, cols})
}

func product(s []int) int {
	n := 1
	for _, d := range s {
		n *= d
	}
	return n
}

func transpose(c *Call) ([]*value, error) {
	return one(tensorop.Transpose(c.N(0), c.AttrInts("perm")))
}

func concat(c *Call) ([]*value, error) {
	ns := c.All()
	// A part without elements adds nothing, and gorgonia has no nodes for such.
	ns = slices.DeleteFunc(ns, func(n *G.Node) bool { return len(ns) > 1 && product(n.Shape()) == 0 && n.Dims() > 0 })
	if len(ns) == 0 {
		return nothing(c)
	}
	return one(tensorop.Concat(c.AttrInt("axis", 0), ns...))
}

// nothing joins parts none of which has elements: they may have lengths along the axis.
func nothing(c *Call) ([]*value, error) {
	axis, err := tensorop.Axis(c.AttrInt("axis", 0), c.Rank(0))
	if err != nil {
		return nil, err
	}
	shape := slices.Clone(c.Shape(0))
	shape[axis] = 0
	for _, v := range c.in {
		if v == nil {
			continue
		}
		s := v.shape()
		if len(s) != len(shape) || !slices.Equal(s[:axis], shape[:axis]) || !slices.Equal(s[axis+1:], shape[axis+1:]) {
			return nil, fmt.Errorf("shapes %v and %v differ elsewhere than in axis %d", c.Shape(0), s, axis)
		}
		shape[axis] += s[axis]
	}
	return constants(tensorop.NewDense(c.DType(0), shape))
}

// slice takes its ranges as inputs since opset 10, as attributes before.
func slice(c *Call) ([]*value, error) {
	starts, _, err := c.IntsAt(1, "starts")
	if err != nil {
		return nil, err
	}
	ends, _, err := c.IntsAt(2, "ends")
	if err != nil {
		return nil, err
	}
	axes, given, err := c.IntsAt(3, "axes")
	if err != nil {
		return nil, err
	}
	steps, stepped, err := c.IntsAt(4, "steps")
	if err != nil {
		return nil, err
	}
	if len(ends) != len(starts) || given && len(axes) != len(starts) || stepped && len(steps) != len(starts) {
		return nil, fmt.Errorf("starts %v, ends %v, axes %v, steps %v differ in number", starts, ends, axes, steps)
	}
	ranges := make([]tensorop.SliceRange, len(starts))
	for i := range starts {
		ranges[i] = tensorop.SliceRange{Axis: i, Start: starts[i], End: ends[i], Step: 1}
		if given {
			ranges[i].Axis = axes[i]
		}
		if stepped {
			ranges[i].Step = steps[i]
		}
	}
	return one(tensorop.Slice(c.N(0), ranges...))
}

// split takes the sizes as input since opset 13, as attribute before; since opset 18 a number of parts may be given.
func split(c *Call) ([]*value, error) {
	sizes, ok, err := c.IntsAt(1, "split")
	if err != nil {
		return nil, err
	}
	axis, err := tensorop.Axis(c.AttrInt("axis", 0), c.Rank(0))
	if err != nil {
		return nil, err
	}
	if !ok {
		n, dim := c.AttrInt("num_outputs", len(c.Node.Outputs)), c.Shape(0)[axis]
		if n < 1 {
			return nil, errors.New("no parts asked for")
		}
		part := (dim + n - 1) / n
		for left := dim; len(sizes) < n; left -= part {
			sizes = append(sizes, max(min(part, left), 0))
		}
	}
	return many(tensorop.Split(c.N(0), axis, sizes))
}

func expand(c *Call) ([]*value, error) {
	target, err := c.Ints(1)
	if err != nil {
		return nil, err
	}
	shape, err := tensorop.BroadcastShapes(c.Shape(0), target)
	if err != nil {
		return nil, err
	}
	return one(tensorop.Expand(c.N(0), shape))
}

func tile(c *Call) ([]*value, error) {
	repeats, err := c.Ints(1)
	if err != nil {
		return nil, err
	}
	return one(tensorop.Tile(c.N(0), repeats))
}

// pad takes its sizes as input since opset 11, as attribute before.
func pad(c *Call) ([]*value, error) {
	pads, _, err := c.IntsAt(1, "pads")
	if err != nil {
		return nil, err
	}
	fill, err := c.Number(2, c.AttrFloat("value", 0))
	if err != nil {
		return nil, err
	}
	rank := c.Rank(0)
	axes := make([]int, rank)
	for i := range axes {
		axes[i] = i
	}
	if c.Has(3) {
		if axes, err = c.Ints(3); err != nil {
			return nil, err
		}
	}
	if len(pads) != 2*len(axes) {
		return nil, fmt.Errorf("%d pads for %d axes", len(pads), len(axes))
	}
	before, after := make([]int, rank), make([]int, rank)
	for i, a := range axes {
		if a, err = tensorop.Axis(a, rank); err != nil {
			return nil, err
		}
		before[a], after[a] = pads[i], pads[len(axes)+i]
	}
	return one(tensorop.Pad(c.N(0), before, after, c.Node.Str("mode", "constant"), fill))
}

func trilu(c *Call) ([]*value, error) {
	k, err := c.Number(1, 0)
	if err != nil {
		return nil, err
	}
	return one(tensorop.Trilu(c.N(0), int(k), c.AttrInt("upper", 1) == 1))
}

func depthToSpace(c *Call) ([]*value, error) {
	return one(tensorop.DepthToSpace(c.N(0), c.AttrInt("blocksize", 0), c.Node.Str("mode", "DCR")))
}

func spaceToDepth(c *Call) ([]*value, error) {
	return one(tensorop.SpaceToDepth(c.N(0), c.AttrInt("blocksize", 0)))
}
