package tokenize

import (
	"bytes"
	"fmt"
	"regexp/syntax"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dlclark/regexp2"
)

// pattern finds where something matches in a text.
type pattern interface {
	// matches appends the ranges of all matches in text, in order, without overlap, to dst.
	matches(dst []span, text []byte) ([]span, error)
}

// parsePattern reads {"String": …} or {"Regex": …}.
func parsePattern(o object, key string) (pattern, error) {
	c, err := o.child(key)
	if err != nil {
		return nil, err
	}
	var text string
	if c.has("String") {
		if err := c.need("String", &text); err != nil {
			return nil, err
		}
		return literal(text), nil
	}
	if err := c.need("Regex", &text); err != nil {
		return nil, err
	}
	p, err := compilePattern(text)
	if err != nil {
		return nil, formatErrorf(c.at("Regex"), "%w", err)
	}
	return p, nil
}

// literal matches a fixed string.
type literal string

func (l literal) matches(dst []span, text []byte) ([]span, error) {
	if l == "" {
		return dst, nil
	}
	for from := 0; ; {
		k := strings.Index(stringOf(text[from:]), string(l))
		if k < 0 {
			return dst, nil
		}
		dst = append(dst, span{int32(from + k), int32(from + k + len(l))})
		from += k + len(l)
	}
}

// compilePattern returns a hand-written matcher for the patterns that tokenizers have in practice, else a regular expression.
func compilePattern(expr string) (pattern, error) {
	switch expr {
	case gpt2Pattern:
		return newSplitter(gpt2Rule), nil
	case llama3Pattern, llama3PatternPossessive:
		return newSplitter(llama3Rule), nil
	case qwen2Pattern:
		return newSplitter(qwen2Rule), nil
	case " {2,}":
		return spaces(2), nil
	}
	if r, err := syntax.Parse(expr, syntax.Perl); err == nil && r.Op == syntax.OpLiteral && r.Flags&syntax.FoldCase == 0 {
		return literal(string(r.Rune)), nil
	}
	return compileRegexp(expr)
}

// spaces matches runs of at least that many spaces.
type spaces int

func (n spaces) matches(dst []span, text []byte) ([]span, error) {
	for i := 0; i < len(text); {
		k := bytes.IndexByte(text[i:], ' ')
		if k < 0 {
			break
		}
		start := i + k
		for i = start; i < len(text) && text[i] == ' '; i++ {
		}
		if i-start >= int(n) {
			dst = append(dst, span{int32(start), int32(i)})
		}
	}
	return dst, nil
}

// expression is a regular expression with everything that Go's own lack, lookahead above all.
type expression struct{ re *regexp2.Regexp }

// matchTimeout bounds how long a pattern may backtrack on one piece of text.
const matchTimeout = 10 * time.Second

func compileRegexp(expr string) (pattern, error) {
	translated, err := fromOniguruma(expr)
	if err != nil {
		return nil, err
	}
	// In Oniguruma's Ruby syntax ^ and $ match at line breaks.
	re, err := regexp2.Compile(translated, regexp2.Multiline)
	if err != nil {
		return nil, fmt.Errorf("pattern %q: %w", expr, err)
	}
	re.MatchTimeout = matchTimeout
	return expression{re}, nil
}

func (e expression) matches(dst []span, text []byte) ([]span, error) {
	runes := bytes.Runes(text)
	at := int32(0) // byte offset of runes[done]
	done := 0
	offset := func(i int) int32 {
		for ; done < i; done++ {
			at += int32(utf8.RuneLen(runes[done]))
		}
		return at
	}
	last := -1 // where the last match ended
	for from := 0; from <= len(runes); {
		m, err := e.re.FindRunesMatchStartingAt(runes, from)
		if err != nil {
			return dst, err
		}
		if m == nil {
			break
		}
		start, end := m.Index, m.Index+m.Length
		if start == end && end == last { // no empty match right after another
			from++
			continue
		}
		s := offset(start)
		dst = append(dst, span{s, offset(end)})
		from, last = end, end
	}
	return dst, nil
}

