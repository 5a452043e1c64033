package passes

import (
	"slices"

	"github.com/ftk-go/ftk/internal/graph"
)

// Shapes and elements through operators that pick, join and reshape.

func (f *inference) gather(n *graph.Node, set func([]dim)) {
	data, ids := f.of(n.Input(0)), f.of(n.Input(1))
	axis := int(n.Int("axis", 0))
	if data != nil && ids != nil {
		if axis < 0 {
			axis += len(data)
		}
		if axis >= 0 && axis < len(data) {
			set(append(append(append([]dim{}, data[:axis]...), ids...), data[axis+1:]...))
		}
	}
	e, at := f.elements(n.Input(0)), f.elements(n.Input(1))
	if e == nil || at == nil {
		return
	}
	var out []dim
	for _, i := range at {
		if i.known() && i.n < 0 {
			i.n += int64(len(e))
		}
		if !i.known() || i.n < 0 || i.n >= int64(len(e)) {
			return
		}
		out = append(out, e[i.n])
	}
	f.contents[n.Outputs[0]] = out
}

func (f *inference) concat(n *graph.Node, set func([]dim)) {
	var all []dim
	var shape []dim
	for i, v := range n.Inputs {
		s, e := f.of(v), f.elements(v)
		if s == nil {
			return
		}
		if e == nil || len(s) != 1 {
			all = nil
			shape = nil
			f.concatShapes(n, set)
			return
		}
		if i == 0 {
			shape = []dim{fixed(0)}
		}
		all = append(all, e...)
		shape[0].n += int64(len(e))
	}
	f.contents[n.Outputs[0]] = all
	set(shape)
}

func (f *inference) concatShapes(n *graph.Node, set func([]dim)) {
	first := f.of(n.Input(0))
	axis := int(n.Int("axis", 0))
	if axis < 0 {
		axis += len(first)
	}
	if axis < 0 || axis >= len(first) {
		return
	}
	out := slices.Clone(first)
	for _, v := range n.Inputs[min(1, len(n.Inputs)):] {
		s := f.of(v)
		if len(s) != len(first) {
			return
		}
		if out[axis].known() && s[axis].known() {
			out[axis].n += s[axis].n
		} else {
			out[axis] = f.unknown()
		}
	}
	set(out)
}

func (f *inference) slice(n *graph.Node, set func([]dim)) {
	x := f.of(n.Input(0))
	starts, ends, axes, steps := n.Ints("starts"), n.Ints("ends"), n.Ints("axes"), []int64(nil)
	if len(n.Inputs) >= 3 {
		starts, ends, axes = constants(n, 1), constants(n, 2), constants(n, 3)
		steps = constants(n, 4)
	}
	if n.Input(4) != nil && steps == nil || n.Input(3) != nil && axes == nil {
		starts = nil
	}
	if axes == nil {
		for i := range starts {
			axes = append(axes, int64(i))
		}
	}
	if x == nil {
		return
	}
	out := slices.Clone(x)
	if starts == nil || len(starts) != len(ends) {
		for i := range out { // which axes are cut is not known
			out[i] = f.unknown()
		}
		set(out)
		return
	}
	for i, a := range axes {
		if a < 0 {
			a += int64(len(x))
		}
		if a < 0 || a >= int64(len(x)) {
			return
		}
		out[a] = f.unknown()
		if x[a].known() && (steps == nil || steps[i] == 1) {
			lo, hi := clamp(starts[i], x[a].n), clamp(ends[i], x[a].n)
			out[a] = fixed(max(hi-lo, 0))
			if e := f.elements(n.Input(0)); len(x) == 1 && int64(len(e)) == x[a].n {
				f.contents[n.Outputs[0]] = e[lo:max(lo, hi)]
			}
		} else if starts[i] == 0 && ends[i] > 1<<31 && (steps == nil || steps[i] == 1) {
			out[a] = x[a]
		}
	}
	set(out)
}

func clamp(i, n int64) int64 {
	if i < 0 {
		i += n
	}
	return min(max(i, 0), n)
}

func constants(n *graph.Node, i int) []int64 {
	v, _ := integers(n.Input(i))
	return v
}

func (f *inference) unsqueeze(n *graph.Node, set func([]dim)) {
	if e := f.elements(n.Input(0)); len(e) == 1 {
		f.contents[n.Outputs[0]] = e
	} else if e != nil && n.OpType == "Squeeze" {
		f.contents[n.Outputs[0]] = e
	}
	x := f.of(n.Input(0))
	axes, ok := axesOf(n)
	if x == nil || !ok {
		return
	}
	rank := len(x)
	if n.OpType == "Unsqueeze" {
		rank += len(axes)
	}
	at := map[int64]bool{}
	for _, a := range axes {
		if a < 0 {
			a += int64(rank)
		}
		at[a] = true
	}
	out := []dim{}
	if n.OpType == "Squeeze" {
		for i, d := range x {
			if !at[int64(i)] {
				out = append(out, d)
			}
		}
		set(out)
		return
	}
	for i := range rank {
		switch {
		case at[int64(i)]:
			out = append(out, fixed(1))
		case len(x) == 0:
			return
		default:
			out, x = append(out, x[0]), x[1:]
		}
	}
	set(out)
}
