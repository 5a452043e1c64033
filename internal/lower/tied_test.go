package lower_test

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ftk-go/ftk/importer"
	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/lower"
	"github.com/ftk-go/ftk/internal/passes"
	"github.com/ftk-go/ftk/internal/tensorop"
	"github.com/ftk-go/ftk/internal/testenv"
	"github.com/ftk-go/ftk/internal/vm"
)

// goldenGradient summarises the gradient of one initializer, see testdata/albert_gradients.py.
type goldenGradient struct {
	Norm, Product float64
	First         []float32
}

// TestTiedGradients: ALBERT's layer weights are used twelve times over, and the twelve gradients come out as one sum, as
// PyTorch has it; with the graph as exported and in canonical form.
func TestTiedGradients(t *testing.T) {
	raw, err := os.ReadFile("testdata/albert_gradients.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden map[string]map[string]goldenGradient
	if err := json.Unmarshal(raw, &golden); err != nil {
		t.Fatal(err)
	}
	dir := testenv.Shared(t, "models/albert-rxnmapper")
	for file, want := range golden {
		m, err := importer.Load(dir + "/" + file)
		if err != nil {
			t.Fatal(err)
		}
		canonical, err := passes.Canonical(m)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(file+"/canonical", func(t *testing.T) { tiedGradients(t, canonical, m.Opset(""), dir, want) })
		t.Run(file+"/as exported", func(t *testing.T) { tiedGradients(t, m.Graph, m.Opset(""), dir, want) })
	}
}

func tiedGradients(t *testing.T, g *graph.Graph, opset int64, dir string, want map[string]goldenGradient) {
	o := lower.Options{Opset: opset, Params: map[string]*tensor.Dense{}}
	feeds := bindInputs(g, &o, readTensors(t, dir+"/test_data_encoder", "input"))
	for name := range want {
		v := g.Value(name)
		if v == nil {
			t.Fatalf("the graph has lost initializer %q", name)
		}
		d, err := lower.Tensor(v.Init)
		if err != nil {
			t.Fatal(err)
		}
		o.Params[name] = d
	}
	low, err := lower.Lower(g, o)
	if err != nil {
		t.Fatal(err)
	}
	h := low.Outputs["last_hidden_state"]
	weights := make([]float32, h.Shape().TotalSize())
	for i := range weights {
		weights[i] = float32(math.Cos(0.1*float64(i)) / float64(len(weights)))
	}
	cost, err := weighted(h, tensorop.Constant(low.Graph, "weights", lower.FromSlice(weights, h.Shape()...)))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	var wrt G.Nodes
	for name, n := range low.Params {
		names, wrt = append(names, name), append(wrt, n)
	}
	if len(wrt) != len(want) {
		t.Fatalf("%d trainable nodes, want %d", len(wrt), len(want))
	}
	grads, err := G.Grad(cost, wrt...)
	if err != nil {
		t.Fatal(err)
	}
	for name, n := range low.Inputs {
		if err := G.Let(n, feeds[name]); err != nil {
			t.Fatal(err)
		}
	}
	machine, err := vm.New(low.Graph, vm.Options{Keep: append(grads, cost)})
	if err != nil {
		t.Fatal(err)
	}
	defer machine.Close()
	if err := machine.RunAll(); err != nil {
		t.Fatal(err)
	}
	scale := 0.0
	for _, w := range want {
		scale = max(scale, w.Norm)
	}
	for i, name := range names {
		w := want[name]
		norm, product := 0.0, 0.0
		values := numbers(grads[i])
		for j, v := range values {
			norm += float64(v) * float64(v)
			product += float64(v) * math.Sin(0.3*float64(j))
		}
		norm = math.Sqrt(norm)
		tol := 1e-4*w.Norm + 1e-6*scale
		if math.Abs(norm-w.Norm) > tol || math.Abs(product-w.Product) > 10*tol {
			t.Errorf("gradient of %s: norm %.6g, product %.6g; want %.6g, %.6g", name, norm, product, w.Norm, w.Product)
		}
		for j, v := range w.First {
			if d := math.Abs(float64(values[j] - v)); d > tol {
				t.Errorf("gradient of %s: element %d is %v, want %v", name, j, values[j], v)
				break
			}
		}
	}
}
