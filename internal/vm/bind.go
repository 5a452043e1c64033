package vm

import (
	"fmt"
	"slices"
	"unsafe"

	"github.com/ftk-go/ftk/internal/op"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// bind gives every value its tensor: those in the arena when it has moved, those from outside when they have changed.
func (m *Machine) bind() error {
	changed := !m.bound
	for _, v := range m.external {
		again, err := v.refresh()
		if err != nil {
			return fmt.Errorf("vm: input %s: %w", v.node.Name(), err)
		}
		changed = changed || again
	}
	if !changed {
		return nil
	}
	if !m.bound {
		if err := m.bindStores(); err != nil {
			return err
		}
	}
	for _, v := range m.program.values {
		if v.source != nil && v.source.external {
			mem := bytesOfDense(v.source.dense)
			var err error
			if v.dense, err = denseOf(v.dtype, v.shape, mem[v.offset:v.offset+v.bytes]); err != nil {
				return err
			}
		}
	}
	for _, s := range m.program.steps {
		s.bind()
	}
	m.bound = true
	return nil
}

func (m *Machine) bindStores() error {
	m.arena.reserve(m.size)
	for _, st := range m.stores {
		mem := st.fixed
		if mem == nil {
			mem = m.arena.mem[st.offset : st.offset+st.bytes]
		}
		for _, v := range st.values {
			var err error
			if v.dense, err = denseOf(v.dtype, v.shape, mem[v.at:v.at+v.bytes]); err != nil {
				return fmt.Errorf("vm: node %s: %w", v.node.Name(), err)
			}
			if !v.pinned {
				continue
			}
			if err := G.UnsafeLet(v.node, v.asValue()); err != nil {
				return fmt.Errorf("vm: node %s: %w", v.node.Name(), err)
			}
		}
	}
	return nil
}

// unbind drops every reference to the arena.
func (m *Machine) unbind() {
	for _, v := range m.program.values {
		if v.external || v.store != nil && v.store.fixed != nil {
			continue
		}
		v.dense = nil
	}
	for _, s := range m.program.steps {
		clear(s.args)
		clear(s.vals)
		s.base = nil
	}
	m.bound = false
}

// refresh takes the value that an input node has now and says whether its memory is another than before.
func (v *value) refresh() (changed bool, err error) {
	now := v.node.Value()
	if now == nil {
		return false, fmt.Errorf("no value was given (%v %v)", v.dtype, v.shape)
	}
	if v.dense != nil && now == v.bound && !v.copied {
		return false, nil
	}
	if now.Dtype() != v.dtype || !slices.Equal(now.Shape(), v.shape) {
		return false, fmt.Errorf("value is %v %v, want %v %v", now.Dtype(), now.Shape(), v.dtype, v.shape)
	}
	v.bound, v.copied = now, false
	d, ok := now.(*tensor.Dense)
	if !ok { // a gorgonia scalar
		v.dense, err = denseOf(v.dtype, v.shape, unsafe.Slice((*byte)(memory(now)), v.bytes))
		return true, err
	}
	v.dense, err = op.Dense(d)
	v.copied = v.dense != d
	return true, err
}

// asValue is the form in which gorgonia takes a value: a scalar of its own where the node's type is one.
func (v *value) asValue() G.Value {
	if v.external {
		return v.bound
	}
	if v.node.IsScalar() {
		p := memory(v.dense)
		switch v.dtype {
		case tensor.Float32:
			return (*G.F32)(p)
		case tensor.Float64:
			return (*G.F64)(p)
		case tensor.Int64:
			return (*G.I64)(p)
		case tensor.Int32:
			return (*G.I32)(p)
		case tensor.Int:
			return (*G.I)(p)
		case tensor.Uint8:
			return (*G.U8)(p)
		case tensor.Bool:
			return (*G.B)(p)
		}
	}
	return v.dense
}

func (s *step) bind() {
	in := s.in
	if s.add {
		in = s.in[:len(s.in)-1]
		s.base = s.in[len(s.in)-1].dense
	}
	if s.kernel != nil {
		s.args = s.args[:0]
		for _, v := range in {
			s.args = append(s.args, v.dense)
		}
		return
	}
	s.vals = s.vals[:0]
	for _, v := range in {
		s.vals = append(s.vals, v.asValue())
	}
}

// runForeign runs an operator of gorgonia's and copies the result to its place.
func (s *step) runForeign() error {
	res, err := s.op.Do(s.vals...)
	if err != nil {
		return err
	}
	if d, ok := res.(*tensor.Dense); ok {
		if d, err = op.Dense(d); err != nil {
			return err
		}
		res = d
	}
	if res == nil || res.Dtype() != s.value.dtype || int(res.MemSize()) != s.value.bytes {
		return fmt.Errorf("result is not %v %v", s.value.dtype, s.value.shape)
	}
	copy(bytesOfDense(s.value.dense), unsafe.Slice((*byte)(memory(res)), s.value.bytes))
	return nil
}

// denseOf makes a tensor on memory.
func denseOf(dt tensor.Dtype, shape tensor.Shape, mem []byte) (*tensor.Dense, error) {
	var backing any
	switch dt {
	case tensor.Float32:
		backing = typed[float32](mem)
	case tensor.Float64:
		backing = typed[float64](mem)
	case tensor.Int64:
		backing = typed[int64](mem)
	case tensor.Int32:
		backing = typed[int32](mem)
	case tensor.Int:
		backing = typed[int](mem)
	case tensor.Int16:
		backing = typed[int16](mem)
	case tensor.Int8:
		backing = typed[int8](mem)
	case tensor.Uint64:
		backing = typed[uint64](mem)
	case tensor.Uint32:
		backing = typed[uint32](mem)
	case tensor.Uint16:
		backing = typed[uint16](mem)
	case tensor.Uint8:
		backing = mem
	case tensor.Bool:
		backing = typed[bool](mem)
	default:
		return nil, fmt.Errorf("values of dtype %v are not supported", dt)
	}
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(backing)), nil
}

