package tokenize

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// caseDir writes the files of a case, see writeCaseFile.
func caseDir(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		writeCaseFile(t, filepath.Join(dir, name), json.RawMessage(content))
	}
	return dir
}

// configCase is a directory and what AutoTokenizer of transformers 5.24 makes of texts with it.
type configCase struct {
	name  string
	files map[string]string
	texts map[string][]int64
	pair  []int64 // of "the" and "fox"
	types []int64
	pad   int64
}

// with joins files.
func with(files ...map[string]string) map[string]string {
	all := map[string]string{}
	for _, f := range files {
		for name, content := range f {
			all[name] = content
		}
	}
	return all
}

func file(name, content string) map[string]string { return map[string]string{name: content} }

var (
	bertFiles    = map[string]string{"vocab.txt": `"bert_uncased"`, "config.json": `{"model_type":"bert"}`}
	bertJSON     = map[string]string{"tokenizer.json": `"bert_uncased"`, "config.json": `{"model_type":"bert"}`}
	robertaFiles = map[string]string{"vocab.json": `"roberta"`, "merges.txt": `"roberta"`, "config.json": `{"model_type":"roberta"}`}
	gpt2Files    = map[string]string{"vocab.json": `"gpt2"`, "merges.txt": `"gpt2"`, "config.json": `{"model_type":"gpt2"}`}
)

func checkConfigCases(t *testing.T, cases []configCase) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			tok, err := Load(caseDir(t, c.files))
			if err != nil {
				t.Fatal(err)
			}
			checkConfigCase(t, c, tok)
			again := reloaded(t, tok)
			if again.Hash() != tok.Hash() {
				t.Error("an export of it loads as another tokenizer")
			}
			checkConfigCase(t, c, again)
		})
	}
}

func checkConfigCase(t *testing.T, c configCase, tok *Tokenizer) {
	t.Helper()
	for text, want := range c.texts {
		if e, err := tok.Encode(text, Options{}); err != nil || !slices.Equal(e.IDs, want) {
			t.Errorf("%q: %v, error %v, want %v", text, e, err, want)
		}
	}
	if c.pair != nil {
		e, err := tok.EncodePair("the", "fox", Options{})
		if err != nil || !slices.Equal(e.IDs, c.pair) || !slices.Equal(e.TypeIDs, c.types) {
			t.Errorf("pair: %+v, error %v, want %v of types %v", e, err, c.pair, c.types)
		}
	}
	if tok.PadID() != c.pad {
		t.Errorf("pad %d, want %d", tok.PadID(), c.pad)
	}
}

func TestBeginAndEnd(t *testing.T) {
	own := func(s string) map[string]string { return file("tokenizer_config.json", s) }
	checkConfigCases(t, []configCase{
		{"begin", with(gpt2Files, own(`{"add_bos_token":true}`)),
			map[string][]int64{"the fox": {0, 312, 221, 512}, "": {0}}, []int64{0, 312, 0, 512}, []int64{0, 0, 1, 1}, 0},
		{"end", with(gpt2Files, own(`{"add_eos_token":true}`)),
			map[string][]int64{"the fox": {312, 221, 512, 0}}, []int64{312, 0, 512, 0}, []int64{0, 0, 1, 1}, 0},
		{"both", with(gpt2Files, own(`{"add_bos_token":true,"add_eos_token":true,"tokenizer_class":"GPT2Tokenizer"}`)),
			map[string][]int64{"the fox": {0, 312, 221, 512, 0}}, []int64{0, 312, 0, 0, 512, 0}, []int64{0, 0, 0, 1, 1, 1}, 0},
		{"OPT", with(robertaFiles, file("config.json", `{"model_type":"opt"}`), own(`{"add_bos_token":true,"tokenizer_class":"GPT2Tokenizer",
			"bos_token":"</s>","eos_token":"</s>","unk_token":"</s>","pad_token":"<pad>","errors":"replace"}`)),
			map[string][]int64{"the fox": {2, 88, 299, 546}}, []int64{2, 88, 299, 2, 74, 521}, []int64{0, 0, 0, 1, 1, 1}, 1},
		{"OPT without a class", with(robertaFiles, file("config.json", `{"model_type":"opt"}`)),
			map[string][]int64{"the fox": {88, 299, 546}}, []int64{88, 299, 74, 521}, []int64{0, 0, 1, 1}, 1},
		{"not in the vocabulary", with(gpt2Files, file("added_tokens.json", `{"<x1>":800}`),
			own(`{"add_bos_token":true,"add_eos_token":true,"bos_token":"<new>","eos_token":"<end>"}`)),
			map[string][]int64{"the fox": {801, 312, 221, 512, 802}, "<x1>the": {801, 800, 312, 802}},
			[]int64{801, 312, 802, 801, 512, 802}, []int64{0, 0, 0, 1, 1, 1}, 0},
		{"null", with(gpt2Files, own(`{"add_bos_token":true,"bos_token":null}`)),
			map[string][]int64{"the fox": {312, 221, 512}}, nil, nil, 0},
		{"RoBERTa", with(robertaFiles, own(`{"add_bos_token":false,"add_eos_token":true}`)),
			map[string][]int64{"the fox": {0, 88, 299, 546, 2}}, nil, nil, 1},
	})
}

