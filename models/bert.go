package models

import (
	"fmt"
	"math"
	"strings"

	"github.com/ftk-go/ftk/internal/compose"
	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/safetensors"
)

// builtOpset is the standard domain's version in built graphs: the first with
// LayerNormalization, and read by every onnxruntime since 1.12.
const builtOpset = 17

// irVersions: the newest IR version that a file of that opset may have for the
// runtimes that came with the opset to read it.
var irVersions = map[int64]int64{14: 7, 15: 8, 16: 8, 17: 8}

var activations = map[string]func(b *compose.Builder, x *graph.Value) *graph.Value{
	"gelu":              (*compose.Builder).Gelu,
	"gelu_new":          (*compose.Builder).GeluTanh,
	"gelu_fast":         (*compose.Builder).GeluTanh,
	"gelu_pytorch_tanh": (*compose.Builder).GeluTanh,
	"relu":              func(b *compose.Builder, x *graph.Value) *graph.Value { return b.Op("Relu", x) },
}

// BuildBERT writes the ONNX graph of a BERT encoder (Devlin et al. 2018, as
// transformers.BertModel computes it) whose weights come from a safetensors
// file.
//
// Inputs are input_ids, attention_mask and, with token types in the config,
// token_type_ids, all int64 [batch sequence]. Outputs are last_hidden_state
// float32 [batch sequence hidden] and, if the file has a pooler, pooler_output
// float32 [batch hidden].
//
// Initializers have their Hugging Face names without the prefix of the class
// that was saved ("encoder.layer.0.output.dense.bias"). A matrix that is
// stored [out in] there and [in out] here, as MatMul needs it, has ".T" after
// its name: "encoder.layer.0.output.dense.weight.T". The pooler's is not
// transposed and keeps its name.
//
// A tensor that is missing or of the wrong shape is a *graph.FormatError that
// names it. Tensors that the encoder does not use (an MLM head) are ignored.
func BuildBERT(c BERTConfig, safetensorsPath string) (*graph.Model, error) {
	w, err := openSafetensorsFile(safetensorsPath)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	return buildBERT(c, w, bertOptions{opset: builtOpset})
}

// bertOptions say how the graph is written. The zero value of all but opset is
// what BuildBERT writes; the rest make small graphs as other exporters and
// families write them.
type bertOptions struct {
	opset         int64
	constantNodes bool  // small constants as Constant nodes, as torch.onnx.export writes them
	noMask        bool  // every token is seen, by all
	sharedLayer   bool  // ALBERT: layer 0's weights serve all layers, through Identity nodes
	embeddingSize int64 // ALBERT: embeddings narrower than the hidden states, then projected; 0: as wide
}

// bertBuilder holds what the parts of the encoder share while it is written.
type bertBuilder struct {
	BERTConfig
	bertOptions
	weights weights
	made    map[string]*graph.Value // initializers by name
	missing []string                // tensors that weights has not got
	err     error                   // the first other error of weights
}

func buildBERT(c BERTConfig, w weights, o bertOptions) (*graph.Model, error) {
	m := newModel(o.opset, "bert")
	root := compose.New(m.Graph, o.opset)
	if o.constantNodes {
		root.UseConstantNodes()
	}
	if o.embeddingSize == 0 {
		o.embeddingSize = c.HiddenSize
	}
	e := &bertBuilder{BERTConfig: c, bertOptions: o, weights: w, made: map[string]*graph.Value{}}

	batch, sequence, hidden := graph.NamedDim("batch"), graph.NamedDim("sequence"), graph.Dim{Size: c.HiddenSize}
	ids := root.Input("input_ids", graph.Int64, batch, sequence)
	var mask *graph.Value
	if !o.noMask {
		mask = root.Input("attention_mask", graph.Int64, batch, sequence)
	}
	var types *graph.Value
	if c.TypeVocabSize > 0 {
		types = root.Input("token_type_ids", graph.Int64, batch, sequence)
	}

	x := e.embeddings(root.In("embeddings"), ids, types)
	var bias *graph.Value
	if mask != nil {
		bias = attentionBias(root, mask)
	}
	for i := range c.Layers {
		weightsOf := i
		if o.sharedLayer {
			weightsOf = 0
		}
		x = e.layer(root.In("encoder").In(fmt.Sprintf("layer.%d", i)), fmt.Sprintf("encoder.layer.%d.", weightsOf), x, bias)
	}
	root.Output(x, "last_hidden_state", graph.Float32, batch, sequence, hidden)
	if w.has("pooler.dense.weight") {
		pooled := e.pooler(root.In("pooler"), x)
		root.Output(pooled, "pooler_output", graph.Float32, batch, hidden)
	}
	if len(e.missing) > 0 {
		return nil, &graph.FormatError{File: w.file(), What: "missing tensors " + listed(e.missing, 20)}
	}
	if e.err != nil {
		return nil, e.err
	}
	return m, nil
}

