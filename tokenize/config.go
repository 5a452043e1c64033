package tokenize

import (
	"cmp"
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
	modelClass  string                 // tokenizer_class of config.json, likewise
	modelType   string                 // of config.json
	addBOS      bool                   // texts begin with bos_token
	addEOS      bool                   // texts end with eos_token
	special     map[string]*addedToken // pad_token, unk_token … by role
	without     map[string]bool        // roles that are null: not even their usual token
	extra       []*addedToken          // further special tokens
	mapExtra    []*addedToken          // those of special_tokens_map.json, which count if there are no others
	added       []*addedToken          // added_tokens_decoder, or else added_tokens.json, by id
	decoder     bool                   // there is an added_tokens_decoder
	files       map[string][]byte      // as read, by name
}

// specialRoles names the special tokens of config files, in the order in which transformers adds those that are missing.
var specialRoles = []string{"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}

// configFiles are the files beside a tokenizer that say something of it, in the order in which they are read.
var configFiles = []string{
	"config.json", "sentence_bert_config.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
}

// unlimited is what transformers writes as model_max_length when there is no limit: 1e30.
const unlimited = 1e9

// readConfig reads the config files of a directory that say something of the tokenizer. None of them must be there.
func readConfig(dir string) (config, error) {
	c := config{special: map[string]*addedToken{}, without: map[string]bool{}, files: map[string][]byte{}}
	for _, name := range configFiles {
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
	if len(c.extra) == 0 {
		c.extra = c.mapExtra
	}
	return c, nil
}

// read takes over what one file says; a later file counts for more. An added_tokens_decoder in tokenizer_config.json means that
// this file says all: as for the transformers library, special_tokens_map.json and added_tokens.json then say nothing.
func (c *config) read(name string, o object) error {
	switch name {
	case "config.json":
		// Its max_position_embeddings counts positions, some of which RoBERTa does not use; it says nothing of texts.
		if err := o.maybe("tokenizer_class", &c.modelClass); err != nil {
			return err
		}
		c.modelClass = strings.TrimSuffix(c.modelClass, "Fast")
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
	case "tokenizer_config.json":
		return c.readOwn(o)
	}
	switch {
	case c.decoder:
		return nil
	case name == "added_tokens.json":
		return c.readAddedFile(o)
	}
	if err := c.readRoles(o); err != nil {
		return err
	}
	extra, err := readTokens(o, "extra_special_tokens")
	if err != nil {
		return err
	}
	c.extra = append(c.extra, extra...)
	c.mapExtra, err = readTokens(o, "additional_special_tokens")
	return err
}

// readOwn reads tokenizer_config.json.
func (c *config) readOwn(o object) error {
	if err := c.readRoles(o); err != nil {
		return err
	}
	var err error
	for _, key := range []string{"extra_special_tokens", "additional_special_tokens"} {
		if len(c.extra) > 0 {
			break // the one is what the other was called before
		}
		if c.extra, err = readTokens(o, key); err != nil {
			return err
		}
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
		"add_bos_token": &c.addBOS, "add_eos_token": &c.addEOS,
	} {
		if err := o.maybe(key, dst); err != nil {
			return err
		}
	}
	c.class = strings.TrimSuffix(c.class, "Fast")
	return c.readAdded(o)
}

// readRoles reads the special tokens that have a role.
func (c *config) readRoles(o object) error {
	for _, role := range specialRoles {
		token, err := configToken(o, role)
		if err != nil {
			return err
		}
		if _, there := o.fields[role]; !there {
			continue
		}
		c.special[role], c.without[role] = token, token == nil
	}
	return nil
}

// readTokens reads a list of tokens. An object instead of it names further roles, which tokenizing does not need.
func readTokens(o object, key string) ([]*addedToken, error) {
	var list []json.RawMessage
	if !o.has(key) || json.Unmarshal(o.fields[key], &list) != nil {
		return nil, nil
	}
	var tokens []*addedToken
	for i, raw := range list {
		one := object{path: o.at(key), fields: map[string]json.RawMessage{strconv.Itoa(i): raw}}
		token, err := configToken(one, strconv.Itoa(i))
		if err != nil {
			return nil, err
		}
		if token != nil {
			tokens = append(tokens, token)
		}
	}
	return tokens, nil
}

// readAddedFile reads added_tokens.json, an object of token and id. Those that are special are not normalised.
func (c *config) readAddedFile(o object) error {
	special := map[string]bool{}
	for _, t := range c.special {
		if t != nil {
			special[t.content] = true
		}
	}
	for _, t := range c.extra {
		special[t.content] = true
	}
	for content := range o.fields {
		id, err := o.count(content, 0)
		if err != nil {
			return err
		}
		is := special[content]
		c.added = append(c.added, &addedToken{id: int32(id), content: content, normalized: !is, special: is})
	}
	c.sortAdded()
	return nil
}

// readAdded reads added_tokens_decoder, an object of id and token.
func (c *config) readAdded(o object) error {
	if !o.has("added_tokens_decoder") {
		return nil
	}
	c.decoder = true
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
	c.sortAdded()
	return nil
}

// sortAdded sorts the added tokens by id; the same file always gives the same order.
func (c *config) sortAdded() {
	slices.SortFunc(c.added, func(a, b *addedToken) int {
		return cmp.Or(cmp.Compare(a.id, b.id), cmp.Compare(a.content, b.content))
	})
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