func TestAddedTokensFile(t *testing.T) {
	added := func(s string) map[string]string { return file("added_tokens.json", s) }
	const text, other, upper = "the <new>fox foo bar", "The [MASK] <msk>card X", "foo FOO Foo bar the"
	checkConfigCases(t, []configCase{
		{"vocab.txt", with(bertFiles, added(`{"<new>":900,"foo":850}`)),
			map[string][]int64{text: {2, 340, 900, 496, 540, 517, 3}}, nil, nil, 0},
		{"special", with(bertFiles, added(`{"<new>":800,"foo":801}`),
			file("tokenizer_config.json", `{"additional_special_tokens":["<new>"],"mask_token":"foo"}`)),
			map[string][]int64{text: {2, 340, 900, 496, 540, 517, 3}, other: {2, 340, 37, 718, 39, 32, 55, 204, 205, 34, 420, 66, 3}}, nil, nil, 0},
		{"normalised", with(bertFiles, added(`{"FOO":800,"Bar":801,"the":340}`)),
			map[string][]int64{upper: {2, 900, 900, 900, 901, 340, 3}}, nil, nil, 0},
		{"special by the map", with(bertFiles, added(`{"FOO":800}`), file("special_tokens_map.json", `{"additional_special_tokens":["FOO"]}`)),
			map[string][]int64{upper: {2, 900, 900, 900, 517, 340, 3}}, nil, nil, 0},
		{"how the mask matches", with(bertFiles, added(`{"<msk>":800}`), file("special_tokens_map.json",
			`{"mask_token":{"content":"<msk>","lstrip":true,"rstrip":false,"normalized":false,"single_word":false}}`)),
			map[string][]int64{other: {2, 340, 37, 718, 39, 900, 420, 66, 3}}, nil, nil, 0},
		{"beside added_tokens_decoder", with(bertFiles, added(`{"<new>":800}`), file("tokenizer_config.json",
			`{"added_tokens_decoder":{"800":{"content":"foo","lstrip":false,"rstrip":false,"normalized":true,"single_word":false,"special":false}}}`)),
			map[string][]int64{text: {2, 340, 32, 56, 215, 247, 34, 496, 540, 517, 3}}, nil, nil, 0},
		{"beside an empty one", with(bertFiles, added(`{"<new>":800}`), file("tokenizer_config.json", `{"added_tokens_decoder":{}}`)),
			map[string][]int64{text: {2, 340, 32, 56, 215, 247, 34, 496, 540, 517, 3}}, nil, nil, 0},
		{"tokenizer.json", with(bertJSON, added(`{"<new>":800,"foo":801}`)),
			map[string][]int64{text: {2, 340, 900, 496, 540, 517, 3}}, nil, nil, 0},
		{"gpt2", with(gpt2Files, added(`{"<new>":800,"The":801}`)),
			map[string][]int64{text: {312, 221, 800, 512, 221, 569, 294, 313}}, nil, nil, 0},
	})
	tok, err := Load(caseDir(t, with(bertFiles, added(`{"<new>":900}`))))
	if err != nil || string(tok.Files()["added_tokens.json"]) != `{"<new>":900}` {
		t.Errorf("an export lacks added_tokens.json: error %v", err)
	}
	var format *FormatError
	if _, err := Load(caseDir(t, with(bertFiles, added(`{"<new>":"x"}`)))); !errors.As(err, &format) || format.Field != "<new>" {
		t.Errorf("an id that is no number: error %v", err)
	}
}

