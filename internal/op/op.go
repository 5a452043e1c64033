// Package op holds the fused operators that training runs on, as operators of a gorgonia.ExprGraph with symbolic
// gradients: linear layers, embeddings, layer normalisation, attention, losses.
//
// Every operator computes in float32 on contiguous row-major memory and is a Kernel: it writes into an output that it is
// given and allocates nothing, so that a planned machine (internal/vm) can decide where each result lives. The same
// operators implement gorgonia's Do and UsePreallocDo and so run on gorgonia.NewTapeMachine too.
//
// Gorgonia has no operators with several outputs. Where one pass yields several gradients (attention, layer
// normalisation) the operator's output is their concatenation as a vector, and Views take the parts out; a View costs
// nothing on internal/vm.
//
// What must hold: an operator's String (name and attributes) and operand types determine what it computes, since
// gorgonia merges nodes of equal hash; Run reads no input it may overwrite (see InPlacer) and fully defines its output,
// which may hold garbage before.
package op

import (
	"fmt"
	"hash"
	"hash/fnv"
	"strings"

	"github.com/chewxy/hm"
	"github.com/ftk-go/ftk/internal/blas"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Kernel is an operator that runs on preallocated memory.
type Kernel interface {
	G.SDOp
	// Run computes the operator on contiguous row-major tensors. out has the inferred shape and may hold garbage.
	Run(out *tensor.Dense, in []*tensor.Dense) error
}

// InPlacer is a Kernel whose output may share memory, element by element, with one of several inputs of the same size.
type InPlacer interface {
	// InPlace lists the inputs that may be overwritten, the preferred one first.
	InPlace() []int
}

// InPlace is the form of InPlacer for a single input; a negative number means none.
type InPlace interface{ InPlace() int }

// Aliaser is a Kernel whose output is a contiguous part of an input. A machine need not run it.
type Aliaser interface {
	// Alias gives the input and where in it, in elements, the output starts.
	Alias() (input, offset int)
}

// Accumulator is a Kernel that can add its result to another tensor, which saves a buffer and a pass where gradients are
// summed and residuals added.
type Accumulator interface {
	// RunAdd is out = base + result. base is out itself (in place), or has out's shape and other memory.
	RunAdd(out, base *tensor.Dense, in []*tensor.Dense) error
}

// Producer is a Kernel that can say, while it runs, which parts of its result are done, so that the operator after it
// finds them in the caches.
type Producer interface {
	// RunThen is Run with base nil, else Accumulator's RunAdd. Parts are of out as a matrix of rows of its last axis.
	RunThen(out, base *tensor.Dense, in []*tensor.Dense, then blas.Then) error
}

// Elementwise is a Kernel whose inputs all have its output's shape, and of which each element needs the same element of
// each of them only.
type Elementwise interface {
	// RunPart computes rows row to row+rows, columns col to col+cols, of out as a matrix of rows of its last axis. It may
	// be called by several goroutines at once.
	RunPart(out *tensor.Dense, in []*tensor.Dense, row, rows, col, cols int)
}

// Rowwise is a Kernel of which each row needs the same row of its first input only, whose shape is its output's, besides
// inputs that are the same for all rows.
type Rowwise interface {
	// RunWholeRows computes rows row to row+rows of out as a matrix of rows of its last axis. It may be called by several
	// goroutines at once.
	RunWholeRows(out *tensor.Dense, in []*tensor.Dense, row, rows int)
}

// Recomputable is a Kernel so cheap, next to the memory that its output takes, that a machine may run it again when the
// output is needed a second time much later (activations, between the forward pass and its gradient).
type Recomputable interface{ Recomputable() }

// Operand is the type of one input of an operator.
type Operand struct {
	Type tensor.Dtype
	Dims int
}

// Base carries what every operator has in common; concrete operators embed it. Create it with NewBase.
type Base struct {
	name string // with attributes
	in   []Operand
	out  Operand
	ids  []int64 // of the operands' nodes, see WriteHash
}

// NewBase describes an operator: its name, its attributes (all of them: they are its identity), the inputs it will be
// applied to, and the rank of its float32 output.
func NewBase(name, attrs string, inputs G.Nodes, outDims int) Base {
	b := Base{name: name, out: Operand{tensor.Float32, outDims}}
	if attrs != "" {
		b.name += "{" + attrs + "}"
	}
	for _, n := range inputs {
		b.in = append(b.in, Operand{Type: n.Dtype(), Dims: n.Dims()})
		b.ids = append(b.ids, n.ID())
	}
	return b
}

// Name is the operator's name without attributes, for profiles.
func (b *Base) Name() string {
	name, _, _ := strings.Cut(b.name, "{")
	return name
}

// Arity is the number of inputs.
func (b *Base) Arity() int { return len(b.in) }

// Type is the function type of the operator, with the operands' ranks.
func (b *Base) Type() hm.Type {
	ts := make([]hm.Type, 0, len(b.in)+1)
	for _, o := range b.in {
		ts = append(ts, typeOf(o))
	}
	ts = append(ts, typeOf(b.out))
	return hm.NewFnType(ts...)
}

func typeOf(o Operand) hm.Type {
	if o.Dims == 0 {
		return o.Type
	}
	return G.TensorType{Dims: o.Dims, Of: o.Type}
}

// ReturnsPtr says that results are passed by reference.
func (b *Base) ReturnsPtr() bool { return true }

// CallsExtern is false: BLAS is called, but nothing that gorgonia would have to prepare for.
func (b *Base) CallsExtern() bool { return false }

// OverwritesInput is -1: on gorgonia's own machines no operator works in place.
func (b *Base) OverwritesInput() int { return -1 }

// WriteHash writes the operator's identity: name, attributes, operand types, and
// which nodes the operands are. Gorgonia takes nodes whose hashes are equal for
// the same if their operators' are, too, without a look at the operands: of 32
// bits one alone is equal by chance too often.
func (b *Base) WriteHash(h hash.Hash) { fmt.Fprintf(h, "ftk.%s %v %d %d", b.name, b.in, b.out, b.ids) }

// Hashcode is the hash of the operator's identity.
func (b *Base) Hashcode() uint32 {
	h := fnv.New32a()
	b.WriteHash(h)
	return h.Sum32()
}

// String is the operator's name with attributes.
func (b *Base) String() string { return b.name }

// noGrad is embedded, after Base, by operators that are not differentiable any further (gradients themselves).
type noGrad struct{}

func (noGrad) DiffWRT(inputs int) []bool { return make([]bool, inputs) }

func (noGrad) SymDiff(inputs G.Nodes, output, grad *G.Node) (G.Nodes, error) {
	return nil, fmt.Errorf("%v has no gradient (second derivatives are not supported)", output.Op())
}

// Apply adds a node that applies k to the inputs.
func Apply(k Kernel, inputs ...*G.Node) (*G.Node, error) {
	shapes := make([]G.DimSizer, len(inputs))
	for i, n := range inputs {
		shapes[i] = n.Shape()
	}
	// Gorgonia would wrap the shape error in its type inference; check first so that the message stays short.
	if _, err := k.InferShape(shapes...); err != nil {
		return nil, err
	}
	return G.ApplyOp(k, inputs...)
}

// Shapes converts what InferShape is given.
func Shapes(k G.Op, in []G.DimSizer) ([]tensor.Shape, error) {
	if len(in) != k.Arity() {
		return nil, fmt.Errorf("%v: %d inputs, want %d", k, len(in), k.Arity())
	}
	shapes, err := G.DimSizersToShapes(in)
	if err != nil {
		return nil, fmt.Errorf("%v: %w", k, err)
	}
	return shapes, nil
}

// sameGraph reports missing or foreign nodes before gorgonia panics on them.
func sameGraph(name string, nodes ...*G.Node) error {
	for i, n := range nodes {
		if n == nil {
			return fmt.Errorf("%s: input %d is missing", name, i)
		}
		if n.Graph() == nil || n.Graph() != nodes[0].Graph() {
			return fmt.Errorf("%s: input %d (%s) is not in the same graph as input 0", name, i, n.Name())
		}
	}
	return nil
}

// wantType reports inputs of another dtype.
func wantType(name string, dt tensor.Dtype, nodes ...*G.Node) error {
	for _, n := range nodes {
		if n.Dtype() != dt {
			return fmt.Errorf("%s: %s is %v, want %v", name, n.Name(), n.Dtype(), dt)
		}
	}
	return nil
}
