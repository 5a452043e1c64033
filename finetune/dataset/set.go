package dataset

import (
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"unsafe"
)

// Set is a tokenised data set. Token ids lie end to end in one slice, in 16
// bits where the vocabulary allows; no text is kept.
type Set struct {
	Path    string
	Columns Columns
	Labels  []int32 // class of each example; nil for unlabelled data
	Classes Classes

	EmptyTexts     int // examples whose text is empty (they train on the special tokens alone)
	FirstEmptyLine int

	offsets []int64  // of example i: ids[offsets[i]:offsets[i+1]]
	ids16   []uint16 // one of ids16 and ids32 is used
	ids32   []uint32
	types   []uint8 // token type of each id; nil when all are 0
}

// FromTexts tokenises texts that are in memory; the set has no labels.
func FromTexts(texts []string, encode Encode) (*Set, error) {
	b := newSetBuilder("", Columns{}, nil)
	for i, text := range texts {
		e, err := encode(text, "")
		if err == nil && len(e.IDs) == 0 {
			err = errNoTokens
		}
		if err != nil {
			return nil, fmt.Errorf("text %d: %w", i+1, err)
		}
		b.appendIDs(e)
	}
	return &b.Set, nil
}

var errNoTokens = errors.New("the tokenizer gives no token at all, not even a special one")

// Classes are the label names in the order of their class numbers: integers
// by value, anything else sorted as strings.
type Classes struct {
	Names []string
	lines []int // line on which each first occurs
	index map[string]int32
}

// NewClasses returns the classes with these names, in this order.
func NewClasses(names []string) Classes {
	c := Classes{Names: names, index: make(map[string]int32, len(names)), lines: make([]int, len(names))}
	for i, n := range names {
		c.index[n] = int32(i)
	}
	return c
}

// Encoding is what the model sees of one example: token ids with the special
// ones, unpadded, and token types (nil when all are 0).
type Encoding struct{ IDs, TypeIDs []int64 }

// Encode tokenises a text, or a pair of texts. It must be safe for use by
// several goroutines.
type Encode func(text, pair string) (Encoding, error)

// LoadOptions says how Load reads.
type LoadOptions struct {
	Options
	Encode  Encode
	Classes *Classes // classes that labels must belong to; nil: those of the file
	Workers int      // goroutines that tokenise; 0: GOMAXPROCS
}

// chunk is a run of records tokenised by one worker.
type chunk struct {
	records []Record
	encoded []Encoding
	err     error
	done    chan struct{}
}

const chunkRecords = 256

// Load reads and tokenises a whole file. The result does not depend on the
// number of workers.
func Load(path string, opt LoadOptions) (*Set, error) {
	if opt.Workers <= 0 {
		opt.Workers = runtime.GOMAXPROCS(0)
	}
	r, err := Open(path, opt.Options)
	if err != nil {
		return nil, err
	}
	defer r.Close()

	work := make(chan *chunk)
	order := make(chan *chunk, 2*opt.Workers) // chunks in file order
	stop := make(chan struct{})
	for range opt.Workers {
		go func() {
			for c := range work {
				c.encode(opt.Encode, path)
				close(c.done)
			}
		}()
	}
	readErr := make(chan error, 1)
	go func() {
		defer close(order)
		defer close(work)
		readErr <- readChunks(r, work, order, stop)
	}()

	s := newSetBuilder(path, r.Columns(), opt.Classes)
	for c := range order {
		<-c.done
		if err == nil {
			if err = c.err; err == nil {
				err = s.add(c)
			}
			if err != nil {
				close(stop)
			}
		}
	}
	if e := <-readErr; err == nil {
		err = e
	}
	if err != nil {
		return nil, err
	}
	s.EmptyTexts, s.FirstEmptyLine = r.EmptyTexts()
	return s.finish()
}

