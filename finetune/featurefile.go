package finetune

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"

	"github.com/ftk-go/ftk/finetune/dataset"
)

// A feature file holds what the frozen part gives for each example of a data
// set, without padding:
//
//	"ftkfeat3", length of the header (uint32), its CRC-32C (uint32)
//	header: JSON, see featureHeader
//	data, from a multiple of 64: the examples in order, each its values one after the other and their CRC-32C (uint32)
//
// All numbers are little endian. While it is made it has another name, and
// zeros for its first line. One that was left when a run stopped begins with
// "ftkpart3" and has, behind the data, a bit for each example that is done, in
// words of 64 bits, and their CRC-32C.
const (
	featureMagic = "ftkfeat3"
	partialMagic = "ftkpart3"
)

const (
	featurePrologue = len(featureMagic) + 8
	sumBytes        = 4 // of a CRC-32C
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// featureHeader describes a feature file.
type featureHeader struct {
	Key      string         `json:"key"` // of model prefix, data and what computes them
	Examples int            `json:"examples"`
	Bytes    int64          `json:"bytes"` // of the values
	Values   []featureValue `json:"values"`
}

// offset is how many bytes of values so many examples with so many tokens
// have, so no table is needed of where one starts.
func (h *featureHeader) offset(tokens int64, examples int) int64 {
	var n int64
	for i := range h.Values {
		v := &h.Values[i]
		if v.Seq {
			n += v.bytes(1) * tokens
		} else {
			n += v.bytes(1) * int64(examples)
		}
	}
	return n
}

// fileBytes is the size of the file, but for the header.
func (h *featureHeader) fileBytes() int64 { return h.Bytes + sumBytes*int64(h.Examples) }

// span is where in the data an example is, its checksum included.
func (h *featureHeader) span(e dataset.Example) (start, end int64) {
	return h.offset(e.Start, e.Number) + sumBytes*int64(e.Number), h.offset(e.Start+int64(e.Length), e.Number+1) + sumBytes*int64(e.Number+1)
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

// featureFile is an open feature file. It is mapped into memory where the
// system can do that, and read by system calls where not.
type featureFile struct {
	header featureHeader
	set    *dataset.Set
	path   string // the name of the complete file
	name   string // the name it has now
	file   *os.File
	mapped *mapped // nil: read by system calls
	head   []byte  // header, as it is in the file
	dataAt int64
	buf    []byte // what is read or written last, if it is not mapped
}

// openFeatureFile opens and checks a complete file: an error (of whatever
// kind) means that it must be made anew.
func openFeatureFile(path, key string, set *dataset.Set) (_ *featureFile, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	f := &featureFile{path: path, name: path, file: file, set: set}
	if err := f.check(key, featureMagic, 0); err != nil {
		f.close()
		return nil, err
	}
	f.mapIn()
	return f, nil
}

// check reads the header. behind is how many bytes follow the data.
func (f *featureFile) check(key, magic string, behind int64) error {
	var first [featurePrologue]byte
	if _, err := f.file.ReadAt(first[:], 0); err != nil || string(first[:len(magic)]) != magic {
		return errors.New("not a feature file")
	}
	st, err := f.file.Stat()
	if err != nil {
		return err
	}
	size := int64(binary.LittleEndian.Uint32(first[len(featureMagic):]))
	if f.lay(size); f.dataAt > st.Size() {
		return errors.New("the header is damaged")
	}
	f.head = make([]byte, size)
	if _, err := f.file.ReadAt(f.head, int64(featurePrologue)); err != nil {
		return err
	}
	if crc32.Checksum(f.head, castagnoli) != binary.LittleEndian.Uint32(first[len(featureMagic)+4:]) {
		return errors.New("the header is damaged")
	}
	if err := json.Unmarshal(f.head, &f.header); err != nil {
		return err
	}
	if f.header.Key != key || f.header.Examples != f.set.Len() {
		return errors.New("made for other data or another model")
	}
	if f.header.offset(f.set.Tokens(), f.set.Len()) != f.header.Bytes || st.Size() != f.end()+behind {
		return errors.New("the file is truncated")
	}
	return nil
}

// partialPath is where an incomplete file waits for the next run.
func partialPath(path string) string {
	return strings.TrimSuffix(path, featureSuffix) + ".partial" + featureSuffix
}

// resumeFeatureFile takes up an incomplete file: from then on it has a
// temporary name again. done has a bit for each example.
func resumeFeatureFile(path, key string, set *dataset.Set) (f *featureFile, done []uint64, err error) {
	f = &featureFile{path: path, name: partialPath(path), set: set}
	if f.file, err = os.OpenFile(f.name, os.O_RDWR, 0); err != nil {
		return nil, nil, err
	}
	words := (set.Len() + 63) / 64
	bits := make([]byte, 8*words+4)
	err = f.check(key, partialMagic, int64(len(bits)))
	if err == nil {
		_, err = f.file.ReadAt(bits, f.end())
	}
	if err == nil && crc32.Checksum(bits[:8*words], castagnoli) != binary.LittleEndian.Uint32(bits[8*words:]) {
		err = errors.New("it is damaged")
	}
	if err == nil {
		err = f.file.Truncate(f.end())
	}
	if err == nil {
		temporary := filepath.Join(filepath.Dir(path), strings.Replace(featureTemp, "*", filepath.Base(path), 1))
		if err = os.Rename(f.name, temporary); err == nil {
			f.name = temporary
		}
	}
	if err != nil {
		f.close()
		return nil, nil, err
	}
	for i := range words {
		done = append(done, binary.LittleEndian.Uint64(bits[8*i:]))
	}
	f.mapIn()
	return f, done, nil
}

// suspend leaves an incomplete file for resumeFeatureFile and closes it.
func (f *featureFile) suspend(done []uint64) error {
	var bits []byte
	for _, w := range done {
		bits = binary.LittleEndian.AppendUint64(bits, w)
	}
	bits = binary.LittleEndian.AppendUint32(bits, crc32.Checksum(bits, castagnoli))
	if _, err := f.file.WriteAt(bits, f.end()); err != nil {
		return err
	}
	return f.rename(partialMagic, partialPath(f.path))
}

// lay computes where the data is, from the length of the header.
func (f *featureFile) lay(header int64) {
	f.dataAt = (int64(featurePrologue) + header + 63) / 64 * 64
}

func (f *featureFile) end() int64 { return f.dataAt + f.header.fileBytes() }

// createFeatureFile starts a file under a temporary name.
func createFeatureFile(path string, h featureHeader, set *dataset.Set) (_ *featureFile, err error) {
	f := &featureFile{header: h, path: path, set: set}
	if f.head, err = json.Marshal(h); err != nil {
		return nil, err
	}
	f.lay(int64(len(f.head)))
	if f.file, err = os.CreateTemp(filepath.Dir(path), featureTemp); err != nil {
		return nil, err
	}
	f.name = f.file.Name()
	if err = f.file.Truncate(f.end()); err == nil {
		_, err = f.file.WriteAt(f.head, int64(featurePrologue))
	}
	if err != nil {
		f.remove()
		return nil, err
	}
	f.mapIn()
	return f, nil
}

// put writes an example: its values in order, unpadded.
func (f *featureFile) put(e dataset.Example, data []byte) error {
	at, end := f.header.span(e)
	if int64(len(data)) != end-at-sumBytes {
		return fmt.Errorf("example %d has %d bytes of features, not %d", e.Number, len(data), end-at-sumBytes)
	}
	f.buf = binary.LittleEndian.AppendUint32(append(f.buf[:0], data...), crc32.Checksum(data, castagnoli))
	_, err := f.file.WriteAt(f.buf, f.dataAt+at)
	return err
}

// finish completes the file and gives it its name.
func (f *featureFile) finish() error {
	if err := f.rename(featureMagic, f.path); err != nil {
		return err
	}
	complete, err := openFeatureFile(f.path, f.header.Key, f.set)
	if err != nil {
		return err
	}
	*f = *complete
	return nil
}

// rename writes the first line, closes the file and gives it a name.
func (f *featureFile) rename(magic, path string) error {
	first := append(make([]byte, 0, featurePrologue), magic...)
	first = binary.LittleEndian.AppendUint32(first, uint32(len(f.head)))
	first = binary.LittleEndian.AppendUint32(first, crc32.Checksum(f.head, castagnoli))
	if _, err := f.file.WriteAt(first, 0); err != nil {
		return err
	}
	if err := errors.Join(f.file.Chmod(0o644), f.file.Sync()); err != nil {
		return err
	}
	f.close()
	if err := os.Rename(f.name, path); err != nil {
		return err
	}
	f.name = path
	return nil
}

// example returns the data of an example after checking it. It is valid until
// the next call. A caller guards against faults of the mapping, see
// asFileError.
func (f *featureFile) example(e dataset.Example) ([]byte, error) {
	at, end := f.header.span(e)
	var record []byte
	if f.mapped != nil {
		record = f.mapped.bytes(f.dataAt+at, f.dataAt+end)
	} else {
		f.buf = resize(f.buf, int(end-at))
		record = f.buf
		if _, err := f.file.ReadAt(record, f.dataAt+at); err != nil {
			return nil, err
		}
	}
	data, sum := record[:end-at-sumBytes], record[end-at-sumBytes:]
	if crc32.Checksum(data, castagnoli) != binary.LittleEndian.Uint32(sum) {
		return nil, fmt.Errorf("%s: the features of example %d are damaged", f.path, e.Number)
	}
	return data, nil
}

// asFileError makes an error of a panic that a read of mapped memory ended in,
// as it does when the file has been cut short or the disk fails. Other panics
// go on. It is to be deferred where debug.SetPanicOnFault is on.
func (f *featureFile) asFileError(err *error) {
	switch r := recover().(type) {
	case nil:
	case interface {
		error
		Addr() uintptr
	}:
		*err = fmt.Errorf("%s cannot be read any more: was it cut short? (%w)", f.path, r)
	default:
		panic(r)
	}
}

// mapIn maps the file, if that can be done.
func (f *featureFile) mapIn() { f.mapped = mapFile(f.file, f.end()) }

func (f *featureFile) close() {
	if f.mapped != nil {
		f.mapped.unmap()
		f.mapped = nil
	}
	f.file.Close()
}

// remove closes the file and deletes it.
func (f *featureFile) remove() {
	f.close()
	os.Remove(f.name)
}
