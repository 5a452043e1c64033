package tokenize

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ftk-go/ftk/internal/testenv"
)

// families names the tokenizers that golden values exist for; testdata/golden/tokenizers_golden.py made both.
var families = []struct {
	name string
	full bool // all strings and pairs
}{
	{"bert_cased", true}, {"mpnet", true}, {"xlmr", true}, {"deberta", true}, {"modernbert", true}, {"wordlevel", true},
	{"bert_uncased", false}, {"roberta", false}, {"gpt2", false}, {"albert", false}, {"t5", false}, {"llama2", false},
	{"llama3", false}, {"mixed", false}, {"pieces", false},
}

// realFamilies names the real tokenizers with golden values; all-MiniLM-L6-v2 gives what bert-base-uncased gives.
var realFamilies = []struct{ name, golden string }{
	{"bert-base-uncased", "real-bert-base-uncased"}, {"all-MiniLM-L6-v2", "real-bert-base-uncased"},
	{"roberta-base", "real-roberta-base"}, {"gpt2", "real-gpt2"}, {"albert", "real-albert"}, {"t5-small", "real-t5-small"},
}

func TestGolden(t *testing.T) {
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			compareGolden(t, small(t, f.name), f.name, f.full)
		})
	}
}

func TestGoldenReal(t *testing.T) {
	for _, f := range realFamilies {
		t.Run(f.name, func(t *testing.T) {
			dir := testenv.Shared(t, filepath.Join("tokenizers", f.name))
			t.Parallel()
			tok, err := Load(dir)
			if err != nil {
				t.Fatal(err)
			}
			compareGolden(t, tok, f.golden, true)
		})
	}
}

