package tensorop

import (
	"fmt"
	"math"
	"slices"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ftk-go/ftk/internal/parallel"
)

// reduction is the plan of a reduction: the axes of x, merged, and how the result is walked along them (0 where an axis
// is reduced).
type reduction struct {
	shape, out []int
	result     []int // shape of the result as declared
	count      int   // elements reduced into one
}

func planReduction(x []int, axes []int, keepDims bool) reduction {
	var r reduction
	kept := make([]int, len(x))
	r.count = 1
	for i, d := range x {
		kept[i] = d
		if slices.Contains(axes, i) {
			kept[i] = 1
			r.count *= d
			if keepDims {
				r.result = append(r.result, 1)
			}
			continue
		}
		r.result = append(r.result, d)
	}
	var w [][]int
	r.shape, w = coalesce(x, strides(x), broadcastStrides(kept, x))
	r.out = w[1]
	return r
}

// reduceTask folds x into out, which holds the initial value everywhere: row combines a run of x into one element, vec a
// run into as many.
type reduceTask[T any] struct {
	reduction
	row    func(acc T, x []T) T
	vec    func(dst, x []T)
	result []T
	x      []T
}

// reduceInto is the kernel of a reduceTask, which writes the initial value first.
func reduceInto[T any](r reduction, initial T, row func(acc T, x []T) T, vec func(dst, x []T)) Kernel {
	t := &reduceTask[T]{reduction: r, row: row, vec: vec}
	return func(out *tensor.Dense, in []*tensor.Dense) error {
		t.result, t.x = values[T](out), values[T](in[0])
		fill(t.result, initial)
		t.run()
		t.result, t.x = nil, nil
		return nil
	}
}

func (t *reduceTask[T]) run() {
	if len(t.x) == 0 {
		return
	}
	last := len(t.shape) - 1
	if last == 0 || t.out[0] == 0 { // the outermost axis is reduced: rows share results
		t.Chunk(0, 0, t.shape[0])
		return
	}
	parallel.Run(t.shape[0], max(1, parallelGrain/max(t.perOuter()*t.shape[last], 1)), t)
}

// perOuter is the number of runs for each place on the outermost axis.
func (t *reduceTask[T]) perOuter() int {
	last := len(t.shape) - 1
	if last == 0 {
		return 1
	}
	return size(t.shape[1:last])
}

// Chunk folds what lies at places lo to hi of the outermost axis, or all of a single run.
func (t *reduceTask[T]) Chunk(_, lo, hi int) {
	last := len(t.shape) - 1
	inner, so := t.shape[last], t.out[last]
	if last == 0 {
		lo, hi = 0, 1
	}
	w := walk{shape: t.shape, stride: t.out}
	per := t.perOuter()
	w.each(lo*per, hi*per, func(from, to int) {
		if so == 0 {
			t.result[to] = t.row(t.result[to], t.x[from:from+inner])
		} else {
			t.vec(t.result[to:to+inner], t.x[from:from+inner])
		}
	})
}

func reduceSum[T number](r reduction) Kernel {
	return reduceInto(r, 0, func(acc T, x []T) T {
		var s0, s1, s2, s3 T
		for len(x) >= 4 {
			s0, s1, s2, s3 = s0+x[0], s1+x[1], s2+x[2], s3+x[3]
			x = x[4:]
		}
		for _, v := range x {
			s0 += v
		}
		return acc + (s0 + s1) + (s2 + s3)
	}, func(dst, x []T) {
		for i, v := range x {
			dst[i] += v
		}
	})
}

func reduceProd[T number](r reduction) Kernel {
	return reduceInto(r, 1, func(acc T, x []T) T {
		for _, v := range x {
			acc *= v
		}
		return acc
	}, func(dst, x []T) {
		for i, v := range x {
			dst[i] *= v
		}
	})
}

func reduceExtreme[T number](r reduction, largest bool, init T) Kernel {
	pick := func(a, b T) T { return max(a, b) }
	if !largest {
		pick = func(a, b T) T { return min(a, b) }
	}
	return reduceInto(r, init, func(acc T, x []T) T {
		for _, v := range x {
			acc = pick(acc, v)
		}
		return acc
	}, func(dst, x []T) {
		for i, v := range x {
			dst[i] = pick(dst[i], v)
		}
	})
}

func fill[T any](dst []T, v T) {
	for i := range dst {
		dst[i] = v
	}
}

