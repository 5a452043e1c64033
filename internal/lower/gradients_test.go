package lower_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ftk-go/ftk/internal/gradcheck"
	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/lower"
	"github.com/ftk-go/ftk/internal/op"
	"github.com/ftk-go/ftk/internal/tensorop"
)

// gradientCase is one operator with golden value and gradients, see testdata/gradients.py.
type gradientCase struct {
	Name, Op, Domain string
	Opset            int64
	Outputs          int
	Attrs            map[string]any
	Inputs           []*gradientInput
	Weights          []float32
	Shape            []int
	Value            []float32
}

type gradientInput struct {
	Name, Kind string
	Shape      []int
	F32        []float32
	I64        []int64
	Bool       []bool
	Grad       []float32
}

func (in *gradientInput) tensor() *tensor.Dense {
	switch {
	case in.I64 != nil:
		return lower.FromSlice(slices.Clone(in.I64), in.Shape...)
	case in.Bool != nil:
		return lower.FromSlice(slices.Clone(in.Bool), in.Shape...)
	}
	return lower.FromSlice(slices.Clone(in.F32), in.Shape...)
}

// graph makes a graph of the case's one node.
func (c *gradientCase) graph() (*graph.Graph, lower.Options, map[string]*tensor.Dense, error) {
	g := &graph.Graph{}
	o := lower.Options{Opset: c.Opset, Inputs: map[string]lower.Shape{}, Params: map[string]*tensor.Dense{}}
	feeds := map[string]*tensor.Dense{}
	n := &graph.Node{Name: c.Name, OpType: c.Op, Domain: c.Domain}
	for _, in := range c.Inputs {
		if in == nil {
			n.Inputs = append(n.Inputs, nil)
			continue
		}
		d := in.tensor()
		t, err := lower.ONNXTensor(in.Name, d)
		if err != nil {
			return nil, o, nil, err
		}
		if in.Kind == "input" {
			n.Inputs = append(n.Inputs, g.AddInput(in.Name, graph.TensorOf(t.DType)))
			o.Inputs[in.Name] = lower.Shape{DType: t.DType, Dims: d.Shape()}
			feeds[in.Name] = d
			continue
		}
		n.Inputs = append(n.Inputs, g.AddInitializer(in.Name, t))
		if in.Kind == "param" {
			o.Params[in.Name] = d
		}
	}
	for i := range c.Outputs {
		n.Outputs = append(n.Outputs, &graph.Value{Name: fmt.Sprintf("y%d", i), Producer: n})
	}
	for name, a := range c.Attrs {
		switch a := a.(type) {
		case float64:
			if a == math.Trunc(a) && !floatAttribute[name] {
				n.SetInt(name, int64(a))
			} else {
				n.SetFloat(name, float32(a))
			}
		case string:
			n.SetStr(name, a)
		case []any:
			var ints []int64
			for _, v := range a {
				ints = append(ints, int64(v.(float64)))
			}
			n.SetInts(name, ints...)
		}
	}
	g.Nodes, g.Outputs = []*graph.Node{n}, []*graph.Value{n.Outputs[0]}
	return g, o, feeds, nil
}

// floatAttribute names attributes of type float, which JSON cannot tell from integers.
var floatAttribute = map[string]bool{"alpha": true, "beta": true, "scale": true, "epsilon": true, "bias": true, "lambd": true}

// differentiated is a case as a graph with the gradients of Σ value·weights.
type differentiated struct {
	low         *lower.Lowered
	value, cost *G.Node
	names       []string
	grads       G.Nodes
}

func (c *gradientCase) differentiate() (*differentiated, lower.Options, error) {
	g, o, feeds, err := c.graph()
	if err != nil {
		return nil, o, err
	}
	low, err := lower.Lower(g, o)
	if err != nil {
		return nil, o, err
	}
	for name, d := range feeds {
		if err := G.Let(low.Inputs[name], d); err != nil {
			return nil, o, err
		}
	}
	d := &differentiated{low: low, value: low.Outputs["y0"]}
	weights := tensorop.Constant(low.Graph, "weights", lower.FromSlice(slices.Clone(c.Weights), c.Shape...))
	if d.cost, err = weighted(d.value, weights); err != nil {
		return nil, o, err
	}
	var wrt G.Nodes
	for _, in := range c.Inputs {
		if in != nil && in.Kind == "param" {
			wrt, d.names = append(wrt, low.Params[in.Name]), append(d.names, in.Name)
		}
	}
	d.grads, err = G.Grad(d.cost, wrt...)
	return d, o, err
}

