package tokenize

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

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
	special := c.roles(map[string]string{
		"unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "mask_token": "[MASK]",
	})
	for _, role := range []string{"unk_token", "cls_token", "sep_token"} {
		if _, ok := vocab[special[role].content]; !ok {
			return nil, formatErrorf("", "not a BERT vocabulary: no line %s among %d", special[role].content, len(lines))
		}
	}
	cls, sep := special["cls_token"].content, special["sep_token"].content
	text := func(id string, typeID int) any {
		return map[string]any{"Sequence": map[string]any{"id": id, "type_id": typeID}}
	}
	token := func(name string, typeID int) any {
		return map[string]any{"SpecialToken": map[string]any{"id": name, "type_id": typeID}}
	}
	define := func(name string) any {
		return map[string]any{"id": name, "ids": []int{vocab[name]}, "tokens": []string{name}}
	}
	return json.Marshal(map[string]any{
		"version": "1.0", "truncation": nil, "padding": nil, "added_tokens": addedEntries(special, vocab),
		"normalizer": map[string]any{
			"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": nil, "lowercase": true,
		},
		"pre_tokenizer": map[string]any{"type": "BertPreTokenizer"},
		"post_processor": map[string]any{
			"type":           "TemplateProcessing",
			"single":         []any{token(cls, 0), text("A", 0), token(sep, 0)},
			"pair":           []any{token(cls, 0), text("A", 0), token(sep, 0), text("B", 1), token(sep, 1)},
			"special_tokens": map[string]any{cls: define(cls), sep: define(sep)},
		},
		"decoder": map[string]any{"type": "WordPiece", "prefix": "##", "cleanup": true},
		"model": map[string]any{
			"type": "WordPiece", "unk_token": special["unk_token"].content, "continuing_subword_prefix": "##",
			"max_input_chars_per_word": 100, "vocab": vocab,
		},
	})
}

// fromVocabJSON makes the tokenizer.json that a byte-level vocabulary and its merges stand for: RoBERTa's, or GPT-2's, which
// adds no special tokens.
func fromVocabJSON(data, merges []byte, c *config) ([]byte, error) {
	var vocab map[string]int
	if err := json.Unmarshal(data, &vocab); err != nil {
		return nil, formatErrorf("", "want an object of tokens and ids: %w", jsonError(err))
	}
	roles := map[string]string{"unk_token": "<|endoftext|>", "bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}
	var post any
	roberta := c.isRoberta(vocab)
	if roberta {
		roles = map[string]string{
			"cls_token": "<s>", "pad_token": "<pad>", "sep_token": "</s>", "unk_token": "<unk>", "mask_token": "<mask>",
		}
	}
	special := c.roles(roles)
	if !roberta {
		post = c.beginAndEnd(special, vocab)
	}
	if cls, ok := special["cls_token"]; ok {
		pair := func(t *addedToken) []any { return []any{t.content, vocab[t.content]} }
		sep := special["sep_token"]
		for _, t := range []*addedToken{cls, sep} {
			if _, ok := vocab[t.content]; !ok {
				return nil, formatErrorf("", "not a RoBERTa vocabulary: no token %s among %d", t.content, len(vocab))
			}
		}
		post = map[string]any{
			"type": "RobertaProcessing", "sep": pair(sep), "cls": pair(cls), "trim_offsets": true, "add_prefix_space": false,
		}
	}
	bytes := map[string]any{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}
	return json.Marshal(map[string]any{
		"version": "1.0", "truncation": nil, "padding": nil, "added_tokens": addedEntries(special, vocab),
		"normalizer": nil, "pre_tokenizer": bytes, "post_processor": post, "decoder": bytes,
		"model": map[string]any{"type": "BPE", "vocab": vocab, "merges": mergeLines(merges)},
	})
}

// isRoberta tells a vocabulary of RoBERTa's kind from one of GPT-2's.
func (c *config) isRoberta(vocab map[string]int) bool {
	if _, kind := c.named(); kind != "" {
		return kind == robertaKind
	}
	_, s := vocab["<s>"]
	_, end := vocab["</s>"]
	return s && end
}

// beginAndEnd is the template that puts bos_token before each text of a GPT-2 tokenizer and eos_token after it, as far as the
// config files ask for it (OPT's do); nil if they do not.
func (c *config) beginAndEnd(special map[string]*addedToken, vocab map[string]int) any {
	define := map[string]any{}
	token := func(wanted bool, role string) string {
		if !wanted || c.without[role] {
			return ""
		}
		t := special[role]
		c.special[role] = t // so that it is added if the vocabulary lacks it
		return t.content
	}
	bos, eos := token(c.addBOS, "bos_token"), token(c.addEOS, "eos_token")
	var parts [2][]any
	for typeID, text := range []string{"A", "B"} {
		part := func(kind, id string) {
			if id != "" {
				parts[typeID] = append(parts[typeID], map[string]any{kind: map[string]any{"id": id, "type_id": typeID}})
			}
		}
		part("SpecialToken", bos)
		part("Sequence", text)
		part("SpecialToken", eos)
	}
	for _, name := range []string{bos, eos} {
		if name != "" {
			define[name] = map[string]any{"id": name, "ids": []int{c.id(name, vocab)}, "tokens": []string{name}}
		}
	}
	if len(define) == 0 {
		return nil
	}
	return map[string]any{
		"type": "TemplateProcessing", "single": parts[0], "pair": slices.Concat(parts[0], parts[1]), "special_tokens": define,
	}
}

// mergeLines returns the lines of a merges.txt that are merges.
func mergeLines(merges []byte) []string {
	lines := []string{}
	for line := range strings.Lines(string(merges)) {
		line = strings.TrimRight(line, "\r\n")
		if line != "" && !strings.HasPrefix(line, "#version") {
			lines = append(lines, line)
		}
	}
	return lines
}

// roles returns the special tokens: those that the config files name, else the given ones. How a token matches is what the
// list of added tokens says, if it is there.
func (c *config) roles(names map[string]string) map[string]*addedToken {
	special := map[string]*addedToken{}
	for role, name := range names {
		token := &addedToken{content: name}
		if t := c.special[role]; t != nil {
			token = t
		}
		for _, t := range c.added {
			if t.content == token.content {
				token = t
			}
		}
		special[role] = token.asSpecial()
	}
	return special
}

// addedEntries lists the special tokens that the vocabulary has, by id, once each.
func addedEntries(special map[string]*addedToken, vocab map[string]int) []any {
	entries := []any{}
	last := -1
	byID := func(a, b *addedToken) int { return vocab[a.content] - vocab[b.content] }
	for _, t := range slices.SortedFunc(maps.Values(special), byID) {
		id, ok := vocab[t.content]
		if !ok || id == last {
			continue
		}
		last = id
		t.id = int32(id)
		entries = append(entries, t.json())
	}
	return entries
}
