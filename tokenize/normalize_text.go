package tokenize

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"
)

// replaceNormalizer puts content in place of every match. The content takes the range of the last character of the match.
type replaceNormalizer struct {
	pattern pattern
	content string
}

func parseReplace(o object) (*replaceNormalizer, error) {
	p, err := parsePattern(o, "pattern")
	if err != nil {
		return nil, err
	}
	n := &replaceNormalizer{pattern: p}
	return n, o.need("content", &n.content)
}

func (n *replaceNormalizer) normalize(w *worker) {
	if l, ok := n.pattern.(literal); ok && !strings.Contains(stringOf(w.text), string(l)) {
		return
	}
	if k, ok := n.pattern.(spaces); ok && !strings.Contains(stringOf(w.text), strings.Repeat(" ", int(k))) {
		return
	}
	w.rewrite(n)
}

func (n *replaceNormalizer) rewrite(w *worker, p piece) {
	text := w.text[p.start:p.end]
	var err error
	if w.found, err = n.pattern.matches(w.found[:0], text); err != nil {
		w.fail(err)
	}
	done := p.start
	for _, m := range w.found {
		start, end := p.start+m.start, p.start+m.end
		w.keep(done, start)
		var from span
		if end > p.start {
			from = w.source(end - 1)
		} else {
			at := w.source(p.start).start
			from = span{at, at}
		}
		for _, r := range n.content {
			w.emit(r, from)
		}
		done = end
	}
	w.keep(done, p.end)
}

// prependNormalizer puts a string before the text. It takes the range of the first character.
type prependNormalizer string

func (n prependNormalizer) normalize(w *worker) { w.rewrite(n) }

func (n prependNormalizer) rewrite(w *worker, p piece) {
	w.prepend(string(n), p)
	w.keep(p.start, p.end)
}

// prepend writes s before a piece that is about to be written.
func (w *worker) prepend(s string, p piece) {
	from := w.source(p.start)
	for _, r := range s {
		w.emit(r, from)
	}
}

// stripNormalizer takes white space off the ends of the text.
type stripNormalizer struct{ left, right bool }

func (n stripNormalizer) normalize(w *worker) { w.rewrite(n) }

func (n stripNormalizer) rewrite(w *worker, p piece) {
	text := w.text[p.start:p.end]
	if n.right {
		text = bytes.TrimRightFunc(text, isWhiteSpace)
	}
	end := p.start + int32(len(text))
	if n.left {
		text = bytes.TrimLeftFunc(text, isWhiteSpace)
	}
	w.keep(end-int32(len(text)), end)
}

func isWhiteSpace(r rune) bool { return unicode.Is(unicode.White_Space, r) }

// byteLevelNormalizer turns every byte into the character that stands for it in a byte-level vocabulary.
type byteLevelNormalizer struct{}

func (n byteLevelNormalizer) normalize(w *worker) { w.rewrite(n) }

func (n byteLevelNormalizer) rewrite(w *worker, p piece) {
	for i := p.start; i < p.end; {
		from := w.source(i)
		_, size := utf8.DecodeRune(w.text[i:p.end])
		for range size {
			w.emit(byteChars[w.text[i]], from)
			i++
		}
	}
}

// byteChars are the characters that stand for bytes: themselves if they are printable in Latin-1, else one from U+0100 on.
// Source: bytes_to_unicode of the GPT-2 reference code.
var byteChars, charBytes = func() ([256]rune, map[rune]byte) {
	var chars [256]rune
	back := map[rune]byte{}
	next := rune(0x100)
	for b := range chars {
		if b >= '!' && b <= '~' || b >= 0xa1 && b != 0xad {
			chars[b] = rune(b)
		} else {
			chars[b] = next
			next++
		}
		back[chars[b]] = byte(b)
	}
	return chars, back
}()
