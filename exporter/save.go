// Package exporter writes models, and serves what it has written.
//
//	Save, Marshal   graph.Model → an ONNX file, or its bytes
//	Write           a trained model → the directory that is served: checked in onnxruntime, there whole or not at all
//	OpenPredictor   that directory → a Predictor of texts
package exporter

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/ftk-go/ftk/internal/atomicfile"
	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/serde"
)

// Options are choices for Save. The zero value is what one wants, but for
// models of 2 GiB and more.
type Options struct {
	// ExternalData puts the weights into one file beside the model, called
	// after it: model.onnx.data. Without it, weights stay where they are: in
	// the model file, or in the external files that the model came with.
	ExternalData bool
}

// largest is the size in bytes from which there is no model file; a variable
// for tests.
var largest int64 = serde.MaxSize

// Marshal writes a model as the bytes of an ONNX file. External data is not
// part of them. It fails if the model contradicts itself or takes 2 GiB or
// more (*serde.TooLargeError).
func Marshal(m *graph.Model) ([]byte, error) { return serde.Serialize(m) }

// Save writes a model to an ONNX file, and its external data, if it has any,
// to files beside it. Each file is written under a temporary name in the same
// directory, synced and renamed, data before the model; on failure nothing is
// left behind and an earlier file is untouched.
func Save(m *graph.Model, path string, options ...Options) (err error) {
	var o Options
	if len(options) > 0 {
		o = options[0]
	}
	defer func() {
		if err != nil {
			err = unwritten(path, err)
		}
	}()
	if err := m.Check(); err != nil {
		return err
	}
	dir := filepath.Dir(path)
	var files []*atomicfile.File
	defer func() { // those not committed
		for _, f := range files {
			f.Discard()
		}
	}()
	written := m
	if o.ExternalData {
		f, err := atomicfile.Create(path + dataSuffix)
		if err != nil {
			return err
		}
		files = append(files, f)
		if written, err = moveOut(m, f, filepath.Base(path)+dataSuffix); err != nil {
			return err
		}
	} else {
		if files, err = copyExternal(m, dir); err != nil {
			return err
		}
	}
	data, err := serde.Serialize(written)
	if err == nil && int64(len(data)) >= largest {
		err = &serde.TooLargeError{Size: int64(len(data))}
	}
	var large *serde.TooLargeError
	if errors.As(err, &large) {
		return fmt.Errorf("%w (Options.ExternalData)", err)
	}
	if err != nil {
		return err
	}
	f, err := atomicfile.Create(path)
	if err != nil {
		return err
	}
	files = append(files, f)
	if _, err := f.Write(data); err != nil {
		return err
	}
	for _, f := range files {
		if err := f.Complete(); err != nil {
			return err
		}
	}
	for _, f := range files {
		if err := f.Commit(); err != nil {
			return err
		}
	}
	return atomicfile.SyncDir(dir)
}
