package tokenize

import (
	"unicode"
	"unicode/utf8"
)

// spaceChar stands for a space in a byte-level vocabulary.
const spaceChar = 'Ġ'

// apply narrows the offsets of a token by its leading and trailing white space. A single space that the pre-tokenizer put before
// the text is not there to be taken out.
func (t trim) apply(offsets *[2]int, token string, first bool) {
	leading, trailing := 0, 0
	for _, r := range token {
		if r != spaceChar && !unicode.Is(unicode.White_Space, r) {
			break
		}
		leading++
	}
	for rest := token; rest != ""; trailing++ {
		r, n := utf8.DecodeLastRuneInString(rest)
		if r != spaceChar && !unicode.Is(unicode.White_Space, r) {
			break
		}
		rest = rest[:len(rest)-n]
	}
	if leading > 0 {
		if (first || offsets[0] == 0) && t.prefixSpace && leading == 1 {
			leading = 0
		}
		offsets[0] = min(offsets[0]+leading, offsets[1])
	}
	if trailing > 0 && offsets[1] >= trailing {
		offsets[1] = max(offsets[1]-trailing, offsets[0])
	}
}
