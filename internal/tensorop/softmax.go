package tensorop

import (
	"fmt"
	"math"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ftk-go/ftk/internal/kernels"
	"github.com/ftk-go/ftk/internal/parallel"
)

// lanes cuts a shape around one axis (or a run of axes): element (o, i, n) is at (o·len + i)·inner + n.
type lanes struct{ outer, len, inner int }

func lanesOf(shape []int, axis int) lanes {
	return lanes{size(shape[:axis]), shape[axis], size(shape[axis+1:])}
}

// Softmax normalises along one axis: eˣ/Σeˣ, or its logarithm.
func Softmax(x *G.Node, axis int, logarithm bool) (*G.Node, error) {
	axis, err := Axis(axis, x.Dims())
	if err != nil {
		return nil, err
	}
	l := lanesOf(x.Shape(), axis)
	name, dt := "Softmax", x.Dtype()
	rows, rowsGrad := kernels.SoftmaxRows, kernels.SoftmaxRowsGrad
	reuse, reuseGrad := []int{0}, []int{1}
	if logarithm {
		name = "LogSoftmax"
		rows, rowsGrad = kernels.LogSoftmaxRows, kernels.LogSoftmaxRowsGrad
		reuse, reuseGrad = nil, nil // these read their inputs again
	}
	if !isFloat(dt) {
		return nil, typeError(name, dt)
	}
	name = fmt.Sprintf("%s[axis=%d]", name, axis)
	return define(spec{
		name: name, dtype: dt, shape: x.Shape().Clone(), reuse: reuse,
		run: func(out *tensor.Dense, in []*tensor.Dense) error {
			if dt == tensor.Float64 {
				softmaxInto(values[float64](out), values[float64](in[0]), l, logarithm)
			} else if l.inner == 1 {
				rows(values[float32](out), values[float32](in[0]), l.outer, l.len)
			} else {
				softmaxInto(values[float32](out), values[float32](in[0]), l, logarithm)
			}
			return nil
		},
		grad: func(_ G.Nodes, y, dy *G.Node) (G.Nodes, error) {
			dx, err := define(spec{
				name: name + "Grad", dtype: dt, shape: y.Shape().Clone(), reuse: reuseGrad,
				run: func(out *tensor.Dense, in []*tensor.Dense) error {
					if dt == tensor.Float64 {
						softmaxGradInto(values[float64](out), values[float64](in[0]), values[float64](in[1]), l, logarithm)
					} else if l.inner == 1 {
						rowsGrad(values[float32](out), values[float32](in[0]), values[float32](in[1]), l.outer, l.len)
					} else {
						softmaxGradInto(values[float32](out), values[float32](in[0]), values[float32](in[1]), l, logarithm)
					}
					return nil
				},
			}, y, dy)
			return G.Nodes{dx}, err
		},
	}, x)
}

func (l lanes) each(work int, body func(at int)) {
	parallel.For(l.outer*l.inner, max(1, parallelGrain/max(l.len*work, 1)), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			body(i/l.inner*l.len*l.inner + i%l.inner)
		}
	})
}

func softmaxInto[T float](out, x []T, l lanes, logarithm bool) {
	end := l.len * l.inner
	l.each(8, func(at int) {
		top := math.Inf(-1)
		for i := at; i < at+end; i += l.inner {
			top = max(top, float64(x[i]))
		}
		sum := 0.0
		for i := at; i < at+end; i += l.inner {
			e := math.Exp(float64(x[i]) - top)
			sum += e
			out[i] = pick(logarithm, x[i], T(e))
		}
		if logarithm {
			shift := top + math.Log(sum)
			for i := at; i < at+end; i += l.inner {
				out[i] = T(float64(out[i]) - shift)
			}
			return
		}
		for i := at; i < at+end; i += l.inner {
			out[i] = T(float64(out[i]) / sum)
		}
	})
}

// softmaxGradInto: dx = y·(dy − Σ y·dy), for the logarithm dx = dy − eʸ·Σdy.
func softmaxGradInto[T float](dx, y, dy []T, l lanes, logarithm bool) {
	end := l.len * l.inner
	l.each(4, func(at int) {
		var sum T
		for i := at; i < at+end; i += l.inner {
			if logarithm {
				sum += dy[i]
			} else {
				sum += y[i] * dy[i]
			}
		}
		for i := at; i < at+end; i += l.inner {
			if logarithm {
				dx[i] = dy[i] - T(math.Exp(float64(y[i])))*sum
			} else {
				dx[i] = y[i] * (dy[i] - sum)
			}
		}
	})
}

// Hardmax is 1 at the first largest element along an axis, 0 elsewhere.
func Hardmax(x *G.Node, axis int) (*G.Node, error) {
	axis, err := Axis(axis, x.Dims())
	if err != nil {
		return nil, err
	}
	i, err := ArgExtreme(x, axis, true, false, true)
	if err != nil {
		return nil, err
	}
	return oneHot(i, x.Shape()[axis], axis, x.Dtype())
}

// oneHot spreads indices (size 1 along axis) into 0 and 1 of the given type.
func oneHot(idx *G.Node, depth, axis int, dt tensor.Dtype) (*G.Node, error) {
	shape := idx.Shape().Clone()
	shape[axis] = depth
	l := lanesOf(shape, axis)
	return define(spec{
		name: fmt.Sprintf("OneHot[axis=%d depth=%d]", axis, depth), dtype: dt, shape: shape,
		run: func(out *tensor.Dense, in []*tensor.Dense) error {
			clear(out.Uint8s())
			at := values[int64](in[0])
			set := func(i int) { values[float32](out)[i] = 1 }
			if dt == tensor.Float64 {
				set = func(i int) { values[float64](out)[i] = 1 }
			}
			for o := range l.outer {
				for n := range l.inner {
					set((o*l.len+int(at[o*l.inner+n]))*l.inner + n)
				}
			}
			return nil
		},
	}, idx)
}