func TestSpecialTokensMap(t *testing.T) {
	own := func(s string) map[string]string { return file("tokenizer_config.json", s) }
	roles := func(s string) map[string]string { return file("special_tokens_map.json", s) }
	const text, extra = "The [MASK] <msk>card X", "<a1> <b1> x"
	checkConfigCases(t, []configCase{
		{"the map counts", with(bertFiles, own(`{"mask_token":"<msk>"}`), roles(`{"mask_token":"card"}`)),
			map[string][]int64{text: {2, 340, 37, 718, 39, 32, 55, 204, 205, 34, 420, 66, 3}}, nil, nil, 0},
		{"beside added_tokens_decoder it does not", with(bertFiles, own(`{"mask_token":"<msk>","added_tokens_decoder":{}}`),
			roles(`{"mask_token":"card","cls_token":"foo"}`)),
			map[string][]int64{text: {2, 340, 37, 718, 39, 900, 420, 66, 3}}, nil, nil, 0},
		{"its mask is none there", with(bertFiles, own(`{"added_tokens_decoder":{"4":{"content":"[MASK]","special":true}}}`),
			roles(`{"mask_token":"card"}`)),
			map[string][]int64{text: {2, 340, 4, 32, 55, 204, 205, 34, 420, 66, 3}}, nil, nil, 0},
		{"padding", with(bertJSON, own(`{"tokenizer_class":"BertTokenizer","pad_token":"fox"}`), roles(`{"pad_token":"card"}`)),
			map[string][]int64{text: {2, 340, 4, 32, 55, 204, 205, 34, 420, 66, 3}}, nil, nil, 420},
		{"further tokens of both", with(bertJSON, own(`{"tokenizer_class":"BertTokenizer","additional_special_tokens":["<a1>"]}`),
			roles(`{"additional_special_tokens":["<b1>"]}`)),
			map[string][]int64{extra: {2, 900, 32, 44, 219, 34, 66, 3}}, nil, nil, 0},
		{"further tokens by their new name", with(bertJSON, own(`{"tokenizer_class":"BertTokenizer","extra_special_tokens":["<a1>"]}`),
			roles(`{"extra_special_tokens":["<b1>"]}`)),
			map[string][]int64{extra: {2, 900, 901, 66, 3}}, nil, nil, 0},
		{"further tokens by both names", with(bertFiles, own(`{"additional_special_tokens":["<a1>"],"extra_special_tokens":["<b1>"]}`)),
			map[string][]int64{extra: {2, 32, 43, 219, 34, 900, 66, 3}}, nil, nil, 0},
		{"further tokens of the map", with(bertJSON, roles(`{"additional_special_tokens":["<b1>"]}`)),
			map[string][]int64{extra: {2, 32, 43, 219, 34, 900, 66, 3}}, nil, nil, 0},
	})
}

func TestTokenFlags(t *testing.T) {
	own := func(s string) map[string]string { return file("tokenizer_config.json", s) }
	const text = "the [mask] [MASK]"
	checkConfigCases(t, []configCase{
		{"normalised", with(bertFiles, own(`{"mask_token":{"__type":"AddedToken","content":"[MASK]","normalized":true}}`)),
			map[string][]int64{text: {2, 340, 4, 4, 3}}, nil, nil, 0},
		{"normalised by the map", with(bertFiles, file("special_tokens_map.json", `{"mask_token":{"content":"[MASK]","normalized":true}}`)),
			map[string][]int64{text: {2, 340, 4, 4, 3}}, nil, nil, 0},
		{"not normalised", with(bertFiles, own(`{"mask_token":{"__type":"AddedToken","content":"[MASK]","normalized":false}}`)),
			map[string][]int64{text: {2, 340, 37, 718, 39, 4, 3}}, nil, nil, 0},
		{"not said", with(bertFiles, file("special_tokens_map.json", `{"mask_token":{"content":"[MASK]","lstrip":false}}`)),
			map[string][]int64{text: {2, 340, 37, 718, 39, 4, 3}}, nil, nil, 0},
		{"of the usual mask, by added_tokens_decoder", with(robertaFiles, own(`{"added_tokens_decoder":{"4":{"content":"<mask>","lstrip":true,"special":true}}}`)),
			map[string][]int64{"the <mask> fox": {0, 88, 299, 4, 546, 2}}, nil, nil, 1},
		{"of a mask, by added_tokens_decoder", with(robertaFiles, own(`{"mask_token":"<mask>","added_tokens_decoder":{"4":{"content":"<mask>","lstrip":true,"special":true}}}`)),
			map[string][]int64{"the <mask> fox": {0, 88, 299, 4, 546, 2}}, nil, nil, 1},
	})
}

