package vm

import (
	"slices"

	"github.com/ftk-go/ftk/internal/op"
)

// pause is how many steps a result has to lie idle to be worth computing twice.
const pause = 24

// recompute shortens the life of results that are cheap to have again: before the first use after a long pause the step
// that defines them is repeated, provided that its inputs live that long anyway.
func (p *program) recompute() {
	for i := 0; i < len(p.steps); i++ {
		s := p.steps[i]
		v := s.value
		if _, ok := s.kernel.(op.Recomputable); !ok || s.add || v.pinned || p.aliased(v) {
			continue
		}
		at := resumed(v)
		if at < 0 || slices.ContainsFunc(s.in, func(in *value) bool { return !in.external && in.last < at }) {
			continue
		}
		again := &value{node: v.node, shape: v.shape, dtype: v.dtype, bytes: v.bytes}
		for _, u := range v.uses {
			if u.index >= at {
				for j := range u.in {
					if u.in[j] == v {
						u.in[j] = again
					}
				}
			}
		}
		p.values = append(p.values, again)
		p.steps = slices.Insert(p.steps, at, &step{value: again, in: slices.Clone(s.in), node: s.node, op: s.op, name: s.name, kernel: s.kernel})
		p.number()
	}
}

// resumed gives the step at which a value is used again after its longest pause; -1 if there is no such pause.
func resumed(v *value) int {
	longest, at, before := pause, -1, v.def
	for i, u := range v.uses {
		if i > 0 && u.index-before > longest {
			longest, at = u.index-before, u.index
		}
		before = u.index
	}
	return at
}
