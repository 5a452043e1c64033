package tokenize

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// addedToken is a literal that is cut out of the text as one token. Its special flag only matters to Decode.
type addedToken struct {
	id                         int32
	content                    string
	singleWord, lstrip, rstrip bool
	normalized                 bool
	special                    bool
}

// addedMatcher finds added tokens: at the leftmost place where one begins, the longest.
type addedMatcher struct {
	trie   *trie
	byID   map[int32]*addedToken
	first  [256]bool
	single int // the first byte of all tokens, if there is only one; else -1
}

func newAddedMatcher(tokens []*addedToken, pattern func(*addedToken) string) *addedMatcher {
	m := &addedMatcher{byID: map[int32]*addedToken{}, single: -1}
	var keys []trieKey
	for _, t := range tokens {
		p := pattern(t)
		if p == "" {
			continue
		}
		keys = append(keys, trieKey{p, t.id})
		m.byID[t.id] = t
		m.first[p[0]] = true
	}
	if len(keys) == 0 {
		return nil
	}
	distinct := 0
	for c, is := range m.first {
		if is {
			distinct++
			m.single = c
		}
	}
	if distinct != 1 {
		m.single = -1
	}
	m.trie = newTrie(keys)
	return m
}

// next finds the first token in text[from:]; the id is -1 if there is none.
func (m *addedMatcher) next(text []byte, from int) (id int32, start, end int) {
	for i := from; i < len(text); i++ {
		if m.single >= 0 {
			k := strings.IndexByte(stringOf(text[i:]), byte(m.single))
			if k < 0 {
				break
			}
			i += k
		} else if !m.first[text[i]] {
			continue
		}
		if id, n := m.trie.longest(text[i:]); id >= 0 {
			return id, i, i + n
		}
	}
	return -1, 0, 0
}

// split cuts the added tokens out of the plain pieces.
func (m *addedMatcher) split(w *worker) {
	found := false
	for _, p := range w.pieces {
		if p.token == plain {
			if id, _, _ := m.next(w.text[p.start:p.end], 0); id >= 0 {
				found = true
				break
			}
		}
	}
	if !found {
		return
	}
	w.nextPieces = w.nextPieces[:0]
	for _, p := range w.pieces {
		if p.token != plain {
			w.nextPieces = append(w.nextPieces, p)
			continue
		}
		m.splitPiece(w, p)
	}
	w.swapPieces()
}

func (m *addedMatcher) splitPiece(w *worker, p piece) {
	text := w.text[p.start:p.end]
	done := 0 // what stands before is in pieces
	for from := 0; ; {
		id, start, end := m.next(text, from)
		if id < 0 {
			break
		}
		from = end
		t := m.byID[id]
		if t.singleWord && (endsWithWord(text[:start]) || startsWithWord(text[end:])) {
			continue
		}
		if t.lstrip {
			for start > 0 {
				r, n := utf8.DecodeLastRune(text[:start])
				if !unicode.Is(unicode.White_Space, r) {
					break
				}
				start -= n
			}
			start = max(start, done)
		}
		if t.rstrip {
			for end < len(text) {
				r, n := utf8.DecodeRune(text[end:])
				if !unicode.Is(unicode.White_Space, r) {
					break
				}
				end += n
			}
		}
		if start >= end { // white space that the token before it swallowed
			continue
		}
		w.addPiece(p.start+int32(done), p.start+int32(start))
		w.nextPieces = append(w.nextPieces, piece{p.start + int32(start), p.start + int32(end), id})
		done = end
	}
	w.addPiece(p.start+int32(done), p.end)
}

func endsWithWord(text []byte) bool {
	r, n := utf8.DecodeLastRune(text)
	return n > 0 && classes().of(r)&isWord != 0
}

func startsWithWord(text []byte) bool {
	r, n := utf8.DecodeRune(text)
	return n > 0 && classes().of(r)&isWord != 0
}

// flags names the fields that say how the token matches.
func (t *addedToken) flags() map[string]*bool {
	return map[string]*bool{
		"single_word": &t.singleWord, "lstrip": &t.lstrip, "rstrip": &t.rstrip, "normalized": &t.normalized, "special": &t.special,
	}
}

// json is the token as an entry of added_tokens.
func (t *addedToken) json() map[string]any {
	entry := map[string]any{"id": t.id, "content": t.content}
	for key, flag := range t.flags() {
		entry[key] = *flag
	}
	return entry
}

func parseAddedTokens(o object) ([]*addedToken, error) {
	if !o.has("added_tokens") {
		return nil, nil
	}
	list, err := o.list("added_tokens")
	if err != nil {
		return nil, err
	}
	var tokens []*addedToken
	for _, item := range list {
		t := &addedToken{}
		id, err := item.count("id", 0)
		if err != nil {
			return nil, err
		}
		t.id = int32(id)
		if err := item.need("content", &t.content); err != nil {
			return nil, err
		}
		if err := checkToken(item.at("content"), t.content); err != nil {
			return nil, err
		}
		for key, dst := range t.flags() {
			if err := item.need(key, dst); err != nil {
				return nil, err
			}
		}
		tokens = append(tokens, t)
	}
	return tokens, nil
}
