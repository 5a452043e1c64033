package passes_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/lower"
	"github.com/ftk-go/ftk/internal/passes"
	"github.com/ftk-go/ftk/internal/vm"
)

// parse makes a graph of lines "y = Op a b key=1,2": a name ending in ":d1xd2" the first time it occurs is a weight with
// random values, "#2.5" a float constant, "#i2,3" an int64 one, "#s2" one of rank 0, "_" an input left out. The last node's
// output is the graph's, with those listed in outputs. Input x is [batch 5 8], m is [batch 1 1 5], c is [batch 1 1 5] of
// booleans.
func parse(t *testing.T, text string, outputs ...string) *graph.Graph {
	t.Helper()
	g := &graph.Graph{}
	rng := rand.New(rand.NewPCG(3, 4))
	values := map[string]*graph.Value{
		"x": g.AddInput("x", graph.TensorOf(graph.Float32, graph.NamedDim("batch"), graph.Dim{Size: 5}, graph.Dim{Size: 8})),
		"m": g.AddInput("m", graph.TensorOf(graph.Float32, graph.NamedDim("batch"), graph.Dim{Size: 1}, graph.Dim{Size: 1}, graph.Dim{Size: 5})),
		"c": g.AddInput("c", graph.TensorOf(graph.Bool, graph.NamedDim("batch"), graph.Dim{Size: 1}, graph.Dim{Size: 1}, graph.Dim{Size: 5})),
	}
	input := func(word string) *graph.Value {
		if word == "_" {
			return nil
		}
		if v, ok := values[word]; ok {
			return v
		}
		name, dims, weight := strings.Cut(word, ":")
		switch {
		case weight:
			var shape []int64
			n := 1
			for _, d := range strings.Split(dims, "x") {
				k, _ := strconv.Atoi(d)
				shape = append(shape, int64(k))
				n *= k
			}
			data := make([]float32, n)
			for i := range data {
				data[i] = float32(rng.NormFloat64()) * 0.5
			}
			values[name] = g.AddInitializer(name, graph.NewFloat32(name, shape, data))
			return values[name]
		case strings.HasPrefix(word, "#s"):
			k, _ := strconv.Atoi(word[2:])
			name = fmt.Sprintf("const%d", len(g.Initializers))
			return g.AddInitializer(name, graph.NewInt64(name, []int64{}, []int64{int64(k)}))
		case strings.HasPrefix(word, "#i"):
			var ints []int64
			for _, s := range strings.Split(word[2:], ",") {
				k, _ := strconv.Atoi(s)
				ints = append(ints, int64(k))
			}
			name = fmt.Sprintf("const%d", len(g.Initializers))
			return g.AddInitializer(name, graph.NewInt64(name, []int64{int64(len(ints))}, ints))
		case strings.HasPrefix(word, "#"):
			f, err := strconv.ParseFloat(word[1:], 32)
			if err != nil {
				t.Fatal(err)
			}
			name = fmt.Sprintf("const%d", len(g.Initializers))
			return g.AddInitializer(name, graph.NewFloat32(name, []int64{}, []float32{float32(f)}))
		}
		t.Fatalf("nothing makes %q", word)
		return nil
	}
	var last *graph.Value
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		words := strings.Fields(line)
		n := g.AddNode(words[2], words[0]+".node", nil)
		n.OpType, n.Domain = words[2], ""
		if domain, op, ok := strings.Cut(words[2], "/"); ok {
			n.OpType, n.Domain = op, domain
		}
		for _, w := range words[3:] {
			if key, list, ok := strings.Cut(w, "="); ok {
				var ints []int64
				for _, s := range strings.Split(list, ",") {
					k, err := strconv.Atoi(s)
					if err != nil {
						t.Fatal(err)
					}
					ints = append(ints, int64(k))
				}
				if slices.Contains([]string{"perm", "axes"}, key) {
					n.SetInts(key, ints...)
				} else {
					n.SetInt(key, ints[0])
				}
				continue
			}
			n.Inputs = append(n.Inputs, input(w))
		}
		last = n.Outputs[0]
		last.Name = words[0]
		values[words[0]] = last
	}
	g.Outputs = []*graph.Value{last}
	for _, name := range outputs {
		g.Outputs = append(g.Outputs, values[name])
	}
	return g
}

