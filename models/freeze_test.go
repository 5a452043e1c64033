package models_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/models"
)

func TestFreeze(t *testing.T) {
	bert := must(models.TinyBERT(models.Tiny{}, 1))(t)
	albert := must(models.TinyALBERT(models.Tiny{}, 1))(t)
	auto := must(models.TinyAutoencoder([]int64{16, 8, 4}, 1))(t)
	for _, c := range []struct {
		name  string
		model *graph.Model
		spec  string
		count int    // trainable
		first string // the first of them
		err   string // part of the message
	}{
		{name: "bert", model: bert, spec: "backbone"},
		{name: "bert", model: bert, spec: "none", count: 39, first: "embeddings.word_embeddings.weight"},
		{name: "bert", model: bert, spec: "embeddings", count: 34, first: "encoder.layer.0.attention.self.query.weight.T"},
		{name: "bert", model: bert, spec: "0", count: 34, first: "encoder.layer.0.attention.self.query.weight.T"},
		{name: "bert", model: bert, spec: "1", count: 18, first: "encoder.layer.1.attention.self.query.weight.T"},
		{name: "bert", model: bert, spec: "2", count: 2, first: "pooler.dense.weight"},
		{name: "bert", model: bert, spec: "3", err: "the model has 2 layers"},
		{name: "bert", model: bert, spec: "-1", err: `freeze "-1"`},
		{name: "bert", model: bert, spec: "half", err: "backbone, embeddings, none, or a number"},
		{name: "albert", model: albert, spec: "none", count: 25, first: "embeddings.word_embeddings.weight"},
		{name: "albert", model: albert, spec: "0", count: 18, first: "encoder.layer.0.attention.self.query.weight.T"},
		{name: "albert", model: albert, spec: "1", err: "share their weights"},
		{name: "albert", model: albert, spec: "2", count: 2, first: "pooler.dense.weight"},
		{name: "autoencoder", model: auto, spec: "1", count: 4, first: "W_1"},
	} {
		t.Run(c.name+" "+c.spec, func(t *testing.T) {
			info, err := models.Describe(c.model)
			if err != nil {
				t.Fatal(err)
			}
			got, err := models.Freeze(info, c.spec)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("error %v, want one with %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != c.count || c.count > 0 && got[0].Name != c.first {
				t.Errorf("%d trainable, the first %v; want %d, %q", len(got), got, c.count, c.first)
			}
			for _, v := range got {
				if v.Init == nil || v.Init.DType != graph.Float32 || len(v.Init.Dims) == 0 {
					t.Errorf("%q is trainable", v.Name)
				}
			}
		})
	}
}

// What looks like a weight and is none: an attention mask, the mean of the
// pixels, a scale of rank 0, a table of rotary angles.
func TestConstantsAreNotWeights(t *testing.T) {
	g := &graph.Graph{Name: "g"}
	x := g.AddInput("x", graph.TensorOf(graph.Float32, graph.NamedDim("batch"), graph.Dim{Size: 2}))
	initializer := func(name string, dims []int64, data ...float32) *graph.Value {
		return g.AddInitializer(name, graph.NewFloat32(name, dims, data))
	}
	op := func(op string, in ...*graph.Value) *graph.Value { return g.AddNode(op, "", in).Output() }
	y := op("Sub", x, initializer("mean", []int64{2}, 0.4, 0.5))
	y = op("MatMul", y, initializer("weight", []int64{2, 2}, 1, 2, 3, 4))
	y = op("Add", y, initializer("bias", []int64{2}, 1, 2))
	y = op("Mul", y, initializer("scale", nil, 2))
	y = op("Mul", y, initializer("scale1", []int64{1}, 2))
	y = op("Add", y, initializer("mask", []int64{1, 2}, 0, -10000))
	y = op("Mul", y, op("Cos", initializer("angles", []int64{2}, 1, 2)))
	g.Outputs = []*graph.Value{y}
	info, err := models.Describe(&graph.Model{IRVersion: 8, Opsets: []graph.Opset{{Version: 17}}, Graph: g})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, w := range info.Weights {
		names = append(names, w.Name)
	}
	if got := strings.Join(names, " "); got != "weight bias" {
		t.Errorf("weights %q", got)
	}
}

func TestFreezeHalfPrecision(t *testing.T) {
	m := must(models.TinyBERT(models.Tiny{}, 1))(t)
	info, err := models.Describe(m)
	if err != nil {
		t.Fatal(err)
	}
	w := info.Layers[1].Initializers[0]
	w.Init.DType = graph.Float16
	var unsupported *graph.UnsupportedError
	if _, err := models.Freeze(info, "none"); !errors.As(err, &unsupported) || !strings.Contains(err.Error(), w.Name) {
		t.Errorf("error %v", err)
	}
	if _, err := models.Freeze(info, "backbone"); err != nil {
		t.Error(err)
	}
}
