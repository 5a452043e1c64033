package tokenize

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"
)

// checkInvariants checks what must hold of the encoding of any text.
func checkInvariants(t *testing.T, name string, tok *Tokenizer, text string) {
	t.Helper()
	e, err := tok.Encode(text, Options{})
	if err != nil {
		t.Fatalf("%s: %+q: %v", name, text, err)
	}
	last := 0
	word := int32(-1)
	for i, id := range e.IDs {
		if id < 0 || id > tok.MaxID() {
			t.Fatalf("%s: %+q: id %d is outside the vocabulary", name, text, id)
		}
		if e.SpecialMask[i] {
			continue
		}
		o := e.Offsets[i]
		if len(tok.post.trims) > 0 && o[0] < last {
			last = o[0] // the white space before a token is trimmed even where it is not in the text but was put there
		}
		if o[0] < last || o[1] < o[0] || o[1] > len(text) {
			t.Fatalf("%s: %+q: offsets %v of token %d fall back, or are outside", name, text, o, i)
		}
		if e.WordIDs[i] < word {
			t.Fatalf("%s: %+q: word ids fall back at token %d", name, text, i)
		}
		last, word = o[0], e.WordIDs[i]
	}
	tok.Decode(e.IDs, true)
	chars, err := tok.Encode(text, Options{CharOffsets: true})
	if err != nil {
		t.Fatal(err)
	}
	n := utf8.RuneCountInString(replaceInvalid(text))
	for i, o := range chars.Offsets {
		if o[1] < o[0] || o[1] > n {
			t.Fatalf("%s: %+q: offsets %v of token %d are outside %d characters", name, text, o, i, n)
		}
	}
}

func TestInvariants(t *testing.T) {
	texts, _ := goldenTexts(t)
	for _, f := range families {
		tok := small(t, f.name)
		for i := 0; i < len(texts); i += 7 {
			checkInvariants(t, f.name, tok, texts[i])
			if n := len(texts[i]); n > 3 { // cut in the middle of a character, perhaps
				checkInvariants(t, f.name, tok, texts[i][1:n-1])
			}
		}
	}
}

func FuzzEncode(f *testing.F) {
	texts, _ := goldenTexts(f)
	for i := 0; i < len(texts); i += 40 {
		f.Add(texts[i])
	}
	var toks []*Tokenizer
	for _, family := range families {
		toks = append(toks, small(f, family.name))
	}
	affixed := affixes(f, "@@", "</w>")
	f.Fuzz(func(t *testing.T, text string) {
		checkInvariants(t, "affixes", affixed, text)
		for i, tok := range toks {
			checkInvariants(t, families[i].name, tok, text)
			if families[i].name != "gpt2" {
				continue
			}
			// a byte-level vocabulary can write any text, so that decoding gives it back
			e, err := tok.Encode(text, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if got := tok.Decode(e.IDs, false); got != replaceInvalid(text) {
				t.Fatalf("%+q is decoded as %+q", text, got)
			}
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"model":{"type":"WordPiece","unk_token":"u","continuing_subword_prefix":"##","max_input_chars_per_word":3,"vocab":{"u":0,"a":1,"##b":2}}}`))
	f.Add([]byte(`{"normalizer":{"type":"Sequence","normalizers":[{"type":"Replace","pattern":{"Regex":"a+?(b|c)[[:alpha:]]\\h{2,3}+"},"content":"x"},{"type":"Prepend","prepend":"▁"}]},"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":[["a","b"]],"byte_fallback":true}}`))
	f.Add([]byte(`{"added_tokens":[{"id":0,"content":"a","single_word":true,"lstrip":true,"rstrip":true,"normalized":true,"special":true}],"pre_tokenizer":{"type":"Metaspace","replacement":"_"},"model":{"type":"Unigram","vocab":[["a",-1],["_",-2.5]],"unk_id":0}}`))
	f.Add([]byte(`{"model":{"type":"WordLevel","vocab":{"a":0},"unk_token":"a"},"post_processor":{"type":"RobertaProcessing","sep":["a",0],"cls":["a",0],"trim_offsets":true,"add_prefix_space":true},"padding":{"strategy":{"Fixed":3}},"truncation":{"max_length":2,"stride":0,"strategy":"OnlyFirst"}}`))
	f.Add([]byte(`{"model":{"type":"BPE","vocab":{"<0x61>":0,"<0x3C>":1,"<0x2F>":2,"<0x77>":3,"<0x3E>":4},"merges":[],"byte_fallback":true,"end_of_word_suffix":"</w>"}}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		mustNotPanic(t, "fuzzed", doc)
	})
}