func reduceKernel(dt tensor.Dtype, op string, r reduction) Kernel {
	largest := op == "ReduceMax"
	sign := 1
	if largest {
		sign = -1
	}
	switch dt {
	case tensor.Float32:
		if k := fastSum(r); k != nil && op == "ReduceSum" && size(r.shape) > 0 {
			return k
		}
		return reduceOf(op, r, float32(math.Inf(sign)))
	case tensor.Float64:
		return reduceOf(op, r, math.Inf(sign))
	case tensor.Int64:
		return reduceOf(op, r, pick[int64](largest, math.MinInt64, math.MaxInt64))
	case tensor.Int32:
		return reduceOf(op, r, pick[int32](largest, math.MinInt32, math.MaxInt32))
	case tensor.Int8:
		return reduceOf(op, r, pick[int8](largest, math.MinInt8, math.MaxInt8))
	case tensor.Uint8:
		return reduceOf(op, r, pick[uint8](largest, 0, math.MaxUint8))
	case tensor.Uint32:
		return reduceOf(op, r, pick[uint32](largest, 0, math.MaxUint32))
	case tensor.Uint64:
		return reduceOf(op, r, pick[uint64](largest, 0, math.MaxUint64))
	case tensor.Bool: // true is stored as 1: the largest is "any", the smallest "all"
		if op == "ReduceMax" || op == "ReduceMin" {
			return reduceOf(op, r, pick[uint8](largest, 0, 1))
		}
	}
	return nil
}

func pick[T any](cond bool, a, b T) T {
	if cond {
		return a
	}
	return b
}

func reduceOf[T number](op string, r reduction, init T) Kernel {
	switch op {
	case "ReduceSum":
		return reduceSum[T](r)
	case "ReduceProd":
		return reduceProd[T](r)
	default:
		return reduceExtreme(r, op == "ReduceMax", init)
	}
}

// norm is the square root of a sum of squares. At 0 its derivative counts as 0,
// the least of the norm's subgradients (as in PyTorch).
var norm = Function{Name: "Norm", F: math.Sqrt, D: func(_, y float64) float64 {
	if y == 0 {
		return 0
	}
	return 0.5 / y
}}

// Reduce folds axes (sorted, not negative) of x: ReduceSum, ReduceMean, ReduceMax, ReduceMin, ReduceProd, ReduceL1,
// ReduceL2, ReduceLogSum, ReduceLogSumExp or ReduceSumSquare.
func Reduce(op string, x *G.Node, axes []int, keepDims bool) (*G.Node, error) {
	var c chain
	sum := func(n *G.Node) *G.Node {
		if c.err != nil {
			return nil
		}
		return c.do(Reduce("ReduceSum", n, axes, keepDims))
	}
	apply := func(f string, n *G.Node) *G.Node {
		if c.err != nil {
			return nil
		}
		return c.do(mapNamed(f, n))
	}
	var y *G.Node
	switch op {
	case "ReduceMean":
		n := planReduction(x.Shape(), axes, keepDims).count
		if y = sum(x); c.err == nil {
			y = c.do(divideBy(y, n))
		}
	case "ReduceL1":
		y = sum(apply("Abs", x))
	case "ReduceL2":
		if squares := sum(c.binary("Mul", x, x)); c.err == nil {
			y = c.do(Map(norm, squares))
		}
	case "ReduceSumSquare":
		y = sum(c.binary("Mul", x, x))
	case "ReduceLogSum":
		y = apply("Log", sum(x))
	case "ReduceLogSumExp":
		y, c.err = logSumExp(x, axes, keepDims)
	default:
		return reducePlain(op, x, axes, keepDims)
	}
	return y, c.err
}

func mapNamed(name string, x *G.Node) (*G.Node, error) {
	if !isFloat(x.Dtype()) {
		if f, ok := IntFunctions[name]; ok {
			return MapInt(name, f, x)
		}
	}
	f := Functions[name]
	f.Name = name
	return Map(vectorised(f), x)
}

// Apply applies one of Functions, or of IntFunctions to integers.
func Apply(name string, x *G.Node) (*G.Node, error) { return mapNamed(name, x) }

// IntFunctions are the elementwise functions defined on integers, by the name of the ONNX operator.
var IntFunctions = map[string]func(int64) int64{
	"Abs":        func(v int64) int64 { return max(v, -v) },
	"Neg":        func(v int64) int64 { return -v },
	"Sign":       func(v int64) int64 { return min(max(v, -1), 1) },
	"Relu":       func(v int64) int64 { return max(v, 0) },
	"BitwiseNot": func(v int64) int64 { return ^v },
}

func divideBy(x *G.Node, n int) (*G.Node, error) {
	if isFloat(x.Dtype()) {
		return Affine(x, 1/float64(n), 0)
	}
	return MapInt(fmt.Sprintf("Div[%d]", n), func(v int64) int64 { return v / int64(max(n, 1)) }, x)
}

// logSumExp is log Σ eˣ, shifted by the largest x of each group so that it does not overflow.
func logSumExp(x *G.Node, axes []int, keepDims bool) (*G.Node, error) {
	if !isFloat(x.Dtype()) {
		return nil, typeError("ReduceLogSumExp", x.Dtype())
	}
	top, err := Reduce("ReduceMax", x, axes, true)
	if err != nil {
		return nil, err
	}
	// Limits keep −∞ − −∞ from becoming NaN. They have no gradient, nor need one: the shift cancels.
	if top, err = Stop(top, -math.MaxFloat32, math.MaxFloat32); err != nil {
		return nil, err
	}
	var c chain
	e := c.binary("Sub", x, top)
	if c.err == nil {
		e = c.do(mapNamed("Exp", e))
	}
	if c.err == nil {
		e = c.do(Reduce("ReduceSum", e, axes, true))
	}
	if c.err == nil {
		e = c.do(mapNamed("Log", e))
	}
	y := c.binary("Add", e, top)
	if c.err != nil {
		return nil, c.err
	}
	return Reshape(y, planReduction(x.Shape(), axes, keepDims).result...)
}

