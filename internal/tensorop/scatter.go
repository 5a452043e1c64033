package tensorop

import (
	"fmt"
	"slices"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// ScatterElements writes updates into a copy of data at the places that GatherElements reads. reduction is "none",
// "add", "mul", "max" or "min"; gradients are defined for the first two.
func ScatterElements(data, ids, updates *G.Node, axis int, reduction string) (*G.Node, error) {
	axis, err := Axis(axis, data.Dims())
	if err != nil {
		return nil, err
	}
	if ids.Dims() != data.Dims() || !slices.Equal(ids.Shape(), updates.Shape()) {
		return nil, fmt.Errorf("indices %v, updates %v do not fit data %v", ids.Shape(), updates.Shape(), data.Shape())
	}
	at := elementPositions(data.Shape().Clone(), ids.Shape().Clone(), axis)
	return scatter(fmt.Sprintf("ScatterElements[axis=%d %s]", axis, reduction), data, ids, updates, 1, reduction, at)
}

// ScatterND writes slices of updates into a copy of data at the places that GatherND reads.
func ScatterND(data, ids, updates *G.Node, reduction string) (*G.Node, error) {
	d, s := data.Shape(), ids.Shape()
	if len(s) == 0 || s[len(s)-1] > len(d) {
		return nil, fmt.Errorf("indices %v do not index data %v", s, d)
	}
	n := size(d[s[len(s)-1]:])
	if size(updates.Shape()) != size(s[:len(s)-1])*n {
		return nil, fmt.Errorf("updates %v do not fit indices %v and data %v", updates.Shape(), s, d)
	}
	return scatter("ScatterND["+reduction+"]", data, ids, updates, n, reduction, tuplePositions(d.Clone(), s.Clone(), 0))
}

func scatter(name string, data, ids, updates *G.Node, n int, reduction string, at positions) (*G.Node, error) {
	dt := data.Dtype()
	if err := checkIndices(name, ids); err != nil {
		return nil, err
	}
	if dt != updates.Dtype() {
		return nil, typeError(name, dt, updates.Dtype())
	}
	var combine Kernel
	switch dt {
	case tensor.Float32:
		combine = scatterKernel[float32](n, reduction, at)
	case tensor.Float64:
		combine = scatterKernel[float64](n, reduction, at)
	case tensor.Int64:
		combine = scatterKernel[int64](n, reduction, at)
	case tensor.Int32:
		combine = scatterKernel[int32](n, reduction, at)
	case tensor.Bool, tensor.Uint8:
		combine = scatterKernel[uint8](n, reduction, at)
	default:
		return nil, typeError(name, dt)
	}
	s := spec{name: name, dtype: dt, shape: data.Shape().Clone(), run: combine, wrt: []int{0, 2}}
	if reduction == "none" || reduction == "add" {
		s.grad = func(in G.Nodes, _, dy *G.Node) (G.Nodes, error) {
			var c chain
			du := c.do(pickRuns(name+"GradUpdates", dy, in[1], in[2].Shape(), n, at))
			dx := dy
			if reduction == "none" && c.err == nil { // what was overwritten gets no gradient
				zero := Constant(dy.Graph(), fmt.Sprintf("zeros:%v%v", dt, in[2].Shape()), NewDense(dt, in[2].Shape()))
				dx = c.do(scatter(name, dy, in[1], zero, n, reduction, at))
			}
			return c.nodes(dx, nil, du)
		}
	}
	return define(s, data, ids, updates)
}

func scatterKernel[T number](n int, reduction string, at positions) Kernel {
	var pos []int // used again
	return func(out *tensor.Dense, in []*tensor.Dense) error {
		dst, up := values[T](out), values[T](in[2])
		copy(dst, values[T](in[0]))
		var err error
		if pos, err = at(indices(in[1]), pos); err != nil {
			return err
		}
		for r, p := range pos {
			to := dst[p : p+n]
			for i, v := range up[r*n : (r+1)*n] {
				switch reduction {
				case "add":
					to[i] += v
				case "mul":
					to[i] *= v
				case "max":
					to[i] = max(to[i], v)
				case "min":
					to[i] = min(to[i], v)
				default:
					to[i] = v
				}
			}
		}
		return nil
	}
}
