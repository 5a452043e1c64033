package dataset

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
)

// Set is a tokenised data set. Token ids lie end to end, 16 bits each where the
// vocabulary allows and 32 where it does not, and token types beside them where
// there are any. An index has, for each example, where it ends and its class.
// While all of it takes no more than LoadOptions.MemoryLimit it is in memory;
// beyond, it is in files, which are read without being mapped, and what is in
// memory does not grow with the number of examples. Of all but the first examples
// the texts may be kept instead of the tokens: see LoadOptions.AtOnce.
//
// Its methods but Close may be called by several goroutines at once.
type Set struct {
	Path    string
	Columns Columns
	Classes Classes

	EmptyTexts     int // examples whose text is empty (they train on the special tokens alone)
	FirstEmptyLine int

	length    int
	tokenised int   // examples of which the tokens are kept, the first ones
	tokens    int64 // of these
	shortest  Example
	hash      [sha256.Size]byte
	perClass  []int   // examples of each class
	number    []int32 // class by number in the index; nil: they are the same

	index     column // of each example: end of its tokens, or of its text (uint64), number of its class (uint32)
	low, high tokenColumn
	types     tokenColumn
	texts     texts
}

// indexBytes is the size of an example's entry in the index.
const indexBytes = 12

// Example says where an example is in a set, and what its class is.
type Example struct {
	Number int   // from 0
	Start  int64 // tokens of the set before it; 0 where the text is kept
	Length int   // tokens of it
	Class  int32 // 0 in unlabelled data
}

// Len returns the number of examples.
func (s *Set) Len() int { return s.length }

// Tokens returns the number of tokens of all examples that are tokenised.
func (s *Set) Tokens() int64 { return s.tokens }

// Labelled tells whether the examples have classes.
func (s *Set) Labelled() bool { return s.Columns.Label != "" }

// Shortest returns the first of the examples with the fewest tokens, of those
// that are tokenised.
func (s *Set) Shortest() Example { return s.shortest }

// Example returns example i.
func (s *Set) Example(i int) (Example, error) {
	e, err := s.entry(i)
	if err != nil || i < s.tokenised {
		return e, err
	}
	t, err := s.tokensOf(i, &e)
	return Example{Number: i, Length: len(t.ids), Class: e.Class}, err
}

// entry returns example i as the index has it: where the text is kept, Start and
// Length are bytes of it.
func (s *Set) entry(i int) (Example, error) {
	first := i - 1 // the end of the one before is where this one starts
	if i == 0 || i == s.tokenised {
		first = i
	}
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

// scanEntries is how many entries of the index are read at a time.
const scanEntries = 1024

// ExampleClasses yields the class of each example. An error ends it.
func (s *Set) ExampleClasses() iter.Seq2[int32, error] {
	return func(yield func(int32, error) bool) {
		var e Example
		class := func(e Example, err error) bool { return yield(e.Class, err) }
		for at := 0; at < s.length && s.scanBlock(at, min(scanEntries, s.length-at), &e, class); at += scanEntries {
		}
	}
}

// Scan yields the examples from number lo to before hi, of those that are
// tokenised. An error ends it.
func (s *Set) Scan(lo, hi int) iter.Seq2[Example, error] {
	return func(yield func(Example, error) bool) {
		hi = min(hi, s.tokenised)
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
func (s *Set) IDs(e Example, dst []int64) error {
	if e.Number >= s.tokenised {
		return s.copyTokens(e, dst, func(t compact) []uint32 { return t.ids })
	}
	return s.ids(e.Start, dst[:e.Length])
}

// copyTokens writes a part of the tokens of an example whose text is kept.
func (s *Set) copyTokens(e Example, dst []int64, part func(compact) []uint32) error {
	t, err := s.tokensOf(e.Number, nil)
	clear(dst[:e.Length])
	for i, v := range part(t) {
		dst[i] = int64(v)
	}
	return err
}

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
func (s *Set) Types(e Example, dst []int64) error {
	if e.Number >= s.tokenised {
		return s.copyTokens(e, dst, func(t compact) []uint32 { return t.types })
	}
	return s.typesFrom(e.Start, dst[:e.Length])
}

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

// Hash names the texts of the examples and their order; neither classes nor how
// they are tokenised.
func (s *Set) Hash() [sha256.Size]byte { return s.hash }

// columns are all that grow with the number of examples.
func (s *Set) columns() []*column {
	return []*column{&s.index, &s.low.column, &s.high.column, &s.types.column, &s.texts.column}
}

// Close frees the memory and the files of the set.
func (s *Set) Close() error {
	var errs []error
	for _, c := range s.columns() {
		errs = append(errs, c.close())
	}
	return errors.Join(errs...)
}
