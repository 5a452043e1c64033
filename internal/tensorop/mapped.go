package tensorop

import (
	"fmt"
	"hash/fnv"
	"slices"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Operators whose result element i is the source's element index[i], or a constant where index[i] is negative; the map is
// made once, from shapes and attributes.

func mapped(name string, x *G.Node, index []int32, fillWith float64, shape []int) (*G.Node, error) {
	from, dt := x.Shape().Clone(), x.Dtype()
	h := fnv.New64a()
	fmt.Fprint(h, index)
	name = fmt.Sprintf("%s[fill=%v map=%x]", name, fillWith, h.Sum64())
	return define(spec{
		name: name, dtype: dt, shape: slices.Clone(shape),
		run: func(out *tensor.Dense, in []*tensor.Dense) error {
			c := constantBytes(dt, fillWith)
			dst, w := out.Uint8s(), int(dt.Size())
			var src []byte
			if size(from) > 0 {
				src = in[0].Uint8s()
			}
			for i, p := range index {
				if p < 0 {
					copy(dst[i*w:], c)
				} else {
					copy(dst[i*w:(i+1)*w], src[int(p)*w:])
				}
			}
			return nil
		},
		grad: func(_ G.Nodes, _, dy *G.Node) (G.Nodes, error) {
			dx, err := define(spec{
				name: name + "Grad", dtype: dt, shape: from,
				run: func(out *tensor.Dense, in []*tensor.Dense) error {
					clear(out.Uint8s())
					if dt == tensor.Float64 {
						addMapped(values[float64](out), values[float64](in[0]), index)
					} else {
						addMapped(values[float32](out), values[float32](in[0]), index)
					}
					return nil
				},
			}, dy)
			return G.Nodes{dx}, err
		},
	}, x)
}

func addMapped[T float](dx, dy []T, index []int32) {
	for i, p := range index {
		if p >= 0 {
			dx[p] += dy[i]
		}
	}
}

func constantBytes(dt tensor.Dtype, v float64) []byte {
	d := NewDense(dt, tensor.Shape{1})
	switch dt {
	case tensor.Float32:
		values[float32](d)[0] = float32(v)
	case tensor.Float64:
		values[float64](d)[0] = v
	case tensor.Int64:
		values[int64](d)[0] = int64(v)
	case tensor.Int32:
		values[int32](d)[0] = int32(v)
	case tensor.Int16:
		values[int16](d)[0] = int16(v)
	case tensor.Uint16:
		values[uint16](d)[0] = uint16(v)
	case tensor.Uint32:
		values[uint32](d)[0] = uint32(v)
	case tensor.Uint64:
		values[uint64](d)[0] = uint64(v)
	case tensor.Int8:
		values[int8](d)[0] = int8(v)
	default: // uint8 and bool
		values[uint8](d)[0] = uint8(v)
	}
	return d.Uint8s()
}

// Pad adds before[i] and after[i] elements to axis i (negative numbers crop); mode is "constant", "reflect", "edge" or
// "wrap" (ONNX Pad-19).
func Pad(x *G.Node, before, after []int, mode string, value float64) (*G.Node, error) {
	shape := x.Shape()
	if len(before) != len(shape) || len(after) != len(shape) {
		return nil, fmt.Errorf("%d pads for rank %d", len(before)+len(after), len(shape))
	}
	out := make([]int, len(shape))
	for i, d := range shape {
		if out[i] = before[i] + d + after[i]; out[i] < 0 {
			return nil, fmt.Errorf("pads %v %v leave nothing of %v", before, after, shape)
		}
		if mode != "constant" && d == 0 && out[i] > 0 {
			return nil, fmt.Errorf("axis %d of %v is empty and mode is %s", i, shape, mode)
		}
	}
	own := strides(shape)
	index := make([]int32, size(out))
	idx := make([]int, len(out))
	for k := range index {
		at := 0
		for i, j := range idx {
			p := padSource(j-before[i], shape[i], mode)
			if p < 0 {
				at = -1
				break
			}
			at += p * own[i]
		}
		index[k] = int32(at)
		for i := len(idx) - 1; i >= 0; i-- {
			if idx[i]++; idx[i] < out[i] {
				break
			}
			idx[i] = 0
		}
	}
	return mapped("Pad", x, index, value, out)
}

func padSource(j, dim int, mode string) int {
	if j >= 0 && j < dim {
		return j
	}
	switch mode {
	case "edge":
		return min(max(j, 0), dim-1)
	case "wrap":
		return ((j % dim) + dim) % dim
	case "reflect":
		if dim == 1 {
			return 0
		}
		period := 2 * (dim - 1)
		j = ((j % period) + period) % period
		return min(j, period-j)
	}
	return -1
}

// Trilu keeps the upper (or lower) triangle of the last two axes, with k diagonals shifted, and sets the rest to 0.
func Trilu(x *G.Node, k int, upper bool) (*G.Node, error) {
	s := x.Shape()
	if len(s) < 2 {
		return nil, fmt.Errorf("shape %v has no triangle", s)
	}
	rows, cols := s[len(s)-2], s[len(s)-1]
	index := make([]int32, size(s))
	for i := range index {
		r, c := i/cols%rows, i%cols
		index[i] = -1
		if upper && c >= r+k || !upper && c <= r+k {
			index[i] = int32(i)
		}
	}
	return mapped("Trilu", x, index, 0, s)
}
