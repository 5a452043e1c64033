package finetune

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"unsafe"

	"github.com/ftk-go/ftk/exporter"
	"github.com/ftk-go/ftk/finetune/dataset"
	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/ort"
	"github.com/ftk-go/ftk/internal/parallel"
	"github.com/ftk-go/ftk/models"
)

// featureTokens is how many tokens, padding included, onnxruntime is given at
// once when features are computed ahead.
const featureTokens = 4096

// frozen is the part of the network that nothing trainable feeds: an ONNX
// model that onnxruntime runs, opened when it is first needed.
type frozen struct {
	net     *network
	hash    string // of what it computes
	inputs  []*graph.Value
	threads int
	session *ort.Session
}

// newFrozen returns nil where nothing is frozen.
func newFrozen(n *network, threads int, modelHash string) (*frozen, error) {
	prefix := n.parts.Prefix
	if prefix == nil {
		return nil, nil
	}
	f := &frozen{net: n, threads: threads, hash: modelHash}
	for _, v := range prefix.Graph.Inputs {
		if v.Init != nil {
			continue
		}
		if err := n.canFeed(v); err != nil {
			return nil, err
		}
		f.inputs = append(f.inputs, v)
	}
	for _, c := range n.parts.Boundary {
		f.hash += " " + strconv.Quote(c.Value.Name)
	}
	return f, nil
}

func (f *frozen) open() error {
	if f.session != nil {
		return nil
	}
	model, err := exporter.Marshal(f.net.parts.Prefix)
	if err == nil {
		f.session, err = ort.NewSession(model, ort.Options{Threads: f.threads})
	}
	if err != nil {
		return fmt.Errorf("frozen part: %w", err)
	}
	return nil
}

func (f *frozen) close() {
	if f != nil && f.session != nil {
		f.session.Close()
		f.session = nil
	}
}

// run computes the boundary values of a batch, whose token inputs it fills.
func (f *frozen) run(ctx context.Context, fd *feeder, b *batch) (map[string]ort.Array, error) {
	if err := f.open(); err != nil {
		return nil, err
	}
	inputs := map[string]ort.Array{}
	for _, v := range f.inputs {
		fd.tokens(b, v)
		inputs[v.Name] = b.inputs[v.Name]
	}
	out, err := f.session.Run(ctx, inputs)
	if err != nil {
		return nil, fmt.Errorf("frozen part, %d × %d tokens: %w", len(b.examples), b.seq, err)
	}
	return out, nil
}

// features gives the boundary values of a data set's examples: from a file
// where they fit, else computed for each batch.
type features struct {
	*frozen
	file   *featureFile // nil: computed for each batch
	damage func(error)  // told when the file turns out damaged
}

