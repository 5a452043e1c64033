package finetune

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"

	"github.com/edsrzf/mmap-go"

	"github.com/ftk-go/ftk/finetune/dataset"
)

// A feature file holds what the frozen part gives for each example of a data
// set, without padding:
//
//	"ftkfeat2", length of the header (uint32), checksum of header and sums (uint32)
//	header: JSON, see featureHeader
//	a CRC-32C for each example (uint32)
//	data, from a multiple of 64: the examples in order, each with its values one after the other
//
// All numbers are little endian. While it is made it has another name, and
// zeros for its first line.
const featureMagic = "ftkfeat2"

const featurePrologue = len(featureMagic) + 8

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// featureHeader describes a feature file.
type featureHeader struct {
	Key      string         `json:"key"` // of model prefix, data and what computes them
	Examples int            `json:"examples"`
	Bytes    int64          `json:"bytes"` // of the data
	Values   []featureValue `json:"values"`
}

// offset is where the data of an example starts: it follows from the number of
// tokens before it, so no table is needed.
func (h *featureHeader) offset(set *dataset.Set, example int) int64 {
	var n int64
	for i := range h.Values {
		v := &h.Values[i]
		if v.Seq {
			n += v.bytes(1) * set.TokensBefore(example)
		} else {
			n += v.bytes(1) * int64(example)
		}
	}
	return n
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

// featureFile is a feature file, mapped into memory for reading. One that is
// being made is written to besides.
type featureFile struct {
	header featureHeader
	set    *dataset.Set
	path   string // the name it has or will have
	file   *os.File
	mapped mmap.MMap
	sumsAt int
	dataAt int
	read   int64 // bytes since pages were last let go of
}

// openFeatureFile opens and checks a complete file: an error (of whatever
// kind) means that it must be made anew.
func openFeatureFile(path, key string, set *dataset.Set) (_ *featureFile, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	f := &featureFile{path: path, file: file, set: set}
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
	f.lay(int(binary.LittleEndian.Uint32(m[len(featureMagic):])))
	want := binary.LittleEndian.Uint32(m[len(featureMagic)+4:])
	if f.dataAt > len(m) || f.checksum() != want {
		return nil, errors.New("the header is damaged")
	}
	if err := json.Unmarshal(m[featurePrologue:f.sumsAt], &f.header); err != nil {
		return nil, err
	}
	if f.header.Key != key || f.header.Examples != set.Len() {
		return nil, errors.New("made for other data or another model")
	}
	if f.header.offset(set, set.Len()) != f.header.Bytes || int64(len(m)) != f.end() {
		return nil, errors.New("the file is truncated")
	}
	return f, nil
}

// lay computes where the parts are, from the length of the header.
func (f *featureFile) lay(header int) {
	f.sumsAt = featurePrologue + header
	f.dataAt = (f.sumsAt + 4*f.set.Len() + 63) / 64 * 64
}

func (f *featureFile) end() int64 { return int64(f.dataAt) + f.header.Bytes }

// checksum is that of header and sums.
func (f *featureFile) checksum() uint32 {
	return crc32.Checksum(f.mapped[featurePrologue:f.sumsAt+4*f.set.Len()], castagnoli)
}

// createFeatureFile starts a file under a temporary name.
func createFeatureFile(path string, h featureHeader, set *dataset.Set) (_ *featureFile, err error) {
	f := &featureFile{header: h, path: path, set: set}
	head, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	f.lay(len(head))
	if f.file, err = os.CreateTemp(filepath.Dir(path), featureTemp); err != nil {
		return nil, err
	}
	if err = f.file.Truncate(f.end()); err == nil {
		if _, err = f.file.WriteAt(head, int64(featurePrologue)); err == nil {
			f.mapped, err = mmap.Map(f.file, mmap.RDONLY, 0)
		}
	}
	if err != nil {
		f.remove()
		return nil, err
	}
	return f, nil
}

// put writes an example: its values in order, unpadded.
func (f *featureFile) put(i int, data []byte) error {
	at := f.header.offset(f.set, i)
	if want := f.header.offset(f.set, i+1) - at; int64(len(data)) != want {
		return fmt.Errorf("example %d has %d bytes of features, not %d", i, len(data), want)
	}
	var sum [4]byte
	binary.LittleEndian.PutUint32(sum[:], crc32.Checksum(data, castagnoli))
	if _, err := f.file.WriteAt(sum[:], int64(f.sumsAt+4*i)); err != nil {
		return err
	}
	_, err := f.file.WriteAt(data, int64(f.dataAt)+at)
	return err
}

// finish completes the file and gives it its name.
func (f *featureFile) finish() error {
	var first [featurePrologue]byte
	copy(first[:], featureMagic)
	binary.LittleEndian.PutUint32(first[len(featureMagic):], uint32(f.sumsAt-featurePrologue))
	binary.LittleEndian.PutUint32(first[len(featureMagic)+4:], f.checksum())
	if _, err := f.file.WriteAt(first[:], 0); err != nil {
		return err
	}
	if err := errors.Join(f.file.Chmod(0o644), f.file.Sync()); err != nil {
		return err
	}
	f.close()
	if err := os.Rename(f.file.Name(), f.path); err != nil {
		return err
	}
	complete, err := openFeatureFile(f.path, f.header.Key, f.set)
	if err != nil {
		return err
	}
	*f = *complete
	return nil
}

// example returns the data of an example after checking it.
func (f *featureFile) example(i int) ([]byte, error) {
	data := f.mapped[int64(f.dataAt)+f.header.offset(f.set, i) : int64(f.dataAt)+f.header.offset(f.set, i+1)]
	if crc32.Checksum(data, castagnoli) != binary.LittleEndian.Uint32(f.mapped[f.sumsAt+4*i:]) {
		return nil, fmt.Errorf("%s: the features of example %d are damaged", f.path, i)
	}
	if f.read += int64(len(data)); f.read > residentFeatures {
		f.read = 0
		letGo(f.mapped)
	}
	return data, nil
}

// residentFeatures is how many bytes are read before the pages they are on are
// given back: the system keeps them as long as nothing else needs the memory,
// but they do not count as the process's.
const residentFeatures = 32 << 20

func (f *featureFile) close() {
	if f.mapped != nil {
		f.mapped.Unmap()
		f.mapped = nil
	}
	f.file.Close()
}

// remove closes the file and deletes it.
func (f *featureFile) remove() {
	f.close()
	os.Remove(f.file.Name())
	os.Remove(f.path)
}
