package safetensors

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"unsafe"

	"golang.org/x/sys/cpu"

	"github.com/ftk-go/ftk/internal/graph"
)

// maxHeader is the largest header the format allows.
const maxHeader = 100_000_000

// elementBytes is the size of an element by the name of its type.
var elementBytes = map[string]int64{
	"BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1,
	"U16": 2, "I16": 2, "F16": 2, "BF16": 2,
	"U32": 4, "I32": 4, "F32": 4,
	"U64": 8, "I64": 8, "F64": 8, "C64": 8,
}

// File is an open safetensors file; tensors are read when asked for.
type File struct {
	Metadata map[string]string

	path    string
	file    *os.File
	start   int64 // of the data
	entries map[string]entry
}

// Open reads the header and checks it against the file: known element types,
// sizes that follow from the shapes, no gap, overlap or rest. A file that fails
// is a *graph.FormatError.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	s := &File{path: path, file: f}
	if err := s.readHeader(); err != nil {
		f.Close()
		return nil, &graph.FormatError{File: path, What: "not a safetensors file, or damaged: " + err.Error()}
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
		return fmt.Errorf("%d bytes are shorter than the length of a header", st.Size())
	}
	n := binary.LittleEndian.Uint64(length[:])
	if n > maxHeader || int64(n) > st.Size()-8 {
		return fmt.Errorf("header of %d bytes in a file of %d", n, st.Size())
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(s.file, text); err != nil {
		return err
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil {
		return fmt.Errorf("header: %w", err)
	}
	s.start = 8 + int64(n)
	s.entries = make(map[string]entry, len(raw))
	for name, r := range raw {
		if name == "__metadata__" {
			if err := json.Unmarshal(r, &s.Metadata); err != nil {
				return fmt.Errorf("metadata: %w", err)
			}
			continue
		}
		var e entry
		if err := json.Unmarshal(r, &e); err != nil {
			return fmt.Errorf("tensor %q: %w", name, err)
		}
		s.entries[name] = e
	}
	return s.check(st.Size() - s.start)
}

// check tells whether the tensors fill the data, one after the other.
func (s *File) check(dataSize int64) error {
	inOrder := slices.SortedFunc(maps.Keys(s.entries), func(a, b string) int {
		x, y := s.entries[a].Offsets, s.entries[b].Offsets
		return cmp.Or(cmp.Compare(x[0], y[0]), cmp.Compare(x[1], y[1]), cmp.Compare(a, b))
	})
	end := int64(0)
	for _, name := range inOrder {
		e := s.entries[name]
		size, err := e.size()
		if err != nil {
			return fmt.Errorf("tensor %q: %w", name, err)
		}
		if e.Offsets[0] != end {
			return fmt.Errorf("tensor %q begins at byte %d of the data, where the one before ends at %d", name, e.Offsets[0], end)
		}
		if e.Offsets[1]-end != size {
			return fmt.Errorf("tensor %q: bytes %d to %d for shape %v of %s", name, end, e.Offsets[1], e.Shape, e.DType)
		}
		end = e.Offsets[1]
	}
	if end != dataSize {
		return fmt.Errorf("tensors of %d bytes in %d bytes of data (truncated?)", end, dataSize)
	}
	return nil
}

// size is how many bytes the tensor takes by its type and shape.
func (e entry) size() (int64, error) {
	n, ok := elementBytes[e.DType]
	if !ok {
		return 0, fmt.Errorf("element type %q", e.DType)
	}
	for _, d := range e.Shape {
		if d < 0 || d > 0 && n > math.MaxInt64/d {
			return 0, fmt.Errorf("shape %v", e.Shape)
		}
		n *= d
	}
	return n, nil
}

// Names returns the names of all tensors, sorted.
func (s *File) Names() []string { return slices.Sorted(maps.Keys(s.entries)) }

// Shape returns the shape of a tensor and whether there is one of that name.
func (s *File) Shape(name string) ([]int64, bool) {
	e, ok := s.entries[name]
	return e.Shape, ok
}

// DType returns the element type of a tensor as the format writes it ("F32",
// "BF16", "I64"), "" if there is none of that name.
func (s *File) DType(name string) string { return s.entries[name].DType }

// Bytes reads a tensor of any type: its elements in row-major order, little
// endian.
func (s *File) Bytes(name string) ([]byte, error) {
	e, ok := s.entries[name]
	if !ok {
		return nil, fmt.Errorf("%s: no tensor %q", s.path, name)
	}
	raw := make([]byte, e.Offsets[1]-e.Offsets[0])
	return raw, s.readAt(name, raw, e)
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
	if err := s.readAt(name, raw, e); err != nil {
		return err
	}
	if cpu.IsBigEndian {
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

func (s *File) readAt(name string, raw []byte, e entry) error {
	if _, err := s.file.ReadAt(raw, s.start+e.Offsets[0]); err != nil {
		return fmt.Errorf("%s: tensor %q: %w", s.path, name, err)
	}
	return nil
}

// Close closes the file.
func (s *File) Close() error { return s.file.Close() }
