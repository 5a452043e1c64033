package tokenize

import (
	"unicode/utf8"
)

// bertNormalizer cleans text, puts spaces around Chinese characters, strips accents and lowercases, as configured.
// Source: BasicTokenizer of the BERT reference code.
type bertNormalizer struct {
	clean, han, strip, lower bool
	classes                  *classTable
	ascii                    [utf8.RuneSelf]uint8 // what becomes of an ASCII byte; dropByte if nothing
	steps                    normalizers          // the same, one step after the other
}

const dropByte = 0xff

func parseBertNormalizer(o object) (normalizer, error) {
	n := &bertNormalizer{clean: true, han: true, lower: true, classes: classes()}
	var strip *bool // null means "as lowercase"
	for key, dst := range map[string]any{"clean_text": &n.clean, "handle_chinese_chars": &n.han, "lowercase": &n.lower, "strip_accents": &strip} {
		if err := o.maybe(key, dst); err != nil {
			return nil, err
		}
	}
	n.strip = n.lower
	if strip != nil {
		n.strip = *strip
	}
	for c := range n.ascii {
		n.ascii[c] = uint8(c)
		switch {
		case n.clean && n.drops(rune(c)):
			n.ascii[c] = dropByte
		case n.clean && n.classes.of(rune(c))&isSpace != 0:
			n.ascii[c] = ' '
		case n.lower && 'A' <= c && c <= 'Z':
			n.ascii[c] = uint8(c) + 'a' - 'A'
		}
	}
	if n.clean {
		n.steps = append(n.steps, charNormalizer(n.cleanChar))
	}
	if n.han {
		n.steps = append(n.steps, charNormalizer(n.spaceHan))
	}
	if n.strip {
		n.steps = append(n.steps, unicodeNormalizer{}, charNormalizer(func(w *worker, r rune, from span) {
			if n.classes.of(r)&isAccent == 0 {
				w.emit(r, from)
			}
		}))
	}
	if n.lower {
		n.steps = append(n.steps, charNormalizer(lowercaseChar))
	}
	return n, nil
}

func (n *bertNormalizer) drops(r rune) bool {
	return r == 0 || r == utf8.RuneError || n.classes.of(r)&isControl != 0
}

func (n *bertNormalizer) normalize(w *worker) {
	if w.ident && n.asciiOnly(w) {
		return
	}
	if n.strip && n.reorders(w) {
		n.steps.normalize(w)
		return
	}
	w.rewrite(n)
}

// asciiOnly rewrites text that is ASCII and loses no byte, so that its ranges need not be written down.
func (n *bertNormalizer) asciiOnly(w *worker) bool {
	w.nextText = append(w.buffers[1-w.current][:0], w.text...)
	w.buffers[1-w.current] = w.nextText
	for _, p := range w.pieces {
		if p.token != plain {
			continue
		}
		text := w.nextText[p.start:p.end]
		for i, c := range text {
			if c >= utf8.RuneSelf {
				return false
			}
			c = n.ascii[c]
			if c == dropByte {
				return false
			}
			text[i] = c
		}
	}
	w.current = 1 - w.current
	w.text = w.nextText
	return true
}

// rewrite does all four steps at once, character by character: each step takes a character to characters with the same range.
// The exception is canonical reordering, for which see reorders.
func (n *bertNormalizer) rewrite(w *worker, p piece) {
	for i := p.start; i < p.end; {
		c := w.text[i]
		if c < utf8.RuneSelf {
			if c = n.ascii[c]; c != dropByte {
				w.nextText = append(w.nextText, c)
				w.nextAlign = append(w.nextAlign, w.source(i))
			}
			i++
			continue
		}
		r, size := utf8.DecodeRune(w.text[i:p.end])
		from := w.source(i)
		i += int32(size)
		class := n.classes.of(r)
		if n.clean {
			if r == utf8.RuneError || class&isControl != 0 {
				continue
			}
			if class&isSpace != 0 {
				w.emit(' ', from)
				continue
			}
		}
		if n.han && class&isHan != 0 {
			w.emit(' ', from)
			n.fold(w, r, from)
			w.emit(' ', from)
			continue
		}
		n.fold(w, r, from)
	}
}

// fold strips the accents of a character and lowercases what is left.
func (n *bertNormalizer) fold(w *worker, r rune, from span) {
	if !n.strip {
		n.emit(w, r, from)
		return
	}
	var parts [maxDecomposition]rune
	for _, d := range decompose(parts[:0], r, false) {
		if n.classes.of(d)&isAccent == 0 {
			n.emit(w, d, from)
		}
	}
}

func (n *bertNormalizer) emit(w *worker, r rune, from span) {
	if n.lower {
		lowercaseChar(w, r, from)
	} else {
		w.emit(r, from)
	}
}

// reorders says whether stripping accents could move characters that stay: combining characters that are not accents
// (such as U+302E, a tone mark of Hangul), which decomposition puts in canonical order.
func (n *bertNormalizer) reorders(w *worker) bool {
	for i := 0; i < len(w.text); {
		if w.text[i] < utf8.RuneSelf {
			i++
			continue
		}
		r, size := utf8.DecodeRune(w.text[i:])
		i += size
		if combiningClass(r) != 0 && n.classes.of(r)&isAccent == 0 {
			return true
		}
	}
	return false
}

func (n *bertNormalizer) cleanChar(w *worker, r rune, from span) {
	switch {
	case n.drops(r):
	case n.classes.of(r)&isSpace != 0:
		w.emit(' ', from)
	default:
		w.emit(r, from)
	}
}

func (n *bertNormalizer) spaceHan(w *worker, r rune, from span) {
	if n.classes.of(r)&isHan == 0 {
		w.emit(r, from)
		return
	}
	w.emit(' ', from)
	w.emit(r, from)
	w.emit(' ', from)
}
