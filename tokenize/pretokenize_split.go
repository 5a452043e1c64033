package tokenize

import "unicode/utf8"

// behavior says what becomes of the matches of a pattern that text is split at.
type behavior int

const (
	removed    behavior = iota
	isolated            // a match is a piece of its own
	mergedPrev          // it is joined to the piece before it
	mergedNext          // or after it
	contiguous          // matches that follow one another are one piece
)

func parseBehavior(o object) (behavior, error) {
	var name string
	if err := o.need("behavior", &name); err != nil {
		return 0, err
	}
	switch name {
	case "Removed":
		return removed, nil
	case "Isolated":
		return isolated, nil
	case "MergedWithPrevious":
		return mergedPrev, nil
	case "MergedWithNext":
		return mergedNext, nil
	case "Contiguous":
		return contiguous, nil
	}
	return 0, formatErrorf(o.at("behavior"), "%q is not known", name)
}

// cut is a stretch of a piece that matches a pattern, or that lies between matches.
type cut struct {
	start, end int32
	match      bool
}

// splitParts turns w.parts, which cover a piece without gaps, into pieces.
func (w *worker) splitParts(b behavior) {
	parts := w.parts
	switch b {
	case removed, isolated:
		for _, p := range parts {
			if b == isolated || !p.match {
				w.addPiece(p.start, p.end)
			}
		}
	case contiguous:
		for i := 0; i < len(parts); {
			j := i + 1
			for j < len(parts) && parts[j].match == parts[i].match {
				j++
			}
			w.addPiece(parts[i].start, parts[j-1].end)
			i = j
		}
	case mergedPrev:
		for i := 0; i < len(parts); {
			j := i + 1
			if j < len(parts) && parts[j].match && !parts[i].match {
				j++
			}
			w.addPiece(parts[i].start, parts[j-1].end)
			i = j
		}
	case mergedNext:
		for i := 0; i < len(parts); {
			j := i + 1
			if j < len(parts) && parts[i].match && !parts[j].match {
				j++
			}
			w.addPiece(parts[i].start, parts[j-1].end)
			i = j
		}
	}
}

// splitEach makes new pieces of the plain ones.
func (w *worker) splitEach(s interface{ splitPiece(w *worker, p piece) }) {
	w.nextPieces = w.nextPieces[:0]
	for _, p := range w.pieces {
		if p.token != plain {
			w.nextPieces = append(w.nextPieces, p)
			continue
		}
		s.splitPiece(w, p)
	}
	w.swapPieces()
}

// patternSplit splits at the matches of a pattern, or between them if inverted.
type patternSplit struct {
	pattern  pattern
	behavior behavior
	invert   bool
}

func parseSplit(o object) (preTokenizer, error) {
	p, err := parsePattern(o, "pattern")
	if err != nil {
		return nil, err
	}
	s := patternSplit{pattern: p}
	if s.behavior, err = parseBehavior(o); err != nil {
		return nil, err
	}
	return s, o.need("invert", &s.invert)
}

func (s patternSplit) split(w *worker) { w.splitEach(s) }

func (s patternSplit) splitPiece(w *worker, p piece) {
	var err error
	if w.found, err = s.pattern.matches(w.found[:0], w.text[p.start:p.end]); err != nil {
		w.fail(err)
	}
	w.parts = w.parts[:0]
	done := p.start
	for _, m := range w.found {
		start, end := p.start+m.start, p.start+m.end
		if start > done {
			w.parts = append(w.parts, cut{done, start, s.invert})
		}
		w.parts = append(w.parts, cut{start, end, !s.invert})
		done = end
	}
	if done < p.end {
		w.parts = append(w.parts, cut{done, p.end, s.invert})
	}
	w.splitParts(s.behavior)
}

// charSplit splits at characters of a class.
type charSplit struct {
	classes  *classTable
	class    uint16
	behavior behavior
}

func (s charSplit) split(w *worker) { w.splitEach(s) }

func (s charSplit) splitPiece(w *worker, p piece) {
	w.parts = w.parts[:0]
	done := p.start
	for i := p.start; i < p.end; {
		r, n := utf8.DecodeRune(w.text[i:p.end])
		next := i + int32(n)
		if s.classes.of(r)&s.class != 0 {
			if i > done {
				w.parts = append(w.parts, cut{done, i, false})
			}
			w.parts = append(w.parts, cut{i, next, true})
			done = next
		}
		i = next
	}
	if done < p.end {
		w.parts = append(w.parts, cut{done, p.end, false})
	}
	w.splitParts(s.behavior)
}

// spaceSplit splits at white space and drops it.
type spaceSplit struct{ classes *classTable }

func (s spaceSplit) split(w *worker) { w.splitEach(s) }

func (s spaceSplit) splitPiece(w *worker, p piece) {
	start := p.start
	for i := p.start; i < p.end; {
		n := int32(1)
		r := rune(w.text[i])
		if r >= utf8.RuneSelf {
			var size int
			r, size = utf8.DecodeRune(w.text[i:p.end])
			n = int32(size)
		}
		if s.classes.of(r)&isSpace != 0 {
			w.addPiece(start, i)
			start = i + n
		}
		i += n
	}
	w.addPiece(start, p.end)
}

// wordSplit keeps runs of word characters, and runs of what is neither that nor white space: \w+|[^\w\s]+ .
type wordSplit struct{ classes *classTable }

func (s wordSplit) split(w *worker) { w.splitEach(s) }

func (s wordSplit) splitPiece(w *worker, p piece) {
	start, kind := p.start, isSpace
	for i := p.start; i < p.end; {
		r, n := utf8.DecodeRune(w.text[i:p.end])
		k := uint16(0)
		switch class := s.classes.of(r); {
		case class&isWord != 0:
			k = isWord
		case class&isSpace != 0:
			k = isSpace
		}
		if k != kind {
			if kind != isSpace {
				w.addPiece(start, i)
			}
			start, kind = i, k
		}
		i += int32(n)
	}
	if kind != isSpace {
		w.addPiece(start, p.end)
	}
}

// fixedLength cuts text every so many characters.
type fixedLength int

func (l fixedLength) split(w *worker) { w.splitEach(l) }

func (l fixedLength) splitPiece(w *worker, p piece) {
	start, n := p.start, 0
	for i := p.start; i < p.end; {
		i += charLen(w.text[i:p.end])
		if n++; n == int(l) {
			w.addPiece(start, i)
			start, n = i, 0
		}
	}
	w.addPiece(start, p.end)
}
