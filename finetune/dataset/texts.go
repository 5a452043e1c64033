package dataset

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
)

// texts holds the examples of a set that are tokenised when they are asked for:
// all but the first, see LoadOptions.AtOnce. Of each the index
// has where its text ends. The tokens asked for last are kept, as those who ask
// for an example's length will ask for its tokens.
type texts struct {
	column // of each: bytes of the text (uvarint), the text, the second text
	encode Encode

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

// So many tokens are kept, of so many examples: those of texts that are sorted
// by length together.
const (
	recentTokens   = 1 << 20
	recentExamples = 1 << 13
)

// Tokenised returns how many examples have been tokenised when the set was
// read: the first ones, or all. The others are tokenised each time they are
// asked for, but those that were asked for last.
func (s *Set) Tokenised() int { return s.tokenised }

// addText adds a record whose text is kept.
func (b *setBuilder) addText(r Record, class int32) {
	var head [binary.MaxVarintLen64]byte
	n := binary.PutUvarint(head[:], uint64(len(r.Text)))
	to := b.texts.extend(n + len(r.Text) + len(r.Pair))
	copy(to, head[:n])
	copy(to[n:], r.Text)
	copy(to[n+len(r.Text):], r.Pair)
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
	length, n := binary.Uvarint(raw)
	raw = raw[n:]
	e, err := t.encode(string(raw[:length]), string(raw[length:]))
	if err == nil && len(e.IDs) == 0 {
		err = errNoTokens
	}
	if err != nil {
		return compact{}, fmt.Errorf("%s: example %d: %w", s.Path, number+1, err)
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
	for len(t.queue) > recentExamples || t.tokens > recentTokens && len(t.queue) > 1 {
		t.tokens -= len(t.recent[t.queue[0]].ids)
		delete(t.recent, t.queue[0])
		t.queue = t.queue[1:]
	}
}