var inputShapes = map[string]lower.Shape{"x": {DType: graph.Float32, Dims: []int{2, 5, 8}},
	"m": {DType: graph.Float32, Dims: []int{2, 1, 1, 5}}, "c": {DType: graph.Bool, Dims: []int{2, 1, 1, 5}}}

// compute runs a graph for a batch of 2.
func compute(t *testing.T, g *graph.Graph, opset int64) [][]float32 {
	t.Helper()
	low, err := lower.Lower(g, lower.Options{Opset: opset, Inputs: inputShapes})
	if err != nil {
		t.Fatal(err)
	}
	var keep G.Nodes
	for _, v := range g.Outputs {
		keep = append(keep, low.Outputs[v.Name])
	}
	return evaluate(t, low, keep)
}

// evaluate gives the values of nodes for random inputs.
func evaluate(t *testing.T, low *lower.Lowered, keep G.Nodes) [][]float32 {
	t.Helper()
	rng := rand.New(rand.NewPCG(5, 6))
	x, m, c := make([]float32, 80), make([]float32, 10), make([]bool, 10)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	for i := range c {
		c[i] = i%5 < 3+i/5
		if !c[i] {
			m[i] = -10000
		}
	}
	for name, data := range map[string]*tensor.Dense{"x": lower.FromSlice(x, 2, 5, 8), "m": lower.FromSlice(m, 2, 1, 1, 5), "c": lower.FromSlice(c, 2, 1, 1, 5)} {
		if err := G.Let(low.Inputs[name], data); err != nil {
			t.Fatal(err)
		}
	}
	machine, err := vm.New(low.Graph, vm.Options{Keep: keep})
	if err != nil {
		t.Fatal(err)
	}
	defer machine.Close()
	if err := machine.RunAll(); err != nil {
		t.Fatal(err)
	}
	var out [][]float32
	for _, n := range keep {
		out = append(out, slices.Clone(n.Value().(*tensor.Dense).Float32s()))
	}
	return out
}

const layerNormTail = `
s = Add v #1e-5
r = Sqrt s
q = Div d r
p = Mul q g:8
y = Add p b:8`

const layerNormHead = `
u = ReduceMean x axes=-1
d = Sub x u
w = Pow d #2
v = ReduceMean w axes=-1`

const split = `
qw = MatMul x wq:8x8
q0 = Add qw bq:8
kw = MatMul x wk:8x8
k0 = Add kw bk:8
vw = MatMul x wv:8x8
v0 = Add vw bv:8
q1 = Reshape q0 #i0,0,2,4
k1 = Reshape k0 #i0,-1,2,4
v1 = Reshape v0 #i0,0,2,4
q = Transpose q1 perm=0,2,1,3
k = Transpose k1 perm=0,2,3,1
v = Transpose v1 perm=0,2,1,3`

const join = `
o = MatMul p v
j = Transpose o perm=0,2,1,3
y = Reshape j #i0,0,8`

