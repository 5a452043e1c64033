package tokenize

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// Load reads a tokenizer: a tokenizer.json, a vocab.txt, or a directory with either (tokenizer.json preferred). Config files
// beside it (tokenizer_config.json, special_tokens_map.json, sentence_bert_config.json) are read too.
func Load(path string) (*Tokenizer, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	dir := filepath.Dir(path)
	if info.IsDir() {
		dir = path
		if path, err = findTokenizer(dir); err != nil {
			return nil, err
		}
	}
	c, err := readConfig(dir)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	doc := data
	if strings.HasSuffix(path, ".txt") {
		if doc, err = fromVocabText(data, &c); err != nil {
			return nil, inFile(err, path)
		}
	}
	t, err := Parse(doc)
	if err != nil {
		return nil, inFile(err, path)
	}
	t.use(c)
	return t, nil
}

// findTokenizer names the tokenizer file of a directory.
func findTokenizer(dir string) (string, error) {
	for _, name := range []string{"tokenizer.json", "vocab.txt"} {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("tokenizer: %w", err)
		}
	}
	return "", fmt.Errorf("tokenizer: %s has no tokenizer.json and no vocab.txt", dir)
}

// use takes over what the config files say.
func (t *Tokenizer) use(c config) {
	t.config = c
	if name := c.special["pad_token"]; name != "" {
		if id := t.TokenToID(name); id >= 0 {
			t.pad.ID, t.pad.Token = id, name
		}
	}
}

// ModelMaxLength is the most tokens the model takes, as far as the files beside the tokenizer, or its own truncation, say;
// 0 if they do not.
func (t *Tokenizer) ModelMaxLength() int {
	if t.config.maxLength > 0 {
		return t.config.maxLength
	}
	return t.defaults.MaxLength
}

// Files returns what to write beside an exported model, by file name, so that both ftk and Hugging Face tools load the same
// tokenizer: tokenizer.json and the config files that were read with it.
func (t *Tokenizer) Files() map[string][]byte {
	files := map[string][]byte{"tokenizer.json": t.doc}
	for name, data := range t.config.files {
		if name != "config.json" { // the model's
			files[name] = data
		}
	}
	if files["tokenizer_config.json"] == nil {
		files["tokenizer_config.json"] = t.configFile()
	}
	return files
}

// configFile makes a tokenizer_config.json for a tokenizer that came without.
func (t *Tokenizer) configFile() []byte {
	c := map[string]any{"tokenizer_class": "PreTrainedTokenizerFast"}
	if n := t.ModelMaxLength(); n > 0 {
		c["model_max_length"] = n
	}
	roles := map[string][]string{
		"pad_token": {"[PAD]", "<pad>"}, "unk_token": {"[UNK]", "<unk>"}, "cls_token": {"[CLS]", "<s>"},
		"sep_token": {"[SEP]", "</s>"}, "mask_token": {"[MASK]", "<mask>"},
	}
	for role, names := range roles {
		for _, name := range names {
			if t.special[name] {
				c[role] = name
				break
			}
		}
	}
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return nil // a map of strings and numbers always encodes
	}
	return append(data, '\n')
}

// fromVocabText makes the tokenizer.json that a BERT vocab.txt, one token a line, stands for.
func fromVocabText(data []byte, c *config) ([]byte, error) {
	if !utf8.Valid(data) {
		return nil, formatErrorf("", "not a vocabulary: not UTF-8")
	}
	lines := strings.Split(string(bytes.TrimSuffix(data, []byte("\n"))), "\n")
	vocab := make(map[string]int, len(lines))
	for i, line := range lines {
		vocab[strings.TrimRight(line, "\r\n")] = i
	}
	special := map[string]string{}
	for role, name := range map[string]string{"unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "mask_token": "[MASK]"} {
		if given := c.special[role]; given != "" {
			name = given
		}
		special[role] = name
	}
	for _, role := range []string{"unk_token", "cls_token", "sep_token"} {
		if _, ok := vocab[special[role]]; !ok {
			return nil, formatErrorf("", "not a BERT vocabulary: no line %s among %d", special[role], len(lines))
		}
	}
	var added []any
	for _, name := range slices.SortedFunc(maps.Values(special), func(a, b string) int { return vocab[a] - vocab[b] }) {
		if id, ok := vocab[name]; ok {
			added = append(added, map[string]any{"id": id, "content": name, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true})
		}
	}
	flag := func(given *bool, def bool) bool {
		if given != nil {
			return *given
		}
		return def
	}
	cls, sep := special["cls_token"], special["sep_token"]
	piece := func(kind, id string, typeID int) any {
		return map[string]any{kind: map[string]any{"id": id, "type_id": typeID}}
	}
	token := func(name string) any {
		return map[string]any{"id": name, "ids": []int{vocab[name]}, "tokens": []string{name}}
	}
	doc := map[string]any{
		"version": "1.0", "truncation": nil, "padding": nil, "added_tokens": added,
		"normalizer": map[string]any{
			"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": flag(c.han, true),
			"strip_accents": c.strip, "lowercase": flag(c.lowercase, true),
		},
		"pre_tokenizer": map[string]any{"type": "BertPreTokenizer"},
		"post_processor": map[string]any{
			"type":           "TemplateProcessing",
			"single":         []any{piece("SpecialToken", cls, 0), piece("Sequence", "A", 0), piece("SpecialToken", sep, 0)},
			"pair":           []any{piece("SpecialToken", cls, 0), piece("Sequence", "A", 0), piece("SpecialToken", sep, 0), piece("Sequence", "B", 1), piece("SpecialToken", sep, 1)},
			"special_tokens": map[string]any{cls: token(cls), sep: token(sep)},
		},
		"decoder": map[string]any{"type": "WordPiece", "prefix": "##", "cleanup": true},
		"model": map[string]any{
			"type": "WordPiece", "unk_token": special["unk_token"], "continuing_subword_prefix": "##",
			"max_input_chars_per_word": 100, "vocab": vocab,
		},
	}
	return json.Marshal(doc)
}
