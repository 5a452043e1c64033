package passes_test

import (
	"fmt"
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/lower"
	"github.com/ftk-go/ftk/internal/passes"
	"github.com/ftk-go/ftk/internal/tensorop"
)

// rowsLayer is a layer of a Transformer.
const rowsLayer = split + `
s = MatMul q k
t = Div s #2
n = Add t m
p = Softmax n axis=-1` + join + `
a0 = MatMul y wo:8x8
a = Add a0 bo:8
r1 = Add x a
l1 = LayerNormalization r1 g1:8 b1:8
f0 = MatMul l1 w1:8x12
f1 = Add f0 c1:12
f2 = Relu f1
f4 = MatMul f2 w2:12x8
f3 = Add f4 c2:8
r2 = Add f3 l1
l2 = LayerNormalization r2 g2:8 b2:8`

// TestRows: of what one position is wanted only that one is computed, back to where positions meet, with the same values.
func TestRows(t *testing.T) {
	const layer, pick = rowsLayer, "\nz = Gather l2 #i0 axis=1"
	inLayer := []string{"q0", "y", "a", "r1", "l1", "f1", "f2", "f3", "r2", "l2"}
	for _, c := range []struct {
		name, text string
		outputs    []string
		keep       []string
		narrow     []string // values with one position
		wide       []string // values with all five
	}{
		{name: "layer", text: layer + pick, narrow: inLayer, wide: []string{"k0", "v0"}},
		{name: "last position", text: layer + "\nz = Gather l2 #i-1 axis=1", narrow: inLayer, wide: []string{"k0", "v0"}},
		{name: "keys chosen for every query", text: strings.Replace(layer, "n = Add t m", "mx = ReduceMean x axes=-1\nmy = Unsqueeze mx #i1\nsees = Greater my #0\nkeys = And c sees\nn = Where keys t #-10000", 1) + pick, narrow: inLayer, wide: []string{"k0", "v0"}},
		{name: "used after", text: layer + pick + "\nzz = Relu z", narrow: inLayer, wide: []string{"k0", "v0"}},
		{name: "index is a scalar", text: layer + "\nz = Gather l2 #s1 axis=1", narrow: inLayer, wide: []string{"k0", "v0"}},
		{name: "picked twice", text: layer + pick + "\nz2 = Gather l2 #i0 axis=1\nzz = Add z z2", wide: inLayer},
		{name: "hidden states are an output", text: layer + pick, outputs: []string{"l2"}, wide: inLayer},
		{name: "used by another operator", text: layer + pick + "\ne = ReduceMean f2 axes=1\ne2 = ReduceMean z axes=1", outputs: []string{"e"},
			narrow: []string{"f3", "r2", "l2"}, wide: []string{"q0", "l1", "f2"}},
		{name: "across positions", text: layer + "\nh00 = MatMul l2 w3:8x8\nh0 = Add h00 c3:8\nh1 = CumSum h0 #i1\nz = Gather h1 #i0 axis=1", wide: append(inLayer, "h0")},
		{name: "asked for by name", text: layer + pick, keep: []string{"f2"}, narrow: []string{"f3", "r2", "l2"}, wide: []string{"q0", "l1", "f2"}},
		{name: "norm with a scale for every position", text: "y = LayerNormalization x g:8 b:5x8\nz = Gather y #i3 axis=1", wide: []string{"y"}},
		{name: "norm with a weight for every position", text: "y = RMSNormalization x g:5x8\nz = Gather y #i3 axis=1", wide: []string{"y"}},
		{name: "weight for every position", text: "f = Mul x w:1x5x8\nz = Gather f #i2 axis=1", narrow: []string{"f"}},
		{name: "another axis", text: layer + "\nz = Gather l2 #i0 axis=2", wide: inLayer},
		{name: "several positions", text: layer + "\nz = Gather l2 #i0,1 axis=1", wide: inLayer},
		{name: "operand repeated along positions", text: "e = ReduceMean x axes=1\nf = Mul x e\nz = Gather f #i2 axis=1", narrow: []string{"f"}},
		{name: "operand [sequence width]", text: "f = Mul x w:5x8\nz = Gather f #i2 axis=1", wide: []string{"f"}},
		{name: "softmax over positions", text: "f = Softmax x axis=1\nz = Gather f #i2 axis=1", wide: []string{"f"}},
		{name: "matrix for every example", text: "e = Transpose x perm=0,2,1\nf = MatMul x e\nz = Gather f #i2 axis=1", wide: []string{"f"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := c.text + "\nzm = Add m #1\nzc = Not c" // every input is used
			before := parse(t, text)
			before.Outputs = []*graph.Value{before.Value(strings.Fields(c.text)[lastOutput(c.text)]), before.Value("zm")}
			for _, name := range c.outputs {
				before.Outputs = append(before.Outputs, before.Value(name))
			}
			after, err := passes.Canonical(&graph.Model{Graph: before, Opsets: []graph.Opset{{Version: 17}}}, c.keep...)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range c.keep {
				if after.Value(name) == nil {
					t.Errorf("%s is gone", name)
				}
			}
			dims := passes.Dims(after, 17)
			positions := func(names []string, want int64) {
				for _, name := range names {
					if want == 1 {
						if after.Value(name) != nil {
							t.Errorf("%s is there under its name", name)
						}
						name += "/row"
					}
					v := after.Value(name)
					if v == nil {
						t.Fatalf("%s is gone", name)
					}
					if d := dims(v); len(d) != 3 || d[1].Size != want {
						t.Errorf("%s has dimensions %v, want %d positions", name, d, want)
					}
				}
			}
			positions(c.narrow, 1)
			positions(c.wide, 5)
			want, got := compute(t, before, 17), compute(t, after, 17)
			for i := range want {
				sameValues(t, fmt.Sprintf("output %d", i), got[i], want[i])
			}
		})
	}
}

