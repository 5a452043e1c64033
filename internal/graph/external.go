package graph

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
)

// External is tensor data in a file beside the model (ONNX external data
// specification). It is read when first asked for, and then kept.
type External struct {
	Properties []Property // as in the file
	Location   string     // path relative to the model's directory, with slashes
	Offset     int64
	Length     int64  // -1 where not stated: to the end of what the shape needs
	Dir        string // the model's directory; "" where the model did not come from a file

	once sync.Once
	data []byte
	err  error
}

// NewExternal reads the keys location, offset and length from a tensor's
// external_data.
func NewExternal(properties []Property, dir string) (*External, error) {
	e := &External{Properties: properties, Length: -1, Dir: dir}
	for _, p := range properties {
		var err error
		switch p.Key {
		case "location":
			e.Location = p.Value
		case "offset":
			e.Offset, err = strconv.ParseInt(p.Value, 10, 64)
			if err != nil || e.Offset < 0 {
				return nil, fmt.Errorf("external data offset %q is not a size in bytes", p.Value)
			}
		case "length":
			e.Length, err = strconv.ParseInt(p.Value, 10, 64)
			if err != nil || e.Length < 0 {
				return nil, fmt.Errorf("external data length %q is not a size in bytes", p.Value)
			}
		}
	}
	if e.Location == "" {
		return nil, errors.New("external data has no location")
	}
	if !filepath.IsLocal(filepath.FromSlash(e.Location)) {
		return nil, fmt.Errorf("external data location %q leads out of the model's directory", e.Location)
	}
	return e, nil
}

// Path is the path of the file.
func (e *External) Path() string { return filepath.Join(e.Dir, filepath.FromSlash(e.Location)) }

// Stat checks that the file is there and large enough for size bytes.
func (e *External) Stat(size int64) error {
	if e.Dir == "" {
		return fmt.Errorf("external data %q: the model was not loaded from a file, so there is no directory to find it in", e.Location)
	}
	info, err := os.Stat(e.Path())
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("external data file %s does not exist: it belongs beside the model", e.Path())
		}
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("external data %s is not a file", e.Path())
	}
	if e.Offset > info.Size() || size > info.Size()-e.Offset {
		return fmt.Errorf("external data file %s has %d bytes, %d at offset %d are needed", e.Path(), info.Size(), size, e.Offset)
	}
	return nil
}

// Bytes reads size bytes. The result must not be written to.
func (e *External) Bytes(size int64) ([]byte, error) {
	e.once.Do(func() { e.data, e.err = e.read(size) })
	if e.err == nil && int64(len(e.data)) != size {
		return nil, fmt.Errorf("external data %q was read with %d bytes, now %d are asked for", e.Location, len(e.data), size)
	}
	return e.data, e.err
}

func (e *External) read(size int64) ([]byte, error) {
	if err := e.Stat(size); err != nil {
		return nil, err
	}
	f, err := os.Open(e.Path())
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, size)
	if _, err := io.ReadFull(io.NewSectionReader(f, e.Offset, size), b); err != nil {
		return nil, fmt.Errorf("external data file %s: %w", e.Path(), err)
	}
	return b, nil
}
