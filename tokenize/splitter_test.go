package tokenize

import (
	"slices"
	"strings"
	"testing"
)

// TestSplitters compares the hand-written patterns with the regular expressions that they stand for.
func TestSplitters(t *testing.T) {
	texts, _ := goldenTexts(t)
	texts = append(texts,
		"I'LL 'S 's'T don'Re 'ſ 'ſx", "a\r\n\r\n  b", "  \n  x", "x \n", "1234567 8", "!!\r\n!\n", " \r\n", "\u3000a\u3000\u3000b", "x  ", "\ta")
	for _, c := range []struct {
		name, expr string
		rule       splitRule
	}{{"gpt2", gpt2Pattern, gpt2Rule}, {"llama3", llama3Pattern, llama3Rule}, {"qwen2", qwen2Pattern, qwen2Rule}} {
		re, err := compileRegexp(c.expr)
		if err != nil {
			t.Fatal(err)
		}
		hand := newSplitter(c.rule)
		for _, text := range texts {
			compareSplit(t, c.name, re, hand, text)
		}
	}
}

func compareSplit(t *testing.T, name string, re, hand pattern, text string) {
	t.Helper()
	if len(text) > 1000 {
		return
	}
	if name != "gpt2" && strings.Contains(text, "ſ") {
		return // regexp2 does not fold it to s
	}
	want, err := re.matches(nil, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	got, err := hand.matches(nil, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: %+q: %v, want %v", name, text, got, want)
	}
}

func FuzzSplitters(f *testing.F) {
	f.Add("I'll 'RE  \r\n 123456 ,x")
	type pair struct {
		name     string
		re, hand pattern
	}
	var pairs []pair
	for name, expr := range map[string]string{"gpt2": gpt2Pattern, "llama3": llama3Pattern, "qwen2": qwen2Pattern} {
		re, err := compileRegexp(expr)
		if err != nil {
			f.Fatal(err)
		}
		hand, err := compilePattern(expr)
		if err != nil {
			f.Fatal(err)
		}
		pairs = append(pairs, pair{name, re, hand})
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, p := range pairs {
			compareSplit(t, p.name, p.re, p.hand, replaceInvalid(text))
		}
	})
}

func TestFromOniguruma(t *testing.T) {
	for expr, want := range map[string]string{
		`a++b`:           `(?>a+)b`,
		`[ab]*+c`:        `(?>[ab]*)c`,
		`\s?+x`:          `(?>\s?)x`,
		`(ab)++`:         `(?>(ab)+)`,
		`\h+[\h_]`:       `[0-9a-fA-F]+[0-9a-fA-F_]`,
		`[[:digit:]x]`:   `[\p{Nd}x]`,
		`a\++`:           `a\++`,
		`[]a]`:           `[\]a]`,
		`x{1,3}y`:        `x{1,3}y`,
		`(?i:'s|'t)|a?+`: `(?i:'s|'t)|(?>a?)`,
		`[a[b-][-c]-d]`:  `[ab\-\-c\-d]`,
		`x{,3}`:          `x{0,3}`,
		`(a(?im)b|c)++d`: `(?>(a(?is:b|c))+)d`,
	} {
		got, err := fromOniguruma(expr)
		if err != nil || got != want {
			t.Errorf("%s: %s, error %v, want %s", expr, got, err, want)
		}
	}
	for _, expr := range []string{`[a&&b]`, `[a[b&&c]]`, `[a[^b]]`, `[a-[b]]`, `[[:nope:]]`, `[[:digit]`} {
		if got, err := fromOniguruma(expr); err == nil {
			t.Errorf("%s: taken, as %s", expr, got)
		}
	}
}
