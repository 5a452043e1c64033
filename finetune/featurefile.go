package finetune

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

	"github.com/edsrzf/mmap-go"
)

// A feature file holds what the frozen part gives for each example of a data
// set, without padding:
//
//	"ftkfeat1", length of the header (uint32), checksum of header and sums (uint32)
//	header: JSON, see featureHeader
//	a CRC-32C for each example (uint32)
//	data, from a multiple of 64: the examples in order, each with its values one after the other
//
// All numbers are little endian.
const featureMagic = "ftkfeat1"

const featurePrologue = len(featureMagic) + 8

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// featureHeader describes a feature file.
type featureHeader struct {
	Key      string         `json:"key"` // of model prefix, data and onnxruntime
	Examples int            `json:"examples"`
	Bytes    int64          `json:"bytes"` // of the data
	Values   []featureValue `json:"values"`
}

// featureValue is one value of the boundary as it is stored for an example:
// [Outer length Inner] for a value with a sequence axis, else [Inner].
type featureValue struct {
	Name  string  `json:"name"`
	DType int32   `json:"dtype"` // of onnx.proto
	Size  int     `json:"size"`  // bytes of an element
	Dims  []int64 `json:"dims"`  // axes after the batch's; -1 for the sequence
	Outer int     `json:"outer"`
	Inner int     `json:"inner"`
	Seq   bool    `json:"seq"`
}

// bytes returns what the value takes for an example of so many tokens.
func (v *featureValue) bytes(length int) int64 {
	n := int64(v.Size) * int64(v.Outer) * int64(v.Inner)
	if v.Seq {
		n *= int64(length)
	}
	return n
}

// exampleBytes is what an example takes; examples start at multiples of 8.
func exampleBytes(values []featureValue, length int) int64 {
	var n int64
	for i := range values {
		n += values[i].bytes(length)
	}
	return (n + 7) / 8 * 8
}

// featureFile is an open feature file, mapped into memory.
type featureFile struct {
	header  featureHeader
	path    string
	file    *os.File
	mapped  mmap.MMap
	sums    []byte
	data    []byte
	offsets []int64
}

// openFeatureFile opens and checks a file: an error (of whatever kind) means
// that it must be made anew.
func openFeatureFile(path, key string, examples int, length func(int) int) (_ *featureFile, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	f := &featureFile{path: path, file: file}
	defer func() {
		if err != nil {
			f.close()
		}
	}()
	if f.mapped, err = mmap.Map(file, mmap.RDONLY, 0); err != nil {
		return nil, err
	}
	m := []byte(f.mapped)
	if len(m) < featurePrologue || string(m[:len(featureMagic)]) != featureMagic {
		return nil, errors.New("not a feature file")
	}
	n := int(binary.LittleEndian.Uint32(m[len(featureMagic):]))
	want := binary.LittleEndian.Uint32(m[len(featureMagic)+4:])
	sumsAt := featurePrologue + n
	dataAt := align64(sumsAt + 4*examples)
	if dataAt > len(m) || crc32.Checksum(m[featurePrologue:sumsAt+4*examples], castagnoli) != want {
		return nil, errors.New("the header is damaged")
	}
	if err := json.Unmarshal(m[featurePrologue:sumsAt], &f.header); err != nil {
		return nil, err
	}
	if f.header.Key != key || f.header.Examples != examples {
		return nil, errors.New("made for other data or another model")
	}
	f.sums, f.data = m[sumsAt:sumsAt+4*examples], m[dataAt:]
	f.offsets = featureOffsets(f.header.Values, examples, length)
	if f.offsets[examples] != f.header.Bytes || int64(len(f.data)) != f.header.Bytes {
		return nil, errors.New("the file is truncated")
	}
	return f, nil
}

func featureOffsets(values []featureValue, examples int, length func(int) int) []int64 {
	offsets := make([]int64, examples+1)
	for i := range examples {
		offsets[i+1] = offsets[i] + exampleBytes(values, length(i))
	}
	return offsets
}

// example returns the data of an example after checking it.
func (f *featureFile) example(i int) ([]byte, error) {
	data := f.data[f.offsets[i]:f.offsets[i+1]]
	if crc32.Checksum(data, castagnoli) != binary.LittleEndian.Uint32(f.sums[4*i:]) {
		return nil, fmt.Errorf("%s: the features of example %d are damaged", f.path, i)
	}
	return data, nil
}

func (f *featureFile) close() {
	if f.mapped != nil {
		f.mapped.Unmap()
		f.mapped = nil
	}
	f.file.Close()
}

// featureWriter makes a feature file; examples may come in any order.
type featureWriter struct {
	header  featureHeader
	path    string
	file    *os.File
	head    []byte // header as JSON
	sums    []byte
	dataAt  int64
	offsets []int64
	buf     []byte
}

// createFeatureFile starts a file under a temporary name.
func createFeatureFile(path string, h featureHeader, length func(int) int) (*featureWriter, error) {
	w := &featureWriter{header: h, path: path, sums: make([]byte, 4*h.Examples)}
	w.offsets = featureOffsets(h.Values, h.Examples, length)
	w.header.Bytes = w.offsets[h.Examples]
	var err error
	if w.head, err = json.Marshal(w.header); err != nil {
		return nil, err
	}
	w.dataAt = int64(align64(featurePrologue + len(w.head) + len(w.sums)))
	if w.file, err = os.CreateTemp(filepath.Dir(path), ".features.*"); err != nil {
		return nil, err
	}
	if err := w.file.Truncate(w.dataAt + w.header.Bytes); err != nil {
		w.abort()
		return nil, err
	}
	return w, nil
}

// put writes an example: its values in order, unpadded.
func (w *featureWriter) put(i int, data []byte) error {
	want := w.offsets[i+1] - w.offsets[i]
	w.buf = append(w.buf[:0], data...)
	for int64(len(w.buf)) < want && int64(len(w.buf)) >= want-7 {
		w.buf = append(w.buf, 0)
	}
	if int64(len(w.buf)) != want {
		return fmt.Errorf("example %d has %d bytes of features, not %d", i, len(data), want)
	}
	binary.LittleEndian.PutUint32(w.sums[4*i:], crc32.Checksum(w.buf, castagnoli))
	_, err := w.file.WriteAt(w.buf, w.dataAt+w.offsets[i])
	return err
}

// finish completes the file and gives it its name.
func (w *featureWriter) finish() error {
	checked := append(bytes.Clone(w.head), w.sums...)
	out := bufio.NewWriter(io.NewOffsetWriter(w.file, 0))
	out.WriteString(featureMagic)
	var numbers [8]byte
	binary.LittleEndian.PutUint32(numbers[:], uint32(len(w.head)))
	binary.LittleEndian.PutUint32(numbers[4:], crc32.Checksum(checked, castagnoli))
	out.Write(numbers[:])
	out.Write(checked)
	err := out.Flush()
	if err == nil {
		err = w.file.Chmod(0o644)
	}
	if err == nil {
		err = w.file.Sync()
	}
	if err == nil {
		err = w.file.Close()
	}
	if err == nil {
		err = os.Rename(w.file.Name(), w.path)
	}
	if err != nil {
		w.abort()
	}
	return err
}

func (w *featureWriter) abort() {
	w.file.Close()
	os.Remove(w.file.Name())
}

func align64(n int) int { return (n + 63) / 64 * 64 }
