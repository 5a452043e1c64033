package models

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/nlpodyssey/safetensors"

	"github.com/ftk-go/ftk/internal/graph"
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

// safetensorsFile is a model.safetensors (https://github.com/huggingface/
// safetensors#format) held in memory. The library checks the header against
// the file: sizes, gaps, overlaps and offsets beyond the end.
type safetensorsFile struct {
	path  string
	views map[string]safetensors.TensorView
}

// modelPrefixes are what model classes put before the names of the base model
// they hold: BertForSequenceClassification's "bert.encoder.layer.0…".
var modelPrefixes = []string{"bert.", "model.", "0.auto_model."}

func readSafetensors(path string) (*safetensorsFile, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	file, err := safetensors.Deserialize(data)
	if err != nil {
		return nil, &graph.FormatError{File: path, What: "not a safetensors file: " + err.Error()}
	}
	w := &safetensorsFile{path: path, views: make(map[string]safetensors.TensorView, file.Len())}
	for _, t := range file.Tensors() {
		if base := baseName(t.Name); base == t.Name || !w.has(base) { // the plain name has precedence
			w.views[base] = t.TensorView
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

func (w *safetensorsFile) has(name string) bool { _, ok := w.views[name]; return ok }

func (w *safetensorsFile) tensor(name string, dims ...int64) ([]float32, error) {
	v := w.views[name]
	got := make([]int64, len(v.Shape()))
	for i, d := range v.Shape() {
		got[i] = int64(d)
	}
	if !slices.Equal(got, dims) {
		return nil, &graph.FormatError{
			File: w.path, Where: fmt.Sprintf("tensor %q", name),
			What: fmt.Sprintf("shape is %v, by config.json it should be %v", got, dims),
		}
	}
	dtype, ok := map[safetensors.DType]graph.DType{
		safetensors.F32: graph.Float32, safetensors.F64: graph.Float64,
		safetensors.F16: graph.Float16, safetensors.BF16: graph.BFloat16,
	}[v.DType()]
	if !ok {
		return nil, &graph.FormatError{
			File: w.path, Where: fmt.Sprintf("tensor %q", name),
			What: fmt.Sprintf("element type is %v, weights are F32, F16, BF16 or F64", v.DType()),
		}
	}
	t, err := graph.NewRaw(name, dtype, dims, v.Data())
	if err != nil {
		return nil, &graph.FormatError{File: w.path, What: err.Error()}
	}
	return t.Float32s()
}
