package tensorop

import (
	"fmt"
	"math"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ftk-go/ftk/internal/parallel"
)

// Function is an elementwise function of one float with its derivative.
type Function struct {
	Name  string                        // with parameters: it is the operator's identity
	F     func(x float64) float64       // the function
	D     func(x, y float64) float64    // dy/dx from x and y = F(x); nil: the derivative is 0 almost everywhere
	Fast  func(dst, x []float32)        // a vectorised F, optional
	FastD func(dst, x, y, dy []float32) // a vectorised D times dy, optional
}

// Map applies an elementwise function to a float tensor.
func Map(f Function, x *G.Node) (*G.Node, error) {
	dt := x.Dtype()
	if !isFloat(dt) {
		return nil, typeError(f.Name, dt)
	}
	t32, t64 := &mapTask[float32]{f: f.F}, &mapTask[float64]{f: f.F}
	return define(spec{
		name: f.Name, dtype: dt, shape: x.Shape().Clone(), reuse: []int{0},
		run: func(out *tensor.Dense, in []*tensor.Dense) error {
			switch {
			case dt == tensor.Float64:
				t64.run(values[float64](out), values[float64](in[0]), nil, nil)
			case f.Fast != nil:
				f.Fast(values[float32](out), values[float32](in[0]))
			default:
				t32.run(values[float32](out), values[float32](in[0]), nil, nil)
			}
			return nil
		},
		grad: func(in G.Nodes, y, dy *G.Node) (G.Nodes, error) {
			dx, err := mapGrad(f, in[0], y, dy)
			return G.Nodes{dx}, err
		},
	}, x)
}

func mapGrad(f Function, x, y, dy *G.Node) (*G.Node, error) {
	dt := x.Dtype()
	t32, t64 := &mapTask[float32]{d: f.D}, &mapTask[float64]{d: f.D}
	return define(spec{
		name: f.Name + "Grad", dtype: dt, shape: x.Shape().Clone(),
		run: func(out *tensor.Dense, in []*tensor.Dense) error {
			switch {
			case f.D == nil:
				clear(out.Uint8s())
			case dt == tensor.Float64:
				t64.run(values[float64](out), values[float64](in[0]), values[float64](in[1]), values[float64](in[2]))
			case f.FastD != nil:
				f.FastD(values[float32](out), values[float32](in[0]), values[float32](in[1]), values[float32](in[2]))
			default:
				t32.run(values[float32](out), values[float32](in[0]), values[float32](in[1]), values[float32](in[2]))
			}
			return nil
		},
	}, x, y, dy)
}

// mapTask applies a function in float64 to each element, or multiplies its derivative with dy.
type mapTask[T float] struct {
	f             func(float64) float64
	d             func(x, y float64) float64
	dst, x, y, dy []T
}

func (t *mapTask[T]) run(dst, x, y, dy []T) {
	t.dst, t.x, t.y, t.dy = dst, x, y, dy
	parallel.Run(len(dst), parallelGrain/8, t)
	t.dst, t.x, t.y, t.dy = nil, nil, nil, nil
}

// Chunk computes elements lo to hi.
func (t *mapTask[T]) Chunk(_, lo, hi int) {
	for i := lo; i < hi; i++ {
		if t.f != nil {
			t.dst[i] = T(t.f(float64(t.x[i])))
		} else {
			t.dst[i] = T(t.d(float64(t.x[i]), float64(t.y[i]))) * t.dy[i]
		}
	}
}

// MapInt applies an integer function elementwise. It is not differentiable.
func MapInt(name string, f func(int64) int64, x *G.Node) (*G.Node, error) {
	dt := x.Dtype()
	run := intKernel(dt, f)
	if run == nil {
		return nil, typeError(name, dt)
	}
	return define(spec{name: name, dtype: dt, shape: x.Shape().Clone(), run: run, reuse: []int{0}}, x)
}

