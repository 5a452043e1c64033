package dataset

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
)

// Set is a tokenised data set; no text is kept. Token ids lie end to end, 16
// bits each where the vocabulary allows and 32 where it does not, and token
// types beside them where there are any. An index has, for each example, where
// it ends and its class. While all of it takes no more than
// LoadOptions.MemoryLimit it is in memory; beyond, it is in files, which are
// read without being mapped, and what is in memory does not grow with the number
// of examples.
//
// Its methods but Close may be called by several goroutines at once.
type Set struct {
	Path    string
	Columns Columns
	Classes Classes

	EmptyTexts     int // examples whose text is empty (they train on the special tokens alone)
	FirstEmptyLine int

	length   int
	tokens   int64
	maxID    uint32
	shortest Example
	perClass []int   // examples of each class
	number   []int32 // class by number in the index; nil: they are the same

	index     column // of each example: end of its tokens (uint64), number of its class (uint32)
	low, high tokenColumn
	types     tokenColumn
}

// indexBytes is the size of an example's entry in the index.
const indexBytes = 12

// Example says where an example is in a set, and what its class is.
type Example struct {
	Number int   // from 0
	Start  int64 // tokens of the set before it
	Length int   // tokens of it
	Class  int32 // 0 in unlabelled data
}

// Len returns the number of examples.
func (s *Set) Len() int { return s.length }

// Tokens returns the number of tokens of all examples.
func (s *Set) Tokens() int64 { return s.tokens }

// Labelled tells whether the examples have classes.
func (s *Set) Labelled() bool { return s.Columns.Label != "" }

// MaxID returns the largest token id.
func (s *Set) MaxID() int64 { return int64(s.maxID) }

// Shortest returns the first of the examples with the fewest tokens.
func (s *Set) Shortest() Example { return s.shortest }

// Example returns example i.
func (s *Set) Example(i int) (Example, error) {
	first := max(i-1, 0) // the end of the one before is where this one starts
	raw, buf, err := s.index.at(int64(first)*indexBytes, (i-first+1)*indexBytes)
	defer buf.release()
	if err != nil {
		return Example{}, s.lost(err)
	}
	var start int64
	if first < i {
		start = int64(binary.LittleEndian.Uint64(raw))
		raw = raw[indexBytes:]
	}
	return s.example(i, start, raw), nil
}

// example decodes an entry of the index.
func (s *Set) example(i int, start int64, entry []byte) Example {
	end, class := int64(binary.LittleEndian.Uint64(entry)), int32(binary.LittleEndian.Uint32(entry[8:]))
	if s.number != nil {
		class = s.number[class]
	}
	return Example{Number: i, Start: start, Length: int(end - start), Class: class}
}

// scanEntries is how many entries of the index Scan reads at a time.
const scanEntries = 1024

// Scan yields the examples from number lo to before hi. An error ends it.
func (s *Set) Scan(lo, hi int) iter.Seq2[Example, error] {
	return func(yield func(Example, error) bool) {
		if lo >= hi {
			return
		}
		e, err := s.Example(lo)
		if !yield(e, err) || err != nil {
			return
		}
		for at := lo + 1; at < hi; at += scanEntries {
			if !s.scanBlock(at, min(scanEntries, hi-at), &e, yield) {
				return
			}
		}
	}
}

// scanBlock yields n examples after e, which it replaces. It tells whether to
// go on.
func (s *Set) scanBlock(at, n int, e *Example, yield func(Example, error) bool) bool {
	raw, buf, err := s.index.at(int64(at)*indexBytes, n*indexBytes)
	defer buf.release()
	if err != nil {
		yield(Example{}, s.lost(err))
		return false
	}
	for i := range n {
		*e = s.example(at+i, e.Start+int64(e.Length), raw[i*indexBytes:])
		if !yield(*e, nil) {
			return false
		}
	}
	return true
}

// IDs writes the token ids of an example to the front of dst.
func (s *Set) IDs(e Example, dst []int64) error { return s.ids(e.Start, dst[:e.Length]) }

// ids fills dst with the ids of the tokens from start on.
func (s *Set) ids(start int64, dst []int64) error {
	clear(dst)
	if err := s.low.merge(dst, start, 0); err != nil {
		return s.lost(err)
	}
	if err := s.high.merge(dst, start, 16); err != nil {
		return s.lost(err)
	}
	return nil
}

// Types writes the token types of an example to the front of dst.
func (s *Set) Types(e Example, dst []int64) error { return s.typesFrom(e.Start, dst[:e.Length]) }

func (s *Set) typesFrom(start int64, dst []int64) error {
	clear(dst)
	if err := s.types.merge(dst, start, 0); err != nil {
		return s.lost(err)
	}
	return nil
}

// lost says that a file of the set could not be read.
func (s *Set) lost(err error) error {
	return fmt.Errorf("%s: what was read of it cannot be read back: %w", s.Path, err)
}

// Hash writes everything the model sees of the examples (ids, types,
// lengths; not the classes) to w, for use as a cache key.
func (s *Set) Hash(w io.Writer) error {
	buf := make([]byte, 0, 1<<14)
	put := func(b ...byte) error {
		if len(buf)+len(b) > cap(buf) {
			if _, err := w.Write(buf); err != nil {
				return err
			}
			buf = buf[:0]
		}
		buf = append(buf, b...)
		return nil
	}
	put32 := func(v uint32) error { return put(byte(v), byte(v>>8), byte(v>>16), byte(v>>24)) }
	if err := put32(uint32(s.length)); err != nil {
		return err
	}
	for e, err := range s.Scan(0, s.length) {
		if err == nil {
			err = put32(uint32(e.Length))
		}
		if err != nil {
			return err
		}
	}
	if err := s.eachToken(s.ids, func(v int64) error { return put32(uint32(v)) }); err != nil {
		return err
	}
	if s.types.size > 0 {
		if err := s.eachToken(s.typesFrom, func(v int64) error { return put(byte(v)) }); err != nil {
			return err
		}
	}
	_, err := w.Write(buf)
	return err
}

// eachToken reads a number of each token in order.
func (s *Set) eachToken(read func(start int64, dst []int64) error, each func(int64) error) error {
	var block [4096]int64
	for at := int64(0); at < s.tokens; at += int64(len(block)) {
		part := block[:min(int64(len(block)), s.tokens-at)]
		if err := read(at, part); err != nil {
			return err
		}
		for _, v := range part {
			if err := each(v); err != nil {
				return err
			}
		}
	}
	return nil
}

// columns are all that grow with the number of examples.
func (s *Set) columns() []*column {
	return []*column{&s.index, &s.low.column, &s.high.column, &s.types.column}
}

// Close frees the memory and the files of the set.
func (s *Set) Close() error {
	var errs []error
	for _, c := range s.columns() {
		errs = append(errs, c.close())
	}
	return errors.Join(errs...)
}