// TestConcurrent uses each tokenizer from eight goroutines at once; run with -race it also looks for shared state.
func TestConcurrent(t *testing.T) {
	texts, _ := goldenTexts(t)
	texts = texts[100:220]
	for _, f := range families {
		tok := small(t, f.name)
		var want []*Encoding
		for _, text := range texts {
			e, err := tok.Encode(text, Options{})
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, e)
		}
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				for i := range texts {
					k := (i*7 + g*13) % len(texts)
					e, err := tok.Encode(texts[k], Options{})
					if err != nil || !reflect.DeepEqual(e, want[k]) {
						t.Errorf("%s: goroutine %d: %+q: other than before, error %v", f.name, g, texts[k], err)
						return
					}
				}
			})
		}
		wg.Wait()
	}
}

func TestBatchThreads(t *testing.T) {
	texts, _ := goldenTexts(t)
	tok := small(t, "deberta")
	opts := Options{MaxLength: 24, Stride: 4, Overflow: true, Padding: PadLongest}
	one, err := tok.EncodeBatch(Texts(texts), opts, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, threads := range []int{0, 2, 5} {
		many, err := tok.EncodeBatch(Texts(texts), opts, threads)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(one, many) {
			t.Errorf("%d threads give other encodings than one", threads)
		}
	}
	if e, err := tok.EncodeBatch(nil, opts, 2); err != nil || len(e) != 0 {
		t.Errorf("an empty batch: %v, %v", e, err)
	}
	bad := Texts([]string{"a", "b", "a b c d e", "f", "a b c d e"})
	_, err = tok.EncodeBatch(bad, Options{MaxLength: 4, Truncation: OnlySecond}, 2)
	var text *TextError
	if !errors.As(err, &text) || text.Index != 2 || !strings.HasPrefix(err.Error(), "text 3: ") {
		t.Errorf("error %v does not say which text", err)
	}
}

// panicking is a model that panics at one word.
type panicking struct {
	model
	word string
}

func (m panicking) tokenize(w *worker, s *sequence, start, end, word int32) error {
	if string(w.text[start:end]) == m.word {
		panic("at " + m.word)
	}
	return m.model.tokenize(w, s, start, end, word)
}

// TestPanicIsError panics within goroutines of EncodeBatch. What is encoded after it is right.
func TestPanicIsError(t *testing.T) {
	tok := small(t, "bert_uncased")
	texts := make([]string, 200)
	for i := range texts {
		texts[i] = "the quick brown fox"
	}
	want, err := tok.EncodeBatch(Texts(texts), Options{}, 2)
	if err != nil {
		t.Fatal(err)
	}
	tok.model = panicking{tok.model, "unfortunate"}
	for _, threads := range []int{1, 4} {
		texts[70] = "an unfortunate text"
		_, err := tok.EncodeBatch(Texts(texts), Options{}, threads)
		var internal *InternalError
		if !errors.As(err, &internal) || internal.Panic != "at unfortunate" {
			t.Errorf("%d threads: error %v", threads, err)
		}
		texts[70] = texts[0]
		if got, err := tok.EncodeBatch(Texts(texts), Options{}, threads); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%d threads: after a panic other encodings, %v", threads, err)
		}
	}
}

// TestAllocations checks that a text ten times as long takes no more allocations: none is made for a token.
func TestAllocations(t *testing.T) {
	const sentence = "Where is my new card? I'll transfer 1,200 dollars to naïve café owners. "
	short, long := strings.Repeat(sentence, 3), strings.Repeat(sentence, 30)
	for _, f := range families {
		if f.name == "mixed" {
			continue // regular expressions of regexp2 allocate
		}
		tok := small(t, f.name)
		count := func(text string) float64 {
			return testing.AllocsPerRun(20, func() {
				if _, err := tok.Encode(text, Options{}); err != nil {
					t.Fatal(err)
				}
			})
		}
		count(long) // buffers grow to their size
		// a pool may be emptied by the garbage collector at any time
		if a, b := count(short), count(long); b > a+4 {
			t.Errorf("%s: %.0f allocations for %d bytes, %.0f for %d", f.name, a, len(short), b, len(long))
		}
	}
}

