package safetensors

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"sort"
	"unsafe"
)

// maxHeader is the largest header the format allows.
const maxHeader = 100_000_000

// File is an open safetensors file; tensors are read when asked for.
type File struct {
	Metadata map[string]string

	path    string
	file    *os.File
	start   int64 // of the data
	entries map[string]entry
}

// Open reads and checks the header.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	s := &File{path: path, file: f}
	if err := s.readHeader(); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

func (s *File) readHeader() error {
	st, err := s.file.Stat()
	if err != nil {
		return err
	}
	var length [8]byte
	if _, err := io.ReadFull(s.file, length[:]); err != nil {
		return fmt.Errorf("not a safetensors file: shorter than its header")
	}
	n := binary.LittleEndian.Uint64(length[:])
	if n > maxHeader || int64(n) > st.Size()-8 {
		return fmt.Errorf("not a safetensors file, or truncated: header of %d bytes in a file of %d", n, st.Size())
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(s.file, text); err != nil {
		return err
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil {
		return fmt.Errorf("safetensors header: %w", err)
	}
	s.start = 8 + int64(n)
	s.entries = make(map[string]entry, len(raw))
	for name, r := range raw {
		if name == "__metadata__" {
			if err := json.Unmarshal(r, &s.Metadata); err != nil {
				return fmt.Errorf("safetensors metadata: %w", err)
			}
			continue
		}
		var e entry
		if err := json.Unmarshal(r, &e); err != nil {
			return fmt.Errorf("tensor %q: %w", name, err)
		}
		if err := e.check(st.Size() - s.start); err != nil {
			return fmt.Errorf("tensor %q: %w", name, err)
		}
		s.entries[name] = e
	}
	return nil
}

func (e entry) check(dataSize int64) error {
	if e.Offsets[0] < 0 || e.Offsets[1] < e.Offsets[0] || e.Offsets[1] > dataSize {
		return fmt.Errorf("bytes %d to %d in %d bytes of data (truncated?)", e.Offsets[0], e.Offsets[1], dataSize)
	}
	if e.DType != "F32" {
		return nil // sizes are checked when read
	}
	n := int64(1)
	for _, d := range e.Shape {
		if d < 0 || (d > 0 && n > math.MaxInt64/8/d) {
			return fmt.Errorf("shape %v", e.Shape)
		}
		n *= d
	}
	if 4*n != e.Offsets[1]-e.Offsets[0] {
		return fmt.Errorf("%d bytes for shape %v of %s", e.Offsets[1]-e.Offsets[0], e.Shape, e.DType)
	}
	return nil
}

// Names returns the names of all tensors, sorted.
func (s *File) Names() []string {
	names := make([]string, 0, len(s.entries))
	for n := range s.entries {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

// Shape returns the shape of a tensor and whether there is one of that name.
func (s *File) Shape(name string) ([]int64, bool) {
	e, ok := s.entries[name]
	return e.Shape, ok
}

// ReadInto reads a float32 tensor into dst, which has its number of values.
func (s *File) ReadInto(name string, dst []float32) error {
	e, ok := s.entries[name]
	if !ok {
		return fmt.Errorf("%s: no tensor %q", s.path, name)
	}
	if e.DType != "F32" {
		return fmt.Errorf("%s: tensor %q has dtype %s, not F32", s.path, name, e.DType)
	}
	if n := (e.Offsets[1] - e.Offsets[0]) / 4; n != int64(len(dst)) {
		return fmt.Errorf("%s: tensor %q has %d values, not %d", s.path, name, n, len(dst))
	}
	if len(dst) == 0 {
		return nil
	}
	raw := unsafe.Slice((*byte)(unsafe.Pointer(&dst[0])), 4*len(dst))
	if _, err := s.file.ReadAt(raw, s.start+e.Offsets[0]); err != nil {
		return fmt.Errorf("%s: tensor %q: %w", s.path, name, err)
	}
	if !littleEndian {
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		}
	}
	return nil
}

// Read reads a float32 tensor.
func (s *File) Read(name string) (Tensor, error) {
	e, ok := s.entries[name]
	if !ok {
		return Tensor{}, fmt.Errorf("%s: no tensor %q", s.path, name)
	}
	t := Tensor{Name: name, Shape: e.Shape, Data: make([]float32, (e.Offsets[1]-e.Offsets[0])/4)}
	return t, s.ReadInto(name, t.Data)
}

// Close closes the file.
func (s *File) Close() error { return s.file.Close() }