func typed[T any](mem []byte) []T {
	var zero T
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(mem))), len(mem)/int(unsafe.Sizeof(zero)))
}

func bytesOf(x []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 4*len(x))
}

func bytesOfDense(d *tensor.Dense) []byte {
	return unsafe.Slice((*byte)(memory(d)), d.MemSize())
}

// memory is where a value's data begins.
func memory(v G.Value) unsafe.Pointer {
	if d, ok := v.(*tensor.Dense); ok {
		switch d.Dtype() {
		case tensor.Float32:
			return unsafe.Pointer(unsafe.SliceData(d.Float32s()))
		case tensor.Float64:
			return unsafe.Pointer(unsafe.SliceData(d.Float64s()))
		case tensor.Int64:
			return unsafe.Pointer(unsafe.SliceData(d.Int64s()))
		case tensor.Int32:
			return unsafe.Pointer(unsafe.SliceData(d.Int32s()))
		case tensor.Int:
			return unsafe.Pointer(unsafe.SliceData(d.Ints()))
		case tensor.Bool:
			return unsafe.Pointer(unsafe.SliceData(d.Bools()))
		default: // Uint8s is the memory of a tensor of any type
			return unsafe.Pointer(unsafe.SliceData(d.Uint8s()))
		}
	}
	switch x := v.(type) {
	case *G.F32:
		return unsafe.Pointer(x)
	case *G.F64:
		return unsafe.Pointer(x)
	case *G.I64:
		return unsafe.Pointer(x)
	case *G.I32:
		return unsafe.Pointer(x)
	case *G.I:
		return unsafe.Pointer(x)
	case *G.U8:
		return unsafe.Pointer(x)
	case *G.B:
		return unsafe.Pointer(x)
	}
	panic(fmt.Sprintf("values of type %T and dtype %v are not supported", v, v.Dtype()))
}