// readChunks hands each chunk to a worker and, in order, to the assembler.
func readChunks(r *Reader, work, order chan<- *chunk, stop <-chan struct{}) error {
	for {
		c := &chunk{records: make([]Record, 0, chunkRecords), done: make(chan struct{})}
		var err error
		for len(c.records) < chunkRecords {
			var rec Record
			if rec, err = r.Next(); err != nil {
				break
			}
			c.records = append(c.records, rec)
		}
		if len(c.records) > 0 {
			order <- c
			work <- c
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
		select {
		case <-stop:
			return nil
		default:
		}
	}
}

func (c *chunk) encode(encode Encode, path string) {
	c.encoded = make([]Encoding, len(c.records))
	for i, rec := range c.records {
		e, err := encode(rec.Text, rec.Pair)
		if err == nil && len(e.IDs) == 0 {
			err = errNoTokens
		}
		if err != nil {
			c.err = fmt.Errorf("%s:%d: %w", path, rec.Line, err)
			return
		}
		c.encoded[i] = e
	}
}

// setBuilder assembles a Set from chunks in file order.
type setBuilder struct {
	Set
	given bool // classes are given, others are an error
}

func newSetBuilder(path string, columns Columns, classes *Classes) *setBuilder {
	b := &setBuilder{Set: Set{Path: path, Columns: columns, offsets: []int64{0}}}
	if classes != nil {
		b.Classes, b.given = *classes, true
	} else {
		b.Classes = NewClasses(nil)
	}
	return b
}

func (b *setBuilder) add(c *chunk) error {
	for i, e := range c.encoded {
		if b.Columns.Label != "" {
			class, err := b.class(c.records[i])
			if err != nil {
				return err
			}
			b.Labels = append(b.Labels, class)
		}
		b.appendIDs(e)
	}
	return nil
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
	return n, nil
}

func (b *setBuilder) appendIDs(e Encoding) {
	start := b.offsets[len(b.offsets)-1]
	for _, id := range e.IDs {
		if b.ids32 == nil && id > math.MaxUint16 {
			b.ids32 = make([]uint32, len(b.ids16), 2*len(b.ids16)+len(e.IDs))
			for i, v := range b.ids16 {
				b.ids32[i] = uint32(v)
			}
			b.ids16 = nil
		}
		if b.ids32 != nil {
			b.ids32 = append(b.ids32, uint32(id))
		} else {
			b.ids16 = append(b.ids16, uint16(id))
		}
	}
	for i, t := range e.TypeIDs {
		if t != 0 && b.types == nil {
			b.types = make([]uint8, int(start)+i, 2*int(start)+len(e.IDs))
		}
		if b.types != nil {
			b.types = append(b.types, uint8(t))
		}
	}
	end := start + int64(len(e.IDs))
	for b.types != nil && int64(len(b.types)) < end {
		b.types = append(b.types, 0)
	}
	b.offsets = append(b.offsets, end)
}

// finish puts classes in their order and checks that there is something.
func (b *setBuilder) finish() (*Set, error) {
	if b.Len() == 0 {
		return nil, fmt.Errorf("%s: no records after the header", b.Path)
	}
	if !b.given {
		to := b.Classes.sort()
		for i, c := range b.Labels {
			b.Labels[i] = to[c]
		}
	}
	return &b.Set, nil
}

// sort brings the classes into order and returns the new number of each.
func (c *Classes) sort() []int32 {
	n := len(c.Names)
	order := make([]int, n)
	value := make([]int64, n)
	integers := true
	for i, name := range c.Names {
		order[i] = i
		var err error
		if value[i], err = strconv.ParseInt(name, 10, 64); err != nil {
			integers = false
		}
	}
	sort.Slice(order, func(i, j int) bool {
		a, b := order[i], order[j]
		if integers && value[a] != value[b] {
			return value[a] < value[b]
		}
		return c.Names[a] < c.Names[b]
	})
	names, lines, to := make([]string, n), make([]int, n), make([]int32, n)
	for i, o := range order {
		names[i], lines[i], to[o] = c.Names[o], c.lines[o], int32(i)
	}
	*c = NewClasses(names)
	copy(c.lines, lines)
	return to
}

// Index returns the number of a label.
func (c *Classes) Index(name string) (int32, bool) {
	n, ok := c.index[name]
	return n, ok
}

// Len returns the number of examples.
func (s *Set) Len() int { return len(s.offsets) - 1 }

// Length returns the number of tokens of example i.
func (s *Set) Length(i int) int { return int(s.offsets[i+1] - s.offsets[i]) }

// Tokens returns the number of tokens of all examples.
func (s *Set) Tokens() int64 { return s.TokensBefore(s.Len()) }

// TokensBefore returns the number of tokens of the examples before i.
func (s *Set) TokensBefore(i int) int64 { return s.offsets[i] }

// MaxID returns the largest token id.
func (s *Set) MaxID() int64 {
	var m uint32
	for _, v := range s.ids16 {
		m = max(m, uint32(v))
	}
	for _, v := range s.ids32 {
		m = max(m, v)
	}
	return int64(m)
}

// Fill writes the ids of example i to the front of ids, and its token types to
// that of types (which may be nil).
func (s *Set) Fill(i int, ids, types []int64) {
	lo, hi := s.offsets[i], s.offsets[i+1]
	if s.ids32 != nil {
		for j, v := range s.ids32[lo:hi] {
			ids[j] = int64(v)
		}
	} else {
		for j, v := range s.ids16[lo:hi] {
			ids[j] = int64(v)
		}
	}
	if types != nil {
		s.FillTypes(i, types)
	}
}

// FillTypes writes the token types of example i to the front of types.
func (s *Set) FillTypes(i int, types []int64) {
	lo, hi := s.offsets[i], s.offsets[i+1]
	if s.types == nil {
		clear(types[:hi-lo])
		return
	}
	for j, v := range s.types[lo:hi] {
		types[j] = int64(v)
	}
}

// Bytes returns the memory the examples take.
func (s *Set) Bytes() int64 {
	return int64(cap(s.offsets))*int64(unsafe.Sizeof(s.offsets[0])) + int64(cap(s.ids16))*2 + int64(cap(s.ids32))*4 + int64(cap(s.types)) + int64(cap(s.Labels))*4
}

// Hash writes everything the model sees of the examples (ids, types,
// lengths; not the labels) to w, for use as a cache key.
func (s *Set) Hash(w io.Writer) {
	buf := make([]byte, 0, 1<<12)
	flush := func(force bool) {
		if force || len(buf) > 1<<12-8 {
			w.Write(buf)
			buf = buf[:0]
		}
	}
	put := func(v uint32) {
		buf = append(buf, byte(v), byte(v>>8), byte(v>>16), byte(v>>24))
		flush(false)
	}
	put(uint32(s.Len()))
	for i := range s.Len() {
		put(uint32(s.Length(i)))
	}
	for _, v := range s.ids16 {
		put(uint32(v))
	}
	for _, v := range s.ids32 {
		put(v)
	}
	for _, v := range s.types {
		buf = append(buf, v)
		flush(false)
	}
	flush(true)
}
