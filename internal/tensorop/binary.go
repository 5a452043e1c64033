package tensorop

import (
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ftk-go/ftk/internal/parallel"
)

// pairs describes how an elementwise operator of two operands walks them under broadcasting.
type pairs struct {
	shape  []int // of the result, merged axes
	a, b   []int // strides
	result []int // shape of the result as declared
}

func planPairs(a, b []int) (pairs, error) {
	out, err := BroadcastShapes(a, b)
	if err != nil {
		return pairs{}, err
	}
	shape, w := coalesce(out, broadcastStrides(a, out), broadcastStrides(b, out))
	return pairs{shape, w[0], w[1], out}, nil
}

// vectors is an elementwise operator on runs of memory: two vectors, a vector and a number, a number and a vector.
type vectors[T, R any] struct {
	vv func(dst []R, a, b []T)
	vs func(dst []R, a []T, b T)
	sv func(dst []R, a T, b []T)
}

func lift[T, R any](f func(a, b T) R) vectors[T, R] {
	return vectors[T, R]{
		vv: func(dst []R, a, b []T) {
			for i := range dst {
				dst[i] = f(a[i], b[i])
			}
		},
		vs: func(dst []R, a []T, b T) {
			for i := range dst {
				dst[i] = f(a[i], b)
			}
		},
		sv: func(dst []R, a T, b []T) {
			for i := range dst {
				dst[i] = f(a, b[i])
			}
		},
	}
}

// pairTask applies an operator to two operands of broadcast shape.
type pairTask[T, R any] struct {
	pairs
	f    vectors[T, R]
	out  []R
	x, y []T
}

func (t *pairTask[T, R]) run(out []R, x, y []T) {
	if len(out) == 0 {
		return
	}
	t.out, t.x, t.y = out, x, y
	last := len(t.shape) - 1
	if inner := t.shape[last]; last == 0 { // one run: split it
		parallel.Run(inner, parallelGrain, t)
	} else {
		parallel.Run(size(t.shape[:last]), max(1, parallelGrain/inner), t)
	}
	t.out, t.x, t.y = nil, nil, nil
}

// Chunk computes elements lo to hi of the only run, or runs lo to hi.
func (t *pairTask[T, R]) Chunk(_, lo, hi int) {
	last := len(t.shape) - 1
	inner, sx, sy := t.shape[last], t.a[last], t.b[last]
	if last == 0 {
		t.f.run(t.out, t.x, t.y, lo, lo*sx, lo*sy, hi-lo, sx, sy)
		return
	}
	eachPair(t.shape, t.a, t.b, lo, hi, func(to, fromX, fromY int) {
		t.f.run(t.out, t.x, t.y, to, fromX, fromY, inner, sx, sy)
	})
}

func (f vectors[T, R]) run(out []R, a, b []T, to, ia, ib, n, sa, sb int) {
	switch {
	case sa == 1 && sb == 1:
		f.vv(out[to:to+n], a[ia:ia+n], b[ib:ib+n])
	case sa == 1:
		f.vs(out[to:to+n], a[ia:ia+n], b[ib])
	case sb == 1:
		f.sv(out[to:to+n], a[ia], b[ib:ib+n])
	default: // both operands repeat along the innermost axis: cannot stay after merging unless n is 1
		for i := range n {
			f.vv(out[to+i:to+i+1], a[ia+i*sa:ia+i*sa+1], b[ib+i*sb:ib+i*sb+1])
		}
	}
}

func pairKernel[T, R any](p pairs, f vectors[T, R]) Kernel {
	t := &pairTask[T, R]{pairs: p, f: f}
	return func(out *tensor.Dense, in []*tensor.Dense) error {
		t.run(values[R](out), values[T](in[0]), values[T](in[1]))
		return nil
	}
}

// numeric builds the kernel of an arithmetic operator for an element type.
func numeric(dt tensor.Dtype, p pairs, op string) Kernel {
	switch dt {
	case tensor.Float32:
		if k := fastPairs(op, p); k != nil && size(p.shape) > 0 {
			return k
		}
		return pairKernel(p, floatArithmetic[float32](op))
	case tensor.Float64:
		return pairKernel(p, floatArithmetic[float64](op))
	case tensor.Int64:
		return pairKernel(p, intArithmetic[int64](op))
	case tensor.Int32:
		return pairKernel(p, intArithmetic[int32](op))
	case tensor.Int16:
		return pairKernel(p, intArithmetic[int16](op))
	case tensor.Int8:
		return pairKernel(p, intArithmetic[int8](op))
	case tensor.Uint64:
		return pairKernel(p, intArithmetic[uint64](op))
	case tensor.Uint32:
		return pairKernel(p, intArithmetic[uint32](op))
	case tensor.Uint16:
		return pairKernel(p, intArithmetic[uint16](op))
	case tensor.Uint8:
		return pairKernel(p, intArithmetic[uint8](op))
	}
	return nil
}

