package vm_test

import (
	"slices"
	"testing"

	"github.com/ftk-go/ftk/internal/gradcheck"
	"github.com/ftk-go/ftk/internal/op"
	"github.com/ftk-go/ftk/internal/parallel"
	"github.com/ftk-go/ftk/internal/vm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// layers is relu(x)·w, an activation, ·v, an activation, and so on, at last a residual and a layer norm: of each product the
// operand dies with it, and the activation's result is just as large.
func layers(t *testing.T, rows, width, depth int) (g *G.ExprGraph, keep G.Nodes) {
	t.Helper()
	g = G.NewGraph()
	input := func(name string, shape ...int) *G.Node {
		v := make([]float32, tensor.Shape(shape).TotalSize())
		for i := range v {
			v[i] = float32((i*7919+len(name)*31)%211-105) / 300
		}
		return G.NewTensor(g, G.Float32, len(shape), G.WithShape(shape...), G.WithName(name), G.WithValue(tensor.New(tensor.WithShape(shape...), tensor.WithBacking(v))))
	}
	must := func(n *G.Node, err error) *G.Node {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	x := input("x", rows, width)
	y := must(op.Activate(x, op.Relu))
	var weights G.Nodes
	for i := range depth {
		w := input("w"+string(rune('0'+i)), width, width)
		weights = append(weights, w)
		y = must(op.Linear(y, w, nil, op.LinearOptions{Act: []op.Activation{op.GeluErf, op.GeluErf, op.Tanh, op.Relu}[i%4]}))
	}
	w, gamma := input("w residual", width, width), input("gamma", width)
	weights = append(weights, w, gamma)
	y = must(op.LayerNorm(must(op.Add(must(op.Linear(y, w, nil, op.LinearOptions{})), y)), gamma, nil, 1e-3))
	cost := must(op.Scalar(must(op.SumRows(must(op.Reshape(must(op.Mul(y, y)), -1, 1))))))
	grads, err := G.Grad(cost, append(weights, x)...)
	if err != nil {
		t.Fatal(err)
	}
	return g, append(G.Nodes{y}, grads...)
}

// TestActivationsWithinProducts: an activation is executed within the product before it, forward and backward, in memory
// that the product does not read, and computes what it computes alone.
func TestActivationsWithinProducts(t *testing.T) {
	defer parallel.SetThreads(0)
	// Parts of a product come one after the other, however many processors there are; some of them narrow.
	for _, c := range []struct{ threads, rows, width int }{{6, 96, 512}, {5, 200, 128}, {13, 400, 384}, {1, 30, 40}} {
		parallel.SetThreads(c.threads)
		testActivationsWithinProducts(t, c.rows, c.width)
	}
}

func testActivationsWithinProducts(t *testing.T, rows, width int) {
	t.Helper()
	const depth = 4
	g, keep := layers(t, rows, width, depth)
	tape := G.NewTapeMachine(g)
	defer tape.Close()
	run(t, tape)
	var want [][]float32
	for _, n := range keep {
		want = append(want, slices.Clone(n.Value().(*tensor.Dense).Float32s()))
	}
	for name, o := range map[string]vm.Options{"": {}, "recomputed": {Recompute: true}, "forward": {}, "weights frozen": {}} {
		g, keep := layers(t, rows, width, depth)
		want := want
		switch name {
		case "forward":
			keep = keep[:1]
		case "weights frozen": // operands of products die with them
			keep, want = append(keep[:1:1], keep[len(keep)-1]), append(want[:1:1], want[len(want)-1])
		}
		o.Keep, o.Poison, o.Profile = keep, true, true
		m, err := vm.New(g, o)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		for range 3 {
			run(t, m)
			for i, n := range keep {
				if d := gradcheck.Distance(n.Value().(*tensor.Dense).Float32s(), want[i]); !(d <= 1e-5) {
					t.Errorf("%s: value %d is off by %.2g", name, i, d)
				}
			}
		}
		within := map[string]int{}
		for _, p := range m.Profile() {
			within[p.Op] += p.Calls / 3
		}
		expect := map[string]int{"Linear, Gelu": 2, "Linear, Tanh": 1, "Linear, Relu": 1, "Linear+, LayerNorm": 1}
		if name != "forward" {
			expect["Linear, GeluGrad"], expect["Linear, TanhGrad"], expect["Linear, ReluGrad"] = 2, 1, 1
		}
		for k, n := range expect {
			if within[k] != n {
				t.Errorf("%s: %d times %s, want %d: %v", name, within[k], k, n, within)
			}
		}
		if bad, err := m.CheckFinite(); bad != nil || err != nil {
			t.Error(name, bad, err)
		}
	}
}