// TestInvalidUTF8 compares invalid text with what it is replaced by; offsets count in the invalid text.
func TestInvalidUTF8(t *testing.T) {
	tok := small(t, "gpt2")
	for text, replaced := range map[string]string{
		"a\xffb":               "a\ufffdb",
		"\xe2\x82":             "\ufffd",             // a maximal part is one
		"\xe2\x28\xa1":         "\ufffd(\ufffd",      //
		"\xf0\x90\x80x":        "\ufffdx",            //
		"\xed\xa0\x80":         "\ufffd\ufffd\ufffd", // a surrogate is three
		"\xc0\xaf":             "\ufffd\ufffd",       // overlong
		"\xf8\x88\x80\x80\x80": strings.Repeat("\ufffd", 5),
		"é\xc3":                "é\ufffd",
	} {
		got, err := tok.Encode(text, Options{})
		if err != nil {
			t.Fatal(err)
		}
		want, err := tok.Encode(replaced, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got.IDs, want.IDs) {
			t.Errorf("%q: %v, want %v", text, got.IDs, want.IDs)
		}
		if n := len(got.Offsets); got.Offsets[n-1][1] != len(text) {
			t.Errorf("%q: last offsets %v, want them to end at %d", text, got.Offsets[n-1], len(text))
		}
	}
}

// affixes is a BPE tokenizer that falls back to bytes and has a prefix and a suffix. It knows a and b, and drops characters of
// four bytes, of which it lacks the first.
func affixes(t testing.TB, prefix, suffix string) *Tokenizer {
	t.Helper()
	vocab := map[string]int{}
	for b := range 256 {
		vocab[fmt.Sprintf("<0x%02X>", b)] = b
	}
	delete(vocab, "<0xF0>")
	for i, token := range []string{"a", "b", "a</w>", "b</w>", "@@a", "@@b"} {
		vocab[token] = 256 + i
	}
	doc, err := json.Marshal(map[string]any{
		"pre_tokenizer": map[string]any{"type": "Whitespace"},
		"model": map[string]any{
			"type": "BPE", "vocab": vocab, "merges": []string{}, "byte_fallback": true,
			"continuing_subword_prefix": prefix, "end_of_word_suffix": suffix,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	tok, err := Parse(doc)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// TestByteFallbackOfAffixes compares with the tokens that the Hugging Face tokenizers 0.23.3 give. Bytes of a prefix or suffix
// are no text, so that their offsets are empty.
func TestByteFallbackOfAffixes(t *testing.T) {
	for _, c := range []struct {
		prefix, suffix, text string
		tokens               []string
		offsets              [][2]int
	}{
		{"", "</w>", "c", []string{"<0x63>", "<0x3C>", "<0x2F>", "<0x77>", "<0x3E>"}, [][2]int{{0, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}}},
		{"", "</w>", "aca", []string{"a", "<0x63>", "a</w>"}, [][2]int{{0, 1}, {1, 2}, {2, 3}}},
		{"", "</w>", "aé b", []string{"a", "<0xC3>", "<0xA9>", "<0x3C>", "<0x2F>", "<0x77>", "<0x3E>", "b</w>"},
			[][2]int{{0, 1}, {1, 3}, {1, 3}, {3, 3}, {3, 3}, {3, 3}, {3, 3}, {4, 5}}},
		{"@@", "", "acb ab", []string{"a", "<0x40>", "<0x40>", "<0x63>", "@@b", "a", "@@b"},
			[][2]int{{0, 1}, {1, 1}, {1, 1}, {1, 2}, {2, 3}, {4, 5}, {5, 6}}},
		{"@@", "</w>", "éa", []string{"<0xC3>", "<0xA9>", "<0x40>", "<0x40>", "<0x61>", "<0x3C>", "<0x2F>", "<0x77>", "<0x3E>"},
			[][2]int{{0, 2}, {0, 2}, {2, 2}, {2, 2}, {2, 3}, {3, 3}, {3, 3}, {3, 3}, {3, 3}}},
		{"@@", "", "𐑻ac", []string{"@@a", "<0x40>", "<0x40>", "<0x63>"}, [][2]int{{0, 4}, {0, 0}, {0, 0}, {0, 4}}}, // a dropped character shifts
	} {
		tok := affixes(t, c.prefix, c.suffix)
		for range 2 { // the second time, short words are remembered
			e, err := tok.Encode(c.text, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(e.Tokens, c.tokens) || !reflect.DeepEqual(e.Offsets, c.offsets) {
				t.Errorf("%q, %q: %q: %q %v, want %q %v", c.prefix, c.suffix, c.text, e.Tokens, e.Offsets, c.tokens, c.offsets)
			}
		}
		checkInvariants(t, "affixes", tok, strings.Repeat(c.text, 30))
	}
}

func ExampleTokenizer_Encode() {
	tok, err := Load("../testdata/tokenizers/bert_uncased.json")
	if err != nil {
		fmt.Println(err)
		return
	}
	e, err := tok.Encode("Café!", Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for i, token := range e.Tokens {
		fmt.Println(token, e.Offsets[i])
	}
	// Output:
	// [CLS] [0 0]
	// cafe [0 5]
	// ! [5 6]
	// [SEP] [0 0]
}
