package exporter

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/ftk-go/ftk/internal/atomicfile"
	"github.com/ftk-go/ftk/internal/graph"
)

const (
	dataSuffix = ".data"
	// smallest is the size in bytes from which a tensor is moved out; shape
	// constants stay in the model, where shape inference finds them.
	smallest = 1024
	// alignment of tensors in the data file lets a reader map them into
	// memory (ONNX external data specification: 4 KiB).
	alignment = 4096
)

// HasExternalData tells whether some of a model's tensors are in files beside
// it, which bytes alone do not give.
func HasExternalData(m *graph.Model) bool {
	for t := range m.Tensors() {
		if t.Location == graph.InFile {
			return true
		}
	}
	return false
}

// moveOut writes the larger tensors of a model to a data file, and returns a
// copy of the model that refers to it under the name location.
func moveOut(m *graph.Model, to io.Writer, location string) (*graph.Model, error) {
	moved := m.Clone()
	w := bufio.NewWriterSize(to, 1<<20)
	offset := int64(0)
	for t := range moved.Tensors() {
		if t.DType == graph.String || t.Segment != nil || t.ByteLen() < smallest {
			if t.Location == graph.InFile { // its file will not be there
				raw, err := t.Raw()
				if err != nil {
					return nil, &unreadable{err}
				}
				t.Storage, t.Location = graph.Storage{Raw: raw}, graph.InModel
			}
			continue
		}
		raw, err := t.Raw()
		if err != nil {
			return nil, &unreadable{err}
		}
		if pad := -offset & (alignment - 1); pad > 0 {
			if _, err := w.Write(make([]byte, pad)); err != nil {
				return nil, err
			}
			offset += pad
		}
		if _, err := w.Write(raw); err != nil {
			return nil, err
		}
		properties := []graph.Property{
			{Key: "location", Value: location},
			{Key: "offset", Value: strconv.FormatInt(offset, 10)},
			{Key: "length", Value: strconv.Itoa(len(raw))},
		}
		external, err := graph.NewExternal(properties, "")
		if err != nil {
			return nil, err
		}
		t.Storage, t.Location = graph.Storage{External: external}, graph.InFile
		offset += int64(len(raw))
	}
	return moved, w.Flush()
}

// copyExternal copies the external data files of a model to temporary files in
// dir, but for those that are there already.
func copyExternal(m *graph.Model, dir string) (files []*atomicfile.File, err error) {
	defer func() {
		if err != nil {
			for _, f := range files {
				f.Discard()
			}
			files = nil
		}
	}()
	copied := make(map[string]string) // target: source
	for t := range m.Tensors() {
		if t.Location != graph.InFile || t.Segment != nil {
			continue
		}
		e := t.Storage.External
		if err := e.Stat(t.ByteLen()); err != nil {
			return files, &unreadable{fmt.Errorf("tensor %q: %w", t.Name, err)}
		}
		target := filepath.Join(dir, filepath.FromSlash(e.Location))
		if from, ok := copied[target]; ok {
			if from != e.Path() {
				return files, fmt.Errorf("tensor %q: %s and %s would both be saved as %s; use Options.ExternalData", t.Name, from, e.Path(), target)
			}
			continue
		}
		copied[target] = e.Path()
		if sameFile(target, e.Path()) {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return files, err
		}
		f, err := atomicfile.Create(target)
		if err != nil {
			return files, err
		}
		files = append(files, f)
		if err := copyFile(f, e.Path()); err != nil {
			return files, err
		}
	}
	return files, nil
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

func copyFile(to io.Writer, from string) error {
	f, err := os.Open(from)
	if err != nil {
		return &unreadable{err}
	}
	defer f.Close()
	_, err = io.Copy(to, source{f})
	return err
}

// source is a file that is read from; see unreadable.
type source struct{ from io.Reader }

func (s source) Read(p []byte) (int, error) {
	n, err := s.from.Read(p)
	if err != nil && err != io.EOF {
		err = &unreadable{err}
	}
	return n, err
}

// unreadable is an error of a file that some of the model's data is in, not of
// those that are written.
type unreadable struct{ err error }

func (e *unreadable) Error() string { return e.err.Error() }
func (e *unreadable) Unwrap() error { return e.err }
