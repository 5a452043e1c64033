// Package vm executes expression graphs in memory planned beforehand.
//
// A Machine is compiled once from a graph: the steps that the kept nodes need, in order; from the lifetimes of their
// results a place for each in an arena, so that memory is used again as soon as nothing reads it any more; results that
// are parts of others (op.View) as aliases; elementwise operators in place; sums of gradients as accumulation. A run
// then neither allocates nor plans. Machines for graphs of other shapes share the arena.
//
// Operators that are no op.Kernel (gorgonia's own) run by their Do and allocate what they like.
package vm

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/ftk-go/ftk/internal/op"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Options of New.
type Options struct {
	// Keep lists the nodes whose values are wanted: node.Value() gives them after RunAll, until the next one. Only what
	// they need is executed. Kept values live in memory of their own, not in the arena.
	Keep G.Nodes
	// Outputs gives kept nodes the memory to write their (float32) values to, typically gradients to buffers that all
	// machines share. A node in Outputs need not be in Keep.
	Outputs map[*G.Node][]float32
	// Rows says of an output that is the gradient of an embedding that its buffer is zero but for these rows: only they
	// are cleared, and the set is brought up to date. It must be shared by all machines that write to the buffer.
	// The gradient of a table that is used otherwise too is computed in full, and all its rows are put in.
	Rows map[*G.Node]*op.Rows
	// Accumulate makes SetAccumulate possible, which may take some more memory.
	Accumulate bool
	// Recompute runs cheap operators (op.Recomputable) again rather than keep their results from the forward pass for
	// the gradient: about a third less memory for a transformer, for some percent of time.
	Recompute bool
	// Arena is the memory to compute in; nil for one of the machine's own.
	Arena *Arena
	// Poison fills memory with NaN when its value dies, and before it is written: a wrong plan then shows in the results.
	Poison bool
	// Profile measures each step; see Machine.Profile.
	Profile bool
}

// Machine runs one graph. It implements gorgonia.VM. It is not safe for concurrent use; machines that share an arena
// wait for each other.
type Machine struct {
	program *program
	options Options
	arena   *Arena
	size    int // needed of the arena, in bytes
	stores  []*store

	external []*value // inputs and constants
	bound    bool
	closed   bool
	cancel   atomic.Bool
	pc       int

	waited time.Duration
	adding bool              // to outputs, see SetAccumulate
	watch  func(*step) error // called after each step
}

var _ G.VM = (*Machine)(nil)

// New compiles a machine. Input nodes need no values yet.
func New(g *G.ExprGraph, o Options) (m *Machine, err error) {
	defer func() {
		if r := recover(); r != nil {
			m, err = nil, fmt.Errorf("vm: compiling the graph: %v", r)
		}
	}()
	keep := append(G.Nodes{}, o.Keep...)
	for n := range o.Outputs {
		keep = append(keep, n)
	}
	if len(keep) == 0 {
		return nil, fmt.Errorf("vm: no nodes to keep")
	}
	p, err := build(g, keep)
	if err != nil {
		return nil, err
	}
	for _, n := range keep {
		p.byNode[n].pinned = !p.byNode[n].external
	}
	for n, mem := range o.Outputs {
		v := p.byNode[n]
		if v.dtype != tensor.Float32 || v.bytes != 4*len(mem) {
			return nil, fmt.Errorf("vm: output %s is %v %v, its memory has %d float32", n.Name(), v.dtype, v.shape, len(mem))
		}
		if v.external {
			return nil, fmt.Errorf("vm: output %s is an input of the graph", n.Name())
		}
	}
	p.alias()
	p.number()
	p.fuse()
	if o.Recompute {
		p.recompute()
	}
	if o.Accumulate {
		p.separate(o.Outputs)
	}
	for n, rows := range o.Rows {
		v := p.byNode[n]
		if v == nil || !v.pinned || len(v.shape) == 0 {
			return nil, fmt.Errorf("vm: rows are given for %s, which is no output", n.Name())
		}
		p.steps[v.def].rows = rows
	}
	p.follow()
	m = &Machine{program: p, options: o, arena: o.Arena}
	m.stores = p.assign(func(v *value) ([]byte, bool) {
		mem, ok := o.Outputs[v.node]
		return bytesOf(mem), ok
	})
	m.size = place(m.stores)
	for _, st := range m.stores {
		if st.own {
			st.fixed = alignedBytes(st.bytes)
		}
	}
	for _, v := range p.values {
		if v.external {
			m.external = append(m.external, v)
		}
	}
	if m.arena == nil {
		m.arena = &Arena{}
	}
	m.arena.join(m)
	return m, nil
}

