package vm

import (
	"errors"
	"fmt"
	"math"

	"gorgonia.org/tensor"
)

// NonFinite is a place where a NaN or an infinity first appeared.
type NonFinite struct {
	Node  string  // name of the node
	Op    string  // its operator; "input" for an input
	Index int     // which element
	Value float32 // NaN, +Inf or -Inf
}

// Error says where.
func (e *NonFinite) Error() string {
	return fmt.Sprintf("node %s (%s): element %d is %v", e.Node, e.Op, e.Index, e.Value)
}

// CheckFinite runs the program once more and finds the first value, inputs before steps in order of execution, that has
// a NaN, or an infinity that is not among its inputs already (masks have those); nil if there is none. Values of inputs
// must be as they were for the run in question; weights must not have been updated since.
func (m *Machine) CheckFinite() (*NonFinite, error) {
	if m.closed {
		return nil, fmt.Errorf("vm: the machine is closed")
	}
	m.arena.mu.Lock()
	defer m.arena.mu.Unlock()
	if err := m.bind(); err != nil {
		return nil, err
	}
	for _, v := range m.external {
		if i, ok := firstBad(v.dense, true); ok {
			return &NonFinite{Node: v.node.Name(), Op: "input", Index: i, Value: v.dense.Float32s()[i]}, nil
		}
	}
	m.watch = func(s *step) error {
		infinite := false
		for _, in := range s.in {
			_, bad := firstBad(in.dense, false)
			infinite = infinite || bad
		}
		if i, ok := firstBad(s.value.dense, infinite); ok {
			return &NonFinite{Node: s.node.Name(), Op: s.name, Index: i, Value: s.value.dense.Float32s()[i]}
		}
		return nil
	}
	defer func() { m.watch = nil }()
	err := m.run()
	var bad *NonFinite
	if errors.As(err, &bad) {
		return bad, nil
	}
	return nil, err
}

// firstBad finds a NaN or, unless they are allowed, an infinity.
func firstBad(d *tensor.Dense, infinities bool) (int, bool) {
	if d.Dtype() != tensor.Float32 {
		return 0, false
	}
	for i, x := range d.Float32s() {
		if x != x || !infinities && x-x != 0 {
			return i, true
		}
	}
	return 0, false
}

// poisonAll makes the arena and the kept values unreadable before a run.
func (m *Machine) poisonAll() {
	poison(m.arena.mem[:m.size])
	for _, st := range m.stores {
		if st.own {
			poison(st.fixed)
		}
	}
}

// poisonDead makes unreadable what step i was the last to need.
func (m *Machine) poisonDead(i int) {
	for _, st := range m.stores {
		if st.last == i && st.fixed == nil {
			poison(m.arena.mem[st.offset : st.offset+st.bytes])
		}
	}
}

// poison writes bytes that are a NaN as float32 and float64, and a large negative number as an integer.
func poison(mem []byte) {
	if len(mem)%4 != 0 {
		for i := range mem {
			mem[i] = 0xFF
		}
		return
	}
	nan := typed[float32](mem)
	for i := range nan {
		nan[i] = float32(math.NaN())
	}
}
