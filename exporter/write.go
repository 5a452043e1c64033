package exporter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/ftk-go/ftk/internal/atomicfile"
	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/ort"
	"github.com/ftk-go/ftk/internal/serde"
)

// Served is a trained model with all that goes into its directory.
type Served struct {
	Model    *graph.Model // the trained tensors in place
	Settings Settings
	Family   string // model_type of config.json where the base model has none

	BaseConfig []byte            // config.json of the base model, nil if it had none
	Tokenizer  map[string][]byte // tokenizer files by name
	Samples    []Sample          // what the trained graph computes
	Tolerance  float64           // largest difference of logits, relative to their scale; 0 means 1e-4
	Threads    int
}

// Tolerance is the difference of logits, relative to their scale, beyond which
// Write refuses.
const Tolerance = 1e-4

// DisagreementError says that onnxruntime does not compute what was trained.
type DisagreementError struct {
	Difference
	Tolerance float64
}

func (e *DisagreementError) Error() string {
	return fmt.Sprintf("onnxruntime's logits and the trained graph's differ by %.3g (scale %.3g, over %d examples), more than %.0e allows: nothing was exported",
		e.Max, e.Scale, e.Rows, e.Tolerance)
}

// Write writes the directory that is served: model.onnx, config.json, the
// tokenizer's files and a README.md, in the layout that Hugging Face's tools
// expect. The weights are in model.onnx.data where they do not fit into
// model.onnx, or where some of them were not in the model file before.
//
// Before anything appears in dir, the written model is run in onnxruntime on
// the samples; if it gives other logits than the trained graph, Write returns a
// *DisagreementError and leaves dir as it was, as it does after any other
// error. Files in dir of other names are left alone; where there are files of
// these names that no export has written, it is an error.
func Write(ctx context.Context, dir string, s Served) (d Difference, err error) {
	if len(s.Samples) == 0 {
		return d, errors.New("no samples to check the export with")
	}
	if err := ort.Init(); err != nil {
		return d, err
	}
	if st, err := os.Stat(dir); err == nil && !st.IsDir() {
		return d, fmt.Errorf("%s is not a directory: choose another to export to", dir)
	}
	if s.Tolerance == 0 {
		s.Tolerance = Tolerance
	}
	config, err := s.Settings.configJSON(s.BaseConfig, s.Family)
	if err != nil {
		return d, err
	}
	model := s.Model.Clone()
	if err := s.Settings.annotate(model); err != nil {
		return d, err
	}

	staging, err := stage(dir)
	if err != nil {
		return d, unwritten(dir, err)
	}
	defer os.RemoveAll(staging)

	files := map[string][]byte{configFile: append(config, '\n')}
	for name, data := range s.Tokenizer {
		files[name] = data
	}
	for name, data := range files {
		if err := atomicfile.WriteBytes(filepath.Join(staging, name), data); err != nil {
			return d, unwritten(dir, err)
		}
	}
	external, err := saveServed(model, filepath.Join(staging, modelFile))
	if err != nil {
		return d, unwritten(dir, err)
	}
	d, err = compare(ctx, filepath.Join(staging, modelFile), s.Settings, s.Samples, s.Threads)
	if err != nil {
		return d, fmt.Errorf("checking the export in onnxruntime: %w", err)
	}
	if d.Relative() > s.Tolerance {
		return d, &DisagreementError{d, s.Tolerance}
	}
	if err := atomicfile.WriteBytes(filepath.Join(staging, "README.md"), []byte(s.card(d, external))); err != nil {
		return d, unwritten(dir, err)
	}
	if err := install(staging, dir); err != nil {
		return d, unwritten(dir, err)
	}
	return d, nil
}

// saveServed saves a model, and tells whether its weights went to a file of
// their own: they do if they do not fit into the model file, or if some of
// them were outside of it. All of them are written anew then, because the files
// that the model came with also hold what its trained tensors were.
func saveServed(m *graph.Model, path string) (external bool, err error) {
	if !HasExternalData(m) {
		err := Save(m, path)
		var large *serde.TooLargeError
		if !errors.As(err, &large) {
			return false, err
		}
	}
	return true, Save(m, path, Options{ExternalData: true})
}

// unwritten tells what the system said when dir was written, without the names
// of files that are gone by now; but with that of one the model is read from.
func unwritten(dir string, err error) error {
	var read *unreadable
	var system syscall.Errno
	if !errors.As(err, &read) && errors.As(err, &system) {
		err = system
	}
	return fmt.Errorf("writing %s: %w", dir, err)
}
