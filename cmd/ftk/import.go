package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ftk-go/ftk/exporter"
	"github.com/ftk-go/ftk/finetune/workspace"
	"github.com/ftk-go/ftk/importer"
	"github.com/ftk-go/ftk/internal/atomicfile"
	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/ort"
	"github.com/ftk-go/ftk/internal/serde"
	"github.com/ftk-go/ftk/models"
	"github.com/ftk-go/ftk/tokenize"
)

func newImportCommand() *cobra.Command {
	var tokenizer string
	cmd := &cobra.Command{
		Use:   "import MODEL",
		Short: "Read a pretrained model and its tokenizer into the workspace",
		Long: `import reads a pretrained model, says what it found, compares its native forward
pass with onnxruntime's on a random input, and keeps model and tokenizer in the
workspace. MODEL is an ONNX file, a directory with model.onnx, or a Hugging Face
directory with config.json (of model_type bert) and model.safetensors.`,
		Example: `  ftk import bert.onnx --tokenizer tokenizer.json
  ftk import ./all-MiniLM-L6-v2`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runImport(cmd.Context(), args[0], tokenizer)
		},
	}
	cmd.Flags().StringVar(&tokenizer, "tokenizer", "", "tokenizer.json, vocab.txt, vocab.json (beside merges.txt) or a directory with one (`path`; default: beside the model)")
	return cmd
}

// imported is what import prints with --json.
type imported struct {
	Model       string                      `json:"model"`
	Family      string                      `json:"family"`
	Opset       int64                       `json:"opset"`
	Parameters  int64                       `json:"parameters"`
	Inputs      []string                    `json:"inputs"`
	Outputs     []string                    `json:"outputs"`
	HiddenState string                      `json:"hidden_state,omitempty"`
	HiddenSize  int64                       `json:"hidden_size,omitempty"`
	Layers      []string                    `json:"layers"`
	Shared      bool                        `json:"shared_layers,omitempty"`
	Trainable   []string                    `json:"trainable_operators"`
	FrozenOnly  []string                    `json:"frozen_only_operators"`
	Tokenizer   string                      `json:"tokenizer,omitempty"`
	Differences []importer.OutputDifference `json:"differences,omitempty"`
}

func runImport(ctx context.Context, path, tokenizerPath string) error {
	ws, err := workspace.Open(global.workspace)
	if err != nil {
		return err
	}
	if err := ort.Init(); err != nil {
		return err
	}
	source, err := models.Open(path)
	if err != nil {
		return err
	}
	info, err := models.Describe(source.Model)
	if err != nil {
		return err
	}
	files, tok, err := companions(source, tokenizerPath, info)
	if err != nil {
		return err
	}
	if err := ws.Lock(); err != nil {
		return err
	}
	defer ws.Unlock()

	report := describe(source, info)
	if tok != nil {
		report.Tokenizer = fmt.Sprintf("%d tokens", tok.VocabSize())
	}
	report.print(info)
	err = ws.Import(func(dir string) error {
		for name, data := range files {
			to := filepath.Join(dir, filepath.FromSlash(name))
			if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
				return err
			}
			if err := atomicfile.WriteBytes(to, data); err != nil {
				return err
			}
		}
		model := filepath.Join(dir, workspace.ModelFile)
		if err := save(source.Model, model); err != nil {
			return err
		}
		report.Differences, err = compare(ctx, source, info, model)
		return err
	})
	if err != nil {
		return err
	}
	if tok == nil {
		say("tokenizer   none found: to train on text, import again with --tokenizer PATH")
	}
	say("\nimported into %s", filepath.Join(ws.Root(), workspace.Directory))
	if global.json {
		return printJSON(report)
	}
	return nil
}

// save saves a model: in one file where it fits, as it does not always when it
// was read from safetensors.
func save(m *graph.Model, path string) error {
	err := exporter.Save(m, path)
	var large *serde.TooLargeError
	if errors.As(err, &large) {
		return exporter.Save(m, path, exporter.Options{ExternalData: true})
	}
	return err
}