// TestPatterns: each spelling comes to the operators wanted, or is left alone, and computes the same as before.
func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		name, text string
		opset      int64
		outputs    []string // besides the last
		want       string   // operators left, sorted
	}{
		{name: "layer norm", text: layerNormHead + layerNormTail, want: "LayerNormalization"},
		{name: "layer norm, square as product", text: strings.Replace(layerNormHead, "Pow d #2", "Mul d d", 1) + layerNormTail, want: "LayerNormalization"},
		{name: "layer norm, two differences", text: strings.Replace(layerNormHead, "w = Pow d #2", "e = Sub x u\nw = Pow e #2", 1) + layerNormTail, want: "LayerNormalization"},
		{name: "layer norm, reciprocal", text: layerNormHead + strings.Replace(layerNormTail, "q = Div d r", "i = Reciprocal r\nq = Mul i d", 1), want: "LayerNormalization"},
		{name: "layer norm, root as power", text: layerNormHead + strings.Replace(layerNormTail, "Sqrt s", "Pow s #0.5", 1), want: "LayerNormalization"},
		{name: "layer norm, operands swapped", text: layerNormHead + "\ns = Add #1e-5 v\nr = Sqrt s\nq = Div d r\np = Mul g:8 q\ny = Add b:8 p", want: "LayerNormalization"},
		{name: "layer norm, axis counted from the front", text: strings.ReplaceAll(layerNormHead, "axes=-1", "axes=2") + layerNormTail, want: "LayerNormalization"},
		{name: "layer norm, no bias", text: layerNormHead + strings.Replace(layerNormTail, "\ny = Add p b:8", "", 1), want: "LayerNormalization"},
		{name: "layer norm, axes as input", opset: 18, text: strings.ReplaceAll(layerNormHead, "axes=-1", "#i-1") + layerNormTail, want: "LayerNormalization"},
		{name: "not a layer norm: another axis", text: strings.Replace(layerNormHead, "axes=-1", "axes=1", 1) + layerNormTail, want: "Add Add Div Mul Pow ReduceMean ReduceMean Sqrt Sub"},
		{name: "not a layer norm: used inside", text: layerNormHead + layerNormTail, outputs: []string{"d"}, want: "Add Add Div Mul Pow ReduceMean ReduceMean Sqrt Sub"},
		{name: "not a layer norm: scale by a number", text: layerNormHead + strings.Replace(layerNormTail, "g:8", "g:1", 1), want: "Add Add Div Mul Pow ReduceMean ReduceMean Sqrt Sub"},

		{name: "gelu", text: "a = Div x #1.4142135\ne = Erf a\nf = Add e #1\nh = Mul x f\ny = Mul h #0.5", want: "Gelu"},
		{name: "gelu, half first", text: "h = Mul x #0.5\na = Div x #1.4142135\ne = Erf a\nf = Add e #1\ny = Mul h f", want: "Gelu"},
		{name: "gelu, half in the middle", text: "a = Mul x #0.70710677\ne = Erf a\nf = Add #1 e\nh = Mul f #0.5\ny = Mul x h", want: "Gelu"},
		{name: "gelu, divided by two", text: "a = Mul x #0.70710677\ne = Erf a\nf = Add #1 e\nh = Mul f x\ny = Div h #2", want: "Gelu"},
		{name: "gelu tanh", text: "k = Pow x #3\nl = Mul k #0.044715\nn = Add x l\na = Mul n #0.7978845608\ne = Tanh a\nf = Add e #1\nh = Mul x #0.5\ny = Mul h f", want: "Gelu"},
		{name: "gelu tanh, factored", text: "k = Mul x x\nl = Mul #0.044715 k\nn = Add l #1\no = Mul x #0.7978845608\na = Mul o n\ne = Tanh a\nf = Add e #1\nh = Mul x f\ny = Mul h #0.5", want: "Gelu"},
		{name: "not a gelu: another constant", text: "a = Div x #1.5\ne = Erf a\nf = Add e #1\nh = Mul x f\ny = Mul h #0.5", want: "Add Div Erf Mul Mul"},
		{name: "not a gelu: used inside", text: "a = Div x #1.4142135\ne = Erf a\nf = Add e #1\nh = Mul x f\ny = Mul h #0.5", outputs: []string{"f"}, want: "Add Div Erf Mul Mul"},

		{name: "linear", text: "p = MatMul x w:8x3\ny = Add p b:3", want: "Linear"},
		{name: "linear, bias first", text: "p = MatMul x w:8x3\ny = Add b:3 p", want: "Linear"},
		{name: "linear, weight transposed", text: "w2 = Transpose w:3x8 perm=1,0\np = MatMul x w2\ny = Add p b:3", want: "Linear"},
		{name: "linear, flattened", text: "f = Reshape x #i-1,8\np = Gemm f w:3x8 b:3 transB=1\ny = Reshape p #i-1,5,3", want: "Linear"},
		{name: "not linear: the product is used", text: "p = MatMul x w:8x3\ny = Add p b:3", outputs: []string{"p"}, want: "Add MatMul"},
		{name: "not linear: bias of another shape", text: "p = MatMul x w:8x3\ny = Add p b:5x3", want: "Add MatMul"},

		{name: "attention", text: split + "\ns = MatMul q k\nt = Div s #2\nn = Add t m\np = Softmax n axis=-1" + join, want: "Attention Projections"},
		{name: "attention, no mask", text: split + "\ns = MatMul q k\nt = Mul s #0.5\np = Softmax t axis=-1" + join, want: "Attention Projections"},
		{name: "attention, opset 12", opset: 12, text: split + "\ns = MatMul q k\nt = Mul s #0.5\np = Softmax t axis=3" + join, want: "Attention Projections"},
		{name: "attention, query scaled", text: split + "\nz = Div q #2\ns = MatMul z k\nn = Add m s\np = Softmax n axis=3" + join, want: "Attention Projections"},
		{name: "attention, scaled by roots", text: split + "\nz = Mul q #0.6\nzz = Mul k #0.6\ns = MatMul z zz\nn = Add s m\np = Softmax n axis=3" + join, want: "Attention Projections"},
		{name: "attention, key transposed twice", text: strings.Replace(split, "k = Transpose k1 perm=0,2,3,1", "k2 = Transpose k1 perm=0,2,1,3\nk = Transpose k2 perm=0,1,3,2", 1) + "\ns = MatMul q k\nn = Add s m\np = Softmax n axis=3" + join, want: "Attention Projections"},
		{name: "attention, chosen keys", text: split + "\ns = MatMul q k\nt = Div s #2\nn = Where c t #-1e9\np = Softmax n axis=3" + join, want: "Attention Projections"},
		{name: "attention, hidden keys", text: split + "\nh = Not c\ns = MatMul q k\nt = Div s #2\nn = Where h #-1e9 t\np = Softmax n axis=3" + join, want: "Attention Projections"},
		{name: "attention, condition expanded", text: split + "\ns = MatMul q k\nt = Div s #2\ni = Shape t\ne = Expand c i\nn = Where e t #-1e9\np = Softmax n axis=3" + join, want: "Attention Projections"},
		{name: "attention, hidden keys that nothing negates", text: split + "\nh = Greater m #-1\ns = MatMul q k\nt = Div s #2\nn = Where h #-1e9 t\np = Softmax n axis=3" + join, want: "Attention Greater Not Projections"},
		{name: "attention, computed shapes", text: strings.Replace(split, "#i0,0,2,4\nk1", "sh\nk1", 1) + "\ns = MatMul q k\np = Softmax s axis=3" + join, want: "Attention Projections"},
		{name: "not attention: probabilities are wanted", text: split + "\ns = MatMul q k\nt = Div s #2\np = Softmax t axis=3" + join, outputs: []string{"p"}, want: "Div Linear Linear Linear MatMul MatMul Reshape Reshape Reshape Reshape Softmax Transpose Transpose Transpose Transpose"},
		{name: "not attention: softmax over queries", text: split + "\ns = MatMul q k\np = Softmax s axis=2" + join, want: "Linear Linear Linear MatMul MatMul Reshape Reshape Reshape Reshape Softmax Transpose Transpose Transpose Transpose"},
		{name: "not attention: keys and values of one example for all", text: strings.NewReplacer("kw = MatMul x", "u = ReduceMean x axes=0\nkw = MatMul u", "vw = MatMul x", "vw = MatMul u").Replace(split) + "\ns = MatMul q k\np = Softmax s axis=3" + join,
			want: "Linear Linear Linear MatMul MatMul ReduceMean Reshape Reshape Reshape Reshape Softmax Transpose Transpose Transpose Transpose"},

		{name: "attention, layers of different inputs", text: strings.Replace(split, "kw = MatMul x", "u = Relu x\nkw = MatMul u", 1) + "\ns = MatMul q k\np = Softmax s axis=3" + join, want: "Attention Linear Linear Linear Relu"},
		{name: "attention, a layer used elsewhere", text: split + "\ns = MatMul q k\np = Softmax s axis=3" + join, outputs: []string{"k0"}, want: "Attention Linear Linear Linear"},
		{name: "attention, weights transposed", text: strings.NewReplacer("x wq:8x8", "x tq", "x wk:8x8", "x tk", "x wv:8x8", "x tv").Replace("tq = Transpose wq:8x8 perm=1,0\ntk = Transpose wk:8x8 perm=1,0\ntv = Transpose wv:8x8 perm=1,0"+split) + "\ns = MatMul q k\np = Softmax s axis=3" + join, want: "Attention Projections"},
		{name: "attention, one weight transposed", text: strings.Replace("tk = Transpose wk:8x8 perm=1,0"+split, "x wk:8x8", "x tk", 1) + "\ns = MatMul q k\np = Softmax s axis=3" + join, want: "Attention Linear Linear Linear"},
		{name: "attention, one weight for all", text: strings.NewReplacer("wk:8x8", "wq", "wv:8x8", "wq").Replace(split) + "\ns = MatMul q k\np = Softmax s axis=3" + join, want: "Attention Projections"},

		{name: "noise", text: "i = Identity x\nd = Dropout i\nk = Cast d to=1\ne = Shape k\nr = Reshape k e\ny = Relu r", want: "Relu"},
		{name: "onnxruntime gelu", text: "y = com.microsoft/BiasGelu x b:8", want: "Add Gelu"},
		{name: "onnxruntime fast gelu", text: "y = com.microsoft/FastGelu x b:8", want: "Add Gelu"},
		{name: "onnxruntime norm", text: "k = Relu x\ny = com.microsoft/SkipLayerNormalization x k g:8 b:8 c2:8", want: "Add Add LayerNormalization Relu"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.opset == 0 {
				c.opset = 17
			}
			text := c.text
			if strings.Contains(text, " sh\n") { // the target of a Reshape as torch computes it
				text = strings.Replace(text, "\nq1 =", "\nsa = Shape q0\nsb = Gather sa #i0\nsc = Gather sa #i1\nsh = Concat sb sc #i2 #i4 axis=0\nq1 =", 1)
			}
			text += "\nzm = Add m #1\nzc = Not c" // every input is used
			before := parse(t, text)
			last := strings.Fields(c.text)[lastOutput(c.text)]
			before.Outputs = []*graph.Value{before.Value(last), before.Value("zm")}
			for _, name := range c.outputs {
				before.Outputs = append(before.Outputs, before.Value(name))
			}
			m := &graph.Model{Graph: before, Opsets: []graph.Opset{{Version: c.opset}}}
			after, err := passes.Canonical(m)
			if err != nil {
				t.Fatal(err)
			}
			var ops []string
			for _, n := range after.Nodes {
				if n.Name != "zm.node" {
					ops = append(ops, n.OpType)
				}
			}
			slices.Sort(ops)
			if got := strings.Join(ops, " "); got != c.want {
				t.Errorf("left are %s; want %s", got, c.want)
			}
			for i, v := range before.Outputs {
				if after.Outputs[i].Name != v.Name {
					t.Errorf("output %d is called %q, want %q", i, after.Outputs[i].Name, v.Name)
				}
			}
			if strings.Contains(c.text, "com.microsoft") {
				return // cannot be computed as it was
			}
			want, got := compute(t, before, c.opset), compute(t, after, c.opset)
			for i := range want {
				sameValues(t, fmt.Sprintf("output %d", i), got[i], want[i])
			}
		})
	}
}

