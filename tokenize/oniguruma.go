package tokenize

import (
	"fmt"
	"strings"
)

// fromOniguruma rewrites what Oniguruma (Ruby syntax) writes otherwise than .NET, whose syntax regexp2 has: possessive
// quantifiers, {,n}, options, classes within classes, \h, \w, and POSIX brackets; and adds to \p{L} and the like what Unicode
// has got since Go's tables.
func fromOniguruma(expr string) (string, error) {
	t := translator{expr: expr, groups: []group{{}}}
	for t.at < len(expr) {
		var err error
		if t.inClass > 0 {
			err = t.member()
		} else {
			err = t.term()
		}
		if err != nil {
			return "", fmt.Errorf("pattern %q: %w", expr, err)
		}
	}
	t.out.WriteString(strings.Repeat(")", t.groups[0].opened))
	return t.out.String(), nil
}

// translator is what fromOniguruma knows of the part of an expression that it has read.
type translator struct {
	expr    string
	at      int // in expr
	out     strings.Builder
	atom    int     // where in out the last atom begins
	groups  []group // that are open; the first is the whole expression
	inClass int     // classes that are open, one within the other
	begun   int     // where in expr the members of the innermost class begin
	ended   int     // where in expr the last class within a class ended
	dash    int     // where in expr the last - within a class is that was not escaped, plus one
}

// group is an open parenthesis.
type group struct {
	start  int // in out
	opened int // groups to close with it that the expression does not have
}

// term translates what comes next outside of classes.
func (t *translator) term() error {
	c := t.expr[t.at]
	rest := t.expr[t.at:]
	switch {
	case c == '\\' && len(rest) > 1:
		t.atom = t.out.Len()
		t.escaped()
		return nil
	case c == '[':
		t.atom = t.out.Len()
		t.openClass()
		return nil
	case strings.HasPrefix(rest, "(?"):
		if n := strings.IndexAny(rest, ":)"); n > 2 && strings.Trim(rest[2:n], "abcdefghijklmnopqrstuvwxyz-") == "" {
			return t.options(rest[2:n], rest[n] == ':')
		}
		t.groups = append(t.groups, group{start: t.out.Len()})
	case c == '(':
		t.groups = append(t.groups, group{start: t.out.Len()})
	case c == ')':
		if last := len(t.groups) - 1; last > 0 {
			g := t.groups[last]
			t.out.WriteString(strings.Repeat(")", g.opened))
			t.atom, t.groups = g.start, t.groups[:last]
		}
	case c == '+' && t.at > 0 && isQuantifierEnd(t.expr, t.at):
		s := t.out.String()
		t.out.Reset()
		t.out.WriteString(s[:t.atom] + "(?>" + s[t.atom:] + ")")
		t.at++
		return nil
	case c == '{' && hasNoMinimum(rest):
		t.out.WriteString("{0")
		t.at++
		return nil
	case strings.IndexByte("*+?{}", c) >= 0 || c >= '0' && c <= '9' && strings.Contains(t.out.String()[t.atom:], "{"):
		// belongs to the atom before it
	default:
		t.atom = t.out.Len()
	}
	t.out.WriteByte(c)
	t.at++
	return nil
}

// options translates (?flags: or (?flags) of which m, "the dot matches line breaks", is s in .NET. Without a colon it holds, in
// Ruby syntax, as if what follows up to the end of the group were a group: a(?i)b|c is a(?i:b|c).
func (t *translator) options(flags string, colon bool) error {
	if k := strings.Trim(flags, "imx-"); k != "" {
		return fmt.Errorf("(?%s) is no option", flags)
	}
	if colon {
		t.groups = append(t.groups, group{start: t.out.Len()})
	} else {
		t.groups[len(t.groups)-1].opened++
	}
	t.out.WriteString("(?" + strings.ReplaceAll(flags, "m", "s") + ":")
	t.at += len("(?") + len(flags) + 1
	t.atom = t.out.Len()
	return nil
}

// hasNoMinimum says whether s begins with a quantifier such as {,3}.
func hasNoMinimum(s string) bool {
	digits, ok := strings.CutPrefix(s, "{,")
	if !ok {
		return false
	}
	tail := strings.TrimLeft(digits, "0123456789")
	return len(tail) < len(digits) && strings.HasPrefix(tail, "}")
}

// member translates what comes next inside a class. The members of a class within it become its own.
func (t *translator) member() error {
	c := t.expr[t.at]
	rest := t.expr[t.at:]
	switch {
	case c == '\\' && len(rest) > 1:
		t.escaped()
		return nil
	case strings.HasPrefix(rest, "[:"):
		end := strings.Index(rest, ":]")
		if end < 0 {
			return fmt.Errorf("[: without :]")
		}
		class, ok := posixClasses[rest[2:end]]
		if !ok {
			return fmt.Errorf("class %s is not supported", rest[:end+2])
		}
		t.out.WriteString(class)
		t.at += end + 2
		return nil
	case strings.HasPrefix(rest, "&&"):
		return fmt.Errorf("intersection of classes is not supported")
	case strings.HasPrefix(rest, "[^"):
		return fmt.Errorf("a negated class within a class is not supported")
	case c == '[' && t.dash == t.at:
		return fmt.Errorf("a class after - within a class is not supported")
	case c == '[':
		t.openClass()
		return nil
	case c == ']':
		t.inClass--
		if t.inClass > 0 {
			t.at++
			t.ended = t.at
			return nil
		}
	case c == '-':
		// that begins or ends a class within a class, or follows it, must not make a range now
		if t.ended == t.at || t.inClass > 1 && (t.begun == t.at || strings.HasPrefix(rest, "-]")) {
			t.out.WriteByte('\\')
		}
		t.dash = t.at + 1
	}
	t.out.WriteByte(c)
	t.at++
	return nil
}

// openClass translates the beginning of a class: a ] that comes first is a member.
func (t *translator) openClass() {
	t.at++
	t.inClass++
	if t.inClass == 1 {
		t.out.WriteByte('[')
		t.ended, t.dash = 0, 0
		if strings.HasPrefix(t.expr[t.at:], "^") {
			t.out.WriteByte('^')
			t.at++
		}
	}
	t.begun = t.at
	if strings.HasPrefix(t.expr[t.at:], "]") {
		t.out.WriteString(`\]`)
		t.at++
	}
}

// escaped translates an escape sequence.
func (t *translator) escaped() {
	n := 2
	if c := t.expr[t.at+1]; c == 'p' || c == 'P' {
		if k := strings.IndexByte(t.expr[t.at:], '}'); k > 0 {
			n = k + 1
		}
	}
	t.out.WriteString(escape(t.expr[t.at:t.at+n], t.inClass > 0))
	t.at += n
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
