package tokenize

import (
	"unicode"
	"unicode/utf8"
)

// charNormalizer rewrites text character by character: what a character becomes (nothing, one or more characters) keeps the
// range that the character came from.
type charNormalizer func(w *worker, r rune, from span)

func (f charNormalizer) normalize(w *worker) { w.rewrite(f) }

func (f charNormalizer) rewrite(w *worker, p piece) {
	for i := p.start; i < p.end; {
		r, size := utf8.DecodeRune(w.text[i:p.end])
		f(w, r, w.source(i))
		i += int32(size)
	}
}

// lowercaseChar maps a character as Rust's char::to_lowercase does: without context, and İ to two characters.
func lowercaseChar(w *worker, r rune, from span) {
	switch {
	case r < utf8.RuneSelf:
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
	case r == 'İ':
		w.emit('i', from)
		r = '\u0307'
	default:
		r = lower(r)
	}
	w.emit(r, from)
}

type lowercaseRange struct {
	first, last rune
	distance    int32
}

func lower(r rune) rune {
	if r < 0x1c89 {
		return unicode.ToLower(r)
	}
	for _, l := range newLowercase {
		if r >= l.first && r <= l.last {
			return r + l.distance
		}
	}
	return unicode.ToLower(r)
}

func stripMarks() charNormalizer {
	classes := classes()
	return func(w *worker, r rune, from span) {
		if classes.of(r)&isMark == 0 {
			w.emit(r, from)
		}
	}
}

// nmtChar drops control characters and maps what the Nmt normalizer regards as white space to spaces.
// Source: the nmt_nfkc rules of SentencePiece.
func nmtChar(w *worker, r rune, from span) {
	switch {
	case r >= 0x01 && r <= 0x08, r == 0x0b, r >= 0x0e && r <= 0x1f, r == 0x7f, r == 0x8f, r == 0x9f:
		return
	case r == 0x09, r == 0x0a, r == 0x0c, r == 0x0d, r == 0x1680, r >= 0x200b && r <= 0x200f, r == 0x2028, r == 0x2029,
		r == 0x2581, r == 0xfeff, r == 0xfffd:
		r = ' '
	}
	w.emit(r, from)
}
