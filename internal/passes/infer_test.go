package passes_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/lower"
	"github.com/ftk-go/ftk/internal/passes"
	"github.com/ftk-go/ftk/internal/vm"
)

// op adds a node without attributes and names its output.
func op(g *graph.Graph, name, op string, inputs ...*graph.Value) *graph.Value {
	v := g.AddNode(op, name+".node", inputs).Output()
	v.Name = name
	return v
}

func ints(g *graph.Graph, values ...int64) *graph.Value {
	name := g.NewName("ints")
	return g.AddInitializer(name, graph.NewInt64(name, []int64{int64(len(values))}, values))
}

// repeatedLast is y [batch 8]: the sum along the sequence of x [batch ? 8]'s last position, repeated at each.
func repeatedLast(sequence graph.Dim) *graph.Graph {
	g := &graph.Graph{}
	x := g.AddInput("x", graph.TensorOf(graph.Float32, graph.NamedDim("batch"), sequence, graph.Dim{Size: 8}))
	last := op(g, "l", "Slice", x, ints(g, -1), ints(g, 1<<40), ints(g, 1))
	repeated := op(g, "e", "Expand", last, op(g, "s", "Shape", x))
	y := op(g, "y", "ReduceSum", repeated, ints(g, 1))
	y.Producer.SetInt("keepdims", 0)
	g.Outputs = []*graph.Value{y}
	return g
}

// TestFreshSymbols: sizes that are not known are not taken for equal because of how the file calls them.
func TestFreshSymbols(t *testing.T) {
	for _, sequence := range []graph.Dim{
		{Size: -1}, graph.NamedDim("seq"), graph.NamedDim("?1"), graph.NamedDim("?2"), graph.NamedDim("?1*?2"),
		graph.NamedDim("#1"), graph.NamedDim("#seq"),
	} {
		t.Run(sequence.String(), func(t *testing.T) {
			before := repeatedLast(sequence)
			after, err := passes.Canonical(&graph.Model{Graph: before, Opsets: []graph.Opset{{Version: 17}}})
			if err != nil {
				t.Fatal(err)
			}
			x := make([]float32, 2*5*8)
			for i := range x {
				x[i] = rand.Float32()
			}
			got, want := sums(t, after, x), sums(t, before, x)
			sameValues(t, "y", got, want)
			sameValues(t, "y[0]", got[:1], []float32{5 * x[4*8]})
		})
	}
}

// TestReduceOverNoAxes: no axes are all of them, so that what is reduced is not as large as before.
func TestReduceOverNoAxes(t *testing.T) {
	g := &graph.Graph{}
	x := g.AddInput("x", graph.TensorOf(graph.Float32, graph.NamedDim("batch"), graph.NamedDim("sequence"), graph.Dim{Size: 8}))
	mean := op(g, "m", "ReduceMean", x, ints(g))
	y := op(g, "y", "Relu", op(g, "e", "Expand", mean, op(g, "s", "Shape", x)))
	g.Outputs = []*graph.Value{y}
	after, err := passes.Canonical(&graph.Model{Graph: g, Opsets: []graph.Opset{{Version: 18}}})
	if err != nil {
		t.Fatal(err)
	}
	values := make([]float32, 2*5*8)
	for i := range values {
		values[i] = float32(i)
	}
	if got := sums(t, after, values); len(got) != len(values) || got[0] != 39.5 || got[79] != 39.5 {
		t.Errorf("%d values, %v", len(got), got[:1])
	}
}

