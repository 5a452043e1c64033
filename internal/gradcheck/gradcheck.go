// Package gradcheck tests operators of a gorgonia graph: symbolic gradients against finite differences, and the planned
// machine against gorgonia's own.
package gradcheck

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/ftk-go/ftk/internal/op"
	"github.com/ftk-go/ftk/internal/vm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Input is an operand of the function under test. With neither F32 nor I64, Check fills in normally distributed numbers.
type Input struct {
	Name  string
	Shape tensor.Shape
	F32   []float32
	I64   []int64
	Const bool // float32, but not to be differentiated
}

func (in *Input) differentiable() bool { return in.I64 == nil && !in.Const }

// Case is a function under test. Its value may have any shape; what is differentiated is Σ value·Weights.
type Case struct {
	Inputs  []Input
	Build   func(in G.Nodes) (*G.Node, error)
	Weights []float32 // as many as the value has elements; nil: random
	Step    float64   // of the differences; 0: 1e-2
	Tol     float64   // relative to the largest gradient of an input; 0: 5e-3
	NoTape  bool      // do not compare with gorgonia's TapeMachine
}

// Result is a value and the gradient of Σ value·Weights with respect to each differentiable input, by name.
type Result struct {
	Shape tensor.Shape
	Value []float32
	Grads map[string][]float32
}

// Check evaluates the case on the planned machine (memory poisoned) and on gorgonia's, compares the two, compares the
// gradients with central differences, and returns what was computed, for comparisons with golden values.
func Check(t testing.TB, c Case) Result {
	t.Helper()
	c = c.filled()
	got, err := c.Eval(Planned)
	if err != nil {
		t.Fatal(err)
	}
	if !c.NoTape {
		want, err := c.Eval(Tape)
		if err != nil {
			t.Fatal(err)
		}
		if d := Distance(got.Value, want.Value); d > 1e-5 {
			t.Errorf("value: planned machine and TapeMachine differ by %.2g", d)
		}
		for name, g := range got.Grads {
			if d := Distance(g, want.Grads[name]); d > 1e-5 {
				t.Errorf("gradient of %s: planned machine and TapeMachine differ by %.2g", name, d)
			}
		}
	}
	if err := c.differences(got); err != nil {
		t.Error(err)
	}
	return got
}

// Distance is the largest difference of two vectors relative to the largest element of want; infinite for NaN or
// different lengths.
func Distance(got, want []float32) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	diff, scale := 0.0, 0.0
	for i := range want {
		d := math.Abs(float64(got[i]) - float64(want[i]))
		if math.IsNaN(d) || math.IsInf(d, 0) {
			return math.Inf(1)
		}
		diff, scale = max(diff, d), max(scale, math.Abs(float64(want[i])))
	}
	if diff == 0 {
		return 0
	}
	return diff / max(scale, 1e-3)
}

// filled is the case with what may be left out put in.
func (c Case) filled() Case {
	rng := rand.New(rand.NewPCG(1, 2))
	c.Inputs = append([]Input{}, c.Inputs...)
	for i := range c.Inputs {
		in := &c.Inputs[i]
		if in.F32 == nil && in.I64 == nil {
			in.F32 = make([]float32, in.Shape.TotalSize())
			for j := range in.F32 {
				in.F32[j] = float32(rng.NormFloat64())
			}
		}
	}
	if c.Weights == nil {
		_, _, value, err := c.graph()
		if err == nil {
			c.Weights = make([]float32, size(value.Shape()))
			for j := range c.Weights {
				c.Weights[j] = float32(rng.NormFloat64())
			}
		}
	}
	return c
}

// Machine makes a machine that keeps the given nodes.
type Machine func(g *G.ExprGraph, keep G.Nodes) (G.VM, error)

// Planned makes a vm.Machine with poisoned memory, Tape gorgonia's TapeMachine.
var (
	Planned Machine = func(g *G.ExprGraph, keep G.Nodes) (G.VM, error) {
		return vm.New(g, vm.Options{Keep: keep, Poison: true})
	}
	Tape Machine = func(g *G.ExprGraph, _ G.Nodes) (G.VM, error) { return G.NewTapeMachine(g), nil }
)

// graph builds the function on input nodes.
func (c Case) graph() (*G.ExprGraph, G.Nodes, *G.Node, error) {
	g := G.NewGraph()
	var nodes G.Nodes
	for _, in := range c.Inputs {
		var backing any = in.F32
		dt := tensor.Float32
		if in.I64 != nil {
			backing, dt = in.I64, tensor.Int64
		}
		if len(in.Shape) == 0 {
			nodes = append(nodes, G.NewScalar(g, dt, G.WithName(in.Name), G.WithValue(in.F32[0])))
			continue
		}
		nodes = append(nodes, G.NewTensor(g, dt, len(in.Shape), G.WithShape(in.Shape...), G.WithName(in.Name),
			G.WithValue(tensor.New(tensor.WithShape(in.Shape...), tensor.WithBacking(backing)))))
	}
	value, err := c.Build(nodes)
	return g, nodes, value, err
}

// Eval computes value and gradients.
func (c Case) Eval(machine Machine) (r Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	g, nodes, value, err := c.graph()
	if err != nil {
		return r, err
	}
	cost, err := c.cost(g, value)
	if err != nil {
		return r, err
	}
	var wrt G.Nodes
	var names []string
	for i, in := range c.Inputs {
		if in.differentiable() {
			wrt, names = append(wrt, nodes[i]), append(names, in.Name)
		}
	}
	var grads G.Nodes
	if len(wrt) > 0 {
		if grads, err = G.Grad(cost, wrt...); err != nil {
			return r, err
		}
	}
	m, err := machine(g, append(G.Nodes{value}, grads...))
	if err != nil {
		return r, err
	}
	defer m.Close()
	if err := m.RunAll(); err != nil {
		return r, err
	}
	r = Result{Shape: value.Shape(), Grads: map[string][]float32{}}
	if r.Value, err = floats(value); err != nil {
		return r, err
	}
	for i, n := range grads {
		if r.Grads[names[i]], err = floats(n); err != nil {
			return r, err
		}
	}
	return r, nil
}

// cost is Σ value·Weights as a scalar node.
func (c Case) cost(g *G.ExprGraph, value *G.Node) (*G.Node, error) {
	n := size(value.Shape())
	if n == 1 && c.Weights[0] == 1 {
		return op.Scalar(value)
	}
	w := G.NewMatrix(g, tensor.Float32, G.WithName("gradcheck.weights"), G.WithShape(n, 1),
		G.WithValue(tensor.New(tensor.WithShape(n, 1), tensor.WithBacking(c.Weights))))
	row, err := op.View(value, 0, 1, n)
	if err != nil {
		return nil, err
	}
	dot, err := op.MatMul(row, w, false, false)
	if err != nil {
		return nil, err
	}
	return op.Scalar(dot)
}

func floats(n *G.Node) ([]float32, error) {
	d, err := op.Dense(n.Value())
	if err != nil {
		return nil, fmt.Errorf("node %s: %w", n.Name(), err)
	}
	return append([]float32{}, d.Float32s()...), nil
}

func size(s tensor.Shape) int {
	n := 1
	for _, d := range s {
		n *= d
	}
	return n
}
