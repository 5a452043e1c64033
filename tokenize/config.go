package tokenize

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// config is what the files beside a tokenizer say. Pointers are nil where they say nothing.
type config struct {
	maxLength   int // 0: not said
	lowercase   *bool
	strip       *bool
	han         *bool
	prefixSpace *bool
	class       string                 // tokenizer_class, without the Fast that it may end with
	modelType   string                 // of config.json
	special     map[string]*addedToken // pad_token, unk_token … by role
	extra       []*addedToken          // further special tokens
	added       []*addedToken          // added_tokens_decoder, by id
	files       map[string][]byte      // as read, by name
}

// specialRoles names the special tokens of config files, in the order in which transformers adds those that are missing.
var specialRoles = []string{"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}

// unlimited is what transformers writes as model_max_length when there is no limit: 1e30.
const unlimited = 1e9

// readConfig reads the config files of a directory that say something of the tokenizer. None of them must be there.
func readConfig(dir string) (config, error) {
	c := config{special: map[string]*addedToken{}, files: map[string][]byte{}}
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
		// Its max_position_embeddings counts positions, some of which RoBERTa does not use; it says nothing of texts.
		return o.maybe("model_type", &c.modelType)
	case "sentence_bert_config.json":
		n, err := o.count("max_seq_length", 0)
		if err != nil {
			return err
		}
		if n > 0 {
			c.maxLength = n
		}
		return nil
	}
	for _, role := range specialRoles {
		token, err := configToken(o, role)
		if err != nil {
			return err
		}
		if token != nil {
			c.special[role] = token
		}
	}
	if err := c.readExtra(o); err != nil || name != "tokenizer_config.json" {
		return err
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
	c.class = strings.TrimSuffix(c.class, "Fast")
	return c.readAdded(o)
}

// readExtra reads special tokens that have no role: a list of strings or objects.
func (c *config) readExtra(o object) error {
	for _, key := range []string{"additional_special_tokens", "extra_special_tokens"} {
		var list []json.RawMessage
		if !o.has(key) || json.Unmarshal(o.fields[key], &list) != nil {
			continue // an object names further roles, which tokenizing does not need
		}
		for i, raw := range list {
			one := object{path: o.at(key), fields: map[string]json.RawMessage{strconv.Itoa(i): raw}}
			token, err := configToken(one, strconv.Itoa(i))
			if err != nil {
				return err
			}
			if token != nil {
				c.extra = append(c.extra, token)
			}
		}
	}
	return nil
}

// readAdded reads added_tokens_decoder, an object of id and token.
func (c *config) readAdded(o object) error {
	if !o.has("added_tokens_decoder") {
		return nil
	}
	list, err := o.child("added_tokens_decoder")
	if err != nil {
		return err
	}
	for key := range list.fields {
		id, err := strconv.ParseInt(key, 10, 32)
		if err != nil {
			return formatErrorf(list.at(key), "an id is a number")
		}
		token, err := configToken(list, key)
		if err != nil {
			return err
		}
		if token != nil {
			token.id = int32(id)
			c.added = append(c.added, token)
		}
	}
	slices.SortFunc(c.added, func(a, b *addedToken) int { return int(a.id) - int(b.id) })
	return nil
}

// configToken reads a token, which is a string or an object with its content and how it matches; nil if it is not there.
func configToken(o object, key string) (*addedToken, error) {
	if !o.has(key) {
		return nil, nil
	}
	t := &addedToken{}
	if json.Unmarshal(o.fields[key], &t.content) == nil {
		return t, nil
	}
	c, err := o.child(key)
	if err != nil {
		return nil, err
	}
	if err := c.need("content", &t.content); err != nil {
		return nil, err
	}
	for key, dst := range t.flags() {
		if err := c.maybe(key, dst); err != nil {
			return nil, err
		}
	}
	return t, nil
}
