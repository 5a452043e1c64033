package tokenize

import (
	"sync"
	"unicode"
)

// Classes of characters, as the Hugging Face tokenizers see them. Their libraries carry tables of different Unicode versions;
// classCorrections puts the tables of Go right where these differ.
const (
	isSpace   uint16 = 1 << iota // White_Space
	isControl                    // Cc, Cf, Co but not tab, newline, carriage return: what BERT's clean_text drops
	isHan                        // what BERT calls a Chinese character
	isAccent                     // Mn
	isMark                       // M: Mn, Mc, Me
	isPunct                      // P, and the symbols of ASCII
	isNumber                     // Nd, Nl, No
	isWord                       // \w of regular expressions
	isLetter                     // \p{L} of Oniguruma
	isNumeral                    // \p{N} of Oniguruma
)

// classTable gives the classes of every character in two steps: a page for each 256 characters, equal pages shared.
type classTable struct {
	page  [0x110000 >> 8]uint16
	pages [][256]uint16
}

func (t *classTable) of(r rune) uint16 {
	if uint32(r) > unicode.MaxRune {
		return 0
	}
	return t.pages[t.page[r>>8]][r&0xff]
}

// goClasses returns the classes of every character according to Go's own tables.
func goClasses() []uint16 {
	flat := make([]uint16, 0x110000)
	set := func(class uint16, tables ...*unicode.RangeTable) {
		for _, t := range tables {
			for _, r := range t.R16 {
				for c := uint32(r.Lo); c <= uint32(r.Hi); c += uint32(r.Stride) {
					flat[c] |= class
				}
			}
			for _, r := range t.R32 {
				for c := r.Lo; c <= r.Hi; c += r.Stride {
					flat[c] |= class
				}
			}
		}
	}
	set(isSpace, unicode.White_Space)
	set(isControl, unicode.Cc, unicode.Cf, unicode.Co)
	set(isHan, bertHan)
	set(isAccent, unicode.Mn)
	set(isMark, unicode.M)
	set(isPunct, unicode.P, asciiSymbols)
	set(isNumber, unicode.N)
	set(isWord, unicode.L, unicode.Nl, unicode.Other_Alphabetic, unicode.M, unicode.Nd, unicode.Pc, unicode.Join_Control)
	set(isLetter, unicode.L)
	set(isNumeral, unicode.N)
	for _, c := range "\t\n\r" {
		flat[c] &^= isControl
	}
	return flat
}

// classes is made once, when the first tokenizer is loaded.
var classes = sync.OnceValue(func() *classTable {
	flat := goClasses()
	for _, c := range classCorrections {
		for r := c.first; r <= c.last; r++ {
			flat[r] = flat[r]&^c.clear | c.set
		}
	}
	t := &classTable{}
	seen := map[[256]uint16]uint16{}
	for p := range t.page {
		page := [256]uint16(flat[p<<8:])
		at, ok := seen[page]
		if !ok {
			at = uint16(len(t.pages))
			seen[page] = at
			t.pages = append(t.pages, page)
		}
		t.page[p] = at
	}
	return t
})

var asciiSymbols = &unicode.RangeTable{R16: []unicode.Range16{
	{Lo: '!', Hi: '/', Stride: 1}, {Lo: ':', Hi: '@', Stride: 1}, {Lo: '[', Hi: '`', Stride: 1}, {Lo: '{', Hi: '~', Stride: 1},
}, LatinOffset: 4}

// bertHan is the list in the original BERT code: the CJK ideographs, not all of Han script.
var bertHan = &unicode.RangeTable{
	R16: []unicode.Range16{{Lo: 0x3400, Hi: 0x4dbf, Stride: 1}, {Lo: 0x4e00, Hi: 0x9fff, Stride: 1}, {Lo: 0xf900, Hi: 0xfaff, Stride: 1}},
	R32: []unicode.Range32{
		{Lo: 0x20000, Hi: 0x2a6df, Stride: 1}, {Lo: 0x2a700, Hi: 0x2b73f, Stride: 1}, {Lo: 0x2b740, Hi: 0x2b81f, Stride: 1},
		{Lo: 0x2b920, Hi: 0x2ceaf, Stride: 1}, {Lo: 0x2f800, Hi: 0x2fa1f, Stride: 1},
	},
}

// correction changes the classes of a range of characters.
type correction struct {
	first, last rune
	set, clear  uint16
}