// fromOniguruma rewrites what Oniguruma (Ruby syntax) writes otherwise than .NET, whose syntax regexp2 has: possessive
// quantifiers, \h, \w, and POSIX brackets; and adds to \p{L} and the like what Unicode has got since Go's tables.
func fromOniguruma(expr string) (string, error) {
	var b strings.Builder
	inClass := 0
	atom := 0 // where in b the last atom begins
	var groups []int
	for i := 0; i < len(expr); {
		c := expr[i]
		switch {
		case c == '\\' && i+1 < len(expr):
			if inClass == 0 {
				atom = b.Len()
			}
			n := 2
			if k := strings.IndexByte(expr[i:], '}'); k > 0 && (expr[i+1] == 'p' || expr[i+1] == 'P') {
				n = k + 1
			}
			b.WriteString(escape(expr[i:i+n], inClass > 0))
			i += n
			continue
		case inClass > 0 && strings.HasPrefix(expr[i:], "[:"):
			end := strings.Index(expr[i:], ":]")
			if end < 0 {
				return "", fmt.Errorf("pattern %q: [: without :]", expr)
			}
			class, ok := posixClasses[expr[i+2:i+end]]
			if !ok {
				return "", fmt.Errorf("pattern %q: class %s is not supported", expr, expr[i:i+end+2])
			}
			b.WriteString(class)
			i += end + 2
			continue
		case inClass > 0 && strings.HasPrefix(expr[i:], "&&"):
			return "", fmt.Errorf("pattern %q: intersection of classes is not supported", expr)
		case inClass > 0 && c == '[':
			return "", fmt.Errorf("pattern %q: a class within a class is not supported", expr)
		case c == '[':
			inClass++
			atom = b.Len()
			b.WriteByte(c)
			i++
			if i < len(expr) && expr[i] == '^' {
				b.WriteByte('^')
				i++
			}
			if i < len(expr) && expr[i] == ']' {
				b.WriteString(`\]`)
				i++
			}
			continue
		case c == ']' && inClass > 0:
			inClass--
		case inClass > 0:
		case c == '(':
			groups = append(groups, b.Len())
		case c == ')':
			if len(groups) > 0 {
				atom, groups = groups[len(groups)-1], groups[:len(groups)-1]
			}
		case c == '+' && i > 0 && isQuantifierEnd(expr, i):
			s := b.String()
			b.Reset()
			b.WriteString(s[:atom] + "(?>" + s[atom:] + ")")
			i++
			continue
		case strings.IndexByte("*+?{}", c) >= 0 || c >= '0' && c <= '9' && strings.Contains(b.String()[atom:], "{"):
			// belongs to the atom before it
		default:
			atom = b.Len()
		}
		b.WriteByte(c)
		i++
	}
	return b.String(), nil
}

// isQuantifierEnd says whether a + at i makes the quantifier before it possessive. An interval ({1,3}+) is not possessive in
// Ruby syntax.
func isQuantifierEnd(expr string, i int) bool {
	if i >= 2 && expr[i-2] == '\\' {
		return false
	}
	return expr[i-1] == '+' || expr[i-1] == '*' || expr[i-1] == '?' && i >= 2 && expr[i-2] != '('
}

// escape rewrites an escape sequence.
func escape(seq string, inClass bool) string {
	var class string
	switch seq {
	case `\h`:
		class = "0-9a-fA-F"
	case `\w`, `\W`:
		// alphabetic symbols count as word characters in Oniguruma; superscripts and fractions of Latin-1 do outside brackets
		class = `\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}Ⓐ-ⓩ🄰-🅉🅐-🅩🅰-🆉` + newIn(isWord)
		if !inClass {
			class += `²³¹¼-¾`
		}
	case `\p{L}`, `\P{L}`:
		class = `\p{L}` + newIn(isLetter)
	case `\p{N}`, `\P{N}`:
		class = `\p{N}` + newIn(isNumeral)
	case `\d`, `\D`:
		class = `\p{Nd}` + newIn(isNumeral)
	default:
		return seq
	}
	negated := seq == `\W` || seq == `\D` || strings.HasPrefix(seq, `\P`)
	switch {
	case inClass && negated:
		return seq // cannot be written as ranges
	case inClass:
		return class
	case negated:
		return "[^" + class + "]"
	}
	return "[" + class + "]"
}

// newIn writes the characters that Go's tables lack of a class as ranges.
func newIn(class uint16) string {
	var b strings.Builder
	for _, c := range classCorrections {
		if c.set&class != 0 {
			b.WriteString(string(c.first) + "-" + string(c.last))
		}
	}
	return b.String()
}

var posixClasses = map[string]string{
	"alpha": `\p{L}\p{M}\p{Nl}`, "digit": `\p{Nd}`, "alnum": `\p{L}\p{M}\p{Nl}\p{Nd}`, "upper": `\p{Lu}`, "lower": `\p{Ll}`,
	"space": `\s`, "punct": `\p{P}\p{S}`, "blank": `\p{Zs}\t`, "cntrl": `\p{Cc}`, "xdigit": `0-9a-fA-F`, "word": `\w`,
}
