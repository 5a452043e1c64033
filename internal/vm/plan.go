package vm

import (
	"cmp"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/ftk-go/ftk/internal/op"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// store is a piece of memory that one or, in place, several values live in.
type store struct {
	bytes  int
	first  int // first step that writes it
	last   int // last step that reads it
	values []*value
	fixed  []byte // memory outside the arena; nil: offset in the arena
	own    bool   // fixed memory that the machine is to allocate
	offset int
}

// fuse turns sums a + b into accumulation: where b is computed by an operator that can add to a given tensor, and a
// exists by then, b's step does that and the sum is dropped. Gradients are summed and residuals added that way without a
// pass of their own; where nothing else needs a any more, in place (see join).
func (p *program) fuse() {
	for changed := true; changed; {
		changed = false
		for _, s := range p.steps {
			if !s.sum {
				continue
			}
			// The later operand is the one to come on top of the other.
			i, j := 0, 1
			if s.in[0].def > s.in[1].def {
				i, j = 1, 0
			}
			if p.accumulate(s, s.in[i], s.in[j]) {
				changed = true
				break
			}
		}
	}
}

// accumulate tries to fuse sum s so that the step that defines b adds its result to a.
func (p *program) accumulate(s *step, a, b *value) bool {
	if a == b || b.external || b.pinned || b.source != nil || len(b.uses) != 1 || p.aliased(b) {
		return false
	}
	by := p.steps[b.def]
	if _, ok := by.kernel.(op.Accumulator); !ok || by.add || a.def >= by.index {
		return false
	}
	by.add, by.value = true, s.value
	by.in = append(by.in, a)
	p.steps = slices.Delete(p.steps, s.index, s.index+1)
	p.number()
	return true
}

// separate sees to it that every output is written by exactly one step, an op.Accumulator, and read by none: where it is
// not so, the output is computed in the arena and transferred.
func (p *program) separate(outputs map[*G.Node][]float32) {
	for n := range outputs {
		v := p.byNode[n]
		s := p.steps[v.def]
		_, ok := s.kernel.(op.Accumulator)
		if ok && !s.add && len(v.uses) == 0 && !p.aliased(v) {
			s.output = true
			continue
		}
		out := &value{node: n, shape: v.shape, dtype: v.dtype, bytes: v.bytes, pinned: true}
		v.pinned = false
		p.byNode[n] = out
		p.values = append(p.values, out)
		t := &step{value: out, in: []*value{v}, node: n, op: s.op, name: "Transfer", kernel: transfer{}, output: true}
		p.steps = slices.Insert(p.steps, v.def+1, t)
		p.number()
	}
}

// follow finds operators that go element by element or row by row, activations and layer norms above all, and come right
// after the product that makes their operand: the product then has each part of it done as soon as it has computed it,
// while it is in the caches. The two steps keep their places in the order, so that a run can also execute them one after
// the other.
func (p *program) follow() {
	for i := 1; i < len(p.steps); i++ {
		by, s := p.steps[i-1], p.steps[i]
		_, ok := by.kernel.(op.Producer)
		if !ok || by.rows != nil || s.rows != nil || by.output || s.output || s.add || by.within != nil {
			continue
		}
		if _, ok := s.kernel.(op.Elementwise); ok && slices.Contains(s.in, by.value) {
			s.within, by.then = by, s
		}
		if _, ok := s.kernel.(op.Rowwise); ok && s.in[0] == by.value && !slices.Contains(s.in[1:], by.value) {
			s.within, by.then = by, s
			s.done = make([]atomic.Int32, s.value.shape.TotalSize()/max(1, s.width()))
		}
	}
}

// width is the last axis of a step's result.
func (s *step) width() int { return s.value.shape[len(s.value.shape)-1] }

// runWithin executes a step, and the one after it as parts of the result are done.
func (s *step) runWithin() error {
	next := s.then
	for i := range next.done {
		next.done[i].Store(0)
	}
	next.complete.Store(0)
	var base *tensor.Dense
	if s.add {
		base = s.base
	}
	if err := s.kernel.(op.Producer).RunThen(s.value.dense, base, s.args, next); err != nil {
		return err
	}
	if n := int(next.complete.Load()); n != len(next.done) && next.width() > 0 {
		return fmt.Errorf("%s within it: %d of %d rows were computed", next.name, n, len(next.done))
	}
	return nil
}

// begin is the step during which s is executed.
func (s *step) begin() int {
	if s.within != nil {
		return s.within.index
	}
	return s.index
}

// Part executes a part of a step within the one before, or, row by row, what has become complete by it; see blas.Then.
func (s *step) Part(row, rows, col, cols int) {
	if k, ok := s.kernel.(op.Elementwise); ok {
		k.RunPart(s.value.dense, s.args, row, rows, col, cols)
		return
	}
	if int(s.done[row].Add(int32(cols))) == s.width() {
		s.kernel.(op.Rowwise).RunWholeRows(s.value.dense, s.args, row, rows)
		s.complete.Add(int32(rows))
	}
}

// family is a value and its aliases.
func (p *program) family(root *value) []*value {
	f := []*value{root}
	for _, v := range p.values {
		if v.source == root {
			f = append(f, v)
		}
	}
	return f
}

func (p *program) aliased(v *value) bool {
	return slices.ContainsFunc(p.values, func(o *value) bool { return o.source == v })
}

// overlap compares values of one store (or one family, whose offsets count from the same root).
func overlap(a, b *value) bool {
	return a.place() < b.place()+b.bytes && b.place() < a.place()+a.bytes
}

// place is where a value starts, in its store once it has one, before that in its root.
func (v *value) place() int {
	if v.store != nil {
		return v.at
	}
	return v.offset
}

// assign gives every value a store: its own, or that of an input that it may overwrite.
func (p *program) assign(fixed func(*value) (mem []byte, ok bool)) []*store {
	var stores []*store
	for _, s := range p.steps {
		v := s.value
		if !p.join(s) {
			v.store = &store{bytes: v.bytes, first: s.begin(), last: s.index}
			stores = append(stores, v.store)
		}
		st := v.store
		if v.pinned {
			mem, ok := fixed(v)
			st.fixed, st.own = mem, !ok
		}
		for _, m := range p.family(v) {
			m.store, m.at = st, v.at+m.offset
			st.values = append(st.values, m)
			st.last = max(st.last, m.last)
		}
		if v.pinned {
			st.last = len(p.steps)
		}
	}
	return stores
}

// join puts the output of s into the memory of an input where that is allowed.
func (p *program) join(s *step) bool {
	v := s.value
	candidates := s.inPlace()
	if s.add {
		candidates = []int{len(s.in) - 1}
	}
	for _, i := range candidates {
		in := s.in[i]
		if in.store == nil || in.bytes != v.bytes || in.store.fixed != nil || in.store.own {
			continue
		}
		if !p.free(s, i) {
			continue
		}
		if v.pinned && (in.at != 0 || in.store.bytes != v.bytes) {
			// A kept value lives in memory of its own, which must be all of the store.
			continue
		}
		v.store, v.at = in.store, in.at
		return true
	}
	return false
}

// free says whether nothing but s reads the memory of its i-th input any more, and s reads it by that input only.
func (p *program) free(s *step, i int) bool {
	in := s.in[i]
	for _, m := range in.store.values {
		if m == in || !overlap(m, in) {
			continue
		}
		for _, u := range m.uses {
			if u.index >= s.begin() {
				return false
			}
		}
	}
	for _, u := range in.uses {
		if u != s && u.index >= s.begin() {
			return false
		}
	}
	n := 0
	for _, o := range s.in {
		if o == in {
			n++
		}
	}
	return n == 1
}

// place assigns offsets in the arena to stores that are not fixed, largest first, each at the lowest place that is free
// for as long as it lives (Pisarchyk & Lee 2020, greedy by size), and returns the arena's size.
func place(stores []*store) int {
	var todo, placed []*store
	for _, st := range stores {
		if st.fixed == nil && !st.own {
			todo = append(todo, st)
		}
	}
	slices.SortStableFunc(todo, func(a, b *store) int { return cmp.Compare(b.bytes, a.bytes) })
	total := 0
	for _, st := range todo {
		at := 0
		for _, o := range placed { // by offset
			if o.first > st.last || st.first > o.last {
				continue
			}
			if at+st.bytes <= o.offset {
				break
			}
			at = max(at, alignUp(o.offset+o.bytes))
		}
		st.offset = at
		total = max(total, at+st.bytes)
		i, _ := slices.BinarySearchFunc(placed, at, func(o *store, at int) int { return cmp.Compare(o.offset, at) })
		placed = slices.Insert(placed, i, st)
	}
	return total
}
