package tokenize

import (
	"unicode/utf8"
	"unsafe"
)

// span is a range of bytes [start, end).
type span struct{ start, end int32 }

// piece is a range of worker.text: a stretch of text that the next stage works on, or an added token cut out of it.
type piece struct {
	start, end int32
	token      int32 // id of an added token, or plain
}

const plain = -1

// change is one character of the text that a transformation produces. n says what becomes of the text it replaces:
// 0 replaces one character, -k replaces one and removes the k after it, 1 is inserted.
type change struct {
	r rune
	n int32
}

// worker holds everything that one text needs on its way through the stages. It is reused for the next text.
type worker struct {
	t *Tokenizer

	orig  string
	text  []byte // normalised so far; read only while it is still a view of orig
	align []span // for every byte of text its range of orig; not filled while ident
	ident bool   // byte i of text came from byte i of orig, and characters begin at the same places

	buffers     [2][]byte // text is buffers[current], or still a view of orig
	current     int
	nextText    []byte // where a stage writes
	nextAlign   []span
	pieces      []piece
	nextPieces  []piece
	changes     []change
	classes     []uint8
	bytesMapped bool // the pieces go to the model as bytes, standing for their byte-level characters

	found []span // matches of a pattern
	parts []cut
	err   error // the first failure of a stage

	seq   [2]sequence
	cache wordCache
	bpeScratch
	viterbiScratch
	postScratch
}

// sequence is one text as tokens, before truncation and special tokens.
type sequence struct {
	ids    []int32
	spans  []span  // of the original text, bytes
	words  []int32 // index of the piece, or of the given word
	custom []customToken
}

// customToken is a token whose text is not what the vocabulary says of its id: unknown text of a Unigram model, or an added
// token with the white space that it swallowed.
type customToken struct {
	index int32
	text  string
}

func (s *sequence) reset() {
	s.ids, s.spans, s.words, s.custom = s.ids[:0], s.spans[:0], s.words[:0], s.custom[:0]
}

func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// stringOf is a view of b, for look-ups only.
func stringOf(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// fail notes an error of a stage; the text is given up at the end.
func (w *worker) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

// start begins a new text.
func (w *worker) start(text string) {
	w.orig = text
	w.text = bytesOf(text)
	w.ident = true
	w.bytesMapped = false
	w.err = nil
	w.pieces = w.pieces[:0]
	if text != "" {
		w.pieces = append(w.pieces, piece{0, int32(len(text)), plain})
	}
}

// source returns the range of the original text that byte i of the text came from.
func (w *worker) source(i int32) span {
	if !w.ident {
		return w.align[i]
	}
	return charAround(w.orig, i)
}

// charAround returns the range of the character that byte i of s belongs to.
func charAround(s string, i int32) span {
	if s[i] < utf8.RuneSelf {
		return span{i, i + 1}
	}
	start := i
	for start > 0 && !utf8.RuneStart(s[start]) {
		start--
	}
	_, n := utf8.DecodeRuneInString(s[start:])
	return span{start, start + int32(n)}
}

// sourceRange returns the range of the original text behind bytes [start, end) of the text. If there are none, it is the place
// after the byte before them; within a character, its start.
func (w *worker) sourceRange(start, end int32) span {
	if start == end {
		at := int32(0)
		if start > 0 {
			at = w.source(start - 1).end
		}
		if int(start) < len(w.text) {
			at = min(at, w.source(start).start)
		}
		return span{at, at}
	}
	if w.ident {
		if w.orig[start] < utf8.RuneSelf && w.orig[end-1] < utf8.RuneSelf {
			return span{start, end}
		}
		return span{charAround(w.orig, start).start, charAround(w.orig, end-1).end}
	}
	return span{w.align[start].start, w.align[end-1].end}
}

// rewriter is a stage that makes new text of a piece: it appends to w.nextText and w.nextAlign.
type rewriter interface{ rewrite(w *worker, p piece) }

// rewrite runs a stage that writes new text.
func (w *worker) rewrite(r rewriter) {
	w.begin()
	for _, p := range w.pieces {
		start := int32(len(w.nextText))
		if p.token == plain {
			r.rewrite(w, p)
		} else {
			w.keep(p.start, p.end)
		}
		if end := int32(len(w.nextText)); end > start || p.token != plain {
			w.nextPieces = append(w.nextPieces, piece{start, end, p.token})
		}
	}
	w.swapText()
	w.swapPieces()
}

// begin prepares for a stage that writes text or pieces.
func (w *worker) begin() {
	w.nextText, w.nextAlign, w.nextPieces = w.buffers[1-w.current][:0], w.nextAlign[:0], w.nextPieces[:0]
}

// swapText makes what a stage wrote the current text.
func (w *worker) swapText() {
	w.current = 1 - w.current
	w.buffers[w.current] = w.nextText
	w.text = w.nextText
	w.align, w.nextAlign = w.nextAlign, w.align
	w.ident = false
}

func (w *worker) swapPieces() { w.pieces, w.nextPieces = w.nextPieces, w.pieces }

// keep copies bytes [start, end) of the text unchanged to what a stage writes.
func (w *worker) keep(start, end int32) {
	w.nextText = append(w.nextText, w.text[start:end]...)
	if !w.ident {
		w.nextAlign = append(w.nextAlign, w.align[start:end]...)
		return
	}
	for i := start; i < end; {
		s := charAround(w.orig, i)
		for ; i < s.end && i < end; i++ {
			w.nextAlign = append(w.nextAlign, s)
		}
	}
}

// emit appends a character that came from the given range of the original.
func (w *worker) emit(r rune, from span) {
	if r < utf8.RuneSelf {
		w.nextText = append(w.nextText, byte(r))
		w.nextAlign = append(w.nextAlign, from)
		return
	}
	n := len(w.nextText)
	w.nextText = utf8.AppendRune(w.nextText, r)
	for range len(w.nextText) - n {
		w.nextAlign = append(w.nextAlign, from)
	}
}

// transform appends piece p, rewritten by w.changes, to what the stage writes. skip is the number of characters removed
// before the first change. It does what NormalizedString.transform of the Hugging Face tokenizers does, odd cases included:
// a character that is inserted takes the range of the byte before it, and a stage that miscounts shifts the ranges after it.
func (w *worker) transform(p piece, skip int) {
	pos := p.start
	for pos < p.end {
		if s := w.source(pos); s.start != s.end {
			break
		}
		pos++ // text inserted at the very start, from nowhere, stays before what is rewritten
	}
	if pos > p.start {
		w.keep(p.start, pos)
	}
	for ; skip > 0 && pos < p.end; skip-- {
		pos += charLen(w.text[pos:p.end])
	}
	for _, c := range w.changes {
		var from span
		switch {
		case c.n > 0 && pos == p.start: // inserted before everything: at no place
			at := w.source(p.start).start
			from = span{at, at}
		case c.n > 0 || pos == p.end:
			from = w.source(pos - 1)
		default:
			from = w.source(pos)
		}
		w.emit(c.r, from)
		if c.n <= 0 {
			for k := c.n; k <= 0 && pos < p.end; k++ {
				pos += charLen(w.text[pos:p.end])
			}
		}
	}
}

func charLen(b []byte) int32 {
	if b[0] < utf8.RuneSelf {
		return 1
	}
	_, n := utf8.DecodeRune(b)
	return int32(n)
}
