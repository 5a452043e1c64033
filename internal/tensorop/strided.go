package tensorop

import (
	"fmt"
	"slices"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ftk-go/ftk/internal/parallel"
)

// walk describes how a tensor is read: element i of the result, in row-major order of shape, is the source's element
// offset + Σ index·stride. Transposition, slicing, broadcasting and tiling are walks.
type walk struct {
	shape, stride []int
	offset        int
}

func (w walk) String() string {
	return fmt.Sprintf("[shape=%v stride=%v offset=%d]", w.shape, w.stride, w.offset)
}

const parallelGrain = 1 << 14 // elements of work per goroutine below which a loop is not split

// each calls row for every innermost run of the walk: to is its first element in the result, from in the source.
func (w walk) each(lo, hi int, row func(to, from int)) {
	eachPair(w.shape, w.stride, w.stride, lo, hi, func(to, from, _ int) { row(to, w.offset+from) })
}

// eachPair walks over two sources at once, along a and b, which start at 0.
func eachPair(shape, a, b []int, lo, hi int, row func(to, fromA, fromB int)) {
	if lo >= hi {
		return // an axis may have no length
	}
	inner := shape[len(shape)-1]
	outer := shape[:len(shape)-1]
	var few [8]int
	idx := few[:]
	if len(outer) > len(few) {
		idx = make([]int, len(outer))
	}
	fromA, fromB, rest := 0, 0, lo
	for i := len(outer) - 1; i >= 0; i-- {
		idx[i] = rest % outer[i]
		rest /= outer[i]
		fromA += idx[i] * a[i]
		fromB += idx[i] * b[i]
	}
	for r := lo; r < hi; r++ {
		row(r*inner, fromA, fromB)
		for i := len(outer) - 1; i >= 0; i-- {
			fromA += a[i]
			fromB += b[i]
			if idx[i]++; idx[i] < outer[i] {
				break
			}
			idx[i] = 0
			fromA -= outer[i] * a[i]
			fromB -= outer[i] * b[i]
		}
	}
}

func (w walk) rows() int { return size(w.shape[:len(w.shape)-1]) }

func (w walk) merged() walk {
	shape, ws := coalesce(w.shape, w.stride)
	return walk{shape, ws[0], w.offset}
}

// gatherTask copies the walked elements of x to out. Like the other tasks here it belongs to one operator, so that a run
// allocates nothing.
type gatherTask[T any] struct {
	walk
	out, x []T
}

func (t *gatherTask[T]) run(out, x []T) {
	t.out, t.x = out, x
	parallel.Run(t.rows(), max(1, parallelGrain/max(t.shape[len(t.shape)-1], 1)), t)
	t.out, t.x = nil, nil
}

// Chunk copies runs lo to hi.
func (t *gatherTask[T]) Chunk(_, lo, hi int) {
	inner, step := t.shape[len(t.shape)-1], t.stride[len(t.shape)-1]
	t.each(lo, hi, func(to, from int) {
		dst := t.out[to : to+inner]
		switch step {
		case 1:
			copy(dst, t.x[from:from+inner])
		case 0:
			v := t.x[from]
			for i := range dst {
				dst[i] = v
			}
		default:
			for i := range dst {
				dst[i] = t.x[from]
				from += step
			}
		}
	})
}

// gatherKernel is the kernel that copies elements of T's size along a walk.
func gatherKernel[T any](w walk) Kernel {
	t := &gatherTask[T]{walk: w}
	return func(out *tensor.Dense, in []*tensor.Dense) error {
		t.run(values[T](out), values[T](in[0]))
		return nil
	}
}

// scatterWalk adds dy to the walked elements of dx.
func scatterWalk[T number](dx, dy []T, w walk) {
	inner := w.shape[len(w.shape)-1]
	step := w.stride[len(w.shape)-1]
	w.each(0, w.rows(), func(to, from int) {
		for _, v := range dy[to : to+inner] {
			dx[from] += v
			from += step
		}
	})
}

// strided applies a walk to x. Its gradient adds the output's gradient back along the walk.
func strided(name string, x *G.Node, w walk, shape []int) (*G.Node, error) {
	name += w.String()
	from, dt := x.Shape().Clone(), x.Dtype()
	return define(spec{
		name: name, dtype: dt, shape: slices.Clone(shape),
		run: copyWalk(dt, w),
		grad: func(_ G.Nodes, _, dy *G.Node) (G.Nodes, error) {
			dx, err := stridedAdd(name, dy, w, from)
			return G.Nodes{dx}, err
		},
	}, x)
}