// TestRowsOfMask: a mask with a row for every query is cut to the row of the query that is left; a causal one stays.
func TestRowsOfMask(t *testing.T) {
	for causal, name := range map[string]string{"is_causal=0": "y/row", "is_causal=1": "y"} {
		text := "k = Relu x\nq0 = MatMul x w:8x8\nq = Add q0 b:8\ny = Attention q k x mask:5x5 q_num_heads=2 kv_num_heads=2 " + causal + "\nz = Gather y #i3 axis=1\nzm = Add m #1\nzc = Not c"
		before := parse(t, text)
		before.Outputs = []*graph.Value{before.Value("z"), before.Value("zm")}
		after, err := passes.Canonical(&graph.Model{Graph: before, Opsets: []graph.Opset{{Version: 24}}})
		if err != nil {
			t.Fatal(err)
		}
		positions := map[string]int64{"y/row": 1, "y": 5}[name]
		if v := after.Value(name); v == nil {
			t.Errorf("%s: %s is gone", causal, name)
		} else if d := passes.Dims(after, 24)(v); len(d) != 3 || d[1].Size != positions {
			t.Errorf("%s: attention gives %v, want %d positions", causal, d, positions)
		}
		sameValues(t, causal, compute(t, after, 24)[0], compute(t, before, 24)[0])
	}
}

// TestRowsGradients: weights have the gradients that they have in the graph as it is written, operator by operator.
func TestRowsGradients(t *testing.T) {
	before := parse(t, rowsLayer+"\nz = Gather l2 #i0 axis=1\nzm = Add m #1\nzc = Not c")
	before.Outputs = []*graph.Value{before.Value("z")}
	after, err := passes.Canonical(&graph.Model{Graph: before, Opsets: []graph.Opset{{Version: 17}}})
	if err != nil {
		t.Fatal(err)
	}
	if d := passes.Dims(after, 17)(after.Value("q0/row")); d[1].Size != 1 {
		t.Fatalf("queries have dimensions %v", d)
	}
	want, got := gradients(t, before), gradients(t, after)
	if len(want) < 16 || len(got) != len(want) {
		t.Fatalf("%d and %d gradients", len(want), len(got))
	}
	for name, w := range want {
		sameValues(t, "gradient of "+name, got[name], w)
	}
}

// gradients differentiates the sum of the squares of a graph's first output by its weights.
func gradients(t *testing.T, g *graph.Graph) map[string][]float32 {
	t.Helper()
	o := lower.Options{Opset: 17, Inputs: inputShapes, Params: map[string]*tensor.Dense{}}
	for _, v := range g.Initializers {
		if v.Init.DType.IsFloat() && v.Init.Len() > 1 {
			d, err := lower.Tensor(v.Init)
			if err != nil {
				t.Fatal(err)
			}
			o.Params[v.Name] = d
		}
	}
	low, err := lower.Lower(g, o)
	if err != nil {
		t.Fatal(err)
	}
	z := low.Outputs[g.Outputs[0].Name]
	square, err := tensorop.Binary("Mul", z, z)
	if err != nil {
		t.Fatal(err)
	}
	cost, err := tensorop.Reduce("ReduceSum", square, []int{0, 1, 2}, false)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	var wrt G.Nodes
	for name, n := range low.Params {
		names, wrt = append(names, name), append(wrt, n)
	}
	grads, err := G.Grad(cost, wrt...)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]float32{}
	for i, values := range evaluate(t, low, grads) {
		out[names[i]] = values
	}
	return out
}
