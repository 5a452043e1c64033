package tokenize

import (
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

// Encode tokenizes a text.
func (t *Tokenizer) Encode(text string, opts Options) (*Encoding, error) {
	return t.EncodeInput(Input{Text: text}, opts)
}

// EncodePair tokenizes a pair of texts, such as question and context, into one sequence.
func (t *Tokenizer) EncodePair(text, pair string, opts Options) (*Encoding, error) {
	return t.EncodeInput(Input{Text: text, Pair: pair, HasPair: true}, opts)
}

// EncodeInput tokenizes a text or a pair of texts.
func (t *Tokenizer) EncodeInput(in Input, opts Options) (*Encoding, error) {
	w := t.worker()
	defer t.release(w)
	e, err := w.encode(&in, &opts)
	if err != nil {
		return nil, err
	}
	padAll([]*Encoding{e}, &opts, t.padToken(&opts))
	return e, nil
}

// EncodeBatch tokenizes many inputs on the given number of threads (0: one for each processor). The result does not depend
// on the number of threads. The error is a *TextError: that of the first input that failed.
func (t *Tokenizer) EncodeBatch(inputs []Input, opts Options, threads int) ([]*Encoding, error) {
	const chunk = 32
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	threads = min(threads, (len(inputs)+chunk-1)/chunk)
	out := make([]*Encoding, len(inputs))
	var next atomic.Int64
	var mu sync.Mutex
	failed, failure := len(inputs), error(nil)
	work := func() {
		w := t.worker()
		defer t.release(w)
		for {
			lo := int(next.Add(chunk)) - chunk
			if lo >= len(inputs) {
				return
			}
			for i := lo; i < min(lo+chunk, len(inputs)); i++ {
				e, err := w.encode(&inputs[i], &opts)
				if err != nil {
					mu.Lock()
					if i < failed {
						failed, failure = i, err
					}
					mu.Unlock()
					return
				}
				out[i] = e
			}
		}
	}
	if threads <= 1 {
		work()
	} else {
		var wg sync.WaitGroup
		for range threads {
			wg.Go(work)
		}
		wg.Wait()
	}
	if failure != nil {
		return nil, &TextError{failed, failure}
	}
	padAll(out, &opts, t.padToken(&opts))
	return out, nil
}

// Texts makes the inputs of a batch of single texts.
func Texts(texts []string) []Input {
	in := make([]Input, len(texts))
	for i, s := range texts {
		in[i].Text = s
	}
	return in
}

func (t *Tokenizer) worker() *worker {
	if w, ok := t.pool.Get().(*worker); ok {
		return w
	}
	return &worker{t: t}
}

func (t *Tokenizer) release(w *worker) {
	w.orig, w.text = "", nil
	t.pool.Put(w)
}

func (t *Tokenizer) padToken(opts *Options) PadToken {
	if opts.Pad != nil {
		return *opts.Pad
	}
	return t.pad
}

// encode does everything but padding. A panic, which would end the process where a goroutine encodes, becomes an error.
func (w *worker) encode(in *Input, opts *Options) (_ *Encoding, err error) {
	defer func() {
		if r := recover(); r != nil {
			*w = worker{t: w.t}
			err = &InternalError{r}
		}
	}()
	if err := w.sequence(&w.seq[0], in.Text, in.Words, in.HasWords, opts); err != nil {
		return nil, err
	}
	if in.HasPair {
		if err := w.sequence(&w.seq[1], in.Pair, in.PairWords, in.PairHasWords, opts); err != nil {
			return nil, err
		}
	}
	return w.post(in.HasPair, opts)
}

// sequence tokenizes a text, or each of some words, into s.
func (w *worker) sequence(s *sequence, text string, words []string, split bool, opts *Options) error {
	s.reset()
	if !split {
		return w.tokenize(s, text, -1, opts)
	}
	for i, word := range words {
		if err := w.tokenize(s, word, int32(i), opts); err != nil {
			return err
		}
	}
	return nil
}

// tokenize appends the tokens of a text to s. word is the word id of all of them, or -1 if each piece is a word.
func (w *worker) tokenize(s *sequence, text string, word int32, opts *Options) error {
	t := w.t
	if len(text) > math.MaxInt32/4 {
		return fmt.Errorf("a text of %d bytes is too long to tokenize in one go", len(text))
	}
	given := text
	if !utf8.ValidString(text) {
		text = replaceInvalid(text)
	}
	first := len(s.ids)
	w.start(text)
	if t.added != nil {
		t.added.split(w)
	}
	if t.normalizer != nil {
		t.normalizer.normalize(w)
	}
	if t.addedNormalized != nil {
		t.addedNormalized.split(w)
	}
	if t.preTokenizer != nil {
		t.preTokenizer.split(w)
	}
	if w.err != nil {
		return w.err
	}
	id := word
	for i, p := range w.pieces {
		if word < 0 {
			id = int32(i)
		}
		if p.token != plain {
			w.addToken(s, p, id)
			continue
		}
		if err := t.model.tokenize(w, s, p.start, p.end, id); err != nil {
			return err
		}
	}
	switch {
	case opts.IDsOnly:
	case opts.CharOffsets:
		toCharacters(text, s.spans[first:])
	case len(given) != len(text):
		toInvalid(given, s.spans[first:])
	}
	return nil
}

// addToken appends an added token that was cut out of the text.
func (w *worker) addToken(s *sequence, p piece, word int32) {
	if text := stringOf(w.text[p.start:p.end]); text != w.t.tokenText(p.token) {
		s.custom = append(s.custom, customToken{int32(len(s.ids)), string(w.text[p.start:p.end])})
	}
	s.add(p.token, w.sourceRange(p.start, p.end), word)
}

// replaceInvalid puts U+FFFD in place of what is not UTF-8: one for each maximal part of a character (Unicode Standard,
// section 3.9, "Substitution of Maximal Subparts"), as Python and Rust do.
func replaceInvalid(s string) string {
	b := make([]byte, 0, len(s)+8)
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && n == 1 {
			n = invalidLen(s)
		}
		b = utf8.AppendRune(b, r)
		s = s[n:]
	}
	return string(b)
}

