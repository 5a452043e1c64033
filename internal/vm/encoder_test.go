package vm_test

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/ftk-go/ftk/internal/op"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// encoder is a BERT-like encoder with a classifier on the first token, built by hand.
type encoder struct {
	vocab, width, heads, inner, layers, classes int
	tied                                        bool // one set of weights for all layers

	names   []string
	weights map[string]*tensor.Dense
	rng     *rand.Rand
}

// encoderGraph is the training graph of an encoder for one shape.
type encoderGraph struct {
	g                 *G.ExprGraph
	ids, mask, labels *G.Node
	params            G.Nodes
	logits, loss      *G.Node
	grads             G.Nodes
}

func newEncoder(vocab, width, heads, inner, layers, classes int) *encoder {
	return &encoder{vocab: vocab, width: width, heads: heads, inner: inner, layers: layers, classes: classes,
		weights: map[string]*tensor.Dense{}, rng: rand.New(rand.NewPCG(3, 4))}
}

// weight gives the shared storage of a parameter, normally distributed about mean.
func (e *encoder) weight(name string, mean, std float64, shape ...int) *tensor.Dense {
	if w := e.weights[name]; w != nil {
		return w
	}
	w := tensor.New(tensor.WithShape(shape...), tensor.Of(tensor.Float32))
	for i, x := 0, w.Float32s(); i < len(x); i++ {
		x[i] = float32(mean + std*e.rng.NormFloat64())
	}
	e.weights[name] = w
	e.names = append(e.names, name)
	return w
}

// graph builds forward, loss and gradients for ids [batch, seq].
func (e *encoder) graph(batch, seq int) *encoderGraph {
	t := &encoderGraph{g: G.NewGraph()}
	byName := map[string]*G.Node{}
	param := func(name string, mean, std float64, shape ...int) *G.Node {
		if n := byName[name]; n != nil {
			return n
		}
		n := G.NewTensor(t.g, tensor.Float32, len(shape), G.WithShape(shape...), G.WithName(name),
			G.WithValue(e.weight(name, mean, std, shape...)))
		t.params = append(t.params, n)
		byName[name] = n
		return n
	}
	std := 1 / math.Sqrt(float64(e.width))
	dense := func(x *G.Node, name string, in, out int, act op.Activation) *G.Node {
		return must(op.Linear(x, param(name+".w", 0, std, in, out), param(name+".b", 0, 0.02, out), op.LinearOptions{Act: act}))
	}
	norm := func(x *G.Node, name string) *G.Node {
		return must(op.LayerNorm(x, param(name+".g", 1, 0.05, e.width), param(name+".b", 0, 0.02, e.width), 1e-12))
	}
	t.ids = input(t.g, "ids", make([]int64, batch*seq), batch, seq)
	t.labels = input(t.g, "labels", make([]int64, batch), batch)
	t.mask = input(t.g, "mask", make([]float32, batch*seq), batch, 1, 1, seq)
	positions := input(t.g, "positions", make([]int64, batch*seq), batch, seq)
	for i, p := 0, positions.Value().(*tensor.Dense).Int64s(); i < len(p); i++ {
		p[i] = int64(i % seq)
	}
	x := must(op.Add(
		must(op.Embedding(param("tokens", 0, 1, e.vocab, e.width), t.ids)),
		must(op.Embedding(param("positions", 0, 1, 128, e.width), positions))))
	x = norm(x, "embeddings.norm")
	for l := range e.layers {
		name := fmt.Sprintf("layer%d.", l)
		if e.tied {
			name = "layer."
		}
		q := dense(x, name+"q", e.width, e.width, op.Identity)
		k := dense(x, name+"k", e.width, e.width, op.Identity)
		v := dense(x, name+"v", e.width, e.width, op.Identity)
		a := must(op.Attention(q, k, v, t.mask, e.heads, float32(1/math.Sqrt(float64(e.width/e.heads)))))
		x = norm(must(op.Add(dense(a, name+"out", e.width, e.width, op.Identity), x)), name+"norm1")
		h := dense(x, name+"inner", e.width, e.inner, op.GeluErf)
		x = norm(must(op.Add(dense(h, name+"outer", e.inner, e.width, op.Identity), x)), name+"norm2")
	}
	// The first token of each sequence, by ids into the rows.
	first := input(t.g, "first", make([]int64, batch), batch)
	for i, p := 0, first.Value().(*tensor.Dense).Int64s(); i < len(p); i++ {
		p[i] = int64(i * seq)
	}
	pooled := must(op.Embedding(must(op.Reshape(x, batch*seq, e.width)), first))
	t.logits = dense(dense(pooled, "pooler", e.width, e.width, op.Tanh), "classifier", e.width, e.classes, op.Identity)
	t.loss = must(op.CrossEntropy(t.logits, t.labels, 0))
	grads, err := G.Grad(t.loss, t.params...)
	if err != nil {
		panic(err)
	}
	t.grads = grads
	return t
}

// fill draws a batch.
func (t *encoderGraph) fill(e *encoder, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 5))
	ids, mask, labels := t.ids.Value().(*tensor.Dense).Int64s(), t.mask.Value().(*tensor.Dense).Float32s(), t.labels.Value().(*tensor.Dense).Int64s()
	seq := t.ids.Shape()[1]
	for i := range ids {
		ids[i] = rng.Int64N(int64(e.vocab))
		mask[i] = 0
		if row := i / seq; row%2 == 1 && i%seq > seq/2 {
			mask[i] = -1e9
		}
	}
	for i := range labels {
		labels[i] = rng.Int64N(int64(e.classes))
	}
}

func input[T int64 | float32](g *G.ExprGraph, name string, data []T, shape ...int) *G.Node {
	d := tensor.New(tensor.WithShape(shape...), tensor.WithBacking(data))
	return G.NewTensor(g, d.Dtype(), len(shape), G.WithShape(shape...), G.WithName(name), G.WithValue(d))
}

func must(n *G.Node, err error) *G.Node {
	if err != nil {
		panic(err)
	}
	return n
}
