package tokenize

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
)

// Tokenizer turns texts into ids and back. It is immutable and may be shared by goroutines.
type Tokenizer struct {
	normalizer   normalizer   // nil: none
	preTokenizer preTokenizer // nil: none
	model        model
	post         *postProcessor
	decoder      decoder // nil: tokens are joined by spaces

	tokens                 []*addedToken
	added, addedNormalized *addedMatcher // of tokens that match the given, or the normalised text; nil: none

	texts    []string // token by id, added tokens included
	known    []bool   // which ids have one
	ids      map[string]int32
	special  map[string]bool
	decoded  map[int32]string // added tokens that decode to their normalised form
	size     int
	defaults Options
	pad      PadToken

	config config
	doc    []byte // tokenizer.json
	source object // doc, by field
	pool   sync.Pool
}

// Parse reads the contents of a tokenizer.json.
func Parse(doc []byte) (*Tokenizer, error) {
	if !json.Valid(doc) {
		var v any
		return nil, formatErrorf("", "not JSON: %w", json.Unmarshal(doc, &v))
	}
	root, err := parseObject("", doc)
	if err != nil {
		return nil, err
	}
	version := "1.0"
	if err := root.maybe("version", &version); err != nil {
		return nil, err
	}
	if version != "1.0" {
		return nil, unsupportedf("version", "version %q, want 1.0", version)
	}
	t := &Tokenizer{doc: doc, source: root}
	if root.has("normalizer") {
		o, err := root.child("normalizer")
		if err != nil {
			return nil, err
		}
		if t.normalizer, err = parseNormalizer(o); err != nil {
			return nil, err
		}
	}
	if root.has("pre_tokenizer") {
		o, err := root.child("pre_tokenizer")
		if err != nil {
			return nil, err
		}
		if t.preTokenizer, err = parsePreTokenizer(o); err != nil {
			return nil, err
		}
	}
	o, err := root.child("model")
	if err != nil {
		return nil, err
	}
	if t.model, err = parseModel(o); err != nil {
		return nil, err
	}
	t.passBytes()
	t.post = defaultPostProcessor()
	if root.has("post_processor") {
		o, err := root.child("post_processor")
		if err != nil {
			return nil, err
		}
		if t.post, err = parsePostProcessor(o); err != nil {
			return nil, err
		}
	}
	if root.has("decoder") {
		o, err := root.child("decoder")
		if err != nil {
			return nil, err
		}
		if t.decoder, err = parseDecoder(o); err != nil {
			return nil, err
		}
	}
	if err := t.addTokens(root); err != nil {
		return nil, err
	}
	if err := t.parseDefaults(root); err != nil {
		return nil, err
	}
	return t, nil
}

// passBytes lets a byte-level pre-tokenizer hand its bytes to the model as they are, if it comes last and the model can take
// them.
func (t *Tokenizer) passBytes() {
	m, ok := t.model.(*bpe)
	if !ok {
		return
	}
	last := t.preTokenizer
	for {
		list, ok := last.(preTokenizers)
		if !ok || len(list) == 0 {
			break
		}
		last = list[len(list)-1]
	}
	if b, ok := last.(*byteLevel); ok {
		b.direct = m.takesBytes()
	}
}

// addTokens reads added_tokens. A token that the model knows keeps the model's id; another gets the next free one, whatever
// the file says, as in the Hugging Face tokenizers.
func (t *Tokenizer) addTokens(root object) error {
	listed, err := parseAddedTokens(root)
	if err != nil {
		return err
	}
	vocab := t.model.vocabulary()
	t.size = vocab.size
	t.texts = slices.Clone(vocab.tokens)
	t.known = slices.Clone(vocab.has)
	t.ids = map[string]int32{}
	t.special = map[string]bool{}
	next := int32(t.size)
	byContent := map[string]int{}
	for _, a := range listed {
		if a.content == "" {
			continue
		}
		if a.special {
			t.special[a.content] = true
		}
		if k, ok := byContent[a.content]; ok {
			a.id = t.tokens[k].id
			t.tokens[k] = a
			continue
		}
		if id := vocab.id(a.content); id >= 0 {
			a.id = id
		} else {
			a.id = next
			next++
			t.size++
		}
		byContent[a.content] = len(t.tokens)
		t.tokens = append(t.tokens, a)
		t.ids[a.content] = a.id
		for int(a.id) >= len(t.texts) {
			t.texts, t.known = append(t.texts, ""), append(t.known, false)
		}
		t.texts[a.id], t.known[a.id] = a.content, true
	}
	var raw, normalized []*addedToken
	for _, a := range t.tokens {
		if a.normalized {
			normalized = append(normalized, a)
		} else {
			raw = append(raw, a)
		}
	}
	t.added = newAddedMatcher(raw, func(a *addedToken) string { return a.content })
	t.decoded = map[int32]string{}
	t.addedNormalized = newAddedMatcher(normalized, func(a *addedToken) string {
		n := t.normalize(a.content)
		if n != a.content {
			t.decoded[a.id] = n
		}
		if e := checkToken("added_tokens", n); e != nil {
			err, n = e, ""
		}
		return n
	})
	return err
}

// normalize applies the normalizer alone.
func (t *Tokenizer) normalize(text string) string {
	if t.normalizer == nil {
		return text
	}
	w := t.worker()
	defer t.release(w)
	w.start(text)
	t.normalizer.normalize(w)
	return string(w.text)
}