// weighted is Σ value·weights.
func weighted(value, weights *G.Node) (*G.Node, error) {
	p, err := tensorop.Binary("Mul", value, weights)
	if err != nil {
		return nil, err
	}
	axes := make([]int, p.Dims())
	for i := range axes {
		axes[i] = i
	}
	return tensorop.Reduce("ReduceSum", p, axes, false)
}

func (d *differentiated) run(machine gradcheck.Machine) error {
	m, err := machine(d.low.Graph, append(G.Nodes{d.value, d.cost}, d.grads...))
	if err != nil {
		return err
	}
	defer m.Close()
	return m.RunAll()
}

func numbers(n *G.Node) []float32 {
	d, err := op.Dense(n.Value())
	if err != nil {
		return nil
	}
	return slices.Clone(d.Float32s())
}

func readGradientCases(t *testing.T) []*gradientCase {
	raw, err := os.ReadFile("testdata/gradients.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []*gradientCase
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	return cases
}

// TestGradients compares values and gradients of every differentiable operator of the table with PyTorch's, on the
// planned machine and on gorgonia's own, and with central differences.
func TestGradients(t *testing.T) {
	covered := map[string]bool{}
	for _, c := range readGradientCases(t) {
		covered[c.Op] = true
		t.Run(c.Name, func(t *testing.T) {
			for _, machine := range []struct {
				name string
				make gradcheck.Machine
			}{{"planned", gradcheck.Planned}, {"TapeMachine", gradcheck.Tape}} {
				d, _, err := c.differentiate()
				if err != nil {
					t.Fatal(err)
				}
				if err := d.run(machine.make); err != nil {
					t.Fatalf("%s: %v", machine.name, err)
				}
				if !slices.Equal([]int(d.value.Shape()), c.Shape) {
					t.Fatalf("shape %v, want %v", d.value.Shape(), c.Shape)
				}
				if e := gradcheck.Distance(numbers(d.value), c.Value); e > 1e-5 {
					t.Errorf("%s: value differs by %.2g", machine.name, e)
				}
				for i, name := range d.names {
					if e := gradcheck.Distance(numbers(d.grads[i]), c.input(name).Grad); e > 1e-4 {
						t.Errorf("%s: gradient of %s differs by %.2g: %v, want %v", machine.name, name, e, numbers(d.grads[i]), c.input(name).Grad)
					}
				}
			}
			c.differences(t)
		})
	}
	for _, r := range lower.Table {
		if r.Differentiable && !covered[r.Op] {
			t.Errorf("no gradient of operator %s is tested", r.Op)
		}
	}
}

func (c *gradientCase) input(name string) *gradientInput {
	for _, in := range c.Inputs {
		if in != nil && in.Name == name {
			return in
		}
	}
	return nil
}

// differences compares gradients with central differences of the forward computation.
func (c *gradientCase) differences(t *testing.T) {
	if c.Name == "ReduceMax ties" {
		return // a kink: the differences see something else than the agreed subgradient
	}
	d, o, err := c.differentiate()
	if err != nil {
		t.Fatal(err)
	}
	m, err := gradcheck.Planned(d.low.Graph, G.Nodes{d.value})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	cost := func() float64 {
		m.Reset()
		if err := m.RunAll(); err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for i, v := range numbers(d.value) {
			sum += float64(v) * float64(c.Weights[i])
		}
		return sum
	}
	const step = 4e-3
	for _, name := range d.names {
		x, want := o.Params[name].Float32s(), c.input(name).Grad
		got := make([]float32, len(x))
		for i, v := range x {
			x[i] = v + step
			high := cost()
			x[i] = v - step
			low := cost()
			x[i] = v
			got[i] = float32((high - low) / (2 * step))
		}
		scale := 0.0
		for _, v := range want {
			scale = max(scale, math.Abs(float64(v)))
		}
		for i := range got {
			if e := math.Abs(float64(got[i] - want[i])); e > 1e-2*max(scale, 0.1) {
				t.Errorf("gradient of %s, element %d: differences give %v, want %v", name, i, got[i], want[i])
				break
			}
		}
	}
}
