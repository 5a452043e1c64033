package importer_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ftk-go/ftk/importer"
	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/lower"
	"github.com/ftk-go/ftk/internal/vm"
	"github.com/ftk-go/ftk/models"
)

func tinyModels(t *testing.T) map[string]*graph.Model {
	t.Helper()
	out := map[string]*graph.Model{}
	for name, build := range map[string]func() (*graph.Model, error){
		"BERT opset 14":   func() (*graph.Model, error) { return models.TinyBERT(models.Tiny{Opset: 14, ConstantNodes: true}, 1) },
		"BERT opset 17":   func() (*graph.Model, error) { return models.TinyBERT(models.Tiny{}, 2) },
		"ALBERT opset 14": func() (*graph.Model, error) { return models.TinyALBERT(models.Tiny{}, 3) },
		"autoencoder":     func() (*graph.Model, error) { return models.TinyAutoencoder([]int64{12, 6, 3}, 4) },
	} {
		m, err := build()
		if err != nil {
			t.Fatal(err)
		}
		out[name] = m
	}
	return out
}

// expression makes a graph for random inputs of batch 2 and sequence 5, bound to it, and its gradients.
func expression(t *testing.T, m *graph.Model) (*importer.Expression, map[string]*G.Node) {
	t.Helper()
	info, err := models.Describe(m)
	if err != nil {
		t.Fatal(err)
	}
	inputs, err := models.RandomInputs(info, 2, 5, 1)
	if err != nil {
		t.Fatal(err)
	}
	shapes := map[string][]int{}
	for name, x := range inputs {
		for _, d := range x.Dims {
			shapes[name] = append(shapes[name], int(d))
		}
	}
	e, err := importer.ToGorgonia(m, shapes)
	if err != nil {
		t.Fatal(err)
	}
	for name, n := range e.Inputs {
		d, err := lower.Tensor(inputs[name])
		if err != nil {
			t.Fatal(err)
		}
		if err := G.Let(n, d); err != nil {
			t.Fatal(err)
		}
	}
	out := e.Outputs[m.Graph.Outputs[0].Name]
	square, err := G.Square(out) // gorgonia's own operators go on from the imported graph
	if err != nil {
		t.Fatal(err)
	}
	cost, err := G.Mean(square)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	var wrt G.Nodes
	for name, p := range e.Params {
		if !strings.Contains(name, "pooler") { // the first output does not depend on it
			names, wrt = append(names, name), append(wrt, p)
		}
	}
	grads, err := G.Grad(cost, wrt...)
	if err != nil {
		t.Fatal(err)
	}
	kept := map[string]*G.Node{"cost": cost} // the output itself is overwritten by Square on a TapeMachine
	for i, n := range names {
		kept["gradient of "+n] = grads[i]
	}
	return e, kept
}

func numbers(t *testing.T, n *G.Node) []float32 {
	t.Helper()
	switch v := n.Value().(type) {
	case *tensor.Dense:
		return slices.Clone(v.Float32s())
	case *G.F32:
		return []float32{float32(*v)}
	}
	t.Fatalf("%s has no value", n.Name())
	return nil
}

// TestToGorgonia: an imported graph runs on gorgonia's TapeMachine, with the values and gradients of ftk's machine.
func TestToGorgonia(t *testing.T) {
	for name, m := range tinyModels(t) {
		t.Run(name, func(t *testing.T) {
			e, kept := expression(t, m)
			if len(e.Params) == 0 || len(kept) < 5 {
				t.Fatalf("%d parameters", len(e.Params))
			}
			tape := G.NewTapeMachine(e.Graph)
			defer tape.Close()
			if err := tape.RunAll(); err != nil {
				t.Fatal(err)
			}
			want := map[string][]float32{}
			for what, n := range kept {
				want[what] = numbers(t, n)
			}
			e, kept = expression(t, m)
			var keep G.Nodes
			for _, n := range kept {
				keep = append(keep, n)
			}
			planned, err := vm.New(e.Graph, vm.Options{Keep: keep, Poison: true})
			if err != nil {
				t.Fatal(err)
			}
			defer planned.Close()
			if err := planned.RunAll(); err != nil {
				t.Fatal(err)
			}
			for what, n := range kept {
				got, scale, worst := numbers(t, n), 1e-3, 0.0
				for i, w := range want[what] {
					scale = max(scale, math.Abs(float64(w)))
					worst = max(worst, math.Abs(float64(got[i]-w)))
				}
				if !(worst <= 1e-5*scale) {
					t.Errorf("%s: TapeMachine and ftk's differ by %.2g of %.2g", what, worst, scale)
				}
			}
		})
	}
}

func TestToGorgoniaErrors(t *testing.T) {
	m, err := models.TinyBERT(models.Tiny{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	ids, mask, types := []int{2, 5}, []int{2, 5}, []int{2, 5}
	for _, c := range []struct {
		shapes map[string][]int
		want   string
	}{
		{map[string][]int{"input_ids": ids, "attention_mask": mask}, `no shape given for input "token_type_ids"`},
		{map[string][]int{"input_ids": ids, "attention_mask": mask, "token_type_ids": types, "x": {1}}, `no input "x"`},
		{map[string][]int{"input_ids": {2}, "attention_mask": mask, "token_type_ids": types}, `input "input_ids": shape [2] does not fit`},
		{map[string][]int{"input_ids": {2, 4}, "attention_mask": mask, "token_type_ids": types}, "lower: node"},
		{map[string][]int{"input_ids": {2, 99}, "attention_mask": {2, 99}, "token_type_ids": {2, 99}}, "lower: node"}, // 64 positions
	} {
		_, err := importer.ToGorgonia(m, c.shapes)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: error %v, want %q in it", c.shapes, err, c.want)
		}
	}
}
