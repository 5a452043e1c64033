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
		if text == "" { // between all characters, as an empty expression
			return compileRegexp("")
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

// literal matches a fixed string, which is not empty.
type literal string

func (l literal) matches(dst []span, text []byte) ([]span, error) {
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
	translated, err := fromOniguruma(expr)
	if err != nil {
		return nil, err
	}
	if r, err := syntax.Parse(translated, syntax.Perl); err == nil && r.Op == syntax.OpLiteral && r.Flags&syntax.FoldCase == 0 {
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
	if len(text) == 0 {
		return dst, nil // nothing matches in no text, not even the empty expression
	}
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
