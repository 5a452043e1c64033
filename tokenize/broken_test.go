package tokenize

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sort"
	"testing"

	"github.com/ftk-go/ftk/internal/testenv"
)

// probes are encoded with every broken tokenizer that loads after all.
var probes = []string{"", "a", "the quick brown fox ", "Café 東京 👍🏽\x00\r\n[MASK]<mask> 12,5", "\xff\xfe é"}

// mustNotPanic parses a broken file and, if that works, uses it. An error must say where it is.
func mustNotPanic(t *testing.T, what string, doc []byte) {
	t.Helper()
	defer func() {
		if r := recover(); r != nil {
			t.Errorf("%s: panic: %v", what, r)
		}
	}()
	tok, err := Parse(doc)
	if err != nil {
		var format *FormatError
		var unsupported *UnsupportedError
		switch {
		case errors.As(err, &format):
			var object map[string]json.RawMessage
			if format.Field == "" && json.Unmarshal(doc, &object) == nil && object != nil {
				t.Errorf("%s: error %v names no field", what, err)
			}
		case errors.As(err, &unsupported):
			if unsupported.Field == "" {
				t.Errorf("%s: error %v names no field", what, err)
			}
		default:
			t.Errorf("%s: error %v (%T) is of no type of ours", what, err, err)
		}
		return
	}
	for _, text := range probes {
		opts := Options{MaxLength: 9, Stride: 1, Overflow: true}
		e, err := tok.EncodePair(text, "b", opts)
		if err != nil {
			var internal *InternalError
			if errors.As(err, &internal) {
				t.Errorf("%s: %+q: panic: %v", what, text, internal.Panic)
			}
			continue
		}
		tok.Decode(e.IDs, true)
		tok.MaxID()
		tok.Hash()
	}
}

func TestBrokenBytes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, f := range families {
		doc, err := os.ReadFile(filepath.Join(testenv.Root(t), "testdata", "tokenizers", f.name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		for i := range 10 {
			cut := doc[:r.IntN(len(doc))]
			mustNotPanic(t, fmt.Sprintf("%s cut to %d bytes", f.name, len(cut)), cut)
			flipped := append([]byte(nil), doc...)
			for range 1 + i {
				flipped[r.IntN(len(flipped))] = byte(r.IntN(256))
			}
			mustNotPanic(t, fmt.Sprintf("%s with bytes changed (%d)", f.name, i), flipped)
		}
	}
}

// TestBrokenFields puts wrong values into every field, one at a time.
func TestBrokenFields(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	values := []any{nil, -1, 7.5, 1e300, "", "x", true, []any{}, map[string]any{}, []any{map[string]any{}}, map[string]any{"type": "x"}}
	n := 0
	for _, f := range families {
		doc, err := os.ReadFile(filepath.Join(testenv.Root(t), "testdata", "tokenizers", f.name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		var root any
		if err := json.Unmarshal(doc, &root); err != nil {
			t.Fatal(err)
		}
		visit(root, "", func(path string, set func(any), restore func()) {
			for _, v := range values {
				if r.IntN(30) > 0 {
					continue
				}
				set(v)
				broken, err := json.Marshal(root)
				if err != nil {
					t.Fatal(err)
				}
				mustNotPanic(t, fmt.Sprintf("%s with %s = %v", f.name, path, v), broken)
				n++
			}
			restore()
		})
	}
	if n < 300 {
		t.Errorf("only %d broken files", n)
	}
}

// visit calls f for every value within v, some entries of long lists.
func visit(v any, path string, f func(path string, set func(any), restore func())) {
	each := func(key string, child any, set func(any)) {
		visit(child, path+"."+key, f)
		f(path+"."+key, set, func() { set(child) })
	}
	switch v := v.(type) {
	case map[string]any:
		keys := make([]string, 0, len(v))
		for key := range v {
			keys = append(keys, key)
		}
		sort.Strings(keys)
		for i, key := range keys {
			if len(keys) > 30 && i%211 != 5 {
				continue
			}
			each(key, v[key], func(x any) { v[key] = x })
		}
	case []any:
		for i := range v {
			if len(v) > 30 && i%211 != 5 {
				continue
			}
			each(fmt.Sprint(i), v[i], func(x any) { v[i] = x })
		}
	}
}

func TestUnsupported(t *testing.T) {
	for field, doc := range map[string]string{
		"model.type":                          `{"model":{"type":"New"}}`,
		"normalizer.normalizers[1].type":      `{"normalizer":{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"New"}]},"model":{}}`,
		"pre_tokenizer.type":                  `{"pre_tokenizer":{"type":"UnicodeScripts"},"model":{}}`,
		"model.dropout":                       `{"model":{"type":"BPE","dropout":0.1,"vocab":{},"merges":[]}}`,
		"post_processor.processors[1].type":   `{"model":{"type":"BPE","vocab":{},"merges":[]},"post_processor":{"type":"Sequence","processors":[{"type":"BertProcessing","sep":["a",1],"cls":["b",2]},{"type":"BertProcessing","sep":["a",1],"cls":["b",2]}]}}`,
		"decoder.type":                        `{"model":{"type":"BPE","vocab":{},"merges":[]},"decoder":{"type":"New"}}`,
		"pre_tokenizer.pattern.Regex":         `{"pre_tokenizer":{"type":"Split","pattern":{"Regex":"("},"behavior":"Isolated","invert":false},"model":{}}`,
		"normalizer.precompiled_charsmap":     `{"normalizer":{"type":"Precompiled","precompiled_charsmap":"AAA="},"model":{}}`,
		"model.merges[0]":                     `{"model":{"type":"BPE","vocab":{"a":0},"merges":["a b"]}}`,
		"post_processor.special_tokens.[CLS]": `{"model":{"type":"BPE","vocab":{},"merges":[]},"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"[CLS]","type_id":0}}],"pair":[],"special_tokens":{}}}`,
		"added_tokens[0].content":             `{"model":{"type":"BPE","vocab":{},"merges":[]},"added_tokens":[{"id":1}]}`,
		"pre_tokenizer.add_prefix_space":      `{"pre_tokenizer":{"type":"Metaspace","replacement":"_","add_prefix_space":false,"prepend_scheme":"first"},"model":{}}`,
		"truncation.strategy":                 `{"model":{"type":"BPE","vocab":{},"merges":[]},"truncation":{"max_length":3,"stride":0,"strategy":"Never"}}`,
		"padding.strategy":                    `{"model":{"type":"BPE","vocab":{},"merges":[]},"padding":{"strategy":"Never"}}`,
		"model.unk_id":                        `{"model":{"type":"Unigram","vocab":[["a",0]],"unk_id":3}}`,
	} {
		_, err := Parse([]byte(doc))
		var format *FormatError
		var unsupported *UnsupportedError
		got := ""
		if errors.As(err, &format) {
			got = format.Field
		} else if errors.As(err, &unsupported) {
			got = unsupported.Field
		}
		if got != field {
			t.Errorf("%s: error %v names field %q", field, err, got)
		}
	}
}
