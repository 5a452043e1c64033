package finetune

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/ftk-go/ftk/internal/safetensors"
)

// parameter is one trainable initializer: its place in the flat buffers.
type parameter struct {
	name  string
	shape []int64
	head  bool   // of the head: it has the head's learning rate
	table string // name of the int64 graph input that picks its rows, if that is all it is used for

	value, grad, m, v []float32
}

// decays tells whether weight decay applies: to matrices and tables, not to
// biases and the scales and shifts of layer norms. Those are told by having
// one axis (others of size 1 do not count), since exporters rename things.
func (p *parameter) decays() bool {
	axes := 0
	for _, d := range p.shape {
		if d != 1 {
			axes++
		}
	}
	return axes > 1
}

func (p *parameter) size() int {
	n := int64(1)
	for _, d := range p.shape {
		n *= d
	}
	return int(n)
}

// group orders parameters so that those updated alike lie side by side.
func (p *parameter) group() int {
	g := 0
	if p.table != "" {
		g += 4
	}
	if p.head {
		g += 2
	}
	if !p.decays() {
		g++
	}
	return g
}

// weights holds all trainable parameters in flat buffers: values, gradients
// and the two moments of AdamW. Parameters start at multiples of 64 bytes; the
// gaps stay zero.
type weights struct {
	params            []*parameter // in the order of the buffers
	value, grad, m, v []float32
}

const alignFloats = 16

// newWeights lays parameters out. Their initial values come from init, which
// writes them to where it is told.
func newWeights(params []*parameter, initial func(p *parameter, dst []float32) error) (*weights, error) {
	w := &weights{params: slices.Clone(params)}
	slices.SortStableFunc(w.params, func(a, b *parameter) int {
		return cmp.Or(cmp.Compare(a.group(), b.group()), cmp.Compare(a.name, b.name))
	})
	total := 0
	for _, p := range w.params {
		total += alignedSize(p)
	}
	w.value, w.grad = alignedFloats(total), alignedFloats(total)
	w.m, w.v = alignedFloats(total), alignedFloats(total)
	at := 0
	for _, p := range w.params {
		end := at + p.size()
		p.value, p.grad = w.value[at:end:end], w.grad[at:end:end]
		p.m, p.v = w.m[at:end:end], w.v[at:end:end]
		if err := initial(p, p.value); err != nil {
			return nil, fmt.Errorf("initializer %q: %w", p.name, err)
		}
		at += alignedSize(p)
	}
	return w, nil
}

func alignedSize(p *parameter) int {
	return (p.size() + alignFloats - 1) / alignFloats * alignFloats
}

// count returns the number of trainable values.
func (w *weights) count() int64 {
	var n int64
	for _, p := range w.params {
		n += int64(p.size())
	}
	return n
}

// tensors gives the values by name, for saving; they are not copied.
func (w *weights) tensors() []safetensors.Tensor {
	list := make([]safetensors.Tensor, len(w.params))
	for i, p := range w.params {
		list[i] = safetensors.Tensor{Name: p.name, Shape: p.shape, Data: p.value}
	}
	return list
}

// load reads the values from a file that tensors were saved to.
func (w *weights) load(f *safetensors.File) error {
	for _, p := range w.params {
		if shape, ok := f.Shape(p.name); ok && !slices.Equal(shape, p.shape) {
			return fmt.Errorf("tensor %q has shape %v, the model's initializer %v", p.name, shape, p.shape)
		}
		if err := f.ReadInto(p.name, p.value); err != nil {
			return err
		}
	}
	return nil
}