// small loads one of the small tokenizers in testdata/tokenizers.
func small(t testing.TB, name string) *Tokenizer {
	t.Helper()
	tok, err := Load(filepath.Join(testenv.Root(t), "testdata", "tokenizers", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func gunzip(t testing.TB, path string) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func goldenTexts(t testing.TB) (texts []string, pairs [][2]int) {
	t.Helper()
	var doc struct {
		Texts []string
		Pairs [][2]int
	}
	if err := json.Unmarshal(gunzip(t, "testdata/texts.json.gz"), &doc); err != nil {
		t.Fatal(err)
	}
	return doc.Texts, doc.Pairs
}

// longText is long_text of tokenizers_texts.py.
func longText() string {
	var b strings.Builder
	for i := 0; b.Len() < 100_000; i++ {
		fmt.Fprintf(&b, "Line %d: the naïve café in Zürich — 東京 👍🏽 costs $%d.%02d, isn't it?\n", i, i*7, i%100)
	}
	return b.String()
}

// goldenFile reads the streams of a golden file; its format stands in tokenizers_golden.py.
type goldenFile struct {
	streams [6]*bytes.Reader
	last    map[[2]uint64][3]int64
	tail    struct {
		Tokens  string
		Decoded [][2]string
	}
}

func readGolden(t *testing.T, name string) *goldenFile {
	data := gunzip(t, filepath.Join("testdata", name+".golden.gz"))
	g := &goldenFile{last: map[[2]uint64][3]int64{}}
	for k := range 7 {
		n := binary.LittleEndian.Uint32(data)
		part := data[4 : 4+n]
		data = data[4+n:]
		if k < 6 {
			g.streams[k] = bytes.NewReader(part)
		} else if err := json.Unmarshal(part, &g.tail); err != nil {
			t.Fatal(err)
		}
	}
	return g
}

func (g *goldenFile) next(k int) uint64 {
	n, err := binary.ReadUvarint(g.streams[k])
	if err != nil {
		panic(err) // the file is ours
	}
	return n
}

func (g *goldenFile) signed(k int) int64 {
	n := g.next(k)
	if n&1 == 1 {
		return -int64(n+1) / 2
	}
	return int64(n / 2)
}

// encoding reads the next encoding, with its windows; nil if the tokenizer refused.
func (g *goldenFile) encoding() []*Encoding {
	count := int(g.next(0))
	if count == 0 {
		return nil
	}
	var all []*Encoding
	for range count - 1 {
		n := int(g.next(0))
		e := newEncoding(n, false)
		end, word, previous := int64(0), int64(-1), ^uint64(0)
		for i := range n {
			id := g.next(1)
			key := [2]uint64{id, previous}
			now := g.last[key]
			for k := range now {
				now[k] += g.signed(2 + k)
			}
			g.last[key] = now
			previous = id
			start := end + now[0]
			end = start + now[1]
			word += now[2]
			flags := g.next(5)
			e.IDs[i], e.Offsets[i], e.WordIDs[i] = int64(id), [2]int{int(start), int(end)}, int32(word)
			e.SpecialMask[i], e.AttentionMask[i], e.TypeIDs[i] = flags&1 != 0, int64(flags>>1&1), int64(flags>>2)
		}
		all = append(all, e)
	}
	return all
}

type goldenCompare struct {
	*testing.T
	tok    *Tokenizer
	golden *goldenFile
	tokens []byte
	failed int
}

func compareGolden(t *testing.T, tok *Tokenizer, name string, full bool) {
	c := &goldenCompare{T: t, tok: tok, golden: readGolden(t, name)}
	all, pairs := goldenTexts(t)
	texts := all
	if !full {
		texts = slices.Clone(all[:130])
		for i := 130; i < len(all); i += 3 {
			texts = append(texts, all[i])
		}
		pairs = pairs[:50]
	}
	for _, text := range texts {
		c.single(text, Options{})
	}
	if full {
		c.single(longText(), Options{})
	}
	for i := 0; i < len(texts); i += 20 {
		c.single(texts[i], Options{NoSpecial: true})
		c.check(Input{Words: strings.Split(texts[i], " "), HasWords: true}, Options{}, "")
	}
	for k, how := range []Truncation{LongestFirst, OnlyFirst, OnlySecond} {
		for i, p := range pairs {
			opts := Options{MaxLength: 8 + (i+k)%9, Stride: i % 4, Truncation: how, TruncateLeft: i%5 == 4, Overflow: true}
			c.check(Input{Text: all[p[0]], Pair: all[p[1]], HasPair: true}, opts, "")
		}
	}
	for i := 0; i < len(pairs); i += 5 {
		c.check(Input{Text: all[pairs[i][0]] + all[pairs[i][1]]}, Options{MaxLength: 12, Stride: 2, Overflow: true}, "")
	}
	for i := 0; i < len(pairs)-8; i += 20 {
		c.padded(all, pairs[i:i+4], i)
	}
	for i, want := range c.golden.tail.Decoded {
		e, err := tok.Encode(texts[12*i], Options{})
		if err != nil {
			t.Fatal(err)
		}
		for k, skip := range []bool{false, true} {
			if got := tok.Decode(e.IDs, skip); got != want[k] {
				c.errorf("decoded %v (skip special %v): %q, want %q", e.IDs, skip, got, want[k])
			}
		}
	}
	if sum := sha256.Sum256(c.tokens); hex.EncodeToString(sum[:]) != c.golden.tail.Tokens {
		t.Errorf("the tokens, as strings, are others than those of the golden file")
	}
	if rest := c.golden.streams[0].Len() + c.golden.streams[1].Len(); rest > 0 {
		t.Errorf("%d bytes of the golden file are left over", rest)
	}
}

func (c *goldenCompare) errorf(format string, args ...any) {
	c.Helper()
	if c.failed++; c.failed <= 10 {
		c.Errorf(format, args...)
	}
}

// single compares a text, offsets in characters and in bytes.
func (c *goldenCompare) single(text string, opts Options) {
	c.Helper()
	c.check(Input{Text: text}, opts, text)
}

func (c *goldenCompare) check(in Input, opts Options, text string) {
	c.Helper()
	want := c.golden.encoding()
	opts.CharOffsets = true
	e, err := c.tok.EncodeInput(in, opts)
	if err != nil || want == nil {
		if (err == nil) != (want != nil) {
			c.errorf("%s %+v: error %v, want refusal %v", show(in), opts, err, want == nil)
		}
		return
	}
	got := e.Windows()
	if len(got) != len(want) {
		c.errorf("%s %+v: %d windows, want %d", show(in), opts, len(got)-1, len(want)-1)
		return
	}
	for i := range got {
		c.compare(in, opts, got[i], want[i])
	}
	if text == "" {
		return
	}
	opts.CharOffsets = false
	b, err := c.tok.EncodeInput(in, opts)
	if err != nil {
		c.Fatal(err)
	}
	c.bytes(text, b.Offsets, e.Offsets)
}

// bytes compares offsets in bytes with those in characters. Python shows the latter only. Where a space that was put before
// the text is trimmed, the Rust tokenizers, counting bytes, end up inside a character; so do we.
func (c *goldenCompare) bytes(text string, got, want [][2]int) {
	c.Helper()
	characters := make([]int, len(text)+1)
	n := 0
	for i := range len(text) {
		characters[i] = -1
		if utf8.RuneStart(text[i]) {
			characters[i] = n
			n++
		}
	}
	characters[len(text)] = n
	for i, o := range got {
		for k := range o {
			if o[k] < 0 || o[k] > len(text) {
				c.errorf("%+q: offsets %v are outside", text, o)
				return
			}
			if n := characters[o[k]]; n != want[i][k] && (n >= 0 || len(c.tok.post.trims) == 0) {
				c.errorf("%+q: token %d at bytes %v, want characters %v", text, i, o, want[i])
			}
		}
	}
}

// show quotes the texts of an input.
func show(in Input) string {
	return fmt.Sprintf("%+q %+q %+q", in.Text, in.Pair, in.Words)
}

func (c *goldenCompare) compare(in Input, opts Options, got, want *Encoding) {
	c.Helper()
	for _, token := range got.Tokens {
		c.tokens = append(append(c.tokens, token...), 0)
	}
	switch {
	case !slices.Equal(got.IDs, want.IDs):
		c.errorf("%s %+v: ids %v, want %v", show(in), opts, got.IDs, want.IDs)
	case !slices.Equal(got.Offsets, want.Offsets):
		c.errorf("%s %+v: offsets %v, want %v", show(in), opts, got.Offsets, want.Offsets)
	case !slices.Equal(got.WordIDs, want.WordIDs):
		c.errorf("%s %+v: word ids %v, want %v", show(in), opts, got.WordIDs, want.WordIDs)
	case !slices.Equal(got.TypeIDs, want.TypeIDs):
		c.errorf("%s %+v: type ids %v, want %v", show(in), opts, got.TypeIDs, want.TypeIDs)
	case !slices.Equal(got.AttentionMask, want.AttentionMask):
		c.errorf("%s %+v: attention mask %v, want %v", show(in), opts, got.AttentionMask, want.AttentionMask)
	case !slices.Equal(got.SpecialMask, want.SpecialMask):
		c.errorf("%s %+v: special mask %v, want %v", show(in), opts, got.SpecialMask, want.SpecialMask)
	}
}

// padded compares a batch of pairs, padded in one of several ways.
func (c *goldenCompare) padded(texts []string, pairs [][2]int, i int) {
	c.Helper()
	opts := Options{Padding: PadLongest, PadLeft: i%40 != 0, Pad: &PadToken{ID: 1, TypeID: 1, Token: "<pad>"}, CharOffsets: true}
	if i%60 == 0 {
		opts.Padding, opts.PadLength = PadFixed, 40
	}
	if i%80 == 0 {
		opts.PadMultiple = 8
	}
	var batch []Input
	for _, p := range pairs {
		batch = append(batch, Input{Text: texts[p[0]], Pair: texts[p[1]], HasPair: true})
	}
	got, err := c.tok.EncodeBatch(batch, opts, 2)
	if err != nil {
		c.Fatal(err)
	}
	for k, e := range got {
		c.compare(batch[k], opts, e, c.golden.encoding()[0])
	}
}
