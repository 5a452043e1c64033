// Package importer reads models: ONNX files into the graph in memory, and from
// there, lowered, into Gorgonia.
package importer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/serde"
)

// Load reads an ONNX file. External data is found in the file's directory; it
// is checked to be there and is read when first used. A broken file gives a
// *graph.FormatError that names the file.
func Load(path string) (*graph.Model, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("model %s does not exist", path)
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, fmt.Errorf("%s is a directory, not an ONNX file", path)
	case info.Size() >= serde.MaxSize:
		return nil, &graph.FormatError{File: path, What: fmt.Sprintf("has %d bytes; an ONNX file stays below 2 GiB, with larger weights as external data", info.Size())}
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	m, err := serde.Read(file, info.Size(), filepath.Dir(path))
	var broken *graph.FormatError
	if errors.As(err, &broken) {
		broken.File = path
	}
	return m, err
}

// Parse reads a model from the bytes of an ONNX file, which it does not keep.
// dir is where external data is found; with "" a model with external data can
// be read, but not that data.
func Parse(data []byte, dir string) (*graph.Model, error) {
	return serde.Deserialize(data, dir)
}