// Binary applies an arithmetic operator with broadcasting: Add, Sub, Mul, Div, Pow, Max, Min, Mod, Fmod, PRelu,
// BitShiftLEFT, BitShiftRIGHT, BitwiseAnd, BitwiseOr, BitwiseXor. Both operands are of one type.
func Binary(op string, a, b *G.Node) (*G.Node, error) {
	if a.Dtype() != b.Dtype() {
		return nil, typeError(op, a.Dtype(), b.Dtype())
	}
	p, err := planPairs(a.Shape(), b.Shape())
	if err != nil {
		return nil, err
	}
	dt := a.Dtype()
	if !hasOperator(dt, op) {
		return nil, typeError(op, dt)
	}
	s := spec{name: op, dtype: dt, shape: p.result, run: numeric(dt, p, op)}
	if size(a.Shape()) == size(p.result) {
		s.reuse = append(s.reuse, 0)
	}
	if size(b.Shape()) == size(p.result) {
		s.reuse = append(s.reuse, 1)
	}
	if isFloat(dt) {
		s.grad = binaryGrad(op)
	}
	return define(s, a, b)
}

func hasOperator(dt tensor.Dtype, op string) bool {
	switch {
	case isFloat(dt):
		return floatArithmetic[float32](op).vv != nil
	case dt == tensor.Bool:
		return false
	}
	return intArithmetic[int32](op).vv != nil
}

// binaryGrad is the gradient of an arithmetic operator, summed over the axes that were broadcast.
func binaryGrad(op string) Gradient {
	var da, db func(c *chain, a, b, y, dy *G.Node) *G.Node
	local := func(name string, swap bool) func(c *chain, a, b, y, dy *G.Node) *G.Node {
		return func(c *chain, a, b, y, dy *G.Node) *G.Node {
			if swap {
				a, b = b, a
			}
			return c.binary("Mul", dy, c.binary(name, a, b))
		}
	}
	switch op {
	case "Add":
		da = func(_ *chain, _, _, _, dy *G.Node) *G.Node { return dy }
		db = da
	case "Sub":
		da = func(_ *chain, _, _, _, dy *G.Node) *G.Node { return dy }
		db = func(c *chain, _, b, _, dy *G.Node) *G.Node { return c.affine(c.to(dy, b), -1, 0) }
	case "Mul":
		da = func(c *chain, _, b, _, dy *G.Node) *G.Node { return c.binary("Mul", dy, b) }
		db = func(c *chain, a, _, _, dy *G.Node) *G.Node { return c.binary("Mul", dy, a) }
	case "Div":
		da = func(c *chain, _, b, _, dy *G.Node) *G.Node { return c.binary("Div", dy, b) }
		db = func(c *chain, _, b, y, dy *G.Node) *G.Node {
			return c.affine(c.to(c.binary("Div", c.binary("Mul", dy, y), b), b), -1, 0)
		}
	case "Pow":
		da, db = local("PowGradA", false), local("PowGradB", false)
	case "Max", "Min":
		da, db = local(op+"Grad", false), local(op+"Grad", true)
	case "PRelu":
		da, db = local("PReluGradA", false), local("PReluGradB", false)
	case "Mod", "Fmod":
		da = func(_ *chain, _, _, _, dy *G.Node) *G.Node { return dy }
		db = func(c *chain, a, b, _, dy *G.Node) *G.Node { // −⌊a/b⌋ (truncated for Fmod)
			q := c.binary("Div", c.binary("Sub", c.binary(op, a, b), a), b)
			return c.binary("Mul", dy, q)
		}
	default:
		return nil
	}
	return func(in G.Nodes, y, dy *G.Node) (G.Nodes, error) {
		var c chain
		return c.nodes(c.to(da(&c, in[0], in[1], y, dy), in[0]), c.to(db(&c, in[0], in[1], y, dy), in[1]))
	}
}

// chain builds several nodes and keeps the first error, so that a formula reads as a formula. After an error every
// further step does nothing.
type chain struct{ err error }

func (c *chain) do(n *G.Node, err error) *G.Node {
	if c.err == nil {
		c.err = err
	}
	return n
}

func (c *chain) nodes(ns ...*G.Node) (G.Nodes, error) { return ns, c.err }

func (c *chain) binary(op string, a, b *G.Node) *G.Node {
	if c.err != nil {
		return nil
	}
	return c.do(Binary(op, a, b))
}

func (c *chain) affine(x *G.Node, a, b float64) *G.Node {
	if c.err != nil {
		return nil
	}
	return c.do(Affine(x, a, b))
}

// to sums a gradient over what was broadcast to get from like's shape to its own.
func (c *chain) to(n, like *G.Node) *G.Node {
	if c.err != nil {
		return nil
	}
	return c.do(SumTo(n, like.Shape()))
}
