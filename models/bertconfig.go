package models

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/ftk-go/ftk/internal/graph"
)

// BERTConfig is the part of Hugging Face's config.json that decides the graph
// of a BERT encoder (transformers.BertConfig).
type BERTConfig struct {
	VocabSize        int64
	HiddenSize       int64
	Layers           int64
	Heads            int64
	IntermediateSize int64
	MaxPositions     int64
	TypeVocabSize    int64   // 0: no token types
	Activation       string  // gelu, gelu_new, gelu_pytorch_tanh, gelu_fast or relu
	LayerNormEps     float32 // inside the square root
}

// bertConfigFile mirrors config.json; pointers tell a missing key from zero,
// because the defaults are BERT-base's.
type bertConfigFile struct {
	ModelType         string   `json:"model_type"`
	Architectures     []string `json:"architectures"`
	VocabSize         *int64   `json:"vocab_size"`
	HiddenSize        *int64   `json:"hidden_size"`
	Layers            *int64   `json:"num_hidden_layers"`
	Heads             *int64   `json:"num_attention_heads"`
	IntermediateSize  *int64   `json:"intermediate_size"`
	MaxPositions      *int64   `json:"max_position_embeddings"`
	TypeVocabSize     *int64   `json:"type_vocab_size"`
	Activation        *string  `json:"hidden_act"`
	LayerNormEps      *float64 `json:"layer_norm_eps"`
	PositionType      *string  `json:"position_embedding_type"`
	IsDecoder         bool     `json:"is_decoder"`
	AddCrossAttention bool     `json:"add_cross_attention"`
}

// ReadBERTConfig reads config.json. Errors are *graph.FormatError for a broken
// file or impossible sizes, and *graph.UnsupportedError for another family.
func ReadBERTConfig(path string) (BERTConfig, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return BERTConfig{}, err
	}
	var f bertConfigFile
	if err := json.Unmarshal(data, &f); err != nil {
		return BERTConfig{}, &graph.FormatError{File: path, What: err.Error()}
	}
	if what, hint := f.unsupported(); what != "" {
		return BERTConfig{}, &graph.UnsupportedError{Doing: "building a graph from " + path + ": " + what, Hint: hint}
	}
	c := BERTConfig{
		VocabSize:        or(f.VocabSize, 30522),
		HiddenSize:       or(f.HiddenSize, 768),
		Layers:           or(f.Layers, 12),
		Heads:            or(f.Heads, 12),
		IntermediateSize: or(f.IntermediateSize, 3072),
		MaxPositions:     or(f.MaxPositions, 512),
		TypeVocabSize:    or(f.TypeVocabSize, 2),
		Activation:       or(f.Activation, "gelu"),
		LayerNormEps:     float32(or(f.LayerNormEps, 1e-12)),
	}
	if err := c.check(); err != nil {
		return BERTConfig{}, &graph.FormatError{File: path, What: err.Error()}
	}
	return c, nil
}

func or[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

// unsupported says what of the file is beyond the builder and what to do
// instead; what is "" when all is well.
func (f *bertConfigFile) unsupported() (what, hint string) {
	const instead = `export the model to ONNX and import that file`
	switch {
	case f.ModelType == "":
		return "no model_type", `"model_type": "bert" is built; for other families ` + instead
	case f.ModelType != "bert":
		return fmt.Sprintf("model_type %q", f.ModelType), `"bert" is built; for other families ` + instead
	case f.IsDecoder || f.AddCrossAttention:
		return "a decoder (is_decoder or add_cross_attention)", "encoders are built; " + instead
	case f.PositionType != nil && *f.PositionType != "absolute":
		return fmt.Sprintf("position_embedding_type %q", *f.PositionType), `"absolute" is built; ` + instead
	case f.Activation != nil && activations[*f.Activation] == nil:
		return fmt.Sprintf("hidden_act %q", *f.Activation), "gelu, gelu_new, gelu_fast, gelu_pytorch_tanh and relu are built; " + instead
	}
	return "", ""
}

// check refuses sizes that no model has, before memory is asked for.
func (c BERTConfig) check() error {
	const most, mostLayers = 1 << 28, 1 << 10
	for _, s := range []struct {
		key   string
		value int64
		least int64
	}{
		{"vocab_size", c.VocabSize, 1},
		{"hidden_size", c.HiddenSize, 1},
		{"num_hidden_layers", c.Layers, 1},
		{"num_attention_heads", c.Heads, 1},
		{"intermediate_size", c.IntermediateSize, 1},
		{"max_position_embeddings", c.MaxPositions, 1},
		{"type_vocab_size", c.TypeVocabSize, 0},
	} {
		if s.value < s.least || s.value > most {
			return fmt.Errorf("%s is %d", s.key, s.value)
		}
	}
	if c.Layers > mostLayers {
		return fmt.Errorf("num_hidden_layers is %d", c.Layers)
	}
	if c.HiddenSize%c.Heads != 0 {
		return fmt.Errorf("hidden_size %d is not a multiple of num_attention_heads %d", c.HiddenSize, c.Heads)
	}
	if !(c.LayerNormEps > 0 && c.LayerNormEps < 1) {
		return fmt.Errorf("layer_norm_eps is %g", c.LayerNormEps)
	}
	return nil
}