// invalidLen is the length of the maximal part of a character that s, which begins with none, begins with.
func invalidLen(s string) int {
	lo, hi, want := byte(0x80), byte(0xbf), 0
	switch c := s[0]; {
	case c >= 0xc2 && c <= 0xdf:
		want = 1
	case c >= 0xe0 && c <= 0xef:
		want = 2
		if c == 0xe0 {
			lo = 0xa0
		}
		if c == 0xed {
			hi = 0x9f
		}
	case c >= 0xf0 && c <= 0xf4:
		want = 3
		if c == 0xf0 {
			lo = 0x90
		}
		if c == 0xf4 {
			hi = 0x8f
		}
	}
	n := 1
	for ; want > 0 && n < len(s) && s[n] >= lo && s[n] <= hi; want-- {
		n++
		lo, hi = 0x80, 0xbf
	}
	return n
}

// toInvalid turns ranges of replaceInvalid(s) into ranges of s.
func toInvalid(s string, spans []span) {
	var at []int32
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		wide := n
		if r == utf8.RuneError && n == 1 {
			n = invalidLen(s[i:])
			wide = len(string(utf8.RuneError))
		}
		for range wide {
			at = append(at, int32(i))
		}
		i += n
	}
	at = append(at, int32(len(s)))
	for i, p := range spans {
		spans[i] = span{at[p.start], at[p.end]}
	}
}

// toCharacters turns ranges of bytes into ranges of characters.
func toCharacters(s string, spans []span) {
	ascii := true
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			ascii = false
			break
		}
	}
	if ascii {
		return
	}
	at := make([]int32, len(s)+1) // the character that a byte belongs to
	n := int32(-1)
	for i := range len(s) {
		if utf8.RuneStart(s[i]) {
			n++
		}
		at[i] = n
	}
	at[len(s)] = n + 1
	for i, p := range spans {
		spans[i] = span{at[p.start], at[p.end]}
	}
}
