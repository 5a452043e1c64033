package tokenize

import (
	"strings"
	"unicode/utf8"
)

// wordPiece cuts a word greedily into the longest tokens of the vocabulary, those after the first marked by a prefix ("##").
// Source: WordpieceTokenizer of the BERT reference code. Longest match is a walk down a trie, one for the beginning of a word
// and one for the rest of it, instead of one look-up for each shorter and shorter substring.
type wordPiece struct {
	vocab       *vocabulary
	begin, rest *trie
	unknown     int32 // -1 if the vocabulary lacks it
	unknownName string
	prefix      string
	maxChars    int
}

func parseWordPiece(o object) (model, error) {
	vocab, err := parseVocab(o)
	if err != nil {
		return nil, err
	}
	m := &wordPiece{vocab: vocab}
	if err := o.need("unk_token", &m.unknownName); err != nil {
		return nil, err
	}
	if err := o.need("continuing_subword_prefix", &m.prefix); err != nil {
		return nil, err
	}
	if m.maxChars, err = o.count("max_input_chars_per_word", 100); err != nil {
		return nil, err
	}
	m.unknown = vocab.id(m.unknownName)
	var begin, rest []trieKey
	for token, id := range vocab.ids {
		begin = append(begin, trieKey{token, id})
		if tail, ok := strings.CutPrefix(token, m.prefix); ok {
			rest = append(rest, trieKey{tail, id})
		}
	}
	m.begin, m.rest = newTrie(begin), newTrie(rest)
	return m, nil
}

func (m *wordPiece) vocabulary() *vocabulary { return m.vocab }

func (m *wordPiece) tokenize(w *worker, s *sequence, start, end, word int32) error {
	text := w.text[start:end]
	if len(text) > m.maxChars && utf8.RuneCount(text) > m.maxChars {
		return m.addUnknown(w, s, start, end, word)
	}
	before := len(s.ids)
	tries := m.begin
	for at := start; at < end; {
		id, n := tries.longest(w.text[at:end])
		if id < 0 {
			s.ids, s.spans, s.words = s.ids[:before], s.spans[:before], s.words[:before]
			return m.addUnknown(w, s, start, end, word)
		}
		next := at + int32(n)
		s.add(id, w.sourceRange(at, next), word)
		at = next
		tries = m.rest
	}
	return nil
}

func (m *wordPiece) addUnknown(w *worker, s *sequence, start, end, word int32) error {
	if m.unknown < 0 {
		return formatErrorf("model.unk_token", "the text needs %q, which is not in the vocabulary", m.unknownName)
	}
	s.add(m.unknown, w.sourceRange(start, end), word)
	return nil
}
