package tokenize

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// bpe joins characters to tokens, pair by pair, in the order in which the pairs were learnt.
// Source: Sennrich et al., Neural Machine Translation of Rare Words with Subword Units, 2016.
type bpe struct {
	vocab        *vocabulary
	pairs        pairTable
	unknown      int32 // noUnknown if characters that the vocabulary lacks are dropped
	unknownName  string
	prefix       string // of characters after the first of a word
	suffix       string // of the last character of a word
	fuse         bool   // unknown characters that follow one another are one token
	wholeWords   bool   // a word in the vocabulary is not taken apart
	byteFallback bool
	fallback     [256]int32 // ids of <0x00> … <0xFF>, or -1
	ascii        [utf8.RuneSelf]int32
	chars        map[rune]int32

	byteIDs [256]int32 // ids of the characters that stand for bytes
	whole   *trie      // words as bytes, if wholeWords
}

const (
	noUnknown      = -1
	missingUnknown = -2 // the file names a token that the vocabulary lacks
)

// symbol is a token in the making, of that many bytes of text: none for a byte of the prefix or suffix.
type symbol struct{ id, length int32 }

func parseBPE(o object) (*bpe, error) {
	vocab, err := parseVocab(o)
	if err != nil {
		return nil, err
	}
	m := &bpe{vocab: vocab, unknown: noUnknown}
	var dropout float64
	var unknown *string
	for key, dst := range map[string]any{
		"unk_token": &unknown, "continuing_subword_prefix": &m.prefix, "end_of_word_suffix": &m.suffix, "fuse_unk": &m.fuse,
		"byte_fallback": &m.byteFallback, "ignore_merges": &m.wholeWords, "dropout": &dropout,
	} {
		if err := o.maybe(key, dst); err != nil {
			return nil, err
		}
	}
	if dropout < 0 || dropout > 1 {
		return nil, formatErrorf(o.at("dropout"), "%g is not between 0 and 1", dropout)
	}
	if dropout != 0 {
		return nil, unsupportedf(o.at("dropout"), "random merges (dropout %g); set it to null", dropout)
	}
	if unknown != nil {
		m.unknownName = *unknown
		if m.unknown = vocab.id(*unknown); m.unknown < 0 {
			m.unknown = missingUnknown
		}
	}
	if err := m.parseMerges(o); err != nil {
		return nil, err
	}
	m.index()
	return m, nil
}

// parseMerges reads the merges: "a b", or ["a", "b"].
func (m *bpe) parseMerges(o object) error {
	field := o.at("merges")
	if !o.has("merges") {
		return formatErrorf(field, "missing")
	}
	var pairs [][2]string
	var lines []string
	if json.Unmarshal(o.fields["merges"], &lines) == nil {
		for i, line := range lines {
			if strings.HasPrefix(line, "#version") {
				continue
			}
			a, b, ok := strings.Cut(line, " ")
			if !ok || strings.Contains(b, " ") {
				return formatErrorf(fmt.Sprintf("%s[%d]", field, i), "%q is not two tokens", line)
			}
			pairs = append(pairs, [2]string{a, b})
		}
	} else {
		var lists [][]string
		if err := json.Unmarshal(o.fields["merges"], &lists); err != nil {
			return formatErrorf(field, "want a list of pairs: %w", jsonError(err))
		}
		for i, l := range lists {
			if len(l) != 2 {
				return formatErrorf(fmt.Sprintf("%s[%d]", field, i), "%d tokens instead of two", len(l))
			}
			pairs = append(pairs, [2]string{l[0], l[1]})
		}
	}
	m.pairs = newPairTable(len(pairs))
	for i, p := range pairs {
		a, b := m.vocab.id(p[0]), m.vocab.id(p[1])
		joined := p[0] + strings.TrimPrefix(p[1], m.prefix)
		id := m.vocab.id(joined)
		for k, token := range []string{p[0], p[1], joined} {
			if []int32{a, b, id}[k] < 0 {
				return formatErrorf(fmt.Sprintf("%s[%d]", field, i), "token %q is not in the vocabulary", token)
			}
		}
		m.pairs.put(a, b, int32(i), id)
	}
	return nil
}

// index makes the tables of single characters and bytes.
func (m *bpe) index() {
	for i := range m.ascii {
		m.ascii[i] = m.vocab.id(string(rune(i)))
	}
	m.chars = map[rune]int32{}
	for token, id := range m.vocab.ids {
		if r, n := utf8.DecodeRuneInString(token); n == len(token) && n > 0 {
			m.chars[r] = id
		}
	}
	for b := range m.byteIDs {
		m.byteIDs[b] = m.vocab.id(string(byteChars[b]))
		m.fallback[b] = m.vocab.id(fmt.Sprintf("<0x%02X>", b))
	}
}

