package tokenize

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestLongTokens checks that a token that would make a trie too deep is refused, with its place.
func TestLongTokens(t *testing.T) {
	long := strings.Repeat("a", maxTokenBytes)
	added := `"added_tokens":[{"id":7,"content":%q,"single_word":false,"lstrip":false,"rstrip":false,"normalized":%t,"special":false}]`
	const bpe = `"model":{"type":"BPE","vocab":{"a":0},"merges":[]}`
	for _, c := range []struct{ field, format string }{
		{"model.vocab", `{"model":{"type":"BPE","vocab":{"a":0,"%s":1},"merges":[]}}`},
		{"model.vocab", `{"model":{"type":"WordPiece","unk_token":"a","continuing_subword_prefix":"##","vocab":{"a":0,"%s":1}}}`},
		{"model.vocab", `{"model":{"type":"WordLevel","unk_token":"a","vocab":{"a":0,"%s":1}}}`},
		{"model.vocab[1]", `{"model":{"type":"Unigram","vocab":[["b",0],["%s",-1]],"unk_id":0}}`},
		{"added_tokens[0].content", `{` + bpe + `,` + strings.Replace(strings.Replace(added, "%q", `"%s"`, 1), "%t", "false", 1) + `}`},
	} {
		if _, err := Parse(fmt.Appendf(nil, c.format, long)); err != nil {
			t.Errorf("%s: %d bytes: error %v", c.field, len(long), err)
		}
		_, err := Parse(fmt.Appendf(nil, c.format, long+"a"))
		var format *FormatError
		if !errors.As(err, &format) || format.Field != c.field || len(err.Error()) > 200 {
			t.Errorf("%s: %d bytes: error %.200v", c.field, len(long)+1, err)
		}
	}
	grows := `{"normalizer":{"type":"Replace","pattern":{"String":"a"},"content":"` + long[:1000] + `"},` + bpe + `,` + fmt.Sprintf(added, long[:1000], true) + `}`
	var format *FormatError
	if _, err := Parse([]byte(grows)); !errors.As(err, &format) || format.Field != "added_tokens" {
		t.Errorf("a token that its normaliser makes long: error %.200v", err)
	}
}

// TestNesting checks how deep stages may lie within one another. The Hugging Face tokenizers read 62 levels.
func TestNesting(t *testing.T) {
	for field, stage := range map[string][2]string{
		"normalizer":     {"normalizers", `{"type":"NFC"}`},
		"pre_tokenizer":  {"pretokenizers", `{"type":"WhitespaceSplit"}`},
		"post_processor": {"processors", `{"type":"ByteLevel"}`},
		"decoder":        {"decoders", `{"type":"Fuse"}`},
	} {
		parse := func(levels int) error {
			nested := strings.Repeat(`{"type":"Sequence","`+stage[0]+`":[`, levels) + stage[1] + strings.Repeat(`]}`, levels)
			doc, err := json.Marshal(map[string]json.RawMessage{
				field: json.RawMessage(nested), "model": json.RawMessage(`{"type":"BPE","vocab":{"a":0},"merges":[]}`),
			})
			if err != nil {
				t.Fatal(err)
			}
			_, err = Parse(doc)
			return err
		}
		for _, levels := range []int{62, maxDepth} {
			if err := parse(levels); err != nil {
				t.Errorf("%s, %d levels: error %v", field, levels, err)
			}
		}
		for _, levels := range []int{maxDepth + 1, 2000} {
			var unsupported *UnsupportedError
			if err := parse(levels); !errors.As(err, &unsupported) || unsupported.Field != field {
				t.Errorf("%s, %d levels: error %v", field, levels, err)
			}
		}
	}
}

// TestManyWindows checks windows of a text with very many custom tokens; it takes a tenth of a second, and ten seconds if each
// window looks at all of them.
func TestManyWindows(t *testing.T) {
	tok, err := Parse([]byte(`{"model":{"type":"BPE","vocab":{"a":0},"merges":[]},"added_tokens":[{"id":1,"content":"<x>",` +
		`"single_word":false,"lstrip":true,"rstrip":false,"normalized":false,"special":true}]}`))
	if err != nil {
		t.Fatal(err)
	}
	const n = 200_000
	e, err := tok.Encode(strings.Repeat(" <x>", n), Options{MaxLength: 2, Overflow: true})
	if err != nil || len(e.Overflow) != n/2-1 {
		t.Fatalf("%d windows, error %v", len(e.Overflow), err)
	}
	for i, o := range append([]*Encoding{e}, e.Overflow...) {
		if len(o.Tokens) != 2 || o.Tokens[0] != " <x>" || o.Tokens[1] != " <x>" {
			t.Fatalf("window %d has tokens %q", i, o.Tokens)
		}
	}
}
