package dataset

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"math"
	"os"
	"strings"
)

// setBuilder assembles a Set from examples in order.
type setBuilder struct {
	Set
	given   bool   // classes are given, others are an error
	dir     string // of the files
	limit   int64  // bytes from which on there are files
	spilled bool
	content hash.Hash
	scratch []byte
}

// memoryLimit is how many bytes of a set are in memory where nothing else is
// said: as many as a hundred thousand short texts take.
const memoryLimit = 8 << 20

func newSetBuilder(path string, columns Columns, opt LoadOptions) *setBuilder {
	b := &setBuilder{Set: Set{Path: path, Columns: columns, shortest: Example{Length: math.MaxInt}}, dir: opt.Dir, limit: opt.MemoryLimit, content: sha256.New()}
	b.texts.encode, b.texts.most = opt.Encode, opt.Together
	if b.texts.most == 0 {
		b.texts.most = together
	}
	if b.dir == "" {
		b.dir = os.TempDir()
	}
	if b.limit == 0 {
		b.limit = memoryLimit
	}
	if opt.Classes != nil {
		b.Classes, b.given = *opt.Classes, true
	} else {
		b.Classes = NewClasses(nil)
	}
	b.perClass = make([]int, len(b.Classes.Names))
	return b
}

// FromRecords tokenises records that are in memory; the set has no labels.
func FromRecords(records []Record, encode Encode) (*Set, error) {
	if len(records) == 0 {
		return nil, errors.New("there are no texts")
	}
	b := newSetBuilder("texts", Columns{}, LoadOptions{})
	for i, r := range records {
		e, err := encode(r.Text, r.Pair)
		if err == nil && len(e.IDs) == 0 {
			err = ErrNoTokens
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("text %d: %w", i+1, err), b.Close())
		}
		b.name(r)
		b.add(e, 0)
		if err := b.settle(); err != nil {
			return nil, errors.Join(err, b.Close())
		}
	}
	return b.finish()
}

// ErrNoTokens is of a text that the tokenizer makes nothing of.
var ErrNoTokens = errors.New("the tokenizer gives no token at all, not even a special one")

// addChunk appends the examples of a chunk.
func (b *setBuilder) addChunk(c *chunk) error {
	if c.err != nil {
		return c.err
	}
	for i, r := range c.records {
		var class int32
		if b.Labelled() {
			var err error
			if class, err = b.class(r); err != nil {
				return err
			}
			b.perClass[class]++
		}
		b.name(r)
		if c.late {
			b.addText(r, class)
		} else {
			b.add(c.encoded[i], class)
		}
	}
	return b.settle()
}

// name makes the texts of a record part of what Hash names the set by.
func (b *setBuilder) name(r Record) {
	for _, text := range []string{r.Text, r.Pair} {
		b.scratch = append(binary.AppendUvarint(b.scratch[:0], uint64(len(text))), text...)
		b.content.Write(b.scratch)
	}
}

func (b *setBuilder) class(rec Record) (int32, error) {
	if n, ok := b.Classes.index[rec.Label]; ok {
		return n, nil
	}
	if b.given {
		return 0, fmt.Errorf("%s:%d: label %q does not occur in the training data; the labels there are: %s", b.Path, rec.Line, truncate(rec.Label, 40), quoteAll(b.Classes.Names))
	}
	n := int32(len(b.Classes.Names))
	name := strings.Clone(rec.Label) // not the whole record's memory
	b.Classes.Names = append(b.Classes.Names, name)
	b.Classes.lines = append(b.Classes.lines, rec.Line)
	b.Classes.index[name] = n
	b.perClass = append(b.perClass, 0)
	return n, nil
}

func (b *setBuilder) add(e Encoding, class int32) {
	n := len(e.IDs)
	b.low.add(b.tokens, n, e.IDs, 0)
	b.high.add(b.tokens, n, e.IDs, 16)
	b.types.add(b.tokens, n, e.TypeIDs, 0)
	if n < b.shortest.Length {
		b.shortest = Example{Number: b.length, Start: b.tokens, Length: n, Class: class}
	}
	b.tokens += int64(n)
	b.tokenised++
	b.enter(b.tokens, class)
}

// enter makes an example's entry in the index.
func (b *setBuilder) enter(end int64, class int32) {
	b.length++
	entry := b.index.extend(indexBytes)
	binary.LittleEndian.PutUint64(entry, uint64(end))
	binary.LittleEndian.PutUint32(entry[8:], uint32(class))
}

// settle moves the set into files once it exceeds the limit, and from then on
// writes what has come together.
func (b *setBuilder) settle() error {
	if !b.spilled {
		var size int64
		for _, c := range b.columns() {
			size += c.size
		}
		b.spilled = size > b.limit
	}
	if !b.spilled {
		return nil
	}
	for _, c := range b.columns() {
		var err error
		switch {
		case c.file == nil && c.size > 0:
			err = c.spill(b.dir)
		case len(c.memory) >= tailBytes:
			err = c.flush()
		}
		if err != nil {
			return b.full(err)
		}
	}
	return nil
}

// full says that a file of the set could not be written.
func (b *setBuilder) full(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		err = path.Err // the file's own name says nothing
	}
	return fmt.Errorf("%s: its tokens cannot be kept in %s: %w; let ftk write there, and have as much room as the file takes", b.Path, b.dir, err)
}

// finish writes what is left and puts the classes in their order.
func (b *setBuilder) finish() (*Set, error) {
	for _, c := range b.columns() {
		if err := c.flush(); err != nil {
			return nil, errors.Join(b.full(err), b.Close())
		}
		if c.file != nil {
			c.memory = nil
		}
	}
	if b.Labelled() && !b.given {
		b.number = b.Classes.sort()
		counts := make([]int, len(b.perClass))
		for was, now := range b.number {
			counts[now] = b.perClass[was]
		}
		b.perClass = counts
		b.shortest.Class = b.number[b.shortest.Class]
	}
	b.hash = [sha256.Size]byte(b.content.Sum(nil))
	return &b.Set, nil
}
