package tokenize

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// FileNames are the names of all files that a tokenizer may consist of; see Tokenizer.Files.
var FileNames = []string{
	"tokenizer.json", "vocab.txt", "vocab.json", "merges.txt",
	"tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "sentence_bert_config.json",
}

// Load reads a tokenizer: a tokenizer.json, a vocab.txt, a vocab.json (with merges.txt beside it), or a directory with one of
// them, preferred in this order. The config files beside it (tokenizer_config.json, special_tokens_map.json,
// added_tokens.json, sentence_bert_config.json, config.json) are read too and count as they do for the transformers library.
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
	doc, err := readDocument(path, &c)
	if err != nil {
		return nil, err
	}
	if doc, err = c.apply(doc); err != nil {
		return nil, inFile(err, path)
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
	for _, name := range []string{"tokenizer.json", "vocab.txt", "vocab.json"} {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("tokenizer: %w", err)
		}
	}
	return "", &NotFoundError{dir}
}

// readDocument reads a tokenizer.json, or makes the one that a vocabulary stands for.
func readDocument(path string, c *config) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	if strings.HasSuffix(path, ".txt") {
		if err := c.checkKind(path, bertKind); err != nil {
			return nil, err
		}
		doc, err := fromVocabText(data, c)
		return doc, inFile(err, path)
	}
	if filepath.Base(path) != "vocab.json" {
		return data, nil
	}
	if err := c.checkKind(path, robertaKind, gpt2Kind); err != nil {
		return nil, err
	}
	mergesPath := filepath.Join(filepath.Dir(path), "merges.txt")
	merges, err := os.ReadFile(mergesPath)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: a vocab.json goes with a merges.txt: %w", err)
	}
	doc, err := fromVocabJSON(data, merges, c)
	return doc, inFile(err, path)
}

// use takes over what the config files say.
func (t *Tokenizer) use(c config) {
	t.config = c
	if token := c.special["pad_token"]; token != nil {
		if id := t.TokenToID(token.content); id >= 0 {
			t.pad.ID, t.pad.Token = id, token.content
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
