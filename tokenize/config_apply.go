package tokenize

import (
	"encoding/json"
	"slices"
)

// apply writes into a tokenizer.json what the config files say otherwise, as the transformers library does: do_lower_case,
// strip_accents and tokenize_chinese_chars of a BERT normalizer, add_prefix_space of byte-level stages, and tokens that were
// added later. A file that belongs to no class of its own (PreTrainedTokenizerFast) says all itself.
func (c *config) apply(doc []byte) ([]byte, error) {
	flags := map[string]map[string]*bool{
		"BertNormalizer":    {"lowercase": c.lowercase, "strip_accents": c.strip, "handle_chinese_chars": c.han},
		"ByteLevel":         {"add_prefix_space": c.prefixSpace},
		"RobertaProcessing": {"add_prefix_space": c.prefixSpace},
	}
	if c.class == "PreTrainedTokenizer" || c.class == "TokenizersBackend" {
		flags = nil
	}
	var root map[string]json.RawMessage
	if json.Unmarshal(doc, &root) != nil || root == nil {
		return doc, nil // Parse will say what is wrong with it
	}
	changed := false
	for _, field := range []string{"normalizer", "pre_tokenizer", "post_processor"} {
		var stage any
		if json.Unmarshal(root[field], &stage) != nil || !setFlags(stage, flags) {
			continue
		}
		data, err := json.Marshal(stage)
		if err != nil {
			return nil, err
		}
		root[field], changed = data, true
	}
	added, err := c.addTokens(root["added_tokens"])
	if err != nil {
		return nil, err
	}
	if added != nil {
		root["added_tokens"], changed = added, true
	}
	if !changed {
		return doc, nil
	}
	return json.Marshal(root)
}

// setFlags sets fields of a stage, and of those within it, by its type. It reports whether any had another value.
func setFlags(stage any, flags map[string]map[string]*bool) bool {
	changed := false
	switch s := stage.(type) {
	case []any:
		for _, item := range s {
			changed = setFlags(item, flags) || changed
		}
	case map[string]any:
		kind, _ := s["type"].(string)
		for key, flag := range flags[kind] {
			if flag != nil && s[key] != *flag {
				s[key], changed = *flag, true
			}
		}
		for _, key := range []string{"normalizers", "pretokenizers", "processors"} {
			changed = setFlags(s[key], flags) || changed
		}
	}
	return changed
}

// asSpecial is the token as transformers adds one that it takes for special.
func (t *addedToken) asSpecial() *addedToken {
	special := *t
	special.special = true
	return &special
}

// wanted lists the tokens of the config files in the order in which transformers adds those that are missing.
func (c *config) wanted() []*addedToken {
	wanted := slices.Clone(c.added)
	for _, role := range specialRoles {
		if t := c.special[role]; t != nil {
			wanted = append(wanted, t.asSpecial())
		}
	}
	for _, t := range c.extra {
		wanted = append(wanted, t.asSpecial())
	}
	return wanted
}

// id is the id that a wanted token gets: the vocabulary's, or one after it.
func (c *config) id(content string, vocab map[string]int) int {
	if id, ok := vocab[content]; ok {
		return id
	}
	before := map[string]bool{}
	for _, t := range c.wanted() {
		if t.content == content {
			break
		}
		if _, ok := vocab[t.content]; !ok && t.content != "" {
			before[t.content] = true
		}
	}
	return len(vocab) + len(before)
}

// addTokens returns added_tokens with those tokens of the config files that it lacks; nil if there are none.
func (c *config) addTokens(raw json.RawMessage) (json.RawMessage, error) {
	var entries []map[string]any
	if !isNull(raw) && json.Unmarshal(raw, &entries) != nil {
		return nil, nil // Parse will say what is wrong with it
	}
	have := map[string]bool{}
	for _, e := range entries {
		if content, ok := e["content"].(string); ok {
			have[content] = true
		}
	}
	n := len(entries)
	for _, t := range c.wanted() {
		if t.content != "" && !have[t.content] {
			have[t.content] = true
			entries = append(entries, t.json())
		}
	}
	if len(entries) == n {
		return nil, nil
	}
	return json.Marshal(entries)
}
