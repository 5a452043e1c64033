package compose_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/ftk-go/ftk/exporter"
	"github.com/ftk-go/ftk/internal/compose"
	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/ort"
	"github.com/ftk-go/ftk/internal/testenv"
)

// irVersion that onnxruntime takes for all the opsets tested.
const irVersion = 8

// TestSpelling runs what is spelt differently between opsets in onnxruntime,
// which refuses a wrong spelling, and compares with the plain computation.
func TestSpelling(t *testing.T) {
	testenv.ORT(t)
	x := ort.Array{Shape: []int64{1, 2, 3}, F32: []float32{1, -2, 4, 0.5, 3, -1}}
	for _, c := range []struct {
		name  string
		build func(b *compose.Builder, x *graph.Value) *graph.Value
		shape []int64
		want  []float64
	}{
		{"Unsqueeze", func(b *compose.Builder, x *graph.Value) *graph.Value { return b.Unsqueeze(x, 1, 3) },
			[]int64{1, 1, 2, 1, 3}, []float64{1, -2, 4, 0.5, 3, -1}},
		{"ReduceSum", func(b *compose.Builder, x *graph.Value) *graph.Value { return b.ReduceSum(x, false, 1) },
			[]int64{1, 3}, []float64{1.5, 1, 3}},
		{"ReduceMean", func(b *compose.Builder, x *graph.Value) *graph.Value { return b.ReduceMean(x, true, 2) },
			[]int64{1, 2, 1}, []float64{1, 2.5 / 3}},
		{"AtLeast", func(b *compose.Builder, x *graph.Value) *graph.Value { return b.AtLeast(x, 0.75) },
			[]int64{1, 2, 3}, []float64{1, 0.75, 4, 0.75, 3, 0.75}},
		{"Pick", func(b *compose.Builder, x *graph.Value) *graph.Value { return b.Pick(x, 1, 1) },
			[]int64{1, 3}, []float64{0.5, 3, -1}},
		{"Gelu", (*compose.Builder).Gelu, []int64{1, 2, 3}, each(x.F32, func(v float64) float64 { return v / 2 * (1 + math.Erf(v/math.Sqrt2)) })},
		{"GeluTanh", (*compose.Builder).GeluTanh, []int64{1, 2, 3}, each(x.F32, func(v float64) float64 {
			return v / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(v+0.044715*v*v*v)))
		})},
		{"LayerNorm", func(b *compose.Builder, x *graph.Value) *graph.Value {
			one := b.Initializer("gamma", []int64{3}, []float32{1, 1, 1})
			return b.LayerNorm(x, one, b.Initializer("beta", []int64{3}, []float32{0, 0, 10}), 0.5)
		}, []int64{1, 2, 3}, []float64{0, -3 / math.Sqrt(6.5), 10 + 3/math.Sqrt(6.5), // variances 6 and 49/18
			-1 / math.Sqrt(29), 6.5 / math.Sqrt(29), 10 - 5.5/math.Sqrt(29)}},
	} {
		for _, opset := range []int64{9, 11, 13, 14, 17, 18, 21} {
			for _, nodes := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s opset %d", c.name, opset), func(t *testing.T) {
					g := &graph.Graph{Name: "g"}
					b := compose.New(g, opset)
					if nodes {
						b.UseConstantNodes()
					}
					in := b.Input("x", graph.Float32, graph.FixedDims(1, 2, 3)...)
					b.Output(c.build(b.In("scope"), in), "y", graph.Float32, graph.FixedDims(c.shape...)...)
					m := &graph.Model{IRVersion: irVersion, Opsets: []graph.Opset{{Version: opset}}, Graph: g}
					got := run(t, m, x)
					if !slices.Equal(got.Shape, c.shape) {
						t.Fatalf("shape %v, want %v", got.Shape, c.shape)
					}
					for i, w := range c.want {
						if d := math.Abs(float64(got.F32[i]) - w); !(d < 1e-6) {
							t.Errorf("element %d is %g, want %g", i, got.F32[i], w)
						}
					}
				})
			}
		}
	}
}

func each(x []float32, f func(float64) float64) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = f(float64(v))
	}
	return out
}

func run(t *testing.T, m *graph.Model, x ort.Array) ort.Array {
	t.Helper()
	data, err := exporter.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ort.NewSession(data, ort.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	out, err := s.Run(context.Background(), map[string]ort.Array{"x": x})
	if err != nil {
		t.Fatal(err)
	}
	return out["y"]
}

// Names that are taken get a number; constants are stored once.
func TestNames(t *testing.T) {
	g := &graph.Graph{Name: "g"}
	b := compose.New(g, 17)
	x := b.Input("x", graph.Float32, graph.NamedDim("n"))
	y := b.In("a").In("b").Op("Add", x, b.Float(1))
	z := b.In("a").In("b").Op("Add", y, b.Float(1))
	if n := y.Producer.Name; n != "/a/b/Add" || y.Name != "/a/b/Add_output_0" {
		t.Errorf("node %q, value %q", n, y.Name)
	}
	if n := z.Producer.Name; n != "/a/b/Add_1" || z.Name != "/a/b/Add_1_output_0" {
		t.Errorf("node %q, value %q", n, z.Name)
	}
	if len(g.Initializers) != 1 {
		t.Errorf("%d initializers for one constant", len(g.Initializers))
	}
	again := compose.New(g, 17) // as for a graph that was loaded
	if v := again.Initializer("x", []int64{1}, []float32{1}); v.Name != "x_1" {
		t.Errorf("name %q", v.Name)
	}
	if v := again.In("a").In("b").Op("Add", z, z); v.Producer.Name != "/a/b/Add_2" {
		t.Errorf("node %q", v.Producer.Name)
	}
	again.Output(z, "x", graph.Float32, graph.NamedDim("n"))
	if z.Name != "x_2" {
		t.Errorf("output %q", z.Name)
	}
}
