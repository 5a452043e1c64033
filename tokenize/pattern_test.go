package tokenize

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
)

// splitPieces returns what a Split pre-tokenizer makes of a text.
func splitPieces(t *testing.T, kind, expr, behavior string, invert bool, text string) ([]string, error) {
	t.Helper()
	quoted, err := json.Marshal(expr)
	if err != nil {
		t.Fatal(err)
	}
	o, err := parseObject("", fmt.Appendf(nil, `{"type":"Split","pattern":{%q:%s},"behavior":%q,"invert":%t}`, kind, quoted, behavior, invert))
	if err != nil {
		t.Fatal(err)
	}
	p, err := parsePreTokenizer(o)
	if err != nil {
		return nil, err
	}
	w := (&Tokenizer{}).worker()
	w.start(text)
	p.split(w)
	var pieces []string
	for _, p := range w.pieces {
		pieces = append(pieces, string(w.text[p.start:p.end]))
	}
	return pieces, w.err
}

// TestEmptyPattern has what the Hugging Face tokenizers make of the empty string as a pattern.
func TestEmptyPattern(t *testing.T) {
	each := []string{"a", "é", " ", "b"}
	for _, c := range []struct {
		behavior string
		invert   bool
		want     []string
	}{
		{"Removed", false, each}, {"Removed", true, nil}, {"Isolated", false, each}, {"Isolated", true, each},
		{"MergedWithPrevious", false, each}, {"MergedWithPrevious", true, each}, {"MergedWithNext", false, each},
		{"MergedWithNext", true, each}, {"Contiguous", false, each}, {"Contiguous", true, each},
	} {
		got, err := splitPieces(t, "String", "", c.behavior, c.invert, "aé b")
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s, inverted %t: %q, error %v, want %q", c.behavior, c.invert, got, err, c.want)
		}
	}
	tok, err := Parse([]byte(`{"normalizer":{"type":"Replace","pattern":{"String":""},"content":"-"},` +
		`"model":{"type":"BPE","vocab":{"-":0,"a":1,"b":2,"é":3},"merges":[]},` +
		`"decoder":{"type":"Replace","pattern":{"String":""},"content":"+"}}`))
	if err != nil {
		t.Fatal(err)
	}
	e, err := tok.Encode("abé", Options{CharOffsets: true})
	want := [][2]int{{0, 0}, {0, 1}, {0, 1}, {1, 2}, {1, 2}, {2, 3}, {2, 3}}
	if err != nil || !slices.Equal(e.Tokens, []string{"-", "a", "-", "b", "-", "é", "-"}) || !slices.Equal(e.Offsets, want) {
		t.Errorf("%+v, error %v", e, err)
	}
	if got := tok.decoder.decode([]string{"ab", "é", ""}); !slices.Equal(got, []string{"+a+b+", "+é+", ""}) {
		t.Errorf("decoded: %q", got)
	}
}

// TestRegex has what the Hugging Face tokenizers, whose expressions are Oniguruma's, split texts into; nil where they refuse.
func TestRegex(t *testing.T) {
	const (
		bloom    = ` ?[^(\s|[.,!?…。，、।۔،])]+`
		members  = `xabcde]f-[ 12zq\^`
		repeated = "aaaab{,2} ababab a{,}"
		lines    = "a\nb axb b\nb (?m"
	)
	for _, c := range []struct {
		expr, text string
		want       []string
	}{
		{bloom, "Hello, world (a|b) [c] 東京。 x!! ،y", []string{
			"Hello", ",", " world", " (", "a", "|", "b", ")", " [c]", " 東京", "。", " x", "!! ،", "y"}},
		{`[a[bc]]+`, members, []string{"x", "abc", `de]f-[ 12zq\^`}},
		{`[^a[bc]]+`, members, []string{"x", "abc", `de]f-[ 12zq\^`}},
		{`[a[b[cd]e]f]+`, members, []string{"x", "abcde", "]", "f", `-[ 12zq\^`}},
		{`[a[]b]]+`, members, []string{"x", "ab", "cde", "]", `f-[ 12zq\^`}},
		{`[a[b-d]-]+`, members, []string{"x", "abcd", "e]f", "-", `[ 12zq\^`}},
		{`[[a-c]-z]+`, members, []string{"x", "abc", "de]f", "-", "[ 12", "z", `q\^`}},
		{`[a[[:digit:]]]+`, members, []string{"x", "a", "bcde]f-[ ", "12", `zq\^`}},
		{`[a[\]]]+`, members, []string{"x", "a", "bcde", "]", `f-[ 12zq\^`}},
		{`[x[\s]]+`, members, []string{"x", "abcde]f-[", " ", `12zq\^`}},
		{`[^[a]]+`, members, []string{"x", "a", `bcde]f-[ 12zq\^`}},
		{`[a[]]`, members, nil},
		{`[[]]`, members, nil},
		{`a{,2}`, repeated, []string{
			"aa", "aa", "b", "{", ",", "2", "}", " ", "a", "b", "a", "b", "a", "b", " ", "a", "{", ",", "}"}},
		{`a{,2}b`, repeated, []string{"aa", "aab", "{,2} ", "ab", "ab", "ab", " a{,}"}},
		{`(ab){,2}`, "aab ababab", []string{"a", "ab", " ", "abab", "ab"}},
		{`a{,}`, repeated, []string{"aaaab{,2} ababab ", "a{,}"}},
		{`[{,3}]+`, repeated, []string{"aaaab", "{,", "2", "}", " ababab a", "{,}"}},
		{`\{,2}`, repeated, []string{"aaaab", "{,2}", " ababab a{,}"}},
		{`{,2}a`, repeated, nil},
		{`(?m)a.b`, lines, []string{"a\nb", " ", "axb", " b\nb (?m"}},
		{`(?mi)A.b`, lines, []string{"a\nb", " ", "axb", " b\nb (?m"}},
		{`(?-m)a.b`, lines, []string{"a\nb ", "axb", " b\nb (?m"}},
		{`(?m-i:a.)b`, lines, []string{"a\nb", " ", "axb", " b\nb (?m"}},
		{`(?m:a.b)|b.b`, lines, []string{"a\nb", " ", "axb", " b\nb (?m"}},
		{`(?:(?m)a).b`, lines, []string{"a\nb ", "axb", " b\nb (?m"}},
		{`a(?m)b|b.b`, lines, []string{lines}},
		{`(?i)A|(?m)B.b`, lines, []string{"a", "\nb ", "a", "x", "b b", "\nb (?m"}},
		{`(?m)^b`, lines, []string{"a\n", "b", " axb b\n", "b", " (?m"}},
		{`[(?m)]+`, lines, []string{"a\nb axb b\nb ", "(?m"}},
		{`(?s)a.b`, lines, nil},
		{`(?n)b`, lines, nil},
	} {
		got, err := splitPieces(t, "Regex", c.expr, "Isolated", false, c.text)
		if (err != nil) != (c.want == nil) || !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, error %v, want %q", c.expr, got, err, c.want)
		}
	}
}
