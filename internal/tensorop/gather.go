package tensorop

import (
	"fmt"
	"slices"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// positions turns the values of an index tensor into places in the data tensor, one for each element (or run of elements)
// of the result, in the memory of pos. It reports indices out of range.
type positions func(ids []int64, pos []int) ([]int, error)

// indices reads an index tensor of int64 or int32.
func indices(d *tensor.Dense) []int64 {
	if d.Dtype() == tensor.Int64 {
		return values[int64](d)
	}
	ids := make([]int64, size(d.Shape()))
	for i, v := range values[int32](d) {
		ids[i] = int64(v)
	}
	return ids
}

func checkIndices(op string, ids *G.Node) error {
	if dt := ids.Dtype(); dt != tensor.Int64 && dt != tensor.Int32 {
		return typeError(op+" indices", dt)
	}
	return nil
}

func place(id int64, dim int) (int, error) {
	if id < -int64(dim) || id >= int64(dim) {
		return 0, fmt.Errorf("index %d is out of range for an axis of %d", id, dim)
	}
	if id < 0 {
		id += int64(dim)
	}
	return int(id), nil
}

// pickRuns builds the node whose run r of n elements is data[at(r) : at(r)+n]; its gradient adds runs back.
func pickRuns(name string, data, ids *G.Node, shape []int, n int, at positions) (*G.Node, error) {
	if err := checkIndices(name, ids); err != nil {
		return nil, err
	}
	from, dt := data.Shape().Clone(), data.Dtype()
	bytes := n * int(dt.Size())
	var pos []int // used again
	return define(spec{
		name: name, dtype: dt, shape: slices.Clone(shape), wrt: []int{0},
		run: func(out *tensor.Dense, in []*tensor.Dense) error {
			if size(shape) == 0 {
				return nil
			}
			dst, src, w := out.Uint8s(), in[0].Uint8s(), int(dt.Size())
			var err error
			pos, err = at(indices(in[1]), pos)
			for r, p := range pos {
				copy(dst[r*bytes:(r+1)*bytes], src[p*w:])
			}
			return err
		},
		grad: func(in G.Nodes, _, dy *G.Node) (G.Nodes, error) {
			dx, err := addRuns(name+"Grad", dy, in[1], from, n, at)
			return G.Nodes{dx, nil}, err
		},
	}, data, ids)
}

// addRuns is the adjoint of pickRuns: zeros of the given shape with the runs of y added at their places.
func addRuns(name string, y, ids *G.Node, shape []int, n int, at positions) (*G.Node, error) {
	var pos []int // used again
	return define(spec{
		name: name + fmt.Sprint(shape), dtype: y.Dtype(), shape: slices.Clone(shape),
		run: func(out *tensor.Dense, in []*tensor.Dense) error {
			clear(out.Uint8s())
			var err error
			if pos, err = at(indices(in[1]), pos); err != nil {
				return err
			}
			if out.Dtype() == tensor.Float64 {
				addRunsInto(values[float64](out), values[float64](in[0]), pos, n)
			} else {
				addRunsInto(values[float32](out), values[float32](in[0]), pos, n)
			}
			return nil
		},
	}, y, ids)
}

func addRunsInto[T float](dx, dy []T, pos []int, n int) {
	for r, p := range pos {
		dst := dx[p : p+n]
		for i, v := range dy[r*n : (r+1)*n] {
			dst[i] += v
		}
	}
}

// Gather takes entries of data along an axis by index (ONNX Gather): the result is data's shape with that axis replaced
// by ids' shape.
func Gather(data, ids *G.Node, axis int) (*G.Node, error) {
	s := data.Shape()
	axis, err := Axis(axis, len(s))
	if err != nil {
		return nil, err
	}
	l := lanesOf(s, axis)
	shape := slices.Concat(s[:axis], ids.Shape(), s[axis+1:])
	return pickRuns(fmt.Sprintf("Gather[axis=%d]", axis), data, ids, shape, l.inner, func(ids []int64, pos []int) ([]int, error) {
		pos = pos[:0]
		for o := range l.outer {
			for _, id := range ids {
				p, err := place(id, l.len)
				if err != nil {
					return nil, err
				}
				pos = append(pos, (o*l.len+p)*l.inner)
			}
		}
		return pos, nil
	})
}

// GatherElements takes data[i₀ … ids[i] … iₙ] for every index of ids (ONNX GatherElements).
func GatherElements(data, ids *G.Node, axis int) (*G.Node, error) {
	axis, err := Axis(axis, data.Dims())
	if err != nil {
		return nil, err
	}
	if ids.Dims() != data.Dims() {
		return nil, fmt.Errorf("indices %v and data %v differ in rank", ids.Shape(), data.Shape())
	}
	at := elementPositions(data.Shape().Clone(), ids.Shape().Clone(), axis)
	return pickRuns(fmt.Sprintf("GatherElements[axis=%d]", axis), data, ids, ids.Shape(), 1, at)
}

// elementPositions is where GatherElements reads and ScatterElements writes.
func elementPositions(data, ids []int, axis int) positions {
	stride := strides(data)
	base := slices.Clone(stride)
	base[axis] = 0
	w := walk{shape: ids, stride: base}.withUnitRows()
	return func(v []int64, pos []int) ([]int, error) {
		pos = slices.Grow(pos[:0], len(v))[:len(v)]
		var failed error
		w.each(0, len(v), func(i, from int) {
			p, err := place(v[i], data[axis])
			if err != nil {
				failed = err
			}
			pos[i] = from + p*stride[axis]
		})
		return pos, failed
	}
}

// GatherND takes slices of data by index tuples, the last axis of ids (ONNX GatherND).
func GatherND(data, ids *G.Node, batchDims int) (*G.Node, error) {
	d, s := data.Shape(), ids.Shape()
	if len(s) == 0 || batchDims < 0 || batchDims >= min(len(s), len(d)+1) || s[len(s)-1]+batchDims > len(d) {
		return nil, fmt.Errorf("indices %v do not index data %v with %d batch axes", s, d, batchDims)
	}
	k := s[len(s)-1]
	shape := slices.Concat(s[:len(s)-1], d[batchDims+k:])
	return pickRuns(fmt.Sprintf("GatherND[batch=%d]", batchDims), data, ids, shape, size(d[batchDims+k:]),
		tuplePositions(d.Clone(), s.Clone(), batchDims))
}

// tuplePositions is where GatherND reads and ScatterND writes.
func tuplePositions(data, ids []int, batchDims int) positions {
	k := ids[len(ids)-1]
	stride := strides(data)
	perBatch := size(ids[batchDims : len(ids)-1])
	return func(v []int64, pos []int) ([]int, error) {
		n := size(ids[:len(ids)-1])
		pos = slices.Grow(pos[:0], n)[:n]
		batch := size(data[batchDims:])
		for i := range pos {
			at := i / max(perBatch, 1) * batch
			for j := range k {
				p, err := place(v[i*k+j], data[batchDims+j])
				if err != nil {
					return nil, err
				}
				at += p * stride[batchDims+j]
			}
			pos[i] = at
		}
		return pos, nil
	}
}
