// Package tensorop holds the general operators of ONNX on tensors (elementwise arithmetic with broadcasting, reductions,
// data movement, indexing) as operators of a gorgonia.ExprGraph with symbolic gradients. The fused operators that
// training spends its time in are in package op; here is everything else a graph may contain.
//
// An operator is specialised to the element types and shapes of its operands when it is created, so strides, broadcasting
// plans and index maps are computed once. Like those of package op, every operator is an op.Kernel: it computes on
// contiguous row-major memory into an output that it is given.
//
// What must hold: the name of an operator spells all its attributes; name, operand types and operand shapes together are
// its identity, because gorgonia merges nodes of equal hash.
package tensorop

import (
	"errors"
	"fmt"
	"hash"
	"hash/fnv"
	"slices"
	"unsafe"

	"github.com/chewxy/hm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ftk-go/ftk/internal/op"
)

// Kernel computes an operator: out is contiguous, of the operator's output shape, and may hold garbage.
type Kernel func(out *tensor.Dense, in []*tensor.Dense) error

// Gradient builds the gradients of an operator's output with regard to its inputs as nodes, one for each input; nil for
// an input that is not differentiable.
type Gradient func(in G.Nodes, out, grad *G.Node) (G.Nodes, error)

// Op is an operator specialised to the types and shapes of its operands. It implements op.Kernel (a gorgonia.SDOp) and
// gorgonia.UsePreallocDoer.
type Op struct {
	name  string
	in    []operand
	ids   []int64 // of the operands' nodes, see op.Base.WriteHash
	out   operand
	run   Kernel
	wrt   []bool // which inputs it is differentiable in
	grad  Gradient
	reuse []int // inputs whose memory the output may take
}

type operand struct {
	dtype tensor.Dtype
	shape tensor.Shape
}

func (o operand) hmType() hm.Type {
	if len(o.shape) == 0 {
		return o.dtype
	}
	return G.TensorType{Dims: len(o.shape), Of: o.dtype}
}

func (o operand) String() string { return fmt.Sprintf("%v%v", o.dtype, []int(o.shape)) }

// spec is what an operator of this package is made of; define turns it into a node.
type spec struct {
	name  string // operator and attributes
	dtype tensor.Dtype
	shape tensor.Shape
	run   Kernel
	grad  Gradient // nil: not differentiable
	wrt   []int    // inputs it is differentiable in; nil with a grad: all float inputs
	alias bool     // the output is input 0's memory under another shape
	reuse []int    // inputs whose memory the output may take, element by element
}

