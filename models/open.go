package models

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ftk-go/ftk/importer"
	"github.com/ftk-go/ftk/internal/graph"
)

// Source is a model as it was found on disk.
type Source struct {
	Model *graph.Model
	Kind  SourceKind
	Path  string // the model file: ….onnx or model.safetensors
	Dir   string // the directory with Files; that of Path unless told otherwise
	// Files are those of companionFiles that are in Dir: tokenizer and
	// configuration, relative to Dir, with slashes.
	Files []string
}

// SourceKind says what a model was made from.
type SourceKind string

// The kinds of source that Open knows.
const (
	FromONNX        SourceKind = "onnx"
	FromSafetensors SourceKind = "safetensors"
)

// companionFiles are the files beside a model that say how text becomes its
// input and how its output is pooled, in the layout of Hugging Face and
// sentence-transformers.
var companionFiles = []string{
	"tokenizer.json",
	"vocab.txt",
	"tokenizer_config.json",
	"special_tokens_map.json",
	"config.json",
	"sentence_bert_config.json",
	"modules.json",
	"1_Pooling/config.json",
}

// Has tells whether a companion file was found.
func (s *Source) Has(name string) bool {
	return slices.Contains(s.Files, name)
}

// Open reads a model from path: an ONNX file; a directory with model.onnx (or
// onnx/model.onnx, or a single ….onnx file); or a Hugging Face directory with
// config.json of model_type bert and model.safetensors, of which it builds the
// graph. Where a directory has both, the ONNX file is taken.
//
// Errors are *graph.FormatError, *graph.UnsupportedError, or of the file
// system.
func Open(path string) (*Source, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		if filepath.Ext(path) == ".safetensors" {
			return openSafetensors(filepath.Dir(path), path)
		}
		return openONNX(filepath.Dir(path), path)
	}
	file, err := onnxFile(path)
	if err != nil {
		return nil, err
	}
	if file != "" {
		return openONNX(path, file)
	}
	weights := filepath.Join(path, "model.safetensors")
	if exists(weights) {
		return openSafetensors(path, weights)
	}
	return nil, noModel(path)
}

// onnxFile finds the ONNX file of a directory, "" if it has none.
func onnxFile(dir string) (string, error) {
	for _, name := range []string{"model.onnx", filepath.Join("onnx", "model.onnx")} {
		if f := filepath.Join(dir, name); exists(f) {
			return f, nil
		}
	}
	found, err := filepath.Glob(filepath.Join(globEscape(dir), "*.onnx"))
	if err != nil {
		return "", err
	}
	switch len(found) {
	case 0:
		return "", nil
	case 1:
		return found[0], nil
	}
	names := make([]string, len(found))
	for i, f := range found {
		names[i] = filepath.Base(f)
	}
	return "", fmt.Errorf("%s: has several ONNX files and none is called model.onnx: name one of %s", dir, strings.Join(names, ", "))
}

// noModel says what a directory without a model that can be read has instead.
func noModel(dir string) error {
	for _, other := range []struct{ name, hint string }{
		{"model.safetensors.index.json", "weights in several files are not read: save the model in one model.safetensors"},
		{"pytorch_model.bin", "PyTorch pickles are not read: convert it to model.safetensors, or export to ONNX"},
		{"tf_model.h5", "TensorFlow weights are not read: convert them to model.safetensors, or export to ONNX"},
	} {
		if path := filepath.Join(dir, other.name); exists(path) {
			return &graph.UnsupportedError{Doing: "reading " + path, Hint: other.hint}
		}
	}
	return fmt.Errorf("%s: no model in this directory: it needs model.onnx, or config.json and model.safetensors", dir)
}

func openONNX(dir, file string) (*Source, error) {
	m, err := importer.Load(file)
	if err != nil {
		return nil, err
	}
	return &Source{Model: m, Kind: FromONNX, Path: file, Dir: dir, Files: companions(dir)}, nil
}

func openSafetensors(dir, file string) (*Source, error) {
	config := filepath.Join(dir, "config.json")
	c, err := ReadBERTConfig(config)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: no config.json beside model.safetensors", dir)
	}
	if err != nil {
		return nil, err
	}
	m, err := BuildBERT(c, file)
	if err != nil {
		return nil, err
	}
	return &Source{Model: m, Kind: FromSafetensors, Path: file, Dir: dir, Files: companions(dir)}, nil
}

func companions(dir string) []string {
	var files []string
	for _, name := range companionFiles {
		if exists(filepath.Join(dir, filepath.FromSlash(name))) {
			files = append(files, name)
		}
	}
	return files
}

func exists(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}

func globEscape(dir string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}

// ReadPooling tells how sentence-transformers pools the model of a directory:
// "mean" or "cls" by 1_Pooling/config.json, "" if there is no such file. Other
// poolings (max, mean over √length, several at once) are an
// *graph.UnsupportedError.
func ReadPooling(dir string) (string, error) {
	path := filepath.Join(dir, "1_Pooling", "config.json")
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	var modes map[string]any // pooling_mode_cls_token: true, …; other keys are not modes
	if err := json.Unmarshal(data, &modes); err != nil {
		return "", &graph.FormatError{File: path, What: err.Error()}
	}
	var on []string
	for key, value := range modes {
		if set, _ := value.(bool); set && strings.HasPrefix(key, "pooling_mode_") {
			on = append(on, key)
		}
	}
	if mode, ok := modes["pooling_mode"].(string); ok && len(on) == 0 { // sentence-transformers since 5.2
		on = append(on, "pooling_mode_"+mode)
	}
	if len(on) == 1 {
		switch on[0] {
		case "pooling_mode_mean_tokens", "pooling_mode_mean":
			return "mean", nil
		case "pooling_mode_cls_token", "pooling_mode_cls":
			return "cls", nil
		}
	}
	slices.Sort(on)
	return "", &graph.UnsupportedError{
		Doing: fmt.Sprintf("pooling as %s asks (%s)", path, strings.Join(on, ", ")),
		Hint:  "ftk pools by mean or cls",
	}
}
