package op_test

import (
	"strings"
	"testing"

	"github.com/ftk-go/ftk/internal/op"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func node(g *G.ExprGraph, name string, dt tensor.Dtype, shape ...int) *G.Node {
	return G.NewTensor(g, dt, len(shape), G.WithShape(shape...), G.WithName(name))
}

// TestShapeErrors: what does not fit is said with both shapes, and nothing panics.
func TestShapeErrors(t *testing.T) {
	g := G.NewGraph()
	f := func(shape ...int) *G.Node { return node(g, "x", tensor.Float32, shape...) }
	ids := func(shape ...int) *G.Node { return node(g, "ids", tensor.Int64, shape...) }
	other := node(G.NewGraph(), "elsewhere", tensor.Float32, 2, 3)
	for _, c := range []struct {
		name string
		f    func() (*G.Node, error)
		want string
	}{
		{"linear", func() (*G.Node, error) { return op.Linear(f(2, 3), f(4, 5), nil, op.LinearOptions{}) }, "x (2, 3) and w (4, 5) ([in, out]): inner sizes 3 and 4 differ"},
		{"linear transW", func() (*G.Node, error) { return op.Linear(f(2, 3), f(4, 5), nil, op.LinearOptions{TransW: true}) }, "inner sizes 3 and 5 differ"},
		{"linear bias", func() (*G.Node, error) { return op.Linear(f(2, 3), f(3, 5), f(4), op.LinearOptions{}) }, "bias (4), want [5]"},
		{"linear rank", func() (*G.Node, error) { return op.Linear(f(2, 3), f(3), nil, op.LinearOptions{}) }, "w of rank 2"},
		{"linear missing", func() (*G.Node, error) { return op.Linear(f(2, 3), nil, nil, op.LinearOptions{}) }, "input 1 is missing"},
		{"linear graph", func() (*G.Node, error) { return op.Linear(other, f(3, 4), nil, op.LinearOptions{}) }, "not in the same graph"},
		{"linear dtype", func() (*G.Node, error) { return op.Linear(ids(2, 3), f(3, 4), nil, op.LinearOptions{}) }, "int64, want float32"},
		{"projections", func() (*G.Node, error) { return first(op.Projections(f(2, 3), G.Nodes{f(3, 4), f(3, 5)}, nil, false)) }, "weights (3, 4) and (3, 5) differ"},
		{"projections inner", func() (*G.Node, error) { return first(op.Projections(f(2, 3), G.Nodes{f(3, 4), f(3, 4)}, nil, true)) }, "inner sizes 3 and 4 differ"},
		{"projections biases", func() (*G.Node, error) {
			return first(op.Projections(f(2, 3), G.Nodes{f(3, 4), f(3, 4)}, G.Nodes{f(4)}, false))
		}, "2 weights, 1 biases"},
		{"projections bias", func() (*G.Node, error) {
			return first(op.Projections(f(2, 3), G.Nodes{f(3, 4)}, G.Nodes{f(3)}, false))
		}, "bias (3), want [4]"},
		{"projections of nothing", func() (*G.Node, error) { return first(op.Projections(f(2, 3), nil, nil, false)) }, "0 weights"},
		{"embedding ids", func() (*G.Node, error) { return op.Embedding(f(5, 3), f(2)) }, "float32, want int64"},
		{"embedding table", func() (*G.Node, error) { return op.Embedding(f(5), ids(2)) }, "table (5), ids (2)"},
		{"layernorm gamma", func() (*G.Node, error) { return op.LayerNorm(f(2, 3), f(4), nil, 1e-5) }, "gamma is (4), want [3] for x (2, 3)"},
		{"layernorm beta", func() (*G.Node, error) { return op.LayerNorm(f(2, 3), f(3), f(4), 1e-5) }, "beta is (4)"},
		{"attention heads", func() (*G.Node, error) { return op.Attention(f(1, 2, 6), f(1, 2, 6), f(1, 2, 6), nil, 4, 1) }, "width 6 of q (1, 2, 6) is not a multiple of 4 heads"},
		{"attention kv", func() (*G.Node, error) { return op.Attention(f(1, 2, 6), f(1, 3, 6), f(1, 2, 6), nil, 2, 1) }, "q (1, 2, 6), k (1, 3, 6), v (1, 2, 6) do not fit"},
		{"attention mask", func() (*G.Node, error) {
			return op.Attention(f(2, 4, 6), f(2, 5, 6), f(2, 5, 6), f(2, 1, 1, 4), 2, 1)
		}, "mask (2, 1, 1, 4) does not broadcast to (2, 2, 4, 5)"},
		{"matmul inner", func() (*G.Node, error) { return op.MatMul(f(2, 3, 4), f(2, 5, 4), false, false) }, "inner dimensions 4 and 5 differ"},
		{"matmul batch", func() (*G.Node, error) { return op.MatMul(f(2, 3, 4), f(3, 4, 4), false, false) }, "a (2, 3, 4), b (3, 4, 4)"},
		{"matmul vectors", func() (*G.Node, error) { return op.MatMul(f(3), f(3), false, false) }, "both vectors"},
		{"add", func() (*G.Node, error) { return op.Add(f(3), f(3, 1)) }, "(3)"},
		{"addrow", func() (*G.Node, error) { return op.AddRow(f(2, 3), f(2)) }, "x (2, 3) and row (2)"},
		{"view", func() (*G.Node, error) { return op.View(f(2, 3), 4, 3) }, "elements 4 to 7 of (2, 3), which has 6"},
		{"reshape", func() (*G.Node, error) { return op.Reshape(f(2, 3), 4, -1) }, "6 elements of (2, 3) do not fit [4 -1]"},
		{"reshape size", func() (*G.Node, error) { return op.Reshape(f(2, 3), 7) }, "(2, 3) has 6"},
		{"cross entropy labels", func() (*G.Node, error) { return op.CrossEntropy(f(2, 3), ids(3), 0) }, "logits (2, 3) and labels (3)"},
		{"cross entropy smoothing", func() (*G.Node, error) { return op.CrossEntropy(f(2, 3), ids(2), 1) }, "label smoothing 1"},
		{"hinge one class", func() (*G.Node, error) { return op.Hinge(f(2, 1), ids(2)) }, "at least 2 classes"},
		{"scalar", func() (*G.Node, error) { return op.Scalar(f(2)) }, "want one float32"},
	} {
		_, err := c.f()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %q, want %q in it", c.name, err, c.want)
		}
	}
}

