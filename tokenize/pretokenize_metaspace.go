package tokenize

import (
	"bytes"
	"unicode/utf8"
)

// metaspace turns spaces into a visible character, puts one before the text, and splits before each.
type metaspace struct {
	replacement string
	first       bool // one before the text only where the original text begins
	never       bool // none before the text
	cut         bool // split
}

func parseMetaspace(o object) (metaspace, error) {
	m := metaspace{cut: true}
	r, err := o.char("replacement")
	if err != nil {
		return m, err
	}
	m.replacement = string(r)
	scheme := "always"
	if err := o.maybe("prepend_scheme", &scheme); err != nil {
		return m, err
	}
	switch scheme {
	case "always":
	case "first":
		m.first = true
	case "never":
		m.never = true
	default:
		return m, formatErrorf(o.at("prepend_scheme"), "%q is not always, first or never", scheme)
	}
	space := true // the older form of prepend_scheme
	if err := o.maybe("add_prefix_space", &space); err != nil {
		return m, err
	}
	if !space {
		if o.has("prepend_scheme") && !m.never {
			return m, formatErrorf(o.at("add_prefix_space"), "does not agree with prepend_scheme %q", scheme)
		}
		m.first, m.never = false, true
	}
	return m, o.maybe("split", &m.cut)
}

func (m metaspace) split(w *worker) {
	w.begin()
	for _, p := range w.pieces {
		start := int32(len(w.nextText))
		if p.token != plain {
			w.keep(p.start, p.end)
			w.nextPieces = append(w.nextPieces, piece{start, int32(len(w.nextText)), p.token})
			continue
		}
		m.rewrite(w, p)
		if !m.cut {
			w.addPiece(start, int32(len(w.nextText)))
			continue
		}
		m.splitBefore(w, start)
	}
	w.swapText()
	w.swapPieces()
}

// rewrite writes the piece with its spaces replaced.
func (m metaspace) rewrite(w *worker, p piece) {
	text := w.text[p.start:p.end]
	if !m.never && text[0] != ' ' && !bytes.HasPrefix(text, bytesOf(m.replacement)) && (!m.first || w.source(p.start).start == 0) {
		w.prepend(m.replacement, p)
	}
	for i := p.start; i < p.end; {
		k := int32(bytes.IndexByte(w.text[i:p.end], ' '))
		if k < 0 {
			w.keep(i, p.end)
			break
		}
		w.keep(i, i+k)
		i += k
		from := w.source(i)
		w.nextText = append(w.nextText, m.replacement...)
		for range len(m.replacement) {
			w.nextAlign = append(w.nextAlign, from)
		}
		i++
	}
}

// splitBefore splits what was written from start on before each replacement character, of several in a row before the last
// and between the others.
func (m metaspace) splitBefore(w *worker, start int32) {
	text := w.nextText
	mark := m.replacement[0]
	for i := start; i < int32(len(text)); {
		if text[i] == mark && bytes.HasPrefix(text[i:], bytesOf(m.replacement)) {
			if i > start {
				w.addPiece(start, i)
				start = i
			}
			i += int32(len(m.replacement))
			continue
		}
		i++
	}
	w.addPiece(start, int32(len(text)))
}

// decode turns the replacement characters back into spaces and drops the first.
func (m metaspace) decode(tokens []string) []string {
	r, _ := utf8.DecodeRuneInString(m.replacement)
	for i, token := range tokens {
		var b []byte
		for _, c := range token {
			switch {
			case c != r:
				b = utf8.AppendRune(b, c)
			case i > 0 || m.never:
				b = append(b, ' ')
			}
		}
		tokens[i] = string(b)
	}
	return tokens
}