// define applies an operator to its operands.
func define(s spec, in ...*G.Node) (*G.Node, error) {
	o := &Op{name: s.name, out: operand{s.dtype, s.shape}, run: s.run, grad: s.grad, reuse: s.reuse}
	o.wrt = make([]bool, len(in))
	for i, n := range in {
		o.in = append(o.in, operand{n.Dtype(), n.Shape().Clone()})
		o.ids = append(o.ids, n.ID())
		o.wrt[i] = s.grad != nil && isFloat(n.Dtype()) && (s.wrt == nil || slices.Contains(s.wrt, i))
	}
	var g G.Op = o
	if s.alias {
		g = view{o}
	}
	n, err := G.ApplyOp(g, in...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	return n, nil
}

// Arity is the number of inputs.
func (o *Op) Arity() int { return len(o.in) }

// Type is the function type from the operands' types to the result's.
func (o *Op) Type() hm.Type {
	ts := make([]hm.Type, 0, len(o.in)+1)
	for _, in := range o.in {
		ts = append(ts, in.hmType())
	}
	return hm.NewFnType(append(ts, o.out.hmType())...)
}

// InferShape gives the output's shape, known since the operator was created.
func (o *Op) InferShape(...G.DimSizer) (tensor.Shape, error) { return o.out.shape.Clone(), nil }

// ReturnsPtr says that results are pointers.
func (o *Op) ReturnsPtr() bool { return true }

// CallsExtern says that no foreign code is called.
func (o *Op) CallsExtern() bool { return false }

// OverwritesInput says that no input is overwritten; a machine that plans memory asks InPlace instead.
func (o *Op) OverwritesInput() int { return -1 }

// WriteHash writes the operator's identity, as op.Base.WriteHash does.
func (o *Op) WriteHash(h hash.Hash) { fmt.Fprintf(h, "ftk/%s%v%v%d", o.name, o.in, o.out, o.ids) }

// Hashcode is the hash of WriteHash.
func (o *Op) Hashcode() uint32 {
	h := fnv.New32a()
	o.WriteHash(h)
	return h.Sum32()
}

// String names the operator and its attributes.
func (o *Op) String() string { return o.name }

// DiffWRT tells which inputs the operator is differentiable in.
func (o *Op) DiffWRT(int) []bool { return slices.Clone(o.wrt) }

// SymDiff builds the gradient nodes.
func (o *Op) SymDiff(in G.Nodes, out, grad *G.Node) (G.Nodes, error) {
	if o.grad == nil {
		return nil, fmt.Errorf("%s is not differentiable", o.name)
	}
	return o.grad(in, out, grad)
}

// Run computes the operator into out.
func (o *Op) Run(out *tensor.Dense, in []*tensor.Dense) error { return o.run(out, in) }

// InPlace lists the inputs whose memory the output may take.
func (o *Op) InPlace() []int { return o.reuse }

// Do computes the operator into a new tensor.
func (o *Op) Do(vs ...G.Value) (G.Value, error) { return o.UsePreallocDo(nil, vs...) }

// UsePreallocDo computes the operator into prealloc where that is a tensor of the right type and shape.
func (o *Op) UsePreallocDo(prealloc G.Value, vs ...G.Value) (G.Value, error) {
	if len(vs) != len(o.in) {
		return nil, fmt.Errorf("%s: %d inputs, want %d", o.name, len(vs), len(o.in))
	}
	in := make([]*tensor.Dense, len(vs))
	for i, v := range vs {
		d, err := op.Dense(v)
		if err != nil {
			return nil, fmt.Errorf("%s: input %d: %w", o.name, i, err)
		}
		if d.Dtype() != o.in[i].dtype || size(d.Shape()) != size(o.in[i].shape) {
			return nil, fmt.Errorf("%s: input %d is %v%v, want %v", o.name, i, d.Dtype(), d.Shape(), o.in[i])
		}
		in[i] = d
	}
	out, ok := prealloc.(*tensor.Dense)
	if !ok || out.Dtype() != o.out.dtype || !slices.Equal(out.Shape(), o.out.shape) || out.RequiresIterator() || len(o.out.shape) == 0 {
		out = NewDense(o.out.dtype, o.out.shape)
	}
	if err := o.run(out, in); err != nil {
		return nil, fmt.Errorf("%s: %w", o.name, err)
	}
	if len(o.out.shape) == 0 && o.out.dtype == tensor.Float32 {
		return G.NewF32(values[float32](out)[0]), nil
	}
	return out, nil
}

// NewDense allocates a tensor of zeros; unlike tensor.New it takes shapes with an axis of size 0.
func NewDense(dt tensor.Dtype, shape tensor.Shape) *tensor.Dense {
	n := size(shape)
	if n == 0 {
		return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(makeSlice(dt, 0)))
	}
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(makeSlice(dt, n)))
}

func makeSlice(dt tensor.Dtype, n int) any {
	switch dt {
	case tensor.Float32:
		return make([]float32, n)
	case tensor.Float64:
		return make([]float64, n)
	case tensor.Int64:
		return make([]int64, n)
	case tensor.Int32:
		return make([]int32, n)
	case tensor.Int16:
		return make([]int16, n)
	case tensor.Int8:
		return make([]int8, n)
	case tensor.Uint64:
		return make([]uint64, n)
	case tensor.Uint32:
		return make([]uint32, n)
	case tensor.Uint16:
		return make([]uint16, n)
	case tensor.Uint8:
		return make([]uint8, n)
	default:
		return make([]bool, n)
	}
}

// values is a contiguous tensor's memory.
func values[T any](d *tensor.Dense) []T {
	n := size(d.Shape())
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(d.Uint8s()))), n) // Uint8s is the tensor's raw memory
}

// size is the number of elements of a shape: 1 for rank 0.
func size(s []int) int {
	n := 1
	for _, d := range s {
		n *= d
	}
	return n
}

func isFloat(dt tensor.Dtype) bool { return dt == tensor.Float32 || dt == tensor.Float64 }

type float interface{ ~float32 | ~float64 }

type integer interface {
	~int64 | ~int32 | ~int16 | ~int8 | ~uint64 | ~uint32 | ~uint16 | ~uint8
}

type number interface{ float | integer }

// ErrType is wrapped by errors about element types that an operator does not take.
var ErrType = errors.New("unsupported element type")

func typeError(name string, dts ...tensor.Dtype) error {
	return fmt.Errorf("%s of %v: %w", name, dts, ErrType)
}

// view is an operator whose output is its input's memory under another shape.
type view struct{ *Op }

// Alias says that the output is input 0 from its first element (op.Aliaser): a machine need not run it.
func (view) Alias() (input, offset int) { return 0, 0 }
