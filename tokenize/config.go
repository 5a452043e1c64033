package tokenize

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// config is what the files beside a tokenizer say. Pointers are nil where they say nothing.
type config struct {
	maxLength   int // 0: not said
	lowercase   *bool
	strip       *bool
	han         *bool
	class       string
	special     map[string]string // pad_token, unk_token … by role
	files       map[string][]byte // as read, by name
	prefixSpace *bool
}

// unlimited is what transformers writes as model_max_length when there is no limit: 1e30.
const unlimited = 1e9

// readConfig reads the config files of a directory that say something of the tokenizer. None of them must be there.
func readConfig(dir string) (config, error) {
	c := config{special: map[string]string{}, files: map[string][]byte{}}
	for _, name := range []string{"config.json", "sentence_bert_config.json", "special_tokens_map.json", "tokenizer_config.json"} {
		path := filepath.Join(dir, name)
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return c, err
		}
		o, err := parseObject("", data)
		if err == nil {
			err = c.read(name, o)
		}
		if err != nil {
			return c, inFile(err, path)
		}
		c.files[name] = data
	}
	return c, nil
}

// read takes over what one file says; a later file counts for more.
func (c *config) read(name string, o object) error {
	switch name {
	case "config.json":
		// max_position_embeddings counts positions, some of which RoBERTa does not use; it is no statement about texts.
		return nil
	case "sentence_bert_config.json":
		n, err := o.count("max_seq_length", 0)
		if err != nil {
			return err
		}
		if n > 0 {
			c.maxLength = n
		}
		lower := false
		if err := o.maybe("do_lower_case", &lower); err != nil {
			return err
		}
		return nil
	}
	for _, role := range []string{"pad_token", "unk_token", "cls_token", "sep_token", "mask_token", "bos_token", "eos_token"} {
		text, err := tokenName(o, role)
		if err != nil {
			return err
		}
		if text != "" {
			c.special[role] = text
		}
	}
	if name != "tokenizer_config.json" {
		return nil
	}
	limit := 0.0
	if err := o.maybe("model_max_length", &limit); err != nil {
		return err
	}
	if limit >= 1 && limit < unlimited && (c.maxLength == 0 || int(limit) < c.maxLength) {
		c.maxLength = int(limit)
	}
	for key, dst := range map[string]any{
		"do_lower_case": &c.lowercase, "strip_accents": &c.strip, "tokenize_chinese_chars": &c.han,
		"tokenizer_class": &c.class, "add_prefix_space": &c.prefixSpace,
	} {
		if err := o.maybe(key, dst); err != nil {
			return err
		}
	}
	return nil
}

// tokenName reads a special token, which is a string or an object with its content.
func tokenName(o object, key string) (string, error) {
	if !o.has(key) {
		return "", nil
	}
	var text string
	if json.Unmarshal(o.fields[key], &text) == nil {
		return text, nil
	}
	c, err := o.child(key)
	if err != nil {
		return "", err
	}
	err = c.need("content", &text)
	return text, err
}