// TestAttributesAreIdentity: gorgonia merges nodes of equal operator and operands, so attributes must tell them apart.
func TestAttributesAreIdentity(t *testing.T) {
	g := G.NewGraph()
	x, y := node(g, "x", tensor.Float32, 2, 4, 4), node(g, "y", tensor.Float32, 2, 4, 4)
	row, ids := node(g, "row", tensor.Float32, 4), node(g, "ids", tensor.Int64, 2, 4)
	w := node(g, "w", tensor.Float32, 4, 4)
	nodes := []*G.Node{
		must(op.MatMul(x, y, false, false)), must(op.MatMul(x, y, true, false)), must(op.MatMul(x, y, false, true)),
		must(op.LayerNorm(x, row, nil, 1e-5)), must(op.LayerNorm(x, row, nil, 1e-12)),
		must(op.Attention(x, x, x, nil, 1, 1)), must(op.Attention(x, x, x, nil, 2, 1)), must(op.Attention(x, x, x, nil, 2, .5)),
		must(op.Gelu(x, true)), must(op.Gelu(x, false)), must(op.Activate(x, op.Relu)),
		must(op.Linear(x, w, nil, op.LinearOptions{})), must(op.Linear(x, w, nil, op.LinearOptions{TransW: true})),
		must(op.CrossEntropy(x, ids, 0)), must(op.CrossEntropy(x, ids, .1)), must(op.Hinge(x, ids)),
		must(op.View(x, 0, 4)), must(op.View(x, 4, 4)),
	}
	seen := map[int64]bool{}
	for _, n := range nodes {
		if seen[n.ID()] {
			t.Errorf("%s was merged with another node", n.Name())
		}
		seen[n.ID()] = true
	}
	if again := must(op.MatMul(x, y, false, false)); again != nodes[0] {
		t.Error("equal nodes are not merged")
	}
}

// TestLabelsAndIDsOutOfRange fail at run time, named.
func TestLabelsAndIDsOutOfRange(t *testing.T) {
	logits := tensor.New(tensor.WithShape(2, 3), tensor.WithBacking(make([]float32, 6)))
	labels := tensor.New(tensor.WithShape(2), tensor.WithBacking([]int64{1, 3}))
	g := G.NewGraph()
	n := must(op.CrossEntropy(node(g, "logits", tensor.Float32, 2, 3), node(g, "labels", tensor.Int64, 2), 0))
	if _, err := n.Op().Do(logits, labels); err == nil || !strings.Contains(err.Error(), "label 3 at position 1 is outside the 3 classes") {
		t.Errorf("error %v", err)
	}
	ids := node(g, "ids", tensor.Int64, 2)
	n = must(op.Embedding(node(g, "table", tensor.Float32, 2, 3), ids))
	if _, err := n.Op().Do(logits, labels); err == nil || !strings.Contains(err.Error(), "3") {
		t.Errorf("error %v", err)
	}
}

func first(nodes G.Nodes, err error) (*G.Node, error) {
	if err != nil {
		return nil, err
	}
	return nodes[0], nil
}
