package op_test

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/ftk-go/ftk/internal/gradcheck"
	"github.com/ftk-go/ftk/internal/op"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// golden is a case of testdata/op_grads.json, made by testdata/golden/op_grads.py.
type golden struct {
	Name   string
	Order  []string
	Inputs map[string]struct {
		Shape []int
		F32   []float32
		I64   []int64
		Const bool
	}
	Weights []float32
	Shape   []int
	Value   []float32
	Grads   map[string][]float32
}

// build says how each golden case is written with the operators of this package.
var build = map[string]func(in G.Nodes) (*G.Node, error){
	"linear":             linear(op.LinearOptions{}),
	"linear no bias":     func(in G.Nodes) (*G.Node, error) { return op.Linear(in[0], in[1], nil, op.LinearOptions{}) },
	"linear transW":      linear(op.LinearOptions{TransW: true}),
	"linear gelu":        linear(op.LinearOptions{Act: op.GeluErf}),
	"linear transW tanh": linear(op.LinearOptions{TransW: true, Act: op.Tanh}),
	"embedding":          func(in G.Nodes) (*G.Node, error) { return op.Embedding(in[0], in[1]) },
	"layernorm":          func(in G.Nodes) (*G.Node, error) { return op.LayerNorm(in[0], in[1], in[2], 1e-5) },
	"layernorm no beta":  func(in G.Nodes) (*G.Node, error) { return op.LayerNorm(in[0], in[1], nil, 1e-3) },
	"add layernorm": func(in G.Nodes) (*G.Node, error) {
		s, err := op.Add(in[0], in[1])
		if err != nil {
			return nil, err
		}
		return op.LayerNorm(s, in[2], in[3], 1e-12)
	},
	"gelu":      func(in G.Nodes) (*G.Node, error) { return op.Gelu(in[0], false) },
	"gelu tanh": func(in G.Nodes) (*G.Node, error) { return op.Gelu(in[0], true) },
	"relu":      func(in G.Nodes) (*G.Node, error) { return op.Activate(in[0], op.Relu) },
	"tanh":      func(in G.Nodes) (*G.Node, error) { return op.Activate(in[0], op.Tanh) },
	"sigmoid":   func(in G.Nodes) (*G.Node, error) { return op.Activate(in[0], op.Sigmoid) },

	"attention":             attention(2, 0.5),
	"attention key mask":    attention(3, 0.5),
	"attention cross":       attention(2, 0.7),
	"attention full mask":   attention(2, 0.5),
	"attention causal mask": attention(2, 0.5),

	"projections": func(in G.Nodes) (*G.Node, error) {
		y, err := op.Projections(in[0], in[1:4], in[4:7], false)
		if err != nil {
			return nil, err
		}
		return op.Add(must(op.Mul(y[0], y[1])), y[2])
	},
	"projections no bias": func(in G.Nodes) (*G.Node, error) {
		y, err := op.Projections(in[0], in[1:3], nil, false)
		if err != nil {
			return nil, err
		}
		return op.Mul(y[0], y[1])
	},
	"self attention": selfAttention(2, 0.5, false),
	"self attention transW": func(in G.Nodes) (*G.Node, error) { // with a residual
		return op.Add(must(selfAttention(3, 0.5, true)(in)), in[0])
	},
	"self attention no bias": selfAttention(1, 0.3, false),

	"matmul":              matmul(false, false),
	"matmul batched":      matmul(false, false),
	"matmul broadcast":    matmul(false, false),
	"matmul flat":         matmul(false, false),
	"matmul left flat":    matmul(false, false),
	"matmul transA":       matmul(true, false),
	"matmul transB":       matmul(false, true),
	"matmul transAB":      matmul(true, true),
	"matmul transA flat":  matmul(true, false),
	"matmul vector left":  matmul(false, false),
	"matmul vector right": matmul(false, false),

	"cross entropy":          crossEntropy(0),
	"cross entropy ignored":  crossEntropy(0),
	"cross entropy smoothed": crossEntropy(0.1),
	"cross entropy tokens":   crossEntropy(0),
	"hinge":                  func(in G.Nodes) (*G.Node, error) { return op.Hinge(in[0], in[1]) },

	"view":    func(in G.Nodes) (*G.Node, error) { return op.View(in[0], 4, 3, 4) },
	"reshape": func(in G.Nodes) (*G.Node, error) { return op.Reshape(in[0], -1, 2) },
	"add":     func(in G.Nodes) (*G.Node, error) { return op.Add(in[0], in[1]) },
	"mul":     func(in G.Nodes) (*G.Node, error) { return op.Mul(in[0], in[1]) },
	"square":  func(in G.Nodes) (*G.Node, error) { return op.Mul(in[0], in[0]) },
	"addrow":  func(in G.Nodes) (*G.Node, error) { return op.AddRow(in[0], in[1]) },
	"sumrows": func(in G.Nodes) (*G.Node, error) { return op.SumRows(in[0]) },
	"accumulated": func(in G.Nodes) (*G.Node, error) {
		x, w, v := in[0], in[1], in[2]
		xw := must(op.Linear(x, w, nil, op.LinearOptions{}))
		xv := must(op.MatMul(x, v, false, false))
		y := must(op.Add(must(op.Gelu(x, false)), must(op.Mul(xw, xv))))
		return op.Add(must(op.Add(y, xw)), x)
	},
}