// TestKinds has classes and model types by what transformers builds of a vocabulary without tokenizer.json.
func TestKinds(t *testing.T) {
	class := func(s string) map[string]string {
		return file("tokenizer_config.json", `{"tokenizer_class":"`+s+`"}`)
	}
	model := func(s string) map[string]string { return file("config.json", `{"model_type":"`+s+`"}`) }
	asBERT := map[string][]int64{"the fox": {2, 340, 496, 3}}
	asRoberta := map[string][]int64{"the fox": {0, 88, 299, 546, 2}}
	asGPT2 := map[string][]int64{"the fox": {88, 299, 546}}
	cases := []configCase{
		{name: "class against type", files: with(bertFiles, model("mpnet"), class("BertTokenizer")), texts: asBERT},
		{name: "RoBERTa's class against type", files: with(robertaFiles, model("gpt2"), class("LEDTokenizerFast")), texts: asRoberta, pad: 1},
		{name: "GPT-2's class against type", files: with(robertaFiles, class("GPT2TokenizerFast")), texts: asGPT2, pad: 1},
	}
	for _, name := range []string{"ElectraTokenizer", "LayoutLMTokenizerFast", "LxmertTokenizer", "MobileBertTokenizerFast"} {
		cases = append(cases, configCase{name: name, files: with(bertFiles, class(name)), texts: asBERT})
	}
	for _, name := range []string{"layoutlm", "dpr"} {
		cases = append(cases, configCase{name: name, files: with(bertFiles, model(name)), texts: asBERT})
	}
	for _, name := range []string{"led", "mvp"} {
		cases = append(cases, configCase{name: name, files: with(robertaFiles, model(name)), texts: asRoberta, pad: 1})
	}
	for _, name := range []string{"gptj", "phi"} {
		cases = append(cases, configCase{name: name, files: with(robertaFiles, model(name)), texts: asGPT2, pad: 1})
	}
	checkConfigCases(t, cases)
	for _, c := range []struct {
		files             map[string]string
		file, field, name string
	}{
		{with(bertFiles, class("FunnelTokenizer")), "tokenizer_config.json", "tokenizer_class", "FunnelTokenizer"},
		{with(bertFiles, class("SplinterTokenizer")), "tokenizer_config.json", "tokenizer_class", "SplinterTokenizer"},
		{with(bertFiles, class("PreTrainedTokenizerFast")), "tokenizer_config.json", "tokenizer_class", "PreTrainedTokenizer"},
		{with(bertFiles, class("BertJapaneseTokenizer")), "tokenizer_config.json", "tokenizer_class", "BertJapaneseTokenizer"},
		{with(bertFiles, class("RobertaTokenizer")), "tokenizer_config.json", "tokenizer_class", "RobertaTokenizer"},
		{with(bertFiles, file("config.json", `{"model_type":"bert","tokenizer_class":"FunnelTokenizer"}`)), "config.json", "tokenizer_class", "FunnelTokenizer"},
		{with(bertFiles, model("mpnet")), "config.json", "model_type", "mpnet"},
		{with(bertFiles, model("xyz")), "config.json", "model_type", "xyz"},
		{with(robertaFiles, class("BlenderbotTokenizer")), "tokenizer_config.json", "tokenizer_class", "BlenderbotTokenizer"},
		{with(robertaFiles, class("Qwen2Tokenizer")), "tokenizer_config.json", "tokenizer_class", "Qwen2Tokenizer"},
		{with(robertaFiles, model("deberta")), "config.json", "model_type", "deberta"},
	} {
		_, err := Load(caseDir(t, c.files))
		var e *UnsupportedError
		if !errors.As(err, &e) || filepath.Base(e.File) != c.file || e.Field != c.field || !strings.Contains(e.What, c.name) ||
			!strings.Contains(e.What, "tokenizer.json") {
			t.Errorf("%v: error %v", c.files, err)
		}
	}
}
