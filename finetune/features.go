package finetune

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime/debug"
	"unsafe"

	"github.com/ftk-go/ftk/finetune/dataset"
	"github.com/ftk-go/ftk/internal/ort"
	"github.com/ftk-go/ftk/internal/parallel"
	"github.com/ftk-go/ftk/internal/version"
	"github.com/ftk-go/ftk/models"
)

// features gives the boundary values of a data set's examples. They are kept
// in a file: found there from an earlier run, or computed when they are first
// asked for, with other examples of like length. Where they would take more
// than the cache may hold they are computed for each batch.
type features struct {
	*frozen
	config *Config
	file   *featureFile // nil: computed for each batch
	chunks *chunks      // of a file that is being made
	scratch
}

// scratch is memory used again.
type scratch struct {
	batch batch
	buf   []byte
	raw   [][]byte // of the boundary values of a batch
}

// newFeatures finds the features of a set in the cache directory or prepares
// to compute them.
func newFeatures(ctx context.Context, f *frozen, fd *feeder, c *Config) (*features, error) {
	out := &features{frozen: f, config: c, scratch: scratch{batch: batch{inputs: map[string]ort.Array{}}}}
	set := fd.set
	if set.Tokenised() < set.Len() { // what features would take is not known
		c.emit(Features{Examples: set.Len()})
		return out, nil
	}
	key := out.key(set)
	var path string
	if c.Workspace != nil {
		path = filepath.Join(c.Workspace.CacheDir(), key[:32]+featureSuffix)
		if out.find(path, key, set) {
			return out, nil
		}
	}
	values, err := out.layout(ctx, fd)
	if errors.Is(err, errNotStorable) {
		c.emit(Features{Examples: set.Len()})
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	h := featureHeader{Key: key, Examples: set.Len(), Values: values}
	h.Bytes = h.offset(set.Tokens(), set.Len())
	fits := path != ""
	if fits {
		fits, err = f.cache.makeRoom(filepath.Dir(path), h.fileBytes(), c.CacheLimit)
	}
	if err == nil && !fits {
		c.emit(Features{Bytes: h.Bytes, Examples: set.Len()})
		return out, nil
	}
	if err == nil {
		out.file, err = createFeatureFile(path, h, set)
	}
	if err != nil {
		c.emit(Warning{fmt.Sprintf("features cannot be kept: %v; they are computed for each batch", err)})
		return out, nil
	}
	out.chunks = newChunks(set, f.net.masked(), nil)
	f.cache.uses(out.file.name)
	c.emit(Features{Bytes: h.Bytes, Examples: set.Len(), Path: path, Cached: true})
	return out, nil
}

// find takes up features of an earlier run: all of them, or what it had
// computed when it stopped. Those beyond the limit are left alone.
func (f *features) find(path, key string, set *dataset.Set) bool {
	file, err := openFeatureFile(path, key, set)
	var done []uint64 // nil: all
	if errors.Is(err, fs.ErrNotExist) {
		file, done, err = resumeFeatureFile(path, key, set)
		path = partialPath(path)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false
	case err != nil:
		f.config.emit(Warning{fmt.Sprintf("cached features %s: %v; they are computed again", path, err)})
		return false
	case file.header.fileBytes() > f.config.CacheLimit:
		if done != nil && file.suspend(done) == nil {
			return false
		}
		file.close()
		return false
	}
	f.file = file
	f.cache.uses(file.name)
	f.config.emit(Features{Bytes: file.header.Bytes, Examples: set.Len(), Path: file.path, Cached: true, Reused: done == nil})
	if done != nil {
		f.chunks = newChunks(set, f.net.masked(), done)
		f.config.emit(FeaturesDone{set.Len() - f.chunks.left, set.Len()})
	}
	return true
}

// key names the features of a set: what computes them, of what tokens of which
// texts, and along which axes they are without padding.
func (f *features) key(set *dataset.Set) string {
	h := sha256.New()
	fmt.Fprintln(h, featureMagic, version.String(), f.hash, f.engine.name(), parallel.Threads(), f.config.Tokenizer.Hash(), f.config.MaxLength)
	for _, c := range f.net.parts.Boundary {
		fmt.Fprintln(h, c.SeqAxis)
	}
	content := set.Hash()
	h.Write(content[:])
	return hex.EncodeToString(h.Sum(nil))
}

var errNotStorable = errors.New("the boundary cannot be stored by example")

// layout finds how the boundary values of an example are stored, by running
// the shortest one.
func (f *features) layout(ctx context.Context, fd *feeder) ([]featureValue, error) {
	e := fd.set.Shortest()
	b := &f.batch
	b.batchPlan = batchPlan{examples: []dataset.Example{e}, seq: e.Length}
	out, err := f.run(ctx, fd, b)
	if err != nil {
		return nil, err
	}
	var values []featureValue
	for _, c := range f.net.parts.Boundary {
		a := out[c.Value.Name]
		raw, ok := arrayBytes(a)
		if !ok || c.SeqAxis == models.UnknownAxis || len(a.Shape) == 0 || a.Shape[0] != 1 || c.SeqAxis == 0 || c.SeqAxis >= len(a.Shape) {
			return nil, errNotStorable
		}
		v := featureValue{Name: c.Value.Name, DType: int32(a.DType()), Outer: 1, Inner: 1, Seq: c.SeqAxis > 0, Dims: append([]int64(nil), a.Shape[1:]...)}
		for axis := 1; axis < len(a.Shape); axis++ {
			switch {
			case axis == c.SeqAxis:
				if a.Shape[axis] != int64(b.seq) {
					return nil, errNotStorable
				}
				v.Dims[axis-1] = -1
			case axis < c.SeqAxis:
				v.Outer *= int(a.Shape[axis])
			default:
				v.Inner *= int(a.Shape[axis])
			}
		}
		v.Size = elementSize(a)
		if int64(len(raw)) != v.bytes(b.seq) {
			return nil, errNotStorable
		}
		values = append(values, v)
	}
	return values, nil
}

// fill gives a batch its boundary values.
func (f *features) fill(ctx context.Context, fd *feeder, b *batch) error {
	if f.file != nil {
		if err := f.complete(ctx, fd, b); err != nil {
			return err
		}
	}
	if f.file != nil {
		err := f.read(b)
		if err == nil {
			return nil
		}
		f.giveUp(fmt.Sprintf("%v; they are computed again", err))
	}
	out, err := f.run(ctx, fd, b)
	if err != nil {
		return err
	}
	for name, a := range out { // the next run overwrites them
		b.inputs[name] = copyArray(b.inputs[name], a)
	}
	return nil
}

// giveUp does without the file.
func (f *features) giveUp(why string) {
	f.config.emit(Warning{why})
	f.config.emit(FeaturesDone{})
	f.file.remove()
	f.file, f.chunks = nil, nil
}

// complete computes what the file lacks of a batch. A file that cannot be
// written to is done without.
func (f *features) complete(ctx context.Context, fd *feeder, b *batch) error {
	if f.chunks == nil {
		return nil
	}
	for _, e := range b.examples {
		examples, err := f.chunks.of(e.Number)
		if err != nil {
			return err
		}
		if examples == nil {
			continue
		}
		f.batch.batchPlan = batchPlan{examples: examples, seq: examples[0].Length}
		out, err := f.run(ctx, fd, &f.batch)
		if err != nil {
			return err
		}
		if err := f.store(out); err != nil {
			f.giveUp(fmt.Sprintf("features cannot be kept: %v; they are computed for each batch", err))
			return nil
		}
		f.chunks.finish(examples)
		f.config.emit(FeaturesDone{fd.set.Len() - f.chunks.left, fd.set.Len()})
	}
	if f.chunks.left > 0 {
		return nil
	}
	f.chunks = nil
	if err := f.file.finish(); err != nil {
		f.giveUp(fmt.Sprintf("features cannot be kept: %v; they are computed for each batch", err))
		return nil
	}
	f.cache.uses(f.file.path)
	return nil
}

// store writes the features of f.batch, without padding.
func (f *features) store(out map[string]ort.Array) error {
	values := f.file.header.Values
	for r, e := range f.batch.examples {
		f.buf = f.buf[:0]
		for i := range values {
			var err error
			if f.buf, err = values[i].take(f.buf, out[values[i].Name], r, &f.batch, e.Length); err != nil {
				return err
			}
		}
		if err := f.file.put(e, f.buf); err != nil {
			return err
		}
	}
	return nil
}

// take appends the value of row r of a batch, without padding.
func (v *featureValue) take(buf []byte, a ort.Array, r int, b *batch, length int) ([]byte, error) {
	raw, _ := arrayBytes(a)
	seq, keep := 1, 1
	if v.Seq {
		seq, keep = b.seq, length
	}
	row := v.Outer * seq * v.Inner * v.Size
	if len(raw) != row*len(b.examples) {
		return nil, fmt.Errorf("boundary value %q has shape %v for %d × %d tokens", v.Name, a.Shape, len(b.examples), b.seq)
	}
	raw = raw[r*row:]
	for o := range v.Outer {
		from := o * seq * v.Inner * v.Size
		buf = append(buf, raw[from:from+keep*v.Inner*v.Size]...)
	}
	return buf, nil
}

// read fills the boundary values of a batch from the file; padding is zero.
// (A mask that crosses the boundary is not kept, models.UnknownAxis; so padded
// positions are masked. Where there is no mask there is no padding.)
func (f *features) read(b *batch) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer f.file.asFileError(&err)
	values := f.file.header.Values
	f.raw = resize(f.raw, len(values))
	for i := range values {
		v := &values[i]
		a := b.inputs[v.Name]
		a.Shape = append(a.Shape[:0], int64(len(b.examples)))
		n := len(b.examples)
		for _, d := range v.Dims {
			if d < 0 {
				d = int64(b.seq)
			}
			a.Shape = append(a.Shape, d)
			n *= int(d)
		}
		switch ort.DType(v.DType) {
		case ort.Float32:
			a.F32 = resize(a.F32, n)
		case ort.Int64:
			a.I64 = resize(a.I64, n)
		case ort.Int32:
			a.I32 = resize(a.I32, n)
		case ort.Bool:
			a.Bool = resize(a.Bool, n)
		default:
			return fmt.Errorf("%s: features of type %v", f.file.path, v.DType)
		}
		b.inputs[v.Name] = a
		f.raw[i], _ = arrayBytes(a)
	}
	for r, e := range b.examples {
		data, err := f.file.example(e)
		if err != nil {
			return err
		}
		for i := range values {
			v := &values[i]
			seq, keep := 1, 1
			if v.Seq {
				seq, keep = b.seq, e.Length
			}
			strip := keep * v.Inner * v.Size
			for o := range v.Outer {
				at := (r*v.Outer + o) * seq * v.Inner * v.Size
				copy(f.raw[i][at:at+strip], data)
				clear(f.raw[i][at+strip : at+seq*v.Inner*v.Size])
				data = data[strip:]
			}
		}
	}
	return nil
}

