package tokenize

import "unicode/utf8"

// bertPreTokenizer splits at white space, which it drops, and around punctuation.
type bertPreTokenizer struct{ classes *classTable }

func (b bertPreTokenizer) split(w *worker) {
	w.nextPieces = w.nextPieces[:0]
	for _, p := range w.pieces {
		if p.token != plain {
			w.nextPieces = append(w.nextPieces, p)
			continue
		}
		start := p.start
		for i := p.start; i < p.end; {
			r, size := rune(w.text[i]), int32(1)
			var class uint16
			if r < utf8.RuneSelf {
				class = b.classes.pages[b.classes.page[0]][r]
			} else {
				r, n := utf8.DecodeRune(w.text[i:p.end])
				size, class = int32(n), b.classes.of(r)
			}
			switch {
			case class&isSpace != 0:
				w.addPiece(start, i)
				start = i + size
			case class&isPunct != 0:
				w.addPiece(start, i)
				w.addPiece(i, i+size)
				start = i + size
			}
			i += size
		}
		w.addPiece(start, p.end)
	}
	w.swapPieces()
}
