package tensorop

import (
	"fmt"
	"slices"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// BroadcastShapes is the shape that operands of the given shapes broadcast to (ONNX Broadcasting.md, multidirectional).
func BroadcastShapes(shapes ...[]int) ([]int, error) {
	rank := 0
	for _, s := range shapes {
		rank = max(rank, len(s))
	}
	out := make([]int, rank)
	for i := range out {
		out[i] = 1
	}
	for _, s := range shapes {
		for i, d := range s {
			j := rank - len(s) + i
			switch {
			case d == out[j] || d == 1:
			case out[j] == 1:
				out[j] = d
			default:
				return nil, fmt.Errorf("shapes %v do not broadcast", shapes)
			}
		}
	}
	return out, nil
}

// strides are the row-major strides of a shape, in elements.
func strides(shape []int) []int {
	s := make([]int, len(shape))
	n := 1
	for i := len(shape) - 1; i >= 0; i-- {
		s[i] = n
		n *= shape[i]
	}
	return s
}

// broadcastStrides are the strides that walk an operand of the given shape along the axes of out; 0 where it repeats.
func broadcastStrides(shape, out []int) []int {
	own := strides(shape)
	s := make([]int, len(out))
	for i, d := range shape {
		if d != 1 {
			s[len(out)-len(shape)+i] = own[i]
		}
	}
	return s
}

// coalesce drops axes of size 1 and merges neighbouring axes that every operand walks as one. The result has at least
// one axis.
func coalesce(shape []int, operands ...[]int) ([]int, [][]int) {
	var dims []int
	walks := make([][]int, len(operands))
	for i, d := range shape {
		if d == 1 {
			continue
		}
		last := len(dims) - 1
		merge := last >= 0
		for k, o := range operands {
			merge = merge && walks[k][last] == o[i]*d
		}
		if merge {
			dims[last] *= d
			for k, o := range operands {
				walks[k][last] = o[i]
			}
			continue
		}
		dims = append(dims, d)
		for k, o := range operands {
			walks[k] = append(walks[k], o[i])
		}
	}
	if len(dims) == 0 {
		dims = []int{1}
		for k := range walks {
			walks[k] = []int{0}
		}
	}
	return dims, walks
}

// Axis maps a negative axis to its place in a shape of the given rank.
func Axis(axis, rank int) (int, error) {
	if axis < -rank || axis >= rank {
		return 0, fmt.Errorf("axis %d is out of range for rank %d", axis, rank)
	}
	if axis < 0 {
		axis += rank
	}
	return axis, nil
}

// Axes maps negative axes and sorts; an axis named twice is an error.
func Axes(axes []int, rank int) ([]int, error) {
	out := make([]int, len(axes))
	for i, a := range axes {
		var err error
		if out[i], err = Axis(a, rank); err != nil {
			return nil, err
		}
	}
	slices.Sort(out)
	if len(slices.Compact(slices.Clone(out))) != len(out) {
		return nil, fmt.Errorf("axes %v name an axis twice", axes)
	}
	return out, nil
}

// Reshape gives x another shape of the same size. It costs nothing on a machine that knows aliases.
func Reshape(x *G.Node, shape ...int) (*G.Node, error) {
	if slices.Equal(x.Shape(), shape) {
		return x, nil
	}
	if size(x.Shape()) != size(shape) {
		return nil, fmt.Errorf("shape %v has %d elements, %v has %d", x.Shape(), size(x.Shape()), shape, size(shape))
	}
	from := x.Shape().Clone()
	return define(spec{
		name: fmt.Sprintf("Reshape%v", shape), dtype: x.Dtype(), shape: slices.Clone(shape), alias: true,
		run: func(out *tensor.Dense, in []*tensor.Dense) error {
			copy(out.Uint8s(), in[0].Uint8s())
			return nil
		},
		grad: func(_ G.Nodes, _, dy *G.Node) (G.Nodes, error) {
			dx, err := Reshape(dy, from...)
			return G.Nodes{dx}, err
		},
	}, x)
}

// Squeeze drops axes of size 1; nil axes mean all of them.
func Squeeze(x *G.Node, axes []int) (*G.Node, error) {
	shape := x.Shape()
	axes, err := Axes(axes, len(shape))
	if err != nil {
		return nil, err
	}
	var out []int
	for i, d := range shape {
		switch {
		case !slices.Contains(axes, i):
			out = append(out, d)
		case d != 1:
			return nil, fmt.Errorf("axis %d of %v is not 1", i, shape)
		}
	}
	return Reshape(x, out...)
}

// Unsqueeze adds axes of size 1 so that they stand at the given places of the result.
func Unsqueeze(x *G.Node, axes []int) (*G.Node, error) {
	rank := x.Dims() + len(axes)
	axes, err := Axes(axes, rank)
	if err != nil {
		return nil, err
	}
	out, rest := make([]int, 0, rank), x.Shape()
	for i := range rank {
		if slices.Contains(axes, i) {
			out = append(out, 1)
		} else {
			out, rest = append(out, rest[0]), rest[1:]
		}
	}
	return Reshape(x, out...)
}

// Constant binds a tensor to an input node of the graph. Nodes of one name are one node.
func Constant(g *G.ExprGraph, name string, d *tensor.Dense) *G.Node {
	return G.NewTensor(g, d.Dtype(), d.Dims(), G.WithShape(d.Shape()...), G.WithName(name), G.WithValue(d))
}

// Scalar is a constant of rank 0, of a float type.
func Scalar(g *G.ExprGraph, dt tensor.Dtype, v float64) *G.Node {
	d := NewDense(dt, tensor.Shape{})
	if dt == tensor.Float64 {
		values[float64](d)[0] = v
	} else {
		values[float32](d)[0] = float32(v)
	}
	return Constant(g, fmt.Sprintf("const:%v:%v", dt, v), d)
}