// close lets go of the file; one that is not complete is left for the next
// run.
func (f *features) close() {
	switch {
	case f == nil || f.file == nil:
		return
	case f.chunks == nil:
		f.file.close()
	case f.chunks.left == f.chunks.set.Len() || f.file.suspend(f.chunks.done) != nil:
		f.file.remove()
	}
	f.file = nil
}

// copyArray copies an array into the memory of another.
func copyArray(to, from ort.Array) ort.Array {
	to.Shape = append(to.Shape[:0], from.Shape...)
	to.F32 = append(to.F32[:0], from.F32...)
	to.I64 = append(to.I64[:0], from.I64...)
	to.I32 = append(to.I32[:0], from.I32...)
	to.Bool = append(to.Bool[:0], from.Bool...)
	return to
}

// arrayBytes views an array's memory, of the types that can be stored.
func arrayBytes(a ort.Array) ([]byte, bool) {
	switch {
	case a.F32 != nil:
		return viewBytes(a.F32), true
	case a.I64 != nil:
		return viewBytes(a.I64), true
	case a.I32 != nil:
		return viewBytes(a.I32), true
	case a.Bool != nil:
		return viewBytes(a.Bool), true
	}
	return nil, false
}

func elementSize(a ort.Array) int {
	switch {
	case a.I64 != nil:
		return 8
	case a.Bool != nil:
		return 1
	}
	return 4
}

func viewBytes[T any](x []T) []byte {
	if len(x) == 0 {
		return []byte{}
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&x[0])), len(x)*int(unsafe.Sizeof(x[0])))
}
