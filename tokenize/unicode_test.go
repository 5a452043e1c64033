package tokenize

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"go/format"
	"os"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

var update = flag.Bool("update", false, "write what the golden files say into the source")

// unicodeGolden is what testdata/golden/unicode_classes.py found out about every character.
type unicodeGolden struct {
	Control, Han, Accent, Mark, Space, Punct, Number, Word, Letter, Numeral, Combining [][2]rune
	Lower, NFD, NFKD, NFC, NFKC                                                        map[rune]string
}

func readUnicodeGolden(t *testing.T) *unicodeGolden {
	t.Helper()
	g := &unicodeGolden{}
	if err := json.Unmarshal(gunzip(t, "testdata/unicode.json.gz"), g); err != nil {
		t.Fatal(err)
	}
	return g
}

// flat returns the classes of every character.
func (g *unicodeGolden) flat() []uint16 {
	flat := make([]uint16, 0x110000)
	for class, ranges := range map[uint16][][2]rune{
		isControl: g.Control, isHan: g.Han, isAccent: g.Accent, isMark: g.Mark, isSpace: g.Space, isPunct: g.Punct,
		isNumber: g.Number, isWord: g.Word, isLetter: g.Letter, isNumeral: g.Numeral,
	} {
		for _, r := range ranges {
			for c := r[0]; c <= r[1]; c++ {
				flat[c] |= class
			}
		}
	}
	for _, c := range []rune{0, utf8.RuneError} {
		flat[c] &^= isControl // dropped by clean_text for itself, not as a control character
	}
	return flat
}

func TestUnicodeTables(t *testing.T) {
	g := readUnicodeGolden(t)
	if *update {
		writeUnicodeTables(t, g)
		return
	}
	flat, table := g.flat(), classes()
	for r := range rune(0x110000) {
		if !utf8.ValidRune(r) {
			continue
		}
		if got := table.of(r); r > 0 && got != flat[r] {
			t.Errorf("%U: classes %b, want %b", r, got, flat[r])
		}
	}
}

func TestUnicodeNormalizers(t *testing.T) {
	g := readUnicodeGolden(t)
	for _, c := range []struct {
		name       string
		normalizer normalizer
		want       map[rune]string
	}{
		{"Lowercase", charNormalizer(lowercaseChar), g.Lower},
		{"NFD", unicodeNormalizer{}, g.NFD},
		{"NFKD", unicodeNormalizer{compatible: true}, g.NFKD},
		{"NFC", unicodeNormalizer{compose: true}, g.NFC},
		{"NFKC", unicodeNormalizer{compatible: true, compose: true}, g.NFKC},
	} {
		t.Run(c.name, func(t *testing.T) {
			tok := &Tokenizer{normalizer: c.normalizer}
			for r := range rune(0x110000) {
				if !utf8.ValidRune(r) || hangul(r) || r > 0x33480 && r%101 != 0 { // beyond, almost nothing is assigned
					continue
				}
				want, ok := c.want[r]
				if !ok {
					want = string(r)
				}
				if got := tok.normalize(string(r)); got != want {
					t.Errorf("%U: %+q, want %+q", r, got, want)
				}
			}
		})
	}
}

// TestManyMarks compares long runs of combining characters, sorted in another way, with short ones.
func TestManyMarks(t *testing.T) {
	tok := &Tokenizer{normalizer: unicodeNormalizer{}}
	for _, n := range []int{10, 40, 200} {
		got := tok.normalize("a" + strings.Repeat("\u0301\u0323\u0345", n) + "b\u0301\u0323")
		want := "a" + strings.Repeat("\u0323", n) + strings.Repeat("\u0301", n) + strings.Repeat("\u0345", n) + "b\u0323\u0301"
		if got != want {
			t.Errorf("%d of each: not in canonical order", n)
		}
	}
}