// companions gathers the files that go beside the imported model, with the
// tokenizer, which it checks against the model. Without a tokenizer beside the
// model and without --tokenizer, tok is nil.
func companions(source *models.Source, tokenizerPath string, info *models.Info) (files map[string][]byte, tok *tokenize.Tokenizer, err error) {
	files = map[string][]byte{}
	for _, name := range source.Files {
		if files[name], err = os.ReadFile(filepath.Join(source.Dir, filepath.FromSlash(name))); err != nil {
			return nil, nil, err
		}
	}
	beside := tokenizerPath == ""
	if beside {
		tokenizerPath = source.Dir
	}
	if tok, err = tokenize.Load(tokenizerPath); err != nil {
		var none *tokenize.NotFoundError
		if beside && errors.As(err, &none) {
			return files, nil, nil
		}
		return nil, nil, err
	}
	if info.VocabSize > 0 && tok.MaxID() >= info.VocabSize {
		return nil, nil, fmt.Errorf("the tokenizer %s does not fit the model: its ids go up to %d, the model's embedding has %d rows; name the right one with --tokenizer",
			tokenizerPath, tok.MaxID(), info.VocabSize)
	}
	// Whatever says how text is tokenized comes from the tokenizer named.
	for _, name := range tokenize.FileNames {
		delete(files, name)
	}
	for name, data := range tok.Files() {
		files[name] = data
	}
	return files, tok, nil
}

// compare runs the native forward pass against onnxruntime where it can.
func compare(ctx context.Context, source *models.Source, info *models.Info, path string) ([]importer.OutputDifference, error) {
	inputs, err := models.RandomInputs(info, 2, 16, 1)
	if err != nil {
		say("comparison  not made: %v", err)
		session, err := ort.Open(path, ort.Options{}) // at least it must load
		if err != nil {
			return nil, fmt.Errorf("%s: %w", source.Path, err)
		}
		return nil, session.Close()
	}
	differences, err := importer.Compare(ctx, source.Model, path, inputs)
	var native *importer.NativeError
	if errors.As(err, &native) {
		why := native.Error()
		var unsupported *graph.UnsupportedError
		if errors.As(err, &unsupported) { // listed already
			why = "not all operators are native"
		}
		say("comparison  not made: %s; onnxruntime takes the model, so --freeze backbone works", why)
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: native forward against onnxruntime: %w", source.Path, err)
	}
	for _, d := range differences {
		say("comparison  %s: native and onnxruntime differ by at most %.2g (values up to %.2g)", d.Output, d.Max, d.Scale)
		if !d.Alike() {
			warn("%s: that is more than rounding: an export of what is trained natively may be refused; --freeze backbone --frozen-engine onnxruntime trains on onnxruntime's values", d.Output)
		}
	}
	return differences, nil
}

func describe(source *models.Source, info *models.Info) *imported {
	r := &imported{Model: source.Path, Family: info.Family, Opset: info.Opset, Parameters: info.Parameters, HiddenSize: info.HiddenSize, Shared: info.SharedLayers, Layers: []string{}}
	for _, in := range info.Inputs {
		r.Inputs = append(r.Inputs, in.Name+" "+in.Type.String())
	}
	for _, v := range info.Outputs {
		r.Outputs = append(r.Outputs, v.Name+" "+v.Type.String())
	}
	if info.HiddenState != nil {
		r.HiddenState = info.HiddenState.Name
	}
	for _, l := range info.Layers {
		r.Layers = append(r.Layers, l.Name)
	}
	r.Trainable, r.FrozenOnly = importer.Operators(source.Model)
	return r
}

func (r *imported) print(info *models.Info) {
	say("model       %s", r.Model)
	say("family      %s, opset %d, %s parameters", r.Family, r.Opset, count(r.Parameters))
	for _, in := range r.Inputs {
		say("input       %s", in)
	}
	for _, o := range r.Outputs {
		say("output      %s", o)
	}
	if n := len(r.Layers); n > 0 {
		shared := ""
		if r.Shared {
			shared = ", all of one set of weights"
		}
		width := ""
		if r.HiddenSize > 0 {
			width = fmt.Sprintf(", %d wide", r.HiddenSize)
		}
		say("layers      %d%s%s: %s … %s", n, width, shared, r.Layers[0], r.Layers[n-1])
	}
	if n := len(info.Embeddings); n > 0 {
		say("embeddings  %d initializers", n)
	}
	say("operators   natively trainable: %s", strings.Join(r.Trainable, ", "))
	if len(r.FrozenOnly) > 0 {
		say("            only in a frozen part: %s", strings.Join(r.FrozenOnly, ", "))
	}
	if r.Tokenizer != "" {
		say("tokenizer   %s", r.Tokenizer)
	}
}

// count writes a number with thousands apart: 22,713,216.
func count(n int64) string {
	digits := fmt.Sprint(n)
	var groups []string
	for len(digits) > 3 {
		groups = append(groups, digits[len(digits)-3:])
		digits = digits[:len(digits)-3]
	}
	groups = append(groups, digits)
	slices.Reverse(groups)
	return strings.Join(groups, ",")
}
