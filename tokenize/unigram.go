package tokenize

import (
	"encoding/json"
	"fmt"
	"math"
)

// unigram cuts a word into the tokens whose scores (logarithms of probabilities) have the largest sum.
// Source: Kudo, Subword Regularization, 2018; unigram_model.cc of SentencePiece, EncodeOptimized.
type unigram struct {
	vocab        *vocabulary
	scores       []float64 // by id
	trie         *trie
	unknown      int32 // -1: there is none
	unknownScore float64
	byteFallback bool
	fallback     [256]int32
}

// unknownPenalty is what an unknown character scores below the worst token.
const unknownPenalty = 10

func parseUnigram(o object) (model, error) {
	field := o.at("vocab")
	if !o.has("vocab") {
		return nil, formatErrorf(field, "missing")
	}
	var list []scored
	if err := json.Unmarshal(o.fields["vocab"], &list); err != nil {
		return nil, formatErrorf(field, "want a list of tokens and scores: %w", jsonError(err))
	}
	m := &unigram{unknown: -1, scores: make([]float64, len(list))}
	ids := make(map[string]int32, len(list))
	keys := make([]trieKey, len(list))
	low := math.Inf(1)
	for i, s := range list {
		if err := checkToken(fmt.Sprintf("%s[%d]", field, i), s.token); err != nil {
			return nil, err
		}
		ids[s.token] = int32(i)
		keys[i] = trieKey{s.token, int32(i)}
		m.scores[i] = s.score
		low = min(low, s.score)
	}
	m.unknownScore = low - unknownPenalty
	m.trie = newTrie(keys)
	m.vocab = &vocabulary{ids: ids, tokens: make([]string, len(list)), has: make([]bool, len(list)), size: len(list)}
	for i, s := range list {
		m.vocab.tokens[i], m.vocab.has[i] = s.token, true
	}
	if o.has("unk_id") {
		id, err := o.count("unk_id", 0)
		if err != nil {
			return nil, err
		}
		if id >= len(list) {
			return nil, formatErrorf(o.at("unk_id"), "%d, but there are only %d tokens", id, len(list))
		}
		m.unknown = int32(id)
	}
	if err := o.maybe("byte_fallback", &m.byteFallback); err != nil {
		return nil, err
	}
	for b := range m.fallback {
		m.fallback[b] = m.vocab.id(fmt.Sprintf("<0x%02X>", b))
	}
	return m, nil
}

// scored is an entry of the vocabulary: ["token", score].
type scored struct {
	token string
	score float64
}

func (s *scored) UnmarshalJSON(data []byte) error {
	var pair []json.RawMessage
	if err := json.Unmarshal(data, &pair); err != nil {
		return err
	}
	if len(pair) != 2 {
		return fmt.Errorf("%s is not a token and its score", data)
	}
	if err := json.Unmarshal(pair[0], &s.token); err != nil {
		return err
	}
	score, err := parseScore(string(pair[1]))
	s.score = score
	return err
}

func (m *unigram) vocabulary() *vocabulary { return m.vocab }

// viterbiScratch is what a worker needs to find the best cut.
type viterbiScratch struct {
	best []bestPath
	cuts []symbol
}

// bestPath is the best way to cut the text up to a place: its score, and the token it ends with.
type bestPath struct {
	score float64
	start int32 // where that token begins; -1 if no way is known yet
	id    int32
}

func (m *unigram) tokenize(w *worker, s *sequence, start, end, word int32) error {
	text := w.text[start:end]
	slot, found := w.cache.lookup(text)
	if found {
		slot.replay(w, s, start, word)
		return nil
	}
	if err := m.cut(w, text); err != nil {
		return err
	}
	known := true
	for i := len(w.cuts) - 1; i >= 0; i-- {
		c := w.cuts[i]
		next := start + c.length
		if c.id != m.unknown {
			s.add(c.id, w.sourceRange(start, next), word)
		} else {
			known = m.addUnknown(w, s, start, next, word) && known
		}
		start = next
	}
	if known {
		for i, j := 0, len(w.cuts)-1; i < j; i, j = i+1, j-1 {
			w.cuts[i], w.cuts[j] = w.cuts[j], w.cuts[i]
		}
		slot.remember(w.cuts)
	}
	return nil
}

// cut puts the tokens of text into w.cuts, last first; unknown characters that follow one another are one.
func (m *unigram) cut(w *worker, text []byte) error {
	w.best = w.best[:0]
	for range len(text) + 1 {
		w.best = append(w.best, bestPath{start: -1})
	}
	best, nodes := w.best, m.trie.nodes
	for at := 0; at < len(text); {
		sum := best[at].score
		size := int(charLen(text[at:]))
		single := false
		node := int32(0)
		for i := at; i < len(text); i++ {
			next := nodes[node].base + int32(text[i])
			if nodes[next].check != node || next == 0 {
				break
			}
			node = next
			id := nodes[node].value
			if id < 0 {
				continue
			}
			if i+1-at == size {
				single = true
			}
			if score := m.scores[id] + sum; best[i+1].start < 0 || score > best[i+1].score {
				best[i+1] = bestPath{score, int32(at), id}
			}
		}
		if !single {
			target := &best[at+size]
			if score := m.unknownScore + sum; target.start < 0 || score > target.score {
				if m.unknown < 0 {
					return formatErrorf("model.unk_id", "missing, but the text has characters that the vocabulary lacks")
				}
				*target = bestPath{score, int32(at), m.unknown}
			}
		}
		at += size
	}
	w.cuts = w.cuts[:0]
	for end := int32(len(text)); end > 0; {
		b := best[end]
		length := end - b.start
		if n := len(w.cuts); n > 0 && b.id == m.unknown && w.cuts[n-1].id == m.unknown {
			w.cuts[n-1].length += length
		} else {
			w.cuts = append(w.cuts, symbol{b.id, length})
		}
		end = b.start
	}
	return nil
}

// addUnknown appends unknown text: as its bytes if the vocabulary has them. It reports whether the text is in the vocabulary
// after all.
func (m *unigram) addUnknown(w *worker, s *sequence, start, end, word int32) bool {
	text := w.text[start:end]
	from := w.sourceRange(start, end)
	if id := m.trie.find(text); id >= 0 {
		s.add(id, from, word)
		return id == m.unknown
	}
	if m.byteFallback && m.hasBytes(text) {
		for _, c := range text {
			s.add(m.fallback[c], from, word)
		}
		return false
	}
	s.custom = append(s.custom, customToken{int32(len(s.ids)), string(text)})
	s.add(m.unknown, from, word)
	return false
}

func (m *unigram) hasBytes(text []byte) bool {
	for _, c := range text {
		if m.fallback[c] < 0 {
			return false
		}
	}
	return true
}
