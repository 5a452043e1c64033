package tokenize

import (
	"encoding/json"
)

// model is the stage that turns a piece into tokens.
type model interface {
	// tokenize appends the tokens of bytes [start, end) of the text, which are not empty, to s.
	tokenize(w *worker, s *sequence, start, end, word int32) error
	vocabulary() *vocabulary
}

// vocabulary maps tokens to ids and back. Ids may have holes.
type vocabulary struct {
	ids    map[string]int32
	tokens []string // by id; "" where there is none, see has
	has    []bool
	size   int // entries of the file, of which a Unigram model may have several for one token
}

// maxTokenBytes is the longest token, to which a trie is as deep as the token is long.
const maxTokenBytes = 64 << 10

// checkToken refuses a token that is too long; it names it by its beginning.
func checkToken(field, token string) error {
	if len(token) <= maxTokenBytes {
		return nil
	}
	return formatErrorf(field, "token %q… has %d bytes, more than %d", token[:min(20, len(token))], len(token), maxTokenBytes)
}

func newVocabulary(field string, ids map[string]int32) (*vocabulary, error) {
	v := &vocabulary{ids: ids, size: len(ids)}
	top := int32(-1)
	for token, id := range ids {
		if err := checkToken(field, token); err != nil {
			return nil, err
		}
		if id < 0 {
			return nil, formatErrorf(field, "id %d of token %q is negative", id, token)
		}
		top = max(top, id)
	}
	if int64(top) > 1<<20+16*int64(len(ids)) {
		return nil, unsupportedf(field, "ids up to %d for only %d tokens", top, len(ids))
	}
	v.tokens = make([]string, top+1)
	v.has = make([]bool, top+1)
	for token, id := range ids {
		if v.has[id] && v.tokens[id] < token {
			continue // two tokens with one id: settle on one
		}
		v.tokens[id], v.has[id] = token, true
	}
	return v, nil
}

// id returns the id of a token, or -1.
func (v *vocabulary) id(token string) int32 {
	if id, ok := v.ids[token]; ok {
		return id
	}
	return -1
}

func (s *sequence) add(id int32, from span, word int32) {
	s.ids = append(s.ids, id)
	s.spans = append(s.spans, from)
	s.words = append(s.words, word)
}

func parseModel(o object) (model, error) {
	kind := ""
	if err := o.maybe("type", &kind); err != nil {
		return nil, err
	}
	if kind == "" {
		kind = guessModel(o)
	}
	switch kind {
	case "WordPiece":
		return parseWordPiece(o)
	case "BPE":
		return parseBPE(o)
	case "Unigram":
		return parseUnigram(o)
	case "WordLevel":
		return parseWordLevel(o)
	}
	return nil, unsupportedf(o.at("type"), "model %q is not known", kind)
}

// guessModel tells the model of an old file, which does not say, from its fields.
func guessModel(o object) string {
	switch {
	case o.has("merges"):
		return "BPE"
	case o.has("continuing_subword_prefix") && o.has("max_input_chars_per_word"):
		return "WordPiece"
	}
	if raw := o.fields["vocab"]; len(raw) > 0 && raw[0] == '[' {
		return "Unigram"
	}
	return "WordLevel"
}

// parseVocab reads a vocab that is an object of token and id.
func parseVocab(o object) (*vocabulary, error) {
	if !o.has("vocab") {
		return nil, formatErrorf(o.at("vocab"), "missing")
	}
	ids := map[string]int32{}
	if err := json.Unmarshal(o.fields["vocab"], &ids); err != nil {
		return nil, formatErrorf(o.at("vocab"), "want an object of tokens and ids: %w", jsonError(err))
	}
	return newVocabulary(o.at("vocab"), ids)
}