func intKernel(dt tensor.Dtype, f func(int64) int64) Kernel {
	switch dt {
	case tensor.Int64:
		return intMap[int64](f)
	case tensor.Int32:
		return intMap[int32](f)
	case tensor.Int16:
		return intMap[int16](f)
	case tensor.Int8:
		return intMap[int8](f)
	case tensor.Uint64:
		return intMap[uint64](f)
	case tensor.Uint32:
		return intMap[uint32](f)
	case tensor.Uint16:
		return intMap[uint16](f)
	case tensor.Uint8:
		return intMap[uint8](f)
	}
	return nil
}

func intMap[T integer](f func(int64) int64) Kernel {
	return func(out *tensor.Dense, in []*tensor.Dense) error {
		dst, x := values[T](out), values[T](in[0])
		for i := range dst {
			dst[i] = T(f(int64(x[i])))
		}
		return nil
	}
}

// Test applies a predicate to a float tensor; the result is boolean.
func Test(name string, f func(float64) bool, x *G.Node) (*G.Node, error) {
	dt := x.Dtype()
	if !isFloat(dt) {
		return nil, typeError(name, dt)
	}
	return define(spec{name: name, dtype: tensor.Bool, shape: x.Shape().Clone(),
		run: func(out *tensor.Dense, in []*tensor.Dense) error {
			dst := values[bool](out)
			if dt == tensor.Float64 {
				for i, v := range values[float64](in[0]) {
					dst[i] = f(v)
				}
				return nil
			}
			for i, v := range values[float32](in[0]) {
				dst[i] = f(float64(v))
			}
			return nil
		}}, x)
}

// Not negates a boolean tensor.
func Not(x *G.Node) (*G.Node, error) {
	if x.Dtype() != tensor.Bool {
		return nil, typeError("Not", x.Dtype())
	}
	return define(spec{name: "Not", dtype: tensor.Bool, shape: x.Shape().Clone(), reuse: []int{0},
		run: func(out *tensor.Dense, in []*tensor.Dense) error {
			dst := values[bool](out)
			for i, v := range values[bool](in[0]) {
				dst[i] = !v
			}
			return nil
		}}, x)
}

// Affine is a·x + b for a float tensor.
func Affine(x *G.Node, a, b float64) (*G.Node, error) {
	if a == 1 && b == 0 {
		return x, nil
	}
	a32, b32 := float32(a), float32(b)
	return Map(Function{
		Name: fmt.Sprintf("Affine[%v %v]", a, b),
		F:    func(x float64) float64 { return a*x + b },
		D:    func(_, _ float64) float64 { return a },
		Fast: (&affineTask{a: a32, b: b32}).run,
		FastD: func(dst, _, _, dy []float32) {
			for i := range dst {
				dst[i] = a32 * dy[i]
			}
		},
	}, x)
}

// affineTask is dst = a·x + b.
type affineTask struct {
	a, b   float32
	dst, x []float32
}

func (t *affineTask) run(dst, x []float32) {
	t.dst, t.x = dst, x
	parallel.Run(len(dst), parallelGrain, t)
	t.dst, t.x = nil, nil
}

// Chunk computes elements lo to hi.
func (t *affineTask) Chunk(_, lo, hi int) {
	d, s := t.dst[lo:hi], t.x[lo:hi]
	for i := range d {
		d[i] = t.a*s[i] + t.b
	}
}

// Clip limits x to [lo, hi]; the gradient passes where x lies within the limits, as in PyTorch's clamp.
func Clip(x *G.Node, lo, hi float64) (*G.Node, error) {
	name := fmt.Sprintf("Clip[%v %v]", lo, hi)
	if !isFloat(x.Dtype()) {
		toInt := func(v float64) int64 {
			switch {
			case v >= math.MaxInt64:
				return math.MaxInt64
			case v <= math.MinInt64:
				return math.MinInt64
			}
			return int64(v)
		}
		l, h := toInt(lo), toInt(hi)
		return MapInt(name, func(v int64) int64 { return min(max(v, l), h) }, x)
	}
	return Map(Function{
		Name: name,
		F: func(x float64) float64 {
			if x < lo {
				x = lo
			}
			if x > hi {
				x = hi
			}
			return x
		},
		D: func(x, _ float64) float64 {
			if x < lo || x > hi {
				return 0
			}
			return 1
		},
	}, x)
}