// Stop limits x to [lo, hi] and passes no gradient.
func Stop(x *G.Node, lo, hi float64) (*G.Node, error) {
	return Map(Function{Name: fmt.Sprintf("Stop[%v %v]", lo, hi), F: func(x float64) float64 { return min(max(x, lo), hi) }}, x)
}

func reducePlain(op string, x *G.Node, axes []int, keepDims bool) (*G.Node, error) {
	shape := x.Shape().Clone()
	r := planReduction(shape, axes, keepDims)
	if len(axes) == 0 || r.count == 1 && size(shape) > 0 {
		return Reshape(x, r.result...)
	}
	run := reduceKernel(x.Dtype(), op, r)
	if run == nil {
		return nil, typeError(op, x.Dtype())
	}
	kept := planReduction(shape, axes, true).result
	return define(spec{
		name: fmt.Sprintf("%s[axes=%v keepdims=%v]", op, axes, keepDims), dtype: x.Dtype(), shape: r.result, run: run,
		grad: func(in G.Nodes, y, dy *G.Node) (G.Nodes, error) {
			var c chain
			dy = c.do(Reshape(dy, kept...))
			if c.err == nil && op != "ReduceSum" {
				if y = c.do(Reshape(y, kept...)); c.err == nil {
					return c.nodes(c.do(reduceGrad(op, in[0], y, dy, r)))
				}
			}
			if c.err != nil {
				return nil, c.err
			}
			return c.nodes(c.do(Expand(dy, shape)))
		},
	}, x)
}

// reduceGrad is the gradient of ReduceMax, ReduceMin (shared equally by equal values, as PyTorch's amax) and ReduceProd.
// y and dy have the reduced axes kept.
func reduceGrad(op string, x, y, dy *G.Node, r reduction) (*G.Node, error) {
	dt := x.Dtype()
	return define(spec{
		name: op + "Grad" + fmt.Sprint(r.shape, r.out), dtype: dt, shape: x.Shape().Clone(),
		run: func(out *tensor.Dense, in []*tensor.Dense) error {
			if dt == tensor.Float64 {
				reduceGradInto(op, values[float64](out), values[float64](in[0]), values[float64](in[1]), values[float64](in[2]), r)
			} else {
				reduceGradInto(op, values[float32](out), values[float32](in[0]), values[float32](in[1]), values[float32](in[2]), r)
			}
			return nil
		},
	}, x, y, dy)
}

func reduceGradInto[T float](op string, dx, x, y, dy []T, r reduction) {
	w := walk{shape: r.shape, stride: r.out}.withUnitRows()
	n := size(r.shape)
	if op == "ReduceProd" {
		// Without zeros dx = y·dy/x; with one zero in a group only that element has a gradient, the others' product.
		zeros, rest := make([]int, len(y)), make([]T, len(y))
		fill(rest, 1)
		w.each(0, n, func(i, o int) {
			if x[i] == 0 {
				zeros[o]++
			} else {
				rest[o] *= x[i]
			}
		})
		w.each(0, n, func(i, o int) {
			switch {
			case zeros[o] == 0:
				dx[i] = rest[o] / x[i] * dy[o]
			case zeros[o] == 1 && x[i] == 0:
				dx[i] = rest[o] * dy[o]
			default:
				dx[i] = 0
			}
		})
		return
	}
	ties := make([]T, len(y))
	w.each(0, n, func(i, o int) {
		if x[i] == y[o] {
			ties[o]++
		}
	})
	w.each(0, n, func(i, o int) {
		dx[i] = 0
		if x[i] == y[o] {
			dx[i] = dy[o] / ties[o]
		}
	})
}

// withUnitRows makes every element a row of its own.
func (w walk) withUnitRows() walk {
	return walk{append(slices.Clone(w.shape), 1), append(slices.Clone(w.stride), 0), w.offset}
}

// SumTo sums x over the axes along which a tensor of the given shape was broadcast to x's.
func SumTo(x *G.Node, shape []int) (*G.Node, error) {
	from := x.Shape()
	if slices.Equal(from, shape) {
		return x, nil
	}
	lead := len(from) - len(shape)
	var axes []int
	for i, d := range from {
		if i < lead || shape[i-lead] == 1 && d != 1 {
			axes = append(axes, i)
		}
	}
	y, err := Reduce("ReduceSum", x, axes, true)
	if err != nil {
		return nil, err
	}
	return Reshape(y, shape...)
}