// listed joins names, the first few of them if there are many.
func listed(names []string, most int) string {
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// newModel is an empty model at an opset version.
func newModel(opset int64, name string) *graph.Model {
	return &graph.Model{
		IRVersion:    irVersions[opset],
		ProducerName: "ftk",
		Opsets:       []graph.Opset{{Domain: "", Version: opset}},
		Graph:        &graph.Graph{Name: name},
	}
}

// embeddings: [batch sequence] → [batch sequence hidden].
func (e *bertBuilder) embeddings(b *compose.Builder, ids, types *graph.Value) *graph.Value {
	words := e.table(b, "embeddings.word_embeddings.weight", e.VocabSize)
	positions := e.table(b, "embeddings.position_embeddings.weight", e.MaxPositions)
	x := b.In("word_embeddings").Op("Gather", words, ids)
	if types != nil {
		table := e.table(b, "embeddings.token_type_embeddings.weight", e.TypeVocabSize)
		x = b.Op("Add", x, b.In("token_type_embeddings").Op("Gather", table, types))
	}
	length := b.Pick(b.Op("Shape", ids), 0, 1)
	at := b.Op("Range", b.Int(0), length, b.Int(1)) // beyond the table, Gather fails
	x = b.Op("Add", x, b.In("position_embeddings").Op("Gather", positions, at))
	x = e.layerNorm(b.In("LayerNorm"), "embeddings.LayerNorm", x, e.embeddingSize)
	if e.embeddingSize != e.HiddenSize {
		x = e.linear(b.In("projection"), "embeddings.projection", x, e.embeddingSize, e.HiddenSize)
	}
	return x
}

// attentionBias turns the mask [batch sequence] into what is added to the
// scores: [batch 1 1 sequence], 0 where the mask is 1, -10000 where it is 0.
// Google's BERT has that number; unlike the most negative float32 it survives
// half precision and adding to, and its exponential is zero all the same.
func attentionBias(b *compose.Builder, mask *graph.Value) *graph.Value {
	open := b.Cast(b.Unsqueeze(mask, 1, 2), graph.Float32)
	return b.Op("Mul", b.Op("Sub", b.Float(1), open), b.Float(-10000))
}

// layer is one encoder layer with the residuals normalised after adding:
// attention, add and norm, feed-forward, add and norm.
func (e *bertBuilder) layer(b *compose.Builder, prefix string, x, bias *graph.Value) *graph.Value {
	at := b.In("attention")
	context := e.attention(at.In("self"), prefix+"attention.self.", x, bias)
	out := e.linear(at.In("output").In("dense"), prefix+"attention.output.dense", context, e.HiddenSize, e.HiddenSize)
	x = e.layerNorm(at.In("output").In("LayerNorm"), prefix+"attention.output.LayerNorm", at.In("output").Op("Add", out, x), e.HiddenSize)

	wide := e.linear(b.In("intermediate").In("dense"), prefix+"intermediate.dense", x, e.HiddenSize, e.IntermediateSize)
	wide = activations[e.Activation](b.In("intermediate").In("intermediate_act_fn"), wide)
	out = e.linear(b.In("output").In("dense"), prefix+"output.dense", wide, e.IntermediateSize, e.HiddenSize)
	return e.layerNorm(b.In("output").In("LayerNorm"), prefix+"output.LayerNorm", b.In("output").Op("Add", out, x), e.HiddenSize)
}

// attention is softmax(q·kᵀ/√d + bias)·v by heads (Vaswani et al. 2017); bias
// may be nil.
func (e *bertBuilder) attention(b *compose.Builder, prefix string, x, bias *graph.Value) *graph.Value {
	h, heads := e.HiddenSize, e.Heads
	split := b.Ints(0, 0, heads, h/heads) // 0: as the input has it
	part := func(name string, perm ...int64) *graph.Value {
		y := e.linear(b.In(name), prefix+name, x, h, h)
		return b.Transpose(b.Op("Reshape", y, split), perm...)
	}
	q := part("query", 0, 2, 1, 3) // [batch heads sequence d]
	k := part("key", 0, 2, 3, 1)   // [batch heads d sequence]
	v := part("value", 0, 2, 1, 3) // [batch heads sequence d]
	scores := b.Op("Div", b.Op("MatMul", q, k), b.Float(float32(math.Sqrt(float64(h/heads)))))
	if bias != nil {
		scores = b.Op("Add", scores, bias)
	}
	probs := b.OpWith("Softmax", []compose.Attr{{Name: "axis", Value: -1}}, scores)
	context := b.Transpose(b.Op("MatMul", probs, v), 0, 2, 1, 3)
	return b.Op("Reshape", context, b.Ints(0, 0, h))
}

// pooler: tanh of a dense layer on the first token, [batch sequence hidden] →
// [batch hidden].
func (e *bertBuilder) pooler(b *compose.Builder, x *graph.Value) *graph.Value {
	h := e.HiddenSize
	w := e.initializer(b, "pooler.dense.weight", h, h)
	bias := e.initializer(b, "pooler.dense.bias", h)
	first := b.Pick(x, 1, 0)
	return b.Op("Tanh", b.In("dense").OpWith("Gemm", []compose.Attr{{Name: "transB", Value: 1}}, first, w, bias))
}

func (e *bertBuilder) layerNorm(b *compose.Builder, name string, x *graph.Value, width int64) *graph.Value {
	gamma := e.initializer(b, name+".weight", width)
	beta := e.initializer(b, name+".bias", width)
	return b.LayerNorm(x, gamma, beta, e.LayerNormEps)
}

// linear applies a torch.nn.Linear, whose weight is stored [out in].
func (e *bertBuilder) linear(b *compose.Builder, name string, x *graph.Value, in, out int64) *graph.Value {
	w := e.once(b, name+".weight.T", []int64{in, out}, func() []float32 {
		return transposed(e.read(name+".weight", out, in), out, in)
	})
	return b.Linear(x, w, e.initializer(b, name+".bias", out))
}

func (e *bertBuilder) table(b *compose.Builder, name string, rows int64) *graph.Value {
	return e.initializer(b, name, rows, e.embeddingSize)
}

func (e *bertBuilder) initializer(b *compose.Builder, name string, dims ...int64) *graph.Value {
	return e.once(b, name, dims, func() []float32 { return e.read(name, dims...) })
}

// once makes an initializer when it is first asked for, and an Identity of it
// from then on.
func (e *bertBuilder) once(b *compose.Builder, name string, dims []int64, data func() []float32) *graph.Value {
	if v := e.made[name]; v != nil {
		return b.Op("Identity", v)
	}
	x := data()
	if x == nil {
		dims = []int64{0} // read has noted the error; the graph is thrown away
	}
	v := b.Initializer(name, dims, x)
	e.made[name] = v
	return v
}

// read gives nil and notes the error when the tensor cannot be had, so that
// all that is missing can be named at once.
func (e *bertBuilder) read(name string, dims ...int64) []float32 {
	if !e.weights.has(name) {
		e.missing = append(e.missing, name)
		return nil
	}
	data, err := e.weights.tensor(name, dims...)
	if err != nil && e.err == nil {
		e.err = err
	}
	return data
}

// WriteBERT writes the weights of a model that BuildBERT or TinyBERT has built
// as Hugging Face names and lays them out: what BuildBERT reads.
func WriteBERT(m *graph.Model, path string) error {
	var tensors []safetensors.Tensor
	for _, v := range m.Graph.Initializers {
		name, isTransposed := strings.CutSuffix(v.Name, ".T") // see linear
		if !strings.HasSuffix(name, ".weight") && !strings.HasSuffix(name, ".bias") {
			continue
		}
		data, err := v.Init.Float32s()
		if err != nil {
			return err
		}
		shape := v.Init.Dims
		if isTransposed {
			data = transposed(data, shape[0], shape[1])
			shape = []int64{shape[1], shape[0]}
		}
		tensors = append(tensors, safetensors.Tensor{Name: name, Shape: shape, Data: data})
	}
	return safetensors.WriteFile(path, tensors, map[string]string{"format": "pt"})
}

// transposed gives [cols rows] from [rows cols]; nil from nil.
func transposed(x []float32, rows, cols int64) []float32 {
	if x == nil {
		return nil
	}
	out := make([]float32, len(x))
	for r := range rows {
		for c := range cols {
			out[c*rows+r] = x[r*cols+c]
		}
	}
	return out
}