// RunAll executes the program with the values that the input nodes have now.
//
// The first failing step ends it; its error, or panic, comes back with the node's name. Cancel ends it too.
func (m *Machine) RunAll() error {
	if m.closed {
		return fmt.Errorf("vm: the machine is closed")
	}
	begin := time.Now()
	m.arena.mu.Lock()
	defer m.arena.mu.Unlock()
	m.waited = time.Since(begin)
	if err := m.bind(); err != nil {
		return err
	}
	if m.options.Poison {
		m.poisonAll()
	}
	return m.run()
}

// SetAccumulate makes the runs that follow add to the memory of Options.Outputs, or overwrite it again: for gradients of
// a batch in several pieces. Options.Accumulate must have been set. Other kept nodes are not affected.
func (m *Machine) SetAccumulate(on bool) error {
	if on && !m.options.Accumulate {
		return fmt.Errorf("vm: the machine was compiled without Accumulate")
	}
	m.adding = on
	return nil
}

func (m *Machine) run() (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = m.failed(fmt.Errorf("panic: %v", r))
		}
	}()
	for i, s := range m.program.steps {
		if m.cancel.Load() {
			m.cancel.Store(false)
			return ErrCanceled
		}
		m.pc = i
		var begin time.Time
		if m.options.Profile {
			begin = time.Now()
		}
		if err := s.run(m.adding, m.watch == nil); err != nil {
			return m.failed(err)
		}
		if m.options.Profile && s.within == nil {
			s.nanos += int64(time.Since(begin))
			s.calls++
		}
		if m.watch != nil {
			if err := m.watch(s); err != nil {
				return err
			}
		}
		if m.options.Poison {
			m.poisonDead(i)
		}
	}
	return nil
}

// failed names the step that an error comes from.
func (m *Machine) failed(err error) error {
	s := m.program.steps[m.pc]
	shapes := make([]tensor.Shape, len(s.in))
	for i, in := range s.in {
		shapes[i] = in.shape
	}
	name := s.name
	if s.then != nil {
		name += ", " + s.then.name
	}
	return fmt.Errorf("vm: node %s (%s), inputs %v: %w", s.node.Name(), name, shapes, err)
}

// ErrCanceled is what RunAll returns when Cancel was called.
var ErrCanceled = fmt.Errorf("vm: canceled")

// Cancel makes a RunAll under way, or else the next one, return ErrCanceled before its next step. It may be called from
// another goroutine.
func (m *Machine) Cancel() { m.cancel.Store(true) }

// Reset forgets a cancellation. It may be called at any time between runs; it does not touch values.
func (m *Machine) Reset() { m.cancel.Store(false) }

// Close lets go of the machine's memory. The values of kept nodes remain readable.
func (m *Machine) Close() error {
	if !m.closed {
		m.closed = true
		m.arena.leave(m)
		m.unbind()
	}
	return nil
}

// Waited is how long the last run waited for another machine to be done with the arena.
func (m *Machine) Waited() time.Duration { return m.waited }

// PlannedBytes is how much of the arena the machine needs.
func (m *Machine) PlannedBytes() int { return m.size }

// UnplannedBytes is what its values would need if each had memory of its own.
func (m *Machine) UnplannedBytes() int {
	n := 0
	for _, s := range m.program.steps {
		if !s.value.pinned {
			n += s.value.bytes
		}
	}
	return n
}

// Steps is the number of operators that a run executes.
func (m *Machine) Steps() int { return len(m.program.steps) }

// run executes a step; adding says that outputs are to be added to, together that steps that follow each other part by
// part do so.
func (s *step) run(adding, together bool) error {
	if together && s.within != nil {
		return nil
	}
	if together && s.then != nil {
		return s.runWithin()
	}
	if s.rows != nil {
		if k, ok := s.kernel.(op.RowWriter); ok && !s.add {
			return k.RunRows(s.value.dense, s.args, s.rows, adding)
		}
		s.rows.AddAll(s.value.shape[0])
	}
	switch {
	case s.kernel == nil:
		return s.runForeign()
	case adding && s.output:
		return s.kernel.(op.Accumulator).RunAdd(s.value.dense, s.value.dense, s.args)
	case s.add:
		return s.kernel.(op.Accumulator).RunAdd(s.value.dense, s.base, s.args)
	default:
		return s.kernel.Run(s.value.dense, s.args)
	}
}