// TestNormalizeLikeText compares whole strings with golang.org/x/text, as far as Unicode 9.
func TestNormalizeLikeText(t *testing.T) {
	texts, _ := goldenTexts(t)
	for _, c := range []struct {
		normalizer unicodeNormalizer
		form       norm.Form
	}{
		{unicodeNormalizer{}, norm.NFD}, {unicodeNormalizer{compatible: true}, norm.NFKD},
		{unicodeNormalizer{compose: true}, norm.NFC}, {unicodeNormalizer{compatible: true, compose: true}, norm.NFKC},
	} {
		tok := &Tokenizer{normalizer: c.normalizer}
	next:
		for _, text := range texts {
			for _, r := range text {
				if afterUnicode9(r) {
					continue next
				}
			}
			if len(text) > 100 && !norm.NFD.IsNormalString(text) {
				continue // x/text breaks long runs of combining characters up
			}
			if got, want := tok.normalize(text), c.form.String(text); got != want {
				t.Errorf("form %d of %+q: %+q, want %+q", c.form, text, got, want)
			}
		}
	}
}

// classNames writes classes as Go source.
func classNames(classes uint16) string {
	var names []string
	for i, name := range []string{"isSpace", "isControl", "isHan", "isAccent", "isMark", "isPunct", "isNumber", "isWord", "isLetter", "isNumeral"} {
		if classes>>i&1 == 1 {
			names = append(names, name)
		}
	}
	if names == nil {
		return "0"
	}
	return strings.Join(names, " | ")
}

// writeUnicodeTables makes unicode_tables.go: where the golden values differ from Go's tables.
func writeUnicodeTables(t *testing.T, g *unicodeGolden) {
	var b bytes.Buffer
	b.WriteString(`package tokenize

// Made by TestUnicodeTables -update from testdata/unicode.json.gz; not to be edited.

// classCorrections holds where the tables in the Hugging Face tokenizers differ from those of Go.
var classCorrections = []correction{
`)
	have, want := goClasses(), g.flat()
	for r := rune(1); r < 0x110000; {
		set, clear := want[r]&^have[r], have[r]&^want[r]
		if !utf8.ValidRune(r) || set|clear == 0 {
			r++
			continue
		}
		first := r
		for r < 0x110000 && want[r]&^have[r] == set && have[r]&^want[r] == clear {
			r++
		}
		fmt.Fprintf(&b, "\t{0x%x, 0x%x, %s, %s},\n", first, r-1, classNames(set), classNames(clear))
	}
	b.WriteString("}\n\n// newLowercase holds mappings of char::to_lowercase that Go's tables lack: a range and the distance to its lower case.\nvar newLowercase = []lowercaseRange{\n")
	distance := func(r rune) int32 {
		if s, ok := g.Lower[r]; ok && r != 'İ' && unicode.ToLower(r) != []rune(s)[0] {
			return []rune(s)[0] - r
		}
		return 0
	}
	for r := rune(0); r < 0x110000; {
		d, first := distance(r), r
		for r++; r < 0x110000 && d != 0 && distance(r) == d; r++ {
		}
		if d != 0 {
			fmt.Fprintf(&b, "\t{0x%x, 0x%x, %d},\n", first, r-1, d)
		}
	}
	b.WriteString("}\n\n// newerThanUnicode9 lists characters with a decomposition or a combining class that came after Unicode 9.\nvar newerThanUnicode9 = []runeRange{\n")
	combining := map[rune]bool{}
	for _, r := range g.Combining {
		for c := r[0]; c <= r[1]; c++ {
			combining[c] = true
		}
	}
	newer := func(r rune) bool {
		if !utf8.ValidRune(r) || hangul(r) {
			return false
		}
		p := norm.NFKD.PropertiesString(string(r))
		_, decomposes := g.NFKD[r]
		return p.Decomposition() != nil && !decomposes || p.CCC() != 0 && !combining[r] && p.Decomposition() == nil
	}
	for r := rune(0); r < 0x110000; {
		is, first := newer(r), r
		for r++; r < 0x110000 && is && newer(r); r++ {
		}
		if is {
			fmt.Fprintf(&b, "\t{0x%x, 0x%x},\n", first, r-1)
		}
	}
	b.WriteString("}\n")
	source, err := format.Source(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("unicode_tables.go", source, 0o666); err != nil {
		t.Fatal(err)
	}
}