// stridedAdd is the adjoint of strided: zeros of the given shape with y added along the walk.
func stridedAdd(name string, y *G.Node, w walk, shape []int) (*G.Node, error) {
	to, m := y.Shape().Clone(), w.merged()
	empty := size(to) == 0
	return define(spec{
		name: name + "Grad", dtype: y.Dtype(), shape: slices.Clone(shape),
		run: func(out *tensor.Dense, in []*tensor.Dense) error {
			clear(out.Uint8s())
			switch {
			case empty:
			case out.Dtype() == tensor.Float64:
				scatterWalk(values[float64](out), values[float64](in[0]), m)
			default:
				scatterWalk(values[float32](out), values[float32](in[0]), m)
			}
			return nil
		},
		grad: func(_ G.Nodes, _, dy *G.Node) (G.Nodes, error) {
			d, err := strided(name+"GradGrad", dy, w, to)
			return G.Nodes{d}, err
		},
	}, y)
}

// copyWalk is the kernel that copies along a walk.
func copyWalk(dt tensor.Dtype, w walk) Kernel {
	m := w.merged()
	if size(m.shape) == 0 {
		return func(*tensor.Dense, []*tensor.Dense) error { return nil }
	}
	// Moving data does not care what the bits mean.
	switch dt.Size() {
	case 8:
		return gatherKernel[uint64](m)
	case 4:
		return gatherKernel[uint32](m)
	case 2:
		return gatherKernel[uint16](m)
	case 1:
		return gatherKernel[uint8](m)
	}
	return func(*tensor.Dense, []*tensor.Dense) error { return fmt.Errorf("%v: %w", dt, ErrType) }
}

// byWidth runs the variant for an element type's size: moving data does not care what the bits mean.
func byWidth(dt tensor.Dtype, w8, w4, w2, w1 func()) error {
	switch dt.Size() {
	case 8:
		w8()
	case 4:
		w4()
	case 2:
		w2()
	case 1:
		w1()
	default:
		return fmt.Errorf("%v: %w", dt, ErrType)
	}
	return nil
}

// Transpose permutes axes: axis i of the result is axis perm[i] of x. A nil perm reverses them.
func Transpose(x *G.Node, perm []int) (*G.Node, error) {
	shape := x.Shape()
	if perm == nil {
		for i := range shape {
			perm = append(perm, len(shape)-1-i)
		}
	}
	if sorted, err := Axes(perm, len(shape)); err != nil || len(sorted) != len(shape) {
		return nil, fmt.Errorf("perm %v does not permute the axes of %v", perm, shape)
	}
	own := strides(shape)
	w := walk{shape: make([]int, len(perm)), stride: make([]int, len(perm))}
	inverse := make([]int, len(perm))
	moves, last := false, -1
	for i, p := range perm {
		w.shape[i], w.stride[i] = shape[p], own[p]
		inverse[p] = i
		if shape[p] != 1 {
			moves = moves || p < last
			last = p
		}
	}
	if !moves { // only axes of size 1 change places
		return Reshape(x, w.shape...)
	}
	dt := x.Dtype()
	return define(spec{
		name: fmt.Sprintf("Transpose%v", perm), dtype: dt, shape: slices.Clone(w.shape),
		run: copyWalk(dt, w),
		grad: func(_ G.Nodes, _, dy *G.Node) (G.Nodes, error) {
			dx, err := Transpose(dy, inverse)
			return G.Nodes{dx}, err
		},
	}, x)
}

// Expand broadcasts x to a shape that it broadcasts to.
func Expand(x *G.Node, shape []int) (*G.Node, error) {
	if slices.Equal(x.Shape(), shape) {
		return x, nil
	}
	from := x.Shape().Clone()
	full, err := BroadcastShapes(from, shape)
	if err != nil || !slices.Equal(full, shape) {
		return nil, fmt.Errorf("shape %v does not broadcast to %v", from, shape)
	}
	w := walk{shape: slices.Clone(shape), stride: broadcastStrides(from, shape)}
	if size(from) == size(shape) {
		return Reshape(x, shape...)
	}
	dt := x.Dtype()
	return define(spec{
		name: fmt.Sprintf("Expand%v", shape), dtype: dt, shape: slices.Clone(shape),
		run: copyWalk(dt, w),
		grad: func(_ G.Nodes, _, dy *G.Node) (G.Nodes, error) {
			dx, err := SumTo(dy, from)
			return G.Nodes{dx}, err
		},
	}, x)
}

