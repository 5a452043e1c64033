package models_test

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ftk-go/ftk/exporter"
	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/safetensors"
	"github.com/ftk-go/ftk/models"
)

// checkpoint is a safetensors file that a test changes and writes anew.
type checkpoint map[string]stored

// stored is a tensor as it stands in the file.
type stored struct {
	dtype string
	shape []int64
	raw   []byte
}

func tinyCheckpoint(t *testing.T) checkpoint {
	t.Helper()
	file, err := safetensors.Open(filepath.Join("testdata", "tiny-bert", "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	c := checkpoint{}
	for _, name := range file.Names() {
		shape, _ := file.Shape(name)
		raw, err := file.Bytes(name)
		if err != nil {
			t.Fatal(err)
		}
		c[name] = stored{file.DType(name), shape, raw}
	}
	return c
}

// bytes is the checkpoint as a safetensors file.
func (c checkpoint) bytes(t *testing.T) []byte {
	t.Helper()
	header := map[string]any{"__metadata__": map[string]string{"format": "pt"}}
	var data []byte
	for name, s := range c {
		from := len(data)
		data = append(data, s.raw...)
		header[name] = map[string]any{"dtype": s.dtype, "shape": s.shape, "data_offsets": []int{from, len(data)}}
	}
	text, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Concat(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text, data)
}

// write puts the checkpoint and tiny-bert's config, changed, in a directory.
func (c checkpoint) write(t *testing.T, replaceInConfig ...string) string {
	t.Helper()
	dir := t.TempDir()
	config, err := os.ReadFile(filepath.Join("testdata", "tiny-bert", "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "model.safetensors"), c.bytes(t))
	writeFile(t, filepath.Join(dir, "config.json"), []byte(strings.NewReplacer(replaceInConfig...).Replace(string(config))))
	return dir
}

func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// rename gives all tensors other names.
func (c checkpoint) rename(to func(string) string) checkpoint {
	out := checkpoint{}
	for name, v := range c {
		out[to(name)] = v
	}
	return out
}

// narrow stores all tensors in 16 bits, the upper half of each float32.
func (c checkpoint) narrow(dtype string, convert func(float32) uint16) checkpoint {
	out := checkpoint{}
	for name, v := range c {
		var raw []byte
		for i := 0; i < len(v.raw); i += 4 {
			raw = binary.LittleEndian.AppendUint16(raw, convert(math.Float32frombits(binary.LittleEndian.Uint32(v.raw[i:]))))
		}
		out[name] = stored{dtype, v.shape, raw}
	}
	return out
}

// The same weights under other names, or in fewer bits, give the same graph.
func TestBERTCheckpointVariants(t *testing.T) {
	want := readGolden(t, filepath.Join("testdata", "tiny-bert", "golden.safetensors"))
	bfloat := func(x float32) uint16 { return uint16(math.Float32bits(x) >> 16) }
	half := func(x float32) uint16 { // of normal numbers, cut off
		bits := math.Float32bits(x)
		exponent := int(bits>>23&0xff) - 127 + 15
		if exponent <= 0 {
			return 0
		}
		return uint16(bits>>16&0x8000) | uint16(exponent)<<10 | uint16(bits>>13&0x3ff)
	}
	tiny := tinyCheckpoint(t)
	for _, c := range []struct {
		name      string
		weights   checkpoint
		tolerance float64
	}{
		{"as saved", tiny, 1e-5},
		{"bert. before all names", tiny.rename(func(n string) string { return "bert." + n }), 1e-5},
		{"gamma and beta", tiny.rename(func(n string) string {
			return strings.NewReplacer("LayerNorm.weight", "LayerNorm.gamma", "LayerNorm.bias", "LayerNorm.beta").Replace(n)
		}), 1e-5},
		{"BF16", tiny.narrow("BF16", bfloat), 0.15},
		{"F16", tiny.narrow("F16", half), 0.02},
	} {
		t.Run(c.name, func(t *testing.T) {
			source, err := models.Open(c.weights.write(t))
			if err != nil {
				t.Fatal(err)
			}
			if source.Kind != models.FromSafetensors || !source.Has("config.json") || source.Has("vocab.txt") {
				t.Errorf("kind %q, files %q", source.Kind, source.Files)
			}
			got := run(t, source.Model, want.inputs())
			if d := maxDifference(t, got["last_hidden_state"], want["last_hidden_state.gelu"]); !(d <= c.tolerance) {
				t.Errorf("hidden states differ by %g", d)
			}
		})
	}
}

func TestBERTWithoutPoolerOrTokenTypes(t *testing.T) {
	weights := tinyCheckpoint(t)
	maps.DeleteFunc(weights, func(name string, _ stored) bool {
		return strings.HasPrefix(name, "pooler.") || strings.Contains(name, "token_type")
	})
	source, err := models.Open(weights.write(t, `"type_vocab_size": 2`, `"type_vocab_size": 0`))
	if err != nil {
		t.Fatal(err)
	}
	g := source.Model.Graph
	if len(g.Inputs) != 2 || len(g.Outputs) != 1 {
		t.Errorf("%d inputs, %d outputs; want 2 and 1", len(g.Inputs), len(g.Outputs))
	}
}

func TestBERTRefuses(t *testing.T) {
	for _, c := range []struct {
		name        string
		change      func(checkpoint)
		config      []string // what to replace in config.json, by what
		want        []string // parts of the message
		unsupported bool     // else a FormatError
	}{
		{name: "missing tensors", change: func(c checkpoint) {
			delete(c, "encoder.layer.1.output.dense.bias")
			delete(c, "embeddings.LayerNorm.weight")
		}, want: []string{"missing tensors", "embeddings.LayerNorm.weight, encoder.layer.1.output.dense.bias"}},
		{name: "more layers than weights", config: []string{`"num_hidden_layers": 2`, `"num_hidden_layers": 9`},
			want: []string{"encoder.layer.2.attention.self.query.weight", "and 92 more"}},
		{name: "vocabulary", config: []string{`"vocab_size": 120`, `"vocab_size": 121`},
			want: []string{`tensor "embeddings.word_embeddings.weight"`, "[120 32]", "[121 32]"}},
		{name: "integers", change: func(c checkpoint) {
			c["pooler.dense.bias"] = stored{"I32", []int64{32}, make([]byte, 128)}
		}, want: []string{`tensor "pooler.dense.bias"`, "I32"}},
		{name: "heads", config: []string{`"num_attention_heads": 4`, `"num_attention_heads": 5`}, want: []string{"not a multiple"}},
		{name: "negative", config: []string{`"num_hidden_layers": 2`, `"num_hidden_layers": -2`}, want: []string{"num_hidden_layers is -2"}},
		{name: "huge", config: []string{`"num_hidden_layers": 2`, `"num_hidden_layers": 99999`}, want: []string{"num_hidden_layers is 99999"}},
		{name: "not JSON", config: []string{`{`, ``}, want: []string{"config.json"}},
		{name: "a string for a number", config: []string{`"vocab_size": 120`, `"vocab_size": "120"`}, want: []string{"config.json", "vocab_size"}},
		{name: "family", config: []string{`"model_type": "bert"`, `"model_type": "deberta-v2"`}, want: []string{`model_type "deberta-v2"`, "export the model to ONNX"}, unsupported: true},
		{name: "no family", config: []string{`"model_type": "bert"`, `"x": 1`}, want: []string{"no model_type"}, unsupported: true},
		{name: "activation", config: []string{`"hidden_act": "gelu"`, `"hidden_act": "swish"`}, want: []string{`hidden_act "swish"`}, unsupported: true},
		{name: "relative positions", config: []string{`"model_type"`, `"position_embedding_type": "relative_key", "model_type"`}, want: []string{"relative_key"}, unsupported: true},
		{name: "decoder", config: []string{`"is_decoder": false`, `"is_decoder": true`}, want: []string{"decoder"}, unsupported: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			weights := tinyCheckpoint(t)
			if c.change != nil {
				c.change(weights)
			}
			_, err := models.Open(weights.write(t, c.config...))
			var format *graph.FormatError
			var unsupported *graph.UnsupportedError
			if c.unsupported && !errors.As(err, &unsupported) || !c.unsupported && !errors.As(err, &format) {
				t.Fatalf("error %v (%T)", err, err)
			}
			for _, part := range c.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q does not say %q", err, part)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error of several lines: %q", err)
			}
		})
	}
}

// Files that are broken on purpose: an error, no panic, no large allocation.
func TestHostileSafetensors(t *testing.T) {
	file := func(header string, data int) []byte {
		return slices.Concat(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), []byte(header), make([]byte, data))
	}
	tensor := func(name, dtype, shape string, from, to int) string {
		return fmt.Sprintf(`%q:{"dtype":%q,"shape":%s,"data_offsets":[%d,%d]}`, name, dtype, shape, from, to)
	}
	good, err := os.ReadFile(filepath.Join("testdata", "tiny-bert", "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"empty":             {},
		"short":             {1, 2, 3},
		"header too long":   binary.LittleEndian.AppendUint64(nil, math.MaxUint64),
		"header beyond end": binary.LittleEndian.AppendUint64(nil, 1000),
		"no JSON":           file("hello", 0),
		"JSON list":         file("[1,2]", 0),
		"null tensor":       file(`{"a":null}`, 0),
		"overlap":           file("{"+tensor("a", "F32", "[2]", 0, 8)+","+tensor("b", "F32", "[2]", 4, 12)+"}", 12),
		"gap":               file("{"+tensor("a", "F32", "[1]", 0, 4)+","+tensor("b", "F32", "[1]", 8, 12)+"}", 12),
		"beyond the end":    file("{"+tensor("a", "F32", "[1000]", 0, 4000)+"}", 8),
		"backwards":         file("{"+tensor("a", "F32", "[1]", 4, 0)+"}", 4),
		"overflow":          file("{"+tensor("a", "F32", "[4294967296,4294967296]", 0, 0)+"}", 0),
		"shape and size":    file("{"+tensor("a", "F32", "[3]", 0, 8)+"}", 8),
		"negative size":     file("{"+tensor("a", "F32", "[-1]", 0, 4)+"}", 4),
		"unknown type":      file("{"+tensor("a", "Q7", "[1]", 0, 4)+"}", 4),
		"rest behind":       slices.Concat(good, []byte{0}),
		"cut":               good[:len(good)-1],
		"cut in header":     good[:100],
	} {
		t.Run(name, func(t *testing.T) {
			dir := tinyCheckpoint(t).write(t)
			path := filepath.Join(dir, "model.safetensors")
			writeFile(t, path, data)
			_, err := models.Open(dir)
			var format *graph.FormatError
			if !errors.As(err, &format) || !strings.Contains(err.Error(), path) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestOpen(t *testing.T) {
	m := must(models.TinyBERT(models.Tiny{}, 1))(t)
	save := func(t *testing.T, dir string, names ...string) {
		for _, name := range names {
			path := filepath.Join(dir, filepath.FromSlash(name))
			if filepath.Ext(path) != ".onnx" {
				writeFile(t, path, []byte("{}"))
				continue
			}
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := exporter.Save(m, path); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		name  string
		files []string
		open  string // relative to the directory
		want  string // the model file
		err   string
	}{
		{name: "file", files: []string{"a.onnx", "b.onnx", "tokenizer.json"}, open: "b.onnx", want: "b.onnx"},
		{name: "directory", files: []string{"model.onnx", "other.onnx", "vocab.txt"}, want: "model.onnx"},
		{name: "optimum's layout", files: []string{"onnx/model.onnx", "tokenizer.json", "1_Pooling/config.json"}, want: "onnx/model.onnx"},
		{name: "one file of another name", files: []string{"encoder.onnx"}, want: "encoder.onnx"},
		{name: "ONNX before safetensors", files: []string{"model.onnx", "model.safetensors"}, want: "model.onnx"},
		{name: "several", files: []string{"a.onnx", "b.onnx"}, err: "name one of a.onnx, b.onnx"},
		{name: "nothing", files: []string{"tokenizer.json"}, err: "no model in this directory"},
		{name: "pickle", files: []string{"config.json", "pytorch_model.bin"}, err: "convert it to model.safetensors"},
		{name: "no config", files: []string{"model.safetensors"}, err: "no config.json"},
		{name: "not ONNX", files: []string{"x.json"}, open: "x.json", err: "x.json"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "odd [name]")
			save(t, dir, c.files...)
			source, err := models.Open(filepath.Join(dir, c.open))
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("error %v, want one with %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if source.Path != filepath.Join(dir, filepath.FromSlash(c.want)) || source.Dir != dir || source.Kind != models.FromONNX {
				t.Errorf("opened %+v", source)
			}
			for _, f := range c.files {
				if filepath.Ext(f) != ".onnx" && f != "model.safetensors" && !source.Has(f) {
					t.Errorf("%s is not among %q", f, source.Files)
				}
			}
		})
	}
	if _, err := models.Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

func TestReadPooling(t *testing.T) {
	for _, c := range []struct{ name, config, want, err string }{
		{"mean", `{"word_embedding_dimension": 384, "pooling_mode_cls_token": false, "pooling_mode_mean_tokens": true}`, "mean", ""},
		{"cls", `{"pooling_mode_cls_token": true, "include_prompt": true}`, "cls", ""},
		{"newer", `{"embedding_dimension": 384, "pooling_mode": "mean"}`, "mean", ""},
		{"max", `{"pooling_mode_max_tokens": true}`, "", "pooling_mode_max_tokens"},
		{"both", `{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": true}`, "", "by mean or cls"},
		{"broken", `{`, "", "config.json"},
		{"none", ``, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if c.config != "" {
				writeFile(t, filepath.Join(dir, "1_Pooling", "config.json"), []byte(c.config))
			}
			got, err := models.ReadPooling(dir)
			if got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("%q, error %v; want %q, %q", got, err, c.want, c.err)
			}
		})
	}
}