// parseDefaults reads the truncation and padding that the file asks for.
func (t *Tokenizer) parseDefaults(root object) error {
	t.pad = PadToken{Token: "[PAD]"}
	for _, name := range []string{"[PAD]", "<pad>", "<|padding|>", "<PAD>"} {
		if id := t.TokenToID(name); id >= 0 {
			t.pad = PadToken{ID: int64(id), Token: name}
			break
		}
	}
	d := &t.defaults
	d.Overflow = true
	if root.has("truncation") {
		o, err := root.child("truncation")
		if err != nil {
			return err
		}
		if err := parseTruncation(o, d); err != nil {
			return err
		}
	}
	if root.has("padding") {
		o, err := root.child("padding")
		if err != nil {
			return err
		}
		return t.parsePadding(o)
	}
	return nil
}

func parseTruncation(o object, d *Options) (err error) {
	if d.MaxLength, err = o.count("max_length", 0); err != nil {
		return err
	}
	if d.Stride, err = o.count("stride", 0); err != nil {
		return err
	}
	strategy, direction := "LongestFirst", "Right"
	if err := o.maybe("strategy", &strategy); err != nil {
		return err
	}
	if err := o.maybe("direction", &direction); err != nil {
		return err
	}
	switch strategy {
	case "LongestFirst":
	case "OnlyFirst":
		d.Truncation = OnlyFirst
	case "OnlySecond":
		d.Truncation = OnlySecond
	default:
		return formatErrorf(o.at("strategy"), "%q is not LongestFirst, OnlyFirst or OnlySecond", strategy)
	}
	d.TruncateLeft, err = parseDirection(o, direction)
	return err
}

func parseDirection(o object, direction string) (left bool, err error) {
	switch direction {
	case "Left":
		return true, nil
	case "Right":
		return false, nil
	}
	return false, formatErrorf(o.at("direction"), "%q is not Left or Right", direction)
}

func (t *Tokenizer) parsePadding(o object) (err error) {
	d := &t.defaults
	var strategy any
	if err := o.need("strategy", &strategy); err != nil {
		return err
	}
	d.Padding = PadLongest
	switch s := strategy.(type) {
	case string:
		if s != "BatchLongest" {
			return formatErrorf(o.at("strategy"), "%q is not BatchLongest or Fixed", s)
		}
	case map[string]any:
		n, ok := s["Fixed"].(float64)
		if !ok || n < 0 || n > 1<<31-1 {
			return formatErrorf(o.at("strategy"), "want BatchLongest or a Fixed length")
		}
		d.Padding, d.PadLength = PadFixed, int(n)
	default:
		return formatErrorf(o.at("strategy"), "want BatchLongest or a Fixed length")
	}
	if d.PadMultiple, err = o.count("pad_to_multiple_of", 0); err != nil {
		return err
	}
	direction := "Right"
	if err := o.maybe("direction", &direction); err != nil {
		return err
	}
	if d.PadLeft, err = parseDirection(o, direction); err != nil {
		return err
	}
	id, err := o.count("pad_id", 0)
	if err != nil {
		return err
	}
	typeID, err := o.count("pad_type_id", 0)
	if err != nil {
		return err
	}
	token := t.pad.Token
	if err := o.maybe("pad_token", &token); err != nil {
		return err
	}
	t.pad = PadToken{ID: int64(id), TypeID: int64(typeID), Token: token}
	return nil
}

// tokenText is the token of an id, or "".
func (t *Tokenizer) tokenText(id int32) string {
	if id < 0 || int(id) >= len(t.texts) {
		return ""
	}
	return t.texts[id]
}

// VocabSize is the number of tokens, added ones included.
func (t *Tokenizer) VocabSize() int { return t.size }

// MaxID is the largest id that Encode can return: a model's embedding must have at least MaxID + 1 rows.
func (t *Tokenizer) MaxID() int64 {
	top := int64(len(t.texts)) - 1
	for _, segments := range [][]segment{t.post.single, t.post.pair} {
		for _, s := range segments {
			for _, id := range s.ids {
				top = max(top, int64(id))
			}
		}
	}
	return top
}

// TokenToID returns the id of a token, or -1.
func (t *Tokenizer) TokenToID(token string) int64 {
	if id, ok := t.ids[token]; ok {
		return int64(id)
	}
	return int64(t.model.vocabulary().id(token))
}

// IDToToken returns the token of an id, and whether there is one.
func (t *Tokenizer) IDToToken(id int64) (string, bool) {
	if id < 0 || id >= int64(len(t.texts)) || !t.known[id] {
		return "", false
	}
	return t.texts[id], true
}

// PadID is the id that fills up short sequences; 0 if the tokenizer names none.
func (t *Tokenizer) PadID() int64 { return t.pad.ID }

// PadToken is what short sequences are filled up with.
func (t *Tokenizer) PadToken() PadToken { return t.pad }

// Defaults are the truncation and padding that tokenizer.json asks for, which the Hugging Face tokenizers apply by themselves.
// Encode does not: it does what its Options say.
func (t *Tokenizer) Defaults() Options { return t.defaults }

// HasTypeIDs says whether the second text of a pair gets other type ids than the first.
func (t *Tokenizer) HasTypeIDs() bool {
	return slices.ContainsFunc(t.post.pair, func(s segment) bool { return s.typeID != 0 })
}

// Hash is the SHA-256, in hexadecimal, of all that determines ids: every field of tokenizer.json but truncation, padding and
// decoder.
func (t *Tokenizer) Hash() string {
	h := sha256.New()
	for _, key := range []string{"added_tokens", "normalizer", "pre_tokenizer", "model", "post_processor"} {
		fmt.Fprintf(h, "%s:%d:", key, len(t.source.fields[key]))
		h.Write(t.source.fields[key])
	}
	return hex.EncodeToString(h.Sum(nil))
}