// newFeatures finds the features of a set in the cache directory or computes
// them.
func newFeatures(ctx context.Context, f *frozen, fd *feeder, c *Config) (*features, error) {
	out := &features{frozen: f, damage: func(err error) {
		c.emit(Warning{fmt.Sprintf("%v; they are computed again", err)})
	}}
	set := fd.set
	key := f.key(set)
	var path string
	if c.Workspace != nil {
		path = filepath.Join(c.Workspace.CacheDir(), key[:32]+".features")
		var err error
		out.file, err = openFeatureFile(path, key, set.Len(), set.Length)
		if err == nil {
			c.emit(Features{Bytes: out.file.header.Bytes, Examples: set.Len(), Path: path, Cached: true, Reused: true})
			return out, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			c.emit(Warning{fmt.Sprintf("cached features %s: %v; they are computed again", path, err)})
		}
	}
	values, err := f.layout(ctx, fd)
	if errors.Is(err, errNotStorable) {
		c.emit(Features{Examples: set.Len()})
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	var total int64
	for i := range set.Len() {
		total += exampleBytes(values, set.Length(i))
	}
	if path == "" || total > c.CacheLimit {
		c.emit(Features{Bytes: total, Examples: set.Len()})
		return out, nil
	}
	c.emit(Features{Bytes: total, Examples: set.Len(), Path: path, Cached: true})
	if err := f.compute(ctx, fd, featureHeader{Key: key, Examples: set.Len(), Values: values}, path, c); err != nil {
		return nil, err
	}
	out.file, err = openFeatureFile(path, key, set.Len(), set.Length)
	return out, err
}

// key names the features of a set: what computes them, and of what.
func (f *frozen) key(set *dataset.Set) string {
	h := sha256.New()
	fmt.Fprintln(h, featureMagic, f.hash, parallel.Threads())
	if lib, err := ort.Find(); err == nil {
		fmt.Fprintln(h, lib.Version)
	}
	set.Hash(h)
	return hex.EncodeToString(h.Sum(nil))
}

var errNotStorable = errors.New("the boundary cannot be stored by example")

// layout finds how the boundary values of an example are stored, by running
// the shortest one.
func (f *frozen) layout(ctx context.Context, fd *feeder) ([]featureValue, error) {
	shortest := 0
	for i := range fd.set.Len() {
		if fd.set.Length(i) < fd.set.Length(shortest) {
			shortest = i
		}
	}
	b := &batch{batchPlan: batchPlan{[]int32{int32(shortest)}, fd.set.Length(shortest)}, inputs: map[string]ort.Array{}}
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

// compute writes the features of all examples, longest first.
func (f *frozen) compute(ctx context.Context, fd *feeder, h featureHeader, path string, c *Config) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	w, err := createFeatureFile(path, h, fd.set.Length)
	if err != nil {
		return err
	}
	length := func(e int32) int { return fd.set.Length(int(e)) }
	order := evaluationBatches(fd.set.All(), length, 1, 0) // one by one, sorted
	b := &batch{inputs: map[string]ort.Array{}}
	var buf []byte
	for done := 0; done < len(order); {
		b.seq = order[done].seq
		b.examples = b.examples[:0]
		for len(b.examples) < max(1, featureTokens/b.seq) && done < len(order) {
			b.examples = append(b.examples, order[done].examples[0])
			done++
		}
		out, err := f.run(ctx, fd, b)
		if err != nil {
			w.abort()
			return err
		}
		for r, e := range b.examples {
			buf = buf[:0]
			for i := range h.Values {
				if buf, err = h.Values[i].take(buf, out[h.Values[i].Name], r, b, length(e)); err != nil {
					w.abort()
					return err
				}
			}
			if err := w.put(int(e), buf); err != nil {
				w.abort()
				return err
			}
		}
		c.emit(FeaturesDone{done, len(order)})
	}
	return w.finish()
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

// fill gives a batch its boundary values.
func (f *features) fill(ctx context.Context, fd *feeder, b *batch) error {
	if f.file != nil {
		err := f.read(fd, b)
		if err == nil {
			return nil
		}
		f.damage(err)
		os.Remove(f.file.path)
		f.file.close()
		f.file = nil
	}
	out, err := f.run(ctx, fd, b)
	if err != nil {
		return err
	}
	for name, a := range out {
		b.inputs[name] = a
	}
	return nil
}

// read fills the boundary values of a batch from the file; padding is zero.
// (Masks never cross the boundary, so padded positions are masked.)
func (f *features) read(fd *feeder, b *batch) error {
	values := f.file.header.Values
	raw := make([][]byte, len(values))
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
		raw[i], _ = arrayBytes(a)
	}
	for r, e := range b.examples {
		data, err := f.file.example(int(e))
		if err != nil {
			return err
		}
		length := fd.set.Length(int(e))
		for i := range values {
			v := &values[i]
			seq, keep := 1, 1
			if v.Seq {
				seq, keep = b.seq, length
			}
			strip := keep * v.Inner * v.Size
			for o := range v.Outer {
				at := (r*v.Outer + o) * seq * v.Inner * v.Size
				copy(raw[i][at:at+strip], data)
				clear(raw[i][at+strip : at+seq*v.Inner*v.Size])
				data = data[strip:]
			}
		}
	}
	return nil
}

func (f *features) close() {
	if f != nil && f.file != nil {
		f.file.close()
		f.file = nil
	}
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
