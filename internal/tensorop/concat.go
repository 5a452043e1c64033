package tensorop

import (
	"fmt"
	"slices"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Concat joins tensors of one type along an axis; all other axes agree.
func Concat(axis int, xs ...*G.Node) (*G.Node, error) {
	if len(xs) == 0 {
		return nil, fmt.Errorf("nothing to join")
	}
	first := xs[0].Shape()
	axis, err := Axis(axis, len(first))
	if err != nil {
		return nil, err
	}
	shape := first.Clone()
	shape[axis] = 0
	sizes := make([]int, len(xs))
	for i, x := range xs {
		s := x.Shape()
		if x.Dtype() != xs[0].Dtype() {
			return nil, typeError("Concat", xs[0].Dtype(), x.Dtype())
		}
		if len(s) != len(first) || !slices.Equal(s[:axis], first[:axis]) || !slices.Equal(s[axis+1:], first[axis+1:]) {
			return nil, fmt.Errorf("shapes %v and %v differ elsewhere than in axis %d", first, s, axis)
		}
		sizes[i] = s[axis]
		shape[axis] += s[axis]
	}
	if len(xs) == 1 {
		return xs[0], nil
	}
	inner, outer := size(shape[axis+1:])*int(xs[0].Dtype().Size()), size(shape[:axis])
	return define(spec{
		name: fmt.Sprintf("Concat[axis=%d]", axis), dtype: xs[0].Dtype(), shape: shape,
		run: func(out *tensor.Dense, in []*tensor.Dense) error {
			dst, row := out.Uint8s(), shape[axis]*inner
			at := 0
			for i, x := range in {
				n := sizes[i] * inner
				if n == 0 || outer == 0 {
					continue
				}
				src := x.Uint8s()
				for o := range outer {
					copy(dst[o*row+at:], src[o*n:(o+1)*n])
				}
				at += n
			}
			return nil
		},
		grad: func(in G.Nodes, _, dy *G.Node) (G.Nodes, error) {
			grads, at := make(G.Nodes, len(in)), 0
			for i := range in {
				var err error
				if grads[i], err = Slice(dy, SliceRange{axis, at, at + sizes[i], 1}); err != nil {
					return nil, err
				}
				at += sizes[i]
			}
			return grads, nil
		},
	}, xs...)
}

// Split cuts x along an axis into parts of the given sizes.
func Split(x *G.Node, axis int, sizes []int) (G.Nodes, error) {
	axis, err := Axis(axis, x.Dims())
	if err != nil {
		return nil, err
	}
	var parts G.Nodes
	at := 0
	for _, n := range sizes {
		p, err := Slice(x, SliceRange{axis, at, at + n, 1})
		if err != nil {
			return nil, err
		}
		parts = append(parts, p)
		at += n
	}
	if at != x.Shape()[axis] {
		return nil, fmt.Errorf("parts %v do not add up to axis %d of %v", sizes, axis, x.Shape())
	}
	return parts, nil
}
