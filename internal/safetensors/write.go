// Package safetensors reads and writes the safetensors format: eight bytes of
// header length (little endian), a JSON header of names, dtypes, shapes and
// byte ranges, then the data end to end.
// Source: https://github.com/huggingface/safetensors (README, "Format").
package safetensors

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"sort"
	"unsafe"

	"golang.org/x/sys/cpu"

	"github.com/ftk-go/ftk/internal/atomicfile"
)

// Tensor is one float32 tensor, to write or as it was read.
type Tensor struct {
	Name  string
	Shape []int64
	Data  []float32
}

// entry is one tensor in the header.
type entry struct {
	DType   string   `json:"dtype"`
	Shape   []int64  `json:"shape"`
	Offsets [2]int64 `json:"data_offsets"`
}

// Write writes tensors in the order of their names, with metadata (which may
// be nil) under __metadata__.
func Write(w io.Writer, tensors []Tensor, metadata map[string]string) error {
	sorted := append([]Tensor(nil), tensors...)
	sort.Slice(sorted, func(i, j int) bool { return sorted[i].Name < sorted[j].Name })
	header := make(map[string]any, len(sorted)+1)
	if len(metadata) > 0 {
		header["__metadata__"] = metadata
	}
	var offset int64
	for _, t := range sorted {
		n := int64(1)
		for _, d := range t.Shape {
			n *= d
		}
		if n != int64(len(t.Data)) {
			return fmt.Errorf("safetensors: tensor %q has %d values for shape %v", t.Name, len(t.Data), t.Shape)
		}
		if _, twice := header[t.Name]; twice {
			return fmt.Errorf("safetensors: tensor %q occurs twice", t.Name)
		}
		shape := t.Shape
		if shape == nil {
			shape = []int64{} // a scalar; null is not allowed
		}
		header[t.Name] = entry{"F32", shape, [2]int64{offset, offset + 4*n}}
		offset += 4 * n
	}
	text, err := json.Marshal(header)
	if err != nil {
		return err
	}
	for len(text)%8 != 0 { // the data starts aligned
		text = append(text, ' ')
	}
	var length [8]byte
	binary.LittleEndian.PutUint64(length[:], uint64(len(text)))
	if _, err := w.Write(length[:]); err != nil {
		return err
	}
	if _, err := w.Write(text); err != nil {
		return err
	}
	for _, t := range sorted {
		if err := writeFloats(w, t.Data); err != nil {
			return err
		}
	}
	return nil
}

func writeFloats(w io.Writer, data []float32) error {
	if len(data) == 0 {
		return nil
	}
	if !cpu.IsBigEndian {
		_, err := w.Write(unsafe.Slice((*byte)(unsafe.Pointer(&data[0])), 4*len(data)))
		return err
	}
	buf := make([]byte, 0, 1<<14)
	for len(data) > 0 {
		n := min(len(data), cap(buf)/4)
		buf = buf[:0]
		for _, v := range data[:n] {
			buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(v))
		}
		if _, err := w.Write(buf); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// WriteFile writes a file that is there whole or not at all.
func WriteFile(path string, tensors []Tensor, metadata map[string]string) error {
	return atomicfile.Write(path, func(w io.Writer) error { return Write(w, tensors, metadata) })
}
