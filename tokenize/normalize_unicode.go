package tokenize

import (
	"slices"
	"sync"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// unicodeNormalizer is one of NFD (the zero value), NFKD, NFC and NFKC.
type unicodeNormalizer struct{ compatible, compose bool }

func (n unicodeNormalizer) normalize(w *worker) {
	limit := byte(utf8.RuneSelf)
	if n.compose && !n.compatible {
		limit = 0xcc // no character below U+0300 composes or changes under NFC
	}
	for _, c := range w.text {
		if c >= limit {
			w.rewrite(n)
			return
		}
	}
}

func (n unicodeNormalizer) rewrite(w *worker, p piece) {
	w.changes, w.classes = w.changes[:0], w.classes[:0]
	var parts [maxDecomposition]rune
	sorted := 0 // what stands before is in canonical order
	for i := p.start; i < p.end; {
		r, size := utf8.DecodeRune(w.text[i:p.end])
		i += int32(size)
		for k, d := range decompose(parts[:0], r, n.compatible) {
			class := combiningClass(d)
			if class == 0 {
				w.sortMarks(sorted)
				sorted = len(w.changes) + 1
			}
			w.changes = append(w.changes, change{d, int32(min(k, 1))})
			w.classes = append(w.classes, class)
		}
	}
	w.sortMarks(sorted)
	if n.compose {
		w.composeChanges()
	}
	w.transform(p, 0)
}

// sortMarks puts the combining characters from index first in canonical order.
func (w *worker) sortMarks(first int) {
	changes, classes := w.changes, w.classes
	if len(changes)-first > manyMarks {
		w.sortManyMarks(first)
		return
	}
	for i := first + 1; i < len(changes); i++ {
		for j := i; j > first && classes[j-1] > classes[j]; j-- {
			changes[j-1], changes[j] = changes[j], changes[j-1]
			classes[j-1], classes[j] = classes[j], classes[j-1]
		}
	}
}

// manyMarks is the number of combining characters from which on sorting them one by one would take too long.
const manyMarks = 64

// sortManyMarks is sortMarks in linear time: a counting sort by class.
func (w *worker) sortManyMarks(first int) {
	changes, classes := slices.Clone(w.changes[first:]), slices.Clone(w.classes[first:])
	var at [257]int
	for _, c := range classes {
		at[int(c)+1]++
	}
	for c := 1; c < len(at); c++ {
		at[c] += at[c-1]
	}
	for i, c := range classes {
		to := first + at[c]
		at[c]++
		w.changes[to], w.classes[to] = changes[i], c
	}
}

// composeChanges composes canonically (UAX #15, D117). The change of a composed character is such that it replaces everything
// that its parts replaced.
func (w *worker) composeChanges() {
	changes, classes := w.changes, w.classes
	starter, last := -1, -1 // where in out the last starter is, and the class of what was kept after it; -1 if nothing was
	out := changes[:0]
	for i, c := range changes {
		class := int(classes[i])
		if starter >= 0 && (last == -1 || last < class) {
			if r := compose(out[starter].r, c.r); r != 0 {
				out[starter] = change{r, out[starter].n + c.n - 1}
				continue
			}
		}
		if class == 0 {
			starter, last = len(out), -1
		} else if starter >= 0 {
			last = class
		}
		out = append(out, c)
	}
	w.changes = out
}

const maxDecomposition = 18 // U+FDFA

// decompositions maps a character to what it decomposes to fully, Hangul syllables excepted.
type decompositions struct {
	canonical, compatible map[rune][]rune
	class                 map[rune]uint8
	pairs                 map[[2]rune]rune // what canonically composes to one character
}

// decomposed is made once, from the tables of golang.org/x/text as far as Unicode 9, which the Hugging Face tokenizers have.
var decomposed = sync.OnceValue(func() *decompositions {
	d := &decompositions{map[rune][]rune{}, map[rune][]rune{}, map[rune]uint8{}, map[[2]rune]rune{}}
	for r := rune(0x80); r < 0x30000; r++ {
		if hangul(r) || !utf8.ValidRune(r) || afterUnicode9(r) {
			continue
		}
		s := string(r)
		p := norm.NFD.PropertiesString(s)
		if c := p.CCC(); c != 0 {
			d.class[r] = c
		}
		if b := p.Decomposition(); b != nil {
			d.canonical[r] = []rune(string(b))
			first, size := utf8.DecodeRune(b)
			if norm.NFC.String(s) == s && size < len(b) {
				// the pair is what composes to all but the last character, and the last
				parts := d.canonical[r]
				if len(parts) > 2 {
					first = []rune(norm.NFC.String(string(parts[:len(parts)-1])))[0]
				}
				d.pairs[[2]rune{first, parts[len(parts)-1]}] = r
			}
		}
		if b := norm.NFKD.PropertiesString(s).Decomposition(); b != nil {
			d.compatible[r] = []rune(string(b))
		}
	}
	return d
})

// Hangul syllables: Unicode Standard, section 3.12.
const (
	hangulBase, hangulCount = 0xac00, 11172
	leadBase, leadCount     = 0x1100, 19
	vowelBase, vowelCount   = 0x1161, 21
	tailBase, tailCount     = 0x11a7, 28
)

// decompose appends the full canonical or compatibility decomposition of r to dst.
func decompose(dst []rune, r rune, compatible bool) []rune {
	if r < 0xa0 {
		return append(dst, r)
	}
	if hangul(r) {
		s := r - hangulBase
		dst = append(dst, leadBase+s/(vowelCount*tailCount), vowelBase+s%(vowelCount*tailCount)/tailCount)
		if tail := s % tailCount; tail > 0 {
			dst = append(dst, tailBase+tail)
		}
		return dst
	}
	table := decomposed().canonical
	if compatible {
		table = decomposed().compatible
	}
	if parts, ok := table[r]; ok {
		return append(dst, parts...)
	}
	return append(dst, r)
}

// compose returns what a and b compose to canonically, or 0.
func compose(a, b rune) rune {
	switch {
	case a >= leadBase && a < leadBase+leadCount && b >= vowelBase && b < vowelBase+vowelCount:
		return hangulBase + ((a-leadBase)*vowelCount+b-vowelBase)*tailCount
	case hangul(a) && (a-hangulBase)%tailCount == 0 && b > tailBase && b < tailBase+tailCount:
		return a + b - tailBase
	}
	return decomposed().pairs[[2]rune{a, b}]
}

func combiningClass(r rune) uint8 {
	if r < 0x300 {
		return 0
	}
	return decomposed().class[r]
}

// afterUnicode9 says whether r was assigned after Unicode 9 and matters to normalisation.
func afterUnicode9(r rune) bool {
	_, found := slices.BinarySearchFunc(newerThanUnicode9, r, func(s runeRange, r rune) int {
		switch {
		case s.last < r:
			return -1
		case s.first > r:
			return 1
		}
		return 0
	})
	return found
}

// hangul says whether r is a Hangul syllable.
func hangul(r rune) bool { return r >= hangulBase && r < hangulBase+hangulCount }

type runeRange struct{ first, last rune }