func linear(o op.LinearOptions) func(in G.Nodes) (*G.Node, error) {
	return func(in G.Nodes) (*G.Node, error) { return op.Linear(in[0], in[1], in[2], o) }
}

func attention(heads int, scale float32) func(in G.Nodes) (*G.Node, error) {
	return func(in G.Nodes) (*G.Node, error) {
		in = append(in[:len(in):len(in)], nil)
		return op.Attention(in[0], in[1], in[2], in[3], heads, scale)
	}
}

// selfAttention is attention of one input x: weights of q, k and v, their biases if they are there, then the mask if there
// is one.
func selfAttention(heads int, scale float32, transW bool) func(in G.Nodes) (*G.Node, error) {
	return func(in G.Nodes) (*G.Node, error) {
		var biases G.Nodes
		if len(in) > 4 {
			biases = in[4:7]
		}
		qkv, err := op.Projections(in[0], in[1:4], biases, transW)
		if err != nil {
			return nil, err
		}
		return op.Attention(qkv[0], qkv[1], qkv[2], append(in[:len(in):len(in)], nil, nil, nil, nil)[7], heads, scale)
	}
}

func matmul(transA, transB bool) func(in G.Nodes) (*G.Node, error) {
	return func(in G.Nodes) (*G.Node, error) { return op.MatMul(in[0], in[1], transA, transB) }
}

func crossEntropy(smoothing float32) func(in G.Nodes) (*G.Node, error) {
	return func(in G.Nodes) (*G.Node, error) { return op.CrossEntropy(in[0], in[1], smoothing) }
}

func must(n *G.Node, err error) *G.Node {
	if err != nil {
		panic(err)
	}
	return n
}

// TestNodesOfOneHash: an operator's hash says which nodes it is applied to, as gorgonia compares nothing else where the
// hashes of two nodes are equal.
func TestNodesOfOneHash(t *testing.T) {
	g := G.NewGraph()
	var sums []*G.Node
	for _, name := range []string{"a", "b"} {
		x := G.NewMatrix(g, tensor.Float32, G.WithShape(2, 3), G.WithName(name))
		sums = append(sums, must(op.Add(x, x)))
		if again := must(op.Add(x, x)); again != sums[len(sums)-1] {
			t.Error("equal expressions are not one node")
		}
	}
	if a, b := sums[0].Op().Hashcode(), sums[1].Op().Hashcode(); a == b {
		t.Errorf("sums of other nodes have the same hash, %x", a)
	}
}

// TestOperators compares values and gradients with PyTorch's (≤ 1e-4 relative), with finite differences, and between the
// planned machine and TapeMachine.
func TestOperators(t *testing.T) {
	data, err := os.ReadFile("testdata/op_grads.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []golden
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) != len(build) {
		t.Errorf("%d golden cases, %d builders", len(cases), len(build))
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			f := build[c.Name]
			if f == nil {
				t.Fatal("no builder")
			}
			check := gradcheck.Case{Build: f, Weights: c.Weights}
			for _, name := range c.Order {
				in := c.Inputs[name]
				check.Inputs = append(check.Inputs, gradcheck.Input{Name: name, Shape: in.Shape, F32: in.F32, I64: in.I64, Const: in.Const})
			}
			got := gradcheck.Check(t, check)
			if fmt.Sprint(got.Shape) != fmt.Sprint(tensor.Shape(c.Shape)) {
				t.Errorf("shape %v, want %v", got.Shape, c.Shape)
			}
			if d := gradcheck.Distance(got.Value, c.Value); d > 1e-5 {
				t.Errorf("value is off by %.2g", d)
			}
			for name, want := range c.Grads {
				if d := gradcheck.Distance(got.Grads[name], want); d > 1e-4 {
					t.Errorf("gradient of %s is off by %.2g", name, d)
				}
			}
		})
	}
}
