package models

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/ftk-go/ftk/internal/compose"
	"github.com/ftk-go/ftk/internal/graph"
)

// Tiny says what small random encoder to build. Fields left zero take the
// values of a model of about 20,000 parameters: 100 words, 32 wide, 2 layers,
// 4 heads, 64 in the feed-forward, 64 positions, 2 token types, GELU.
type Tiny struct {
	BERTConfig
	Opset         int64 // 14 to 17; below 17 LayerNorm is nine nodes. Default 17, of TinyALBERT 14.
	ConstantNodes bool  // small constants as Constant nodes, as torch.onnx.export writes them
	NoPooler      bool  // leave out pooler_output
	NoTokenTypes  bool  // leave out token_type_ids
	NoMask        bool  // leave out attention_mask: every token is seen
}

func (t Tiny) filled() Tiny {
	set := func(p *int64, v int64) {
		if *p == 0 {
			*p = v
		}
	}
	set(&t.VocabSize, 100)
	set(&t.HiddenSize, 32)
	set(&t.Layers, 2)
	set(&t.Heads, 4)
	set(&t.IntermediateSize, 64)
	set(&t.MaxPositions, 64)
	if !t.NoTokenTypes {
		set(&t.TypeVocabSize, 2)
	}
	set(&t.Opset, builtOpset)
	if t.Activation == "" {
		t.Activation = "gelu"
	}
	if t.LayerNormEps == 0 {
		t.LayerNormEps = 1e-12
	}
	return t
}

// TinyBERT builds a BERT encoder with the inputs, outputs and names of
// BuildBERT and random weights, the same for the same seed.
func TinyBERT(t Tiny, seed uint64) (*graph.Model, error) {
	t = t.filled()
	return t.build(bertOptions{opset: t.Opset, constantNodes: t.ConstantNodes, noMask: t.NoMask}, seed)
}

// TinyALBERT builds an encoder as ALBERT's is exported (Lan et al. 2019):
// embeddings half as wide as the hidden states and projected, and one set of
// layer weights that reaches every layer but the first through Identity nodes.
func TinyALBERT(t Tiny, seed uint64) (*graph.Model, error) {
	if t.Opset == 0 {
		t.Opset = 14
	}
	t = t.filled()
	return t.build(bertOptions{
		opset: t.Opset, constantNodes: t.ConstantNodes, noMask: t.NoMask,
		sharedLayer: true, embeddingSize: max(t.HiddenSize/2, 1),
	}, seed)
}

func (t Tiny) build(o bertOptions, seed uint64) (*graph.Model, error) {
	if irVersions[o.opset] == 0 {
		return nil, fmt.Errorf("models: opset %d; tiny models are built at 14 to 17", o.opset)
	}
	if err := t.check(); err != nil {
		return nil, fmt.Errorf("models: %w", err)
	}
	if activations[t.Activation] == nil {
		return nil, fmt.Errorf("models: unknown activation %q", t.Activation)
	}
	return buildBERT(t.BERTConfig, randomWeights{seed: seed, pooler: !t.NoPooler}, o)
}

// TinyAutoencoder builds layers of Gemm and Sigmoid from widths[0] over the
// others back to the first: input float32 [batch widths[0]], output the same.
// Weights are W_0, W_1, … [out in] and b_0, b_1, … at opset 17.
func TinyAutoencoder(widths []int64, seed uint64) (*graph.Model, error) {
	if len(widths) < 2 {
		return nil, fmt.Errorf("models: an autoencoder needs two widths or more, got %v", widths)
	}
	for _, w := range widths {
		if w < 1 {
			return nil, fmt.Errorf("models: widths %v", widths)
		}
	}
	m := newModel(builtOpset, "autoencoder")
	b := compose.New(m.Graph, builtOpset)
	weights := randomWeights{seed: seed}
	batch := graph.NamedDim("batch")
	x := b.Input("input", graph.Float32, batch, graph.Dim{Size: widths[0]})
	for i, in := range widths {
		out := widths[(i+1)%len(widths)]
		initializer := func(name string, dims ...int64) *graph.Value {
			data, _ := weights.tensor(name, dims...)
			return b.Initializer(name, dims, data)
		}
		w := initializer(fmt.Sprintf("W_%d", i), out, in)
		bias := initializer(fmt.Sprintf("b_%d", i), out)
		x = b.Op("Sigmoid", b.OpWith("Gemm", []compose.Attr{{Name: "transB", Value: 1}}, x, w, bias))
	}
	b.Output(x, "output", graph.Float32, batch, graph.Dim{Size: widths[0]})
	return m, nil
}

// randomWeights has every tensor. Each is drawn from a generator of its own,
// seeded by the seed and the name, so the order of asking does not matter.
type randomWeights struct {
	seed   uint64
	pooler bool
}

func (w randomWeights) file() string { return "" }

func (w randomWeights) has(name string) bool {
	return w.pooler || !strings.HasPrefix(name, "pooler.")
}

// tensor draws matrices from normal(0, 1/√in), so that activations neither
// vanish nor saturate; LayerNorm's scale about 1 and other vectors about 0,
// so that no term of a gradient is idle.
func (w randomWeights) tensor(name string, dims ...int64) ([]float32, error) {
	h := fnv.New64a()
	h.Write([]byte(name))
	rng := rand.New(rand.NewPCG(w.seed, h.Sum64()))
	mean, deviation, n := 0.0, 0.1, int64(1)
	switch {
	case len(dims) > 1:
		deviation = 1 / math.Sqrt(float64(dims[len(dims)-1]))
	case strings.HasSuffix(name, "LayerNorm.weight"):
		mean = 1
	}
	for _, d := range dims {
		n *= d
	}
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(mean + deviation*rng.NormFloat64())
	}
	return out, nil
}
