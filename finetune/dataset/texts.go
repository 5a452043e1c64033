package dataset

import (
	"encoding/binary"
	"fmt"
	"sync"
)

// texts holds the examples of a set that are tokenised when they are asked for:
// the later ones of a large set, see LoadOptions.KeepTexts. Of each the index
// has where its text ends. The tokens asked for last are kept, as those who ask
// for an example's length will ask for its tokens.
type texts struct {
	column // of each: bytes of the text (uvarint), the text, the second text
	encode Encode

	mu     sync.Mutex
	recent map[int]Encoding
	queue  []int // numbers of recent, the first asked for first
	tokens int   // in recent
}

// So many tokens are kept, of so many examples: those of texts that are sorted
// by length together.
const (
	recentTokens   = 1 << 20
	recentExamples = 1 << 14
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
func (s *Set) tokensOf(number int, at *Example) (Encoding, error) {
	t := &s.texts
	t.mu.Lock()
	defer t.mu.Unlock()
	if e, ok := t.recent[number]; ok {
		return e, nil
	}
	if at == nil {
		e, err := s.entry(number)
		if err != nil {
			return Encoding{}, err
		}
		at = &e
	}
	raw, buf, err := t.at(at.Start, at.Length)
	defer buf.release()
	if err != nil {
		return Encoding{}, s.lost(err)
	}
	length, n := binary.Uvarint(raw)
	raw = raw[n:]
	e, err := t.encode(string(raw[:length]), string(raw[length:]))
	if err == nil && len(e.IDs) == 0 {
		err = errNoTokens
	}
	if err != nil {
		return Encoding{}, fmt.Errorf("%s: example %d: %w", s.Path, number+1, err)
	}
	t.keep(number, e)
	return e, nil
}

// keep makes an encoding one of the recent ones.
func (t *texts) keep(number int, e Encoding) {
	if t.recent == nil {
		t.recent = map[int]Encoding{}
	}
	t.recent[number] = e
	t.queue = append(t.queue, number)
	t.tokens += len(e.IDs)
	for len(t.queue) > recentExamples || t.tokens > recentTokens && len(t.queue) > 1 {
		t.tokens -= len(t.recent[t.queue[0]].IDs)
		delete(t.recent, t.queue[0])
		t.queue = t.queue[1:]
	}
}
