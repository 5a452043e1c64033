package tensorop

import (
	"fmt"
	"slices"
	"sort"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// compareAt gives a function that compares two elements of a tensor, as cmp.Compare does.
func compareAt(d *tensor.Dense) (func(i, j int) int, error) {
	switch d.Dtype() {
	case tensor.Float32:
		return comparer(values[float32](d)), nil
	case tensor.Float64:
		return comparer(values[float64](d)), nil
	case tensor.Int64:
		return comparer(values[int64](d)), nil
	case tensor.Int32:
		return comparer(values[int32](d)), nil
	case tensor.Uint64:
		return comparer(values[uint64](d)), nil
	case tensor.Uint8:
		return comparer(values[uint8](d)), nil
	case tensor.Int8:
		return comparer(values[int8](d)), nil
	}
	return nil, typeError("ordering", d.Dtype())
}

func comparer[T number](v []T) func(i, j int) int {
	return func(i, j int) int {
		switch {
		case v[i] < v[j]:
			return -1
		case v[i] > v[j]:
			return 1
		}
		return 0
	}
}

// ArgExtreme is the index (int64) of the largest or smallest element along an axis, of equal ones the first or last.
func ArgExtreme(x *G.Node, axis int, largest, last, keepDims bool) (*G.Node, error) {
	axis, err := Axis(axis, x.Dims())
	if err != nil {
		return nil, err
	}
	l := lanesOf(x.Shape(), axis)
	sign := pick(largest, 1, -1)
	return define(spec{
		name:  fmt.Sprintf("ArgExtreme[axis=%d largest=%t last=%t keepdims=%t]", axis, largest, last, keepDims),
		dtype: tensor.Int64, shape: planReduction(x.Shape(), []int{axis}, keepDims).result,
		run: func(out *tensor.Dense, in []*tensor.Dense) error {
			cmp, err := compareAt(in[0])
			if err != nil {
				return err
			}
			dst := values[int64](out)
			for o := range l.outer {
				for n := range l.inner {
					at := func(i int) int { return (o*l.len+i)*l.inner + n }
					best := 0
					for i := 1; i < l.len; i++ {
						if c := sign * cmp(at(i), at(best)); c > 0 || c == 0 && last {
							best = i
						}
					}
					dst[o*l.inner+n] = int64(best)
				}
			}
			return nil
		},
	}, x)
}

// TopK is the k largest (or smallest) elements along an axis in order, and their indices. The values' gradient goes to
// where they came from.
func TopK(x *G.Node, k, axis int, largest bool) (vals, idx *G.Node, err error) {
	axis, err = Axis(axis, x.Dims())
	if err != nil {
		return nil, nil, err
	}
	l := lanesOf(x.Shape(), axis)
	if k < 0 || k > l.len {
		return nil, nil, fmt.Errorf("k is %d for an axis of %d", k, l.len)
	}
	shape := x.Shape().Clone()
	shape[axis] = k
	sign := pick(largest, -1, 1)
	idx, err = define(spec{
		name: fmt.Sprintf("TopK[k=%d axis=%d largest=%t]", k, axis, largest), dtype: tensor.Int64, shape: shape,
		run: func(out *tensor.Dense, in []*tensor.Dense) error {
			cmp, err := compareAt(in[0])
			if err != nil {
				return err
			}
			dst, order := values[int64](out), make([]int, l.len)
			for o := range l.outer {
				for n := range l.inner {
					at := func(i int) int { return (o*l.len+i)*l.inner + n }
					for i := range order {
						order[i] = i
					}
					sort.SliceStable(order, func(i, j int) bool { return sign*cmp(at(order[i]), at(order[j])) < 0 })
					for i := range k {
						dst[(o*k+i)*l.inner+n] = int64(order[i])
					}
				}
			}
			return nil
		},
	}, x)
	if err != nil {
		return nil, nil, err
	}
	vals, err = GatherElements(x, idx, axis)
	return vals, idx, err
}

// OneHot gives [off, on] values: on at each index along a new axis of the given depth (ONNX OneHot). vals is [off on].
func OneHot(ids, vals *G.Node, depth, axis int) (*G.Node, error) {
	rank := ids.Dims() + 1
	axis, err := Axis(axis, rank)
	if err != nil {
		return nil, err
	}
	shape := slices.Insert(ids.Shape().Clone(), axis, depth)
	l := lanesOf(shape, axis)
	dt := vals.Dtype()
	if ids, err = Cast(ids, tensor.Int64); err != nil {
		return nil, err
	}
	return define(spec{
		name: fmt.Sprintf("OneHotValues[axis=%d depth=%d]", axis, depth), dtype: dt, shape: shape,
		run: func(out *tensor.Dense, in []*tensor.Dense) error {
			at, w := values[int64](in[0]), int(dt.Size())
			dst, v := out.Uint8s(), in[1].Uint8s()
			for o := range l.outer {
				for i := range l.len {
					for n := range l.inner {
						id := at[o*l.inner+n]
						if id < 0 {
							id += int64(depth)
						}
						from := pick(id == int64(i), w, 0)
						copy(dst[((o*l.len+i)*l.inner+n)*w:], v[from:from+w])
					}
				}
			}
			return nil
		},
	}, ids, vals)
}

// CumSum adds up along an axis: element i is the sum of elements 0 to i (without i if exclusive; from the end if
// reverse).
func CumSum(x *G.Node, axis int, exclusive, reverse bool) (*G.Node, error) {
	axis, err := Axis(axis, x.Dims())
	if err != nil {
		return nil, err
	}
	l := lanesOf(x.Shape(), axis)
	var run Kernel
	switch x.Dtype() {
	case tensor.Float32:
		run = cumSum[float32](l, exclusive, reverse)
	case tensor.Float64:
		run = cumSum[float64](l, exclusive, reverse)
	case tensor.Int64:
		run = cumSum[int64](l, exclusive, reverse)
	case tensor.Int32:
		run = cumSum[int32](l, exclusive, reverse)
	default:
		return nil, typeError("CumSum", x.Dtype())
	}
	return define(spec{
		name:  fmt.Sprintf("CumSum[axis=%d exclusive=%t reverse=%t]", axis, exclusive, reverse),
		dtype: x.Dtype(), shape: x.Shape().Clone(), run: run,
		grad: func(_ G.Nodes, _, dy *G.Node) (G.Nodes, error) {
			dx, err := CumSum(dy, axis, exclusive, !reverse)
			return G.Nodes{dx}, err
		},
	}, x)
}

func cumSum[T number](l lanes, exclusive, reverse bool) Kernel {
	return func(out *tensor.Dense, in []*tensor.Dense) error {
		dst, x := values[T](out), values[T](in[0])
		for o := range l.outer {
			for n := range l.inner {
				var sum T
				for i := range l.len {
					if reverse {
						i = l.len - 1 - i
					}
					at := (o*l.len+i)*l.inner + n
					if exclusive {
						dst[at] = sum
						sum += x[at]
					} else {
						sum += x[at]
						dst[at] = sum
					}
				}
			}
		}
		return nil
	}
}
