package dataset

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
)

// texts holds the examples of a set that are tokenised when they are asked for:
// all but the first, see LoadOptions.AtOnce. Of each the index has where its
// text ends. The tokens asked for last are kept, as those who ask for an
// example's length will ask for its tokens.
type texts struct {
	column // of each: the line it is on, bytes of the text (uvarints), the text, the second text
	encode Encode
	most   int // examples in recent

	mu     sync.Mutex
	recent map[int]compact
	queue  []int // numbers of recent, the first asked for first
	tokens int   // in recent
}

// compact is an Encoding in less memory.
type compact struct{ ids, types []uint32 }

func compacted(e Encoding) compact {
	c := compact{ids: narrow(e.IDs)}
	if slices.ContainsFunc(e.TypeIDs, func(v int64) bool { return v != 0 }) {
		c.types = narrow(e.TypeIDs)
	}
	return c
}

func narrow(values []int64) []uint32 {
	to := make([]uint32, len(values))
	for i, v := range values {
		to[i] = uint32(v)
	}
	return to
}

// recentTokens is how many tokens are kept at most, and together the examples
// that they are kept of where LoadOptions says nothing else.
const (
	recentTokens = 1 << 21
	together     = 1 << 13
)

// Tokenised returns how many examples have been tokenised when the set was
// read: the first ones, or all. The others are tokenised each time they are
// asked for, but those that were asked for last.
func (s *Set) Tokenised() int { return s.tokenised }

// addText adds a record whose text is kept.
func (b *setBuilder) addText(r Record, class int32) {
	b.scratch = binary.AppendUvarint(b.scratch[:0], uint64(r.Line))
	b.scratch = binary.AppendUvarint(b.scratch, uint64(len(r.Text)))
	b.scratch = append(append(b.scratch, r.Text...), r.Pair...)
	copy(b.texts.extend(len(b.scratch)), b.scratch)
	b.enter(b.texts.size, class)
}

// tokensOf gives the tokens of an example whose text is kept. What the index
// has of it may be given, too.
func (s *Set) tokensOf(number int, at *Example) (compact, error) {
	t := &s.texts
	t.mu.Lock()
	defer t.mu.Unlock()
	if c, ok := t.recent[number]; ok {
		return c, nil
	}
	if at == nil {
		e, err := s.entry(number)
		if err != nil {
			return compact{}, err
		}
		at = &e
	}
	raw, buf, err := t.at(at.Start, at.Length)
	defer buf.release()
	if err != nil {
		return compact{}, s.lost(err)
	}
	line, n := binary.Uvarint(raw)
	raw = raw[n:]
	length, n := binary.Uvarint(raw)
	raw = raw[n:]
	e, err := t.encode(string(raw[:length]), string(raw[length:]))
	if err == nil && len(e.IDs) == 0 {
		err = ErrNoTokens
	}
	if err != nil {
		return compact{}, fmt.Errorf("%s:%d: %w", s.Path, line, err)
	}
	c := compacted(e)
	t.keep(number, c)
	return c, nil
}

// keep makes the tokens of an example some of the recent ones.
func (t *texts) keep(number int, c compact) {
	if t.recent == nil {
		t.recent = map[int]compact{}
	}
	t.recent[number] = c
	t.queue = append(t.queue, number)
	t.tokens += len(c.ids)
	for len(t.queue) > t.most || t.tokens > recentTokens && len(t.queue) > 1 {
		t.tokens -= len(t.recent[t.queue[0]].ids)
		delete(t.recent, t.queue[0])
		t.queue = t.queue[1:]
	}
}
