package tensorop

import (
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Where takes a where cond is true and b elsewhere, with broadcasting.
func Where(cond, a, b *G.Node) (*G.Node, error) {
	dt := a.Dtype()
	if cond.Dtype() != tensor.Bool || dt != b.Dtype() {
		return nil, typeError("Where", cond.Dtype(), dt, b.Dtype())
	}
	out, err := BroadcastShapes(cond.Shape(), a.Shape(), b.Shape())
	if err != nil {
		return nil, err
	}
	shape, w := coalesce(out, broadcastStrides(cond.Shape(), out), broadcastStrides(a.Shape(), out), broadcastStrides(b.Shape(), out))
	return define(spec{
		name: "Where", dtype: dt, shape: out, wrt: []int{1, 2},
		run: func(out *tensor.Dense, in []*tensor.Dense) error {
			c := values[bool](in[0])
			return byWidth(dt,
				func() { selectInto(values[uint64](out), c, values[uint64](in[1]), values[uint64](in[2]), shape, w) },
				func() { selectInto(values[uint32](out), c, values[uint32](in[1]), values[uint32](in[2]), shape, w) },
				func() { selectInto(values[uint16](out), c, values[uint16](in[1]), values[uint16](in[2]), shape, w) },
				func() { selectInto(values[uint8](out), c, values[uint8](in[1]), values[uint8](in[2]), shape, w) })
		},
		grad: func(in G.Nodes, _, dy *G.Node) (G.Nodes, error) {
			var c chain
			zero := Scalar(dy.Graph(), dt, 0)
			da := c.do(Where(in[0], dy, zero))
			if c.err != nil {
				return nil, c.err
			}
			db := c.do(Where(in[0], zero, dy))
			if c.err != nil {
				return nil, c.err
			}
			return c.nodes(nil, c.to(da, in[1]), c.to(db, in[2]))
		},
	}, cond, a, b)
}

func selectInto[T any](out []T, c []bool, a, b []T, shape []int, w [][]int) {
	if len(out) == 0 {
		return
	}
	last := len(shape) - 1
	idx := make([]int, last)
	var pos [3]int
	for to := 0; to < len(out); {
		ic, ia, ib := pos[0], pos[1], pos[2]
		for range shape[last] {
			if c[ic] {
				out[to] = a[ia]
			} else {
				out[to] = b[ib]
			}
			ic, ia, ib, to = ic+w[0][last], ia+w[1][last], ib+w[2][last], to+1
		}
		for i := last - 1; i >= 0; i-- {
			for k := range pos {
				pos[k] += w[k][i]
			}
			if idx[i]++; idx[i] < shape[i] {
				break
			}
			idx[i] = 0
			for k := range pos {
				pos[k] -= w[k][i] * shape[i]
			}
		}
	}
}

// Cast converts element types as ONNX Cast does: floats to integers towards zero, anything but 0 to true.
func Cast(x *G.Node, to tensor.Dtype) (*G.Node, error) {
	from := x.Dtype()
	if from == to {
		return x, nil
	}
	var run Kernel
	switch from {
	case tensor.Float32:
		run = castFrom[float32](to)
	case tensor.Float64:
		run = castFrom[float64](to)
	case tensor.Int64:
		run = castFrom[int64](to)
	case tensor.Int32:
		run = castFrom[int32](to)
	case tensor.Int16:
		run = castFrom[int16](to)
	case tensor.Int8:
		run = castFrom[int8](to)
	case tensor.Uint64:
		run = castFrom[uint64](to)
	case tensor.Uint32:
		run = castFrom[uint32](to)
	case tensor.Uint16:
		run = castFrom[uint16](to)
	case tensor.Uint8:
		run = castFrom[uint8](to)
	case tensor.Bool:
		run = castFrom[uint8](to) // true is stored as 1
	}
	if run == nil {
		return nil, typeError("Cast", from, to)
	}
	s := spec{name: "Cast", dtype: to, shape: x.Shape().Clone(), run: run}
	if isFloat(from) && isFloat(to) {
		s.grad = func(_ G.Nodes, _, dy *G.Node) (G.Nodes, error) {
			dx, err := Cast(dy, from)
			return G.Nodes{dx}, err
		}
	}
	return define(s, x)
}

func castFrom[F number](to tensor.Dtype) Kernel {
	switch to {
	case tensor.Float32:
		return castKernel[F, float32]
	case tensor.Float64:
		return castKernel[F, float64]
	case tensor.Int64:
		return castKernel[F, int64]
	case tensor.Int32:
		return castKernel[F, int32]
	case tensor.Int16:
		return castKernel[F, int16]
	case tensor.Int8:
		return castKernel[F, int8]
	case tensor.Uint64:
		return castKernel[F, uint64]
	case tensor.Uint32:
		return castKernel[F, uint32]
	case tensor.Uint16:
		return castKernel[F, uint16]
	case tensor.Uint8:
		return castKernel[F, uint8]
	case tensor.Bool:
		return func(out *tensor.Dense, in []*tensor.Dense) error {
			dst := values[bool](out)
			for i, v := range values[F](in[0]) {
				dst[i] = v != 0
			}
			return nil
		}
	}
	return nil
}

func castKernel[F, T number](out *tensor.Dense, in []*tensor.Dense) error {
	dst := values[T](out)
	for i, v := range values[F](in[0]) {
		dst[i] = T(v)
	}
	return nil
}