// Tile repeats x along each axis.
func Tile(x *G.Node, repeats []int) (*G.Node, error) {
	shape := x.Shape()
	if len(repeats) != len(shape) {
		return nil, fmt.Errorf("%d repeats for rank %d", len(repeats), len(shape))
	}
	own := strides(shape)
	var w walk
	out := make([]int, len(shape))
	for i, r := range repeats {
		w.shape = append(w.shape, r, shape[i])
		w.stride = append(w.stride, 0, own[i])
		out[i] = r * shape[i]
	}
	return strided(fmt.Sprintf("Tile%v", repeats), x, w, out)
}

// SliceRange is a slice along one axis: from Start in steps of Step while before End (after it where Step is negative).
// Starts and ends out of range are clamped, negative ones count from the end (ONNX Slice-13).
type SliceRange struct{ Axis, Start, End, Step int }

// Slice takes parts along axes.
func Slice(x *G.Node, ranges ...SliceRange) (*G.Node, error) {
	shape := x.Shape()
	w := walk{shape: slices.Clone(shape), stride: strides(shape)}
	own := slices.Clone(w.stride)
	for _, r := range ranges {
		a, err := Axis(r.Axis, len(shape))
		if err != nil {
			return nil, err
		}
		start, n, err := r.resolve(shape[a])
		if err != nil {
			return nil, err
		}
		w.shape[a], w.stride[a] = n, own[a]*r.Step
		w.offset += start * own[a]
	}
	if slices.Equal(w.shape, shape) && slices.Equal(w.stride, own) {
		return x, nil
	}
	return strided("Slice", x, w, w.shape)
}

func (r SliceRange) resolve(dim int) (start, n int, err error) {
	start, end := r.Start, r.End
	if start < 0 {
		start += dim
	}
	if end < 0 && end > -1<<40 {
		end += dim
	}
	switch {
	case r.Step > 0:
		start, end = min(max(start, 0), dim), min(max(end, 0), dim)
		n = (end - start + r.Step - 1) / r.Step
	case r.Step < 0:
		start, end = min(max(start, 0), dim-1), min(max(end, -1), dim-1)
		n = (start - end - r.Step - 1) / -r.Step
	default:
		return 0, 0, fmt.Errorf("step of axis %d is 0", r.Axis)
	}
	return start, max(n, 0), nil
}

// DepthToSpace moves channels of [N C H W] into blocks of space; mode is "DCR" or "CRD".
func DepthToSpace(x *G.Node, block int, mode string) (*G.Node, error) {
	s := x.Shape()
	if len(s) != 4 || block < 1 || s[1]%(block*block) != 0 {
		return nil, fmt.Errorf("shape %v does not divide into blocks of %d", s, block)
	}
	c := s[1] / (block * block)
	split, perm := []int{s[0], block, block, c, s[2], s[3]}, []int{0, 3, 4, 1, 5, 2}
	if mode == "CRD" {
		split, perm = []int{s[0], c, block, block, s[2], s[3]}, []int{0, 1, 4, 2, 5, 3}
	}
	y, err := Reshape(x, split...)
	if err != nil {
		return nil, err
	}
	if y, err = Transpose(y, perm); err != nil {
		return nil, err
	}
	return Reshape(y, s[0], c, s[2]*block, s[3]*block)
}

// SpaceToDepth moves blocks of space of [N C H W] into channels.
func SpaceToDepth(x *G.Node, block int) (*G.Node, error) {
	s := x.Shape()
	if len(s) != 4 || block < 1 || s[2]%block != 0 || s[3]%block != 0 {
		return nil, fmt.Errorf("shape %v does not divide into blocks of %d", s, block)
	}
	y, err := Reshape(x, s[0], s[1], s[2]/block, block, s[3]/block, block)
	if err != nil {
		return nil, err
	}
	if y, err = Transpose(y, []int{0, 3, 5, 1, 2, 4}); err != nil {
		return nil, err
	}
	return Reshape(y, s[0], s[1]*block*block, s[2]/block, s[3]/block)
}