// sameValues compares what a graph computes after the passes with what it computed before.
func sameValues(t *testing.T, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s has %d elements, had %d", what, len(got), len(want))
	}
	for i, w := range want {
		if d := math.Abs(float64(got[i] - w)); !(d <= 2e-5*max(1, math.Abs(float64(w)))) {
			t.Fatalf("%s: element %d is %v, was %v", what, i, got[i], w)
		}
	}
}

// lastOutput is the place among a text's words of the name of its last node's output.
func lastOutput(text string) int {
	at := 0
	for i, w := range strings.Fields(text) {
		if w == "=" {
			at = i - 1
		}
	}
	return at
}

// TestKeep: a value asked for survives under its name inside of what would be one operator.
func TestKeep(t *testing.T) {
	g := parse(t, layerNormHead+layerNormTail)
	m := &graph.Model{Graph: g, Opsets: []graph.Opset{{Version: 17}}}
	after, err := passes.Canonical(m, "q")
	if err != nil {
		t.Fatal(err)
	}
	if v := after.Value("q"); v == nil || v.Producer == nil || v.Producer.OpType != "Div" {
		t.Error("q is gone")
	}
	if len(g.Nodes) != 9 {
		t.Error("the model's own graph was changed")
	}
}

// TestWeightsStay: a weight reached through operators of constants only is not computed into another one.
func TestWeightsStay(t *testing.T) {
	g := parse(t, "i = Identity w:8x8\nj = Identity i\nt = Transpose j perm=1,0\np = MatMul x t\nq = MatMul p i\ny = Add q b:8")
	after, err := passes.Canonical(&graph.Model{Graph: g, Opsets: []graph.Opset{{Version: 17}}})
	if err != nil {
		t.Fatal(err)
	}
	w := after.Value("w")
	if w == nil || w.Init == nil {
		t.Fatal("w is gone")
	}
	if n := len(after.Uses()[w]); n != 2 {
		t.Errorf("w has %d uses, want 2", n)
	}
}
