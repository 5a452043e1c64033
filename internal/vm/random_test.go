package vm_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/ftk-go/ftk/internal/gradcheck"
	"github.com/ftk-go/ftk/internal/op"
	"github.com/ftk-go/ftk/internal/vm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// randomGraph builds a graph of operators drawn at random on 4×4 matrices, with values used again at random, and its
// gradients. The same seed gives the same graph.
func randomGraph(seed uint64) (g *G.ExprGraph, keep G.Nodes, outputs G.Nodes) {
	const n = 4
	rng := rand.New(rand.NewPCG(seed, 9))
	g = G.NewGraph()
	var inputs, values G.Nodes
	for i := range 3 {
		data := make([]float32, n*n)
		for j := range data {
			data[j] = float32(rng.NormFloat64()) / 2
		}
		inputs = append(inputs, input(g, fmt.Sprint("x", i), data, n, n))
	}
	row := input(g, "row", []float32{1, .5, 2, -1}, n)
	ids := input(g, "ids", []int64{3, 1, 1, 0}, n)
	values = append(values, inputs...)
	pick := func() *G.Node { return values[max(0, len(values)-1-rng.IntN(6))] }
	for range 6 + rng.IntN(14) {
		a, b := pick(), pick()
		var v *G.Node
		switch rng.IntN(11) {
		case 0, 1:
			v = must(op.Add(a, b))
		case 2:
			v = must(op.Mul(a, must(op.Activate(b, op.Tanh))))
		case 3:
			v = must(op.Linear(must(op.Activate(a, op.Sigmoid)), b, row, op.LinearOptions{TransW: rng.IntN(2) == 0, Act: op.Tanh}))
		case 4:
			v = must(op.MatMul(a, must(op.Activate(b, op.Tanh)), false, rng.IntN(2) == 0))
		case 5:
			v = must(op.Gelu(a, false))
		case 6:
			v = must(op.LayerNorm(a, row, nil, .1))
		case 7:
			v = must(op.AddRow(a, must(op.SumRows(must(op.Activate(b, op.Tanh))))))
		case 8: // parts
			v = must(op.AddRow(a, must(op.View(b, rng.IntN(n*n-n+1), n))))
		case 9:
			v = must(op.Embedding(a, ids))
		case 10:
			v = must(G.Add(a, b))
		}
		values = append(values, v)
	}
	last := must(op.Reshape(values[len(values)-1], n*n))
	for _, x := range inputs {
		last = must(op.Add(last, must(op.Reshape(x, -1)))) // so that every input has a gradient
	}
	logits := must(op.Reshape(last, n, n))
	loss := must(op.CrossEntropy(logits, ids, 0))
	grads, err := G.Grad(loss, inputs...)
	if err != nil {
		panic(err)
	}
	for _, v := range values[len(inputs):] {
		if rng.IntN(5) == 0 {
			keep = append(keep, v)
		}
	}
	return g, append(keep, loss, logits), grads
}

// evaluate runs every node of a graph by its Do, in order of creation, and keeps everything. (TapeMachine would not do
// for values in between: gorgonia's Add overwrites its operand.)
func evaluate(t *testing.T, g *G.ExprGraph) map[*G.Node]*tensor.Dense {
	values := map[*G.Node]*tensor.Dense{}
	for _, n := range g.AllNodes() {
		v := n.Value()
		if it := g.From(n.ID()); it.Len() > 0 {
			var in []G.Value
			for it.Next() {
				c := it.Node().(*G.Node)
				if c.IsScalar() {
					in = append(in, G.NewF32(values[c].Float32s()[0]))
				} else {
					in = append(in, values[c])
				}
			}
			var err error
			if v, err = n.Op().Do(in...); err != nil {
				t.Fatal(err)
			}
		}
		d, err := op.Dense(v)
		if err != nil {
			t.Fatal(err)
		}
		values[n] = d
	}
	return values
}

// TestRandomGraphs: whatever the planner does, in poisoned memory and with all options, the values are those of an
// evaluation without a plan.
func TestRandomGraphs(t *testing.T) {
	for seed := range uint64(300) {
		g, keep, grads := randomGraph(seed)
		values := evaluate(t, g)
		var want [][]float32
		for _, n := range append(keep, grads...) {
			want = append(want, values[n].Float32s())
		}

		g, keep, grads = randomGraph(seed)
		o := vm.Options{Keep: keep, Outputs: map[*G.Node][]float32{}, Poison: true, Recompute: seed%2 == 1, Accumulate: seed%3 == 1}
		for _, n := range grads {
			o.Outputs[n] = make([]float32, n.Shape().TotalSize())
		}
		m, err := vm.New(g, o)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for range 2 {
			run(t, m)
			for i, n := range append(keep, grads...) {
				got, err := op.Dense(n.Value())
				if err != nil {
					t.Fatal(err)
				}
				if d := gradcheck.Distance(got.Float32s(), want[i]); d > 1e-4 {
					t.Fatalf("seed %d: node %s is off by %.2g", seed, n.Name(), d)
				}
			}
		}
		if o.Accumulate {
			if err := m.SetAccumulate(true); err != nil {
				t.Fatal(err)
			}
			run(t, m)
			for i, n := range grads {
				w := append([]float32{}, want[len(keep)+i]...)
				for j := range w {
					w[j] *= 2
				}
				if d := gradcheck.Distance(o.Outputs[n], w); d > 1e-4 {
					t.Fatalf("seed %d: gradient %d, accumulated, is off by %.2g", seed, i, d)
				}
			}
		}
		m.Close()
	}
}