// sums computes a graph of one input x [2 5 8].
func sums(t *testing.T, g *graph.Graph, x []float32) []float32 {
	t.Helper()
	low, err := lower.Lower(g, lower.Options{Opset: 17, Inputs: map[string]lower.Shape{"x": {DType: graph.Float32, Dims: []int{2, 5, 8}}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := G.Let(low.Inputs["x"], lower.FromSlice(x, 2, 5, 8)); err != nil {
		t.Fatal(err)
	}
	y := low.Outputs[g.Outputs[0].Name]
	machine, err := vm.New(low.Graph, vm.Options{Keep: G.Nodes{y}})
	if err != nil {
		t.Fatal(err)
	}
	defer machine.Close()
	if err := machine.RunAll(); err != nil {
		t.Fatal(err)
	}
	return append([]float32{}, y.Value().(*tensor.Dense).Float32s()...)
}

// TestDimsAsInputs: a graph that is cut where Dims gives the shapes says of its values what the whole graph said, and the
// sizes that it makes itself are none of those that cross.
func TestDimsAsInputs(t *testing.T) {
	whole := &graph.Graph{}
	x := whole.AddInput("x", graph.TensorOf(graph.Float32, graph.NamedDim("batch"), graph.NamedDim("seq"), graph.Dim{Size: 8}))
	a := op(whole, "a", "Slice", x, ints(whole, 1), ints(whole, 1<<40), ints(whole, 1)) // [batch ?1 8]
	b := op(whole, "b", "Relu", a)
	b.Type = graph.TensorOf(graph.Float32, graph.NamedDim("batch"), graph.NamedDim("?2"), graph.Dim{Size: 8}) // the file says
	other := op(whole, "other", "Slice", x, ints(whole, 2), ints(whole, 1<<40), ints(whole, 1))
	flat := op(whole, "flat", "Reshape", a, ints(whole, -1, 8)) // [batch·?1 8]
	of := passes.Dims(whole, 17)

	if got := of(other)[1]; got == of(a)[1] || got == b.Type.Shape[1] {
		t.Errorf("two parts of x and a size of the file have the sizes %v, %v, %v", of(a)[1], got, b.Type.Shape[1])
	}

	suffix := &graph.Graph{}
	inputs := map[string]*graph.Value{}
	for _, v := range []*graph.Value{a, b, flat} {
		inputs[v.Name] = suffix.AddInput(v.Name, graph.TensorOf(graph.Float32, of(v)...))
	}
	c := op(suffix, "c", "Slice", inputs["a"], ints(suffix, 0), ints(suffix, -1), ints(suffix, 1))
	d := op(suffix, "d", "Add", inputs["a"], inputs["b"])
	e := op(suffix, "e", "Reshape", inputs["b"], ints(suffix, -1, 8))
	in := passes.Dims(suffix, 17)
	if got := fmt.Sprint(in(inputs["a"])); got != fmt.Sprint(of(a)) {
		t.Errorf("a is %s after the cut, %v before", got, of(a))
	}
	if got := in(c)[1]; got.Known() || got == of(a)[1] {
		t.Errorf("an axis cut from %v has size %v", of(a), got)
	}
	if got, want := fmt.Sprint(in(d)), fmt.Sprint(of(a)); got != want {
		t.Errorf("the sum of equal shapes %s is %s", want, got)
	}
	if got, want := fmt.Sprint(in(e)), fmt.Sprint(of(flat)); got != want {
		t.Errorf("flattened after the cut %s, before %s", got, want)
	}
}

func TestDims(t *testing.T) {
	g := &graph.Graph{}
	x := g.AddInput("x", graph.TensorOf(graph.Float32, graph.NamedDim("batch"), graph.Dim{Size: 5}, graph.Dim{Size: 8}))
	anything := g.AddInput("anything", &graph.Type{Elem: graph.Float32})
	perm := func(v *graph.Value, perm ...int64) *graph.Value {
		v.Producer.SetInts("perm", perm...)
		return v
	}
	constant := op(g, "sizes", "Constant")
	constant.Producer.SetTensor("value", graph.NewInt64("", []int64{4}, []int64{0, 5, 2, 4}))
	input := func(name string, dims ...int64) *graph.Value {
		return g.AddInput(name, graph.TensorOf(graph.Float32, graph.FixedDims(dims...)...))
	}
	attention := func(name string, headsQ, headsKV int64, q, k, v *graph.Value) *graph.Value {
		y := op(g, name, "Attention", q, k, v)
		y.Producer.SetInt("q_num_heads", headsQ).SetInt("kv_num_heads", headsKV)
		return y
	}
	for _, c := range []struct {
		v    *graph.Value
		want string
	}{
		{op(g, "reversed", "Transpose", x), "[8 5 batch]"},
		{perm(op(g, "swapped", "Transpose", x), 0, 2, 1), "[batch 8 5]"},
		{op(g, "transposed of any rank", "Transpose", anything), "unknown"},
		{perm(op(g, "too many axes", "Transpose", x), 0, 2, 1, 3), "unknown"},
		{perm(op(g, "an axis that is not there", "Transpose", x), 0, 2, 3), "unknown"},
		{op(g, "target in a Constant node", "Reshape", x, constant), "[batch 5 2 4]"},
		{attention("attention, flat", 2, 2, x, input("k3", 1, 7, 8), input("v3", 1, 7, 6)), "[batch 5 6]"},
		{attention("attention, grouped", 4, 2, x, input("k3g", 1, 7, 4), input("v3g", 1, 7, 6)), "[batch 5 12]"},
		{attention("attention, by heads", 0, 0, input("q4", 2, 3, 5, 8), input("k4", 2, 3, 7, 8), input("v4", 2, 3, 7, 6)), "[2 3 5 6]"},
	} {
		t.Run(c.v.Name, func(t *testing.T) {
			got := "unknown"
			if dims := passes.Dims(g, 17)(c.v); dims != nil {
				got = fmt.Sprint(dims)
			}
			if got != c.want {
				t.Errorf("shape %s, want %s", got, c.want)
			}
		})
	}
	if constant.Producer == nil || constant.Init != nil {
		t.Error("the caller's graph was changed")
	}
}
