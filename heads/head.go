// Package heads attaches task heads to models. A head is ordinary ONNX nodes
// and initializers appended to the user's graph: whatever lowers and exports
// the backbone does so with the head.
//
// A kind of head is one file: a function that appends its nodes, and a row in
// the table kinds.
package heads

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"

	"github.com/ftk-go/ftk/internal/compose"
	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/models"
)

// Config says which head to attach.
type Config struct {
	Kind   string   // see Kinds
	Labels []string // names of the classes, in the order of the logits
	// Pooling makes one vector per example of the hidden states: cls, mean,
	// pooler, or auto (also ""); see the constants.
	Pooling string
	// SourcePooling is what the model's directory asks for (models.ReadPooling),
	// "" if it says nothing. Auto follows it.
	SourcePooling string
	Seed          uint64 // of the fresh initializers
}

// The ways of pooling.
const (
	// Auto is what the model's directory asks for, where it does; else CLS for
	// encoders that are pretrained with a token for it (BERT, ALBERT, RoBERTa,
	// DistilBERT, ViT), and Mean for the rest.
	Auto = "auto"
	// CLS is the hidden state of the first token.
	CLS = "cls"
	// Mean is the mean of the hidden states of the tokens that the attention
	// mask has not masked.
	Mean = "mean"
	// Pooler is the model's own pooler output, BERT's dense layer and tanh on
	// the first token.
	Pooler = "pooler"
	// None: the model has no sequence; its vector per example is used as it is.
	None = "none"
)

// Head is a head that has been attached.
type Head struct {
	Kind    string
	Pooling string // as chosen: never Auto
	// Logits is the graph output that the head added.
	Logits *graph.Value
	// DropoutAt is the value that dropout applies to in training,
	// [batch hidden]. The graph has no Dropout node: served, it would do nothing.
	DropoutAt *graph.Value
	// Initializers are the head's own, always trained.
	Initializers []*graph.Value
}

// kind is a row of the table of heads.
type kind struct {
	name   string
	attach func(a *attachment) (*Head, error)
}

// kinds lists the heads, alphabetically.
var kinds = []kind{
	{"classify", attachClassify},
}

// Kinds names the heads that Attach knows.
func Kinds() []string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.name
	}
	return names
}

// Attach appends a head to m, of which info is the description. Inputs,
// outputs and names that are there stay; new ones do not clash with them. On
// an error m is as before.
func Attach(m *graph.Model, info *models.Info, c Config) (*Head, error) {
	for _, k := range kinds {
		if k.name == c.Kind {
			return k.run(m, info, c)
		}
	}
	return nil, fmt.Errorf("head %q: there are %s", c.Kind, strings.Join(Kinds(), ", "))
}

func (k kind) run(m *graph.Model, info *models.Info, c Config) (*Head, error) {
	g := m.Graph
	nodes, outputs, initializers := len(g.Nodes), len(g.Outputs), len(g.Initializers)
	undo := func() {
		g.Nodes, g.Outputs, g.Initializers = g.Nodes[:nodes], g.Outputs[:outputs], g.Initializers[:initializers]
	}
	if m.Opset("") < oldestOpset {
		return nil, fmt.Errorf("head %s: the model's opset is %d; heads are written for %d and later", k.name, m.Opset(""), oldestOpset)
	}
	a := &attachment{Builder: compose.New(g, m.Opset("")), info: info, config: c}
	h, err := k.attach(a)
	if err != nil {
		undo()
		return nil, fmt.Errorf("head %s: %w", k.name, err)
	}
	if m.IRVersion < 4 { // before, every initializer had to be an input
		m.IRVersion = 4
	}
	h.Kind = k.name
	h.Initializers = a.fresh
	return h, nil
}

// oldestOpset has Gemm with broadcasting of its bias.
const oldestOpset = 7

// attachment is a head in the making.
type attachment struct {
	*compose.Builder
	info   *models.Info
	config Config
	fresh  []*graph.Value // initializers to be trained
}

// weight adds an initializer drawn from normal(0, deviation), the same for the
// same seed and name.
func (a *attachment) weight(name string, deviation float64, dims ...int64) *graph.Value {
	h := fnv.New64a()
	h.Write([]byte(name))
	rng := rand.New(rand.NewPCG(a.config.Seed, h.Sum64()))
	n := int64(1)
	for _, d := range dims {
		n *= d
	}
	data := make([]float32, n)
	for i := range data {
		data[i] = float32(deviation * rng.NormFloat64())
	}
	return a.trained(name, dims, data)
}

// zeros adds an initializer that starts at zero.
func (a *attachment) zeros(name string, n int64) *graph.Value {
	return a.trained(name, []int64{n}, make([]float32, n))
}

func (a *attachment) trained(name string, dims []int64, data []float32) *graph.Value {
	v := a.Initializer(name, dims, data)
	a.fresh = append(a.fresh, v)
	return v
}
