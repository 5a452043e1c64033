package models

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/safetensors"
)

// weights gives the tensors of a model by their Hugging Face names.
type weights interface {
	// has tells whether the tensor is there.
	has(name string) bool
	// tensor returns the values of a tensor that is there and must have the
	// dims given, row-major, as float32.
	tensor(name string, dims ...int64) ([]float32, error)
	// file is where they come from, for errors; "" where from no file.
	file() string
}

// safetensorsFile is an open model.safetensors.
type safetensorsFile struct {
	*safetensors.File
	path  string
	names map[string]string // in the file, by the name without what differs between checkpoints
}

// weightTypes are the element types that weights are read from.
var weightTypes = map[string]graph.DType{
	"F16": graph.Float16, "BF16": graph.BFloat16, "F32": graph.Float32, "F64": graph.Float64,
}

// modelPrefixes are what model classes put before the names of the base model
// they hold: BertForSequenceClassification's "bert.encoder.layer.0…".
var modelPrefixes = []string{"bert.", "model.", "0.auto_model."}

func openSafetensorsFile(path string) (*safetensorsFile, error) {
	file, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	w := &safetensorsFile{File: file, path: path, names: map[string]string{}}
	for _, name := range file.Names() {
		if base := baseName(name); base == name || !w.has(base) { // the plain name has precedence
			w.names[base] = name
		}
	}
	return w, nil
}

// baseName strips what differs between checkpoints of one architecture: the
// prefix of the class that was saved, and TensorFlow's names of LayerNorm's
// parameters, which early PyTorch checkpoints kept.
func baseName(name string) string {
	for _, p := range modelPrefixes {
		if rest, ok := strings.CutPrefix(name, p); ok {
			name = rest
			break
		}
	}
	if rest, ok := strings.CutSuffix(name, "LayerNorm.gamma"); ok {
		return rest + "LayerNorm.weight"
	}
	if rest, ok := strings.CutSuffix(name, "LayerNorm.beta"); ok {
		return rest + "LayerNorm.bias"
	}
	return name
}

func (w *safetensorsFile) file() string { return w.path }

func (w *safetensorsFile) has(name string) bool { _, ok := w.names[name]; return ok }

func (w *safetensorsFile) tensor(name string, dims ...int64) ([]float32, error) {
	stored := w.names[name]
	wrong := func(what string, args ...any) error {
		return &graph.FormatError{File: w.path, Where: fmt.Sprintf("tensor %q", name), What: fmt.Sprintf(what, args...)}
	}
	if got, _ := w.Shape(stored); !slices.Equal(got, dims) {
		return nil, wrong("shape is %v, by config.json it should be %v", got, dims)
	}
	dtype, ok := weightTypes[w.DType(stored)]
	if !ok {
		return nil, wrong("element type is %s, weights are F32, F16, BF16 or F64", w.DType(stored))
	}
	if dtype == graph.Float32 {
		t, err := w.Read(stored)
		return t.Data, err
	}
	raw, err := w.Bytes(stored)
	if err != nil {
		return nil, err
	}
	t, err := graph.NewRaw(name, dtype, dims, raw)
	if err != nil {
		return nil, wrong("%v", err)
	}
	return t.Float32s()
}
