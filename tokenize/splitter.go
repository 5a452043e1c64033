package tokenize

import "unicode/utf8"

// The patterns that byte-level tokenizers split with. They cover every character, so that their matches follow one another
// without gaps.
const (
	gpt2Pattern             = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
	llama3Pattern           = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	llama3PatternPossessive = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+`
	qwen2Pattern            = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

type splitRule int

const (
	gpt2Rule splitRule = iota
	llama3Rule
	qwen2Rule
)

// splitter is one of these patterns, written by hand.
type splitter struct {
	rule    splitRule
	classes *classTable
	ascii   [utf8.RuneSelf]kind
}

// kind is what the patterns tell characters apart by.
type kind uint8

const (
	otherKind kind = iota
	letterKind
	numberKind
	spaceKind
)

func newSplitter(rule splitRule) *splitter {
	s := &splitter{rule: rule, classes: classes()}
	for c := range s.ascii {
		s.ascii[c] = s.classify(rune(c))
	}
	return s
}

func (s *splitter) classify(r rune) kind {
	switch class := s.classes.of(r); {
	case class&isLetter != 0:
		return letterKind
	case class&isNumeral != 0:
		return numberKind
	case class&isSpace != 0:
		return spaceKind
	}
	return otherKind
}

// at returns the kind and length of the character at i; the length is 0 at the end of the text.
func (s *splitter) at(text []byte, i int) (kind, int) {
	if i >= len(text) {
		return otherKind, 0
	}
	if c := text[i]; c < utf8.RuneSelf {
		return s.ascii[c], 1
	}
	r, n := utf8.DecodeRune(text[i:])
	return s.classify(r), n
}

// run returns where the run of characters of one kind that begins at or before i ends.
func (s *splitter) run(text []byte, i int, k kind) int {
	for i < len(text) {
		c := text[i]
		if c < utf8.RuneSelf {
			if s.ascii[c] != k {
				return i
			}
			i++
			continue
		}
		r, n := utf8.DecodeRune(text[i:])
		if s.classify(r) != k {
			return i
		}
		i += n
	}
	return i
}

func (s *splitter) matches(dst []span, text []byte) ([]span, error) {
	for i := 0; i < len(text); {
		var end int
		if s.rule == gpt2Rule {
			end = s.gpt2(text, i)
		} else {
			end = s.llama3(text, i)
		}
		dst = append(dst, span{int32(i), int32(end)})
		i = end
	}
	return dst, nil
}

// gpt2 returns where the match at i ends.
func (s *splitter) gpt2(text []byte, i int) int {
	if text[i] == '\'' {
		if n := contraction(text[i:], false); n > 0 {
			return i + n
		}
	}
	k, n := s.at(text, i)
	if text[i] == ' ' {
		if next, m := s.at(text, i+1); m > 0 && next != spaceKind {
			return s.run(text, i+1+m, next)
		}
	}
	if k != spaceKind {
		return s.run(text, i+n, k)
	}
	return s.spaces(text, i)
}

// spaces matches \s+(?!\S)|\s+ : white space, but for its last character if something follows and there are more.
func (s *splitter) spaces(text []byte, i int) int {
	end := s.run(text, i, spaceKind)
	if end < len(text) {
		_, n := utf8.DecodeLastRune(text[i:end])
		if end-n > i {
			return end - n
		}
	}
	return end
}

// llama3 returns where the match at i ends.
func (s *splitter) llama3(text []byte, i int) int {
	c := text[i]
	if c == '\'' {
		if n := contraction(text[i:], true); n > 0 {
			return i + n
		}
	}
	k, n := s.at(text, i)
	switch k {
	case letterKind:
		return s.run(text, i+n, letterKind)
	case numberKind:
		end := i + n
		for more := 1; s.rule == llama3Rule && more < 3; more++ {
			next, m := s.at(text, end)
			if m == 0 || next != numberKind {
				break
			}
			end += m
		}
		return end
	}
	next, m := s.at(text, i+n)
	if m > 0 && next == letterKind && c != '\r' && c != '\n' {
		return s.run(text, i+n+m, letterKind)
	}
	if k == otherKind || c == ' ' && m > 0 && next == otherKind {
		end := s.run(text, i+n, otherKind)
		for end < len(text) && (text[end] == '\r' || text[end] == '\n') {
			end++
		}
		return end
	}
	end := s.run(text, i, spaceKind)
	for j := end - 1; j >= i; j-- {
		if text[j] == '\r' || text[j] == '\n' {
			return j + 1
		}
	}
	return s.spaces(text, i)
}

// contraction returns the length of 's, 't, 're, 've, 'm, 'll or 'd at the beginning of text, or 0. Without regard to case,
// ſ (long s) counts as s.
func contraction(text []byte, anyCase bool) int {
	if len(text) < 2 {
		return 0
	}
	fold := func(c byte) byte {
		if anyCase && 'A' <= c && c <= 'Z' {
			return c + 'a' - 'A'
		}
		return c
	}
	switch fold(text[1]) {
	case 's', 't', 'm', 'd':
		return 2
	case 'r', 'v':
		if len(text) > 2 && fold(text[2]) == 'e' {
			return 3
		}
	case 'l':
		if len(text) > 2 && fold(text[2]) == 'l' {
			return 3
		}
	case 0xc5:
		if anyCase && len(text) > 2 && text[2] == 0xbf {
			return 3
		}
	}
	return 0
}