// takesBytes says whether words may come as bytes instead of the characters that stand for them, and prepares for it.
func (m *bpe) takesBytes() bool {
	if m.prefix != "" || m.suffix != "" {
		return false
	}
	for _, id := range m.byteIDs {
		if id < 0 {
			return false
		}
	}
	if m.wholeWords && m.whole == nil {
		var keys []trieKey
		for token, id := range m.vocab.ids {
			if raw, ok := unmapBytes(token); ok {
				keys = append(keys, trieKey{raw, id})
			}
		}
		m.whole = newTrie(keys)
	}
	return true
}

// unmapBytes turns characters that stand for bytes into these bytes; ok is false if there are others.
func unmapBytes(token string) (raw string, ok bool) {
	b := make([]byte, 0, len(token))
	for _, r := range token {
		c, ok := charBytes[r]
		if !ok {
			return "", false
		}
		b = append(b, c)
	}
	return string(b), true
}

func (m *bpe) vocabulary() *vocabulary { return m.vocab }

func (m *bpe) tokenize(w *worker, s *sequence, start, end, word int32) error {
	text := w.text[start:end]
	if m.wholeWords {
		if id := m.wholeWord(w, text); id >= 0 {
			s.add(id, w.sourceRange(start, end), word)
			return nil
		}
	}
	slot, found := w.cache.lookup(text)
	if found {
		slot.replay(w, s, start, word)
		return nil
	}
	if w.bytesMapped {
		w.symbols = w.symbols[:0]
		for _, c := range text {
			w.symbols = append(w.symbols, symbol{m.byteIDs[c], 1})
		}
	} else if err := m.characters(w, text); err != nil {
		return err
	}
	w.symbols = m.merge(w, w.symbols)
	slot.remember(w.symbols)
	for _, sym := range w.symbols {
		s.add(sym.id, w.sourceRange(start, start+sym.length), word)
		start += sym.length
	}
	return nil
}

func (m *bpe) wholeWord(w *worker, text []byte) int32 {
	if w.bytesMapped {
		return m.whole.find(text)
	}
	return m.vocab.id(stringOf(text))
}

// characters puts the tokens of the single characters of text into w.symbols.
func (m *bpe) characters(w *worker, text []byte) error {
	w.symbols = w.symbols[:0]
	unknown := int32(0) // bytes of unknown text not yet in symbols
	flush := func() {
		if unknown > 0 {
			w.symbols = append(w.symbols, symbol{m.unknown, unknown})
			unknown = 0
		}
	}
	for i := 0; i < len(text); {
		n := int(charLen(text[i:]))
		char := text[i : i+n]
		before, after := 0, 0 // bytes of prefix and suffix
		if m.prefix != "" && i > 0 || m.suffix != "" && i+n == len(text) {
			w.joined = w.joined[:0]
			if i > 0 {
				before = len(m.prefix)
				w.joined = append(w.joined, m.prefix...)
			}
			w.joined = append(w.joined, char...)
			if i+n == len(text) {
				after = len(m.suffix)
				w.joined = append(w.joined, m.suffix...)
			}
			char = w.joined
		}
		i += n
		if id := m.character(char); id >= 0 {
			flush()
			w.symbols = append(w.symbols, symbol{id, int32(n)})
			continue
		}
		if m.byteFallback && m.addBytes(w, char, before, after) {
			continue // text that is unknown and not yet in symbols comes after it, as in the Hugging Face tokenizers
		}
		switch m.unknown {
		case noUnknown:
			continue
		case missingUnknown:
			return formatErrorf("model.unk_token", "the text needs %q, which is not in the vocabulary", m.unknownName)
		}
		if !m.fuse {
			flush()
		}
		unknown += int32(n)
	}
	flush()
	return nil
}

func (m *bpe) character(char []byte) int32 {
	if len(char) == 1 && char[0] < utf8.RuneSelf {
		return m.ascii[char[0]]
	}
	if r, n := utf8.DecodeRune(char); n == len(char) {
		if id, ok := m.chars[r]; ok {
			return id
		}
		return -1
	}
	return m.vocab.id(stringOf(char))
}

// addBytes adds a character as the tokens of its bytes, if all are there. The first before and the last after of them are the
// prefix and the suffix, which are not in the text.
func (m *bpe) addBytes(w *worker, char []byte, before, after int) bool {
	for _, c := range char {
		if m.fallback[c] < 0 {
			return false
		}
	}
	for i, c := range char {
		length := int32(1)
		if i < before || i >= len(char)-after {
			length = 0
		}
		w.symbols = append(w.symbols, symbol{m.fallback[c], length})
	}
	return true
}
