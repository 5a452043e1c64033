package tokenize

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// decoder is a stage that turns tokens back into text; the results are joined.
type decoder interface {
	decode(tokens []string) []string
}

// Decode turns ids back into text, special tokens included unless skipSpecial is set. Ids that stand for nothing are left out.
func (t *Tokenizer) Decode(ids []int64, skipSpecial bool) string {
	tokens := make([]string, 0, len(ids))
	for _, id := range ids {
		token, ok := t.IDToToken(id)
		if !ok {
			continue
		}
		if n, ok := t.decoded[int32(id)]; ok {
			token = n
		}
		if skipSpecial && t.special[token] {
			continue
		}
		tokens = append(tokens, token)
	}
	if t.decoder == nil {
		return strings.Join(tokens, " ")
	}
	return strings.Join(t.decoder.decode(tokens), "")
}

func parseDecoder(o object) (decoder, error) {
	kind, err := o.kind()
	if err != nil {
		return nil, err
	}
	switch kind {
	case "Sequence":
		list, err := o.list("decoders")
		if err != nil {
			return nil, err
		}
		var ds decoders
		for _, item := range list {
			d, err := parseDecoder(item)
			if err != nil {
				return nil, err
			}
			ds = append(ds, d)
		}
		return ds, nil
	case "WordPiece":
		d := wordPieceDecoder{prefix: "##", cleanup: true}
		if err := o.maybe("prefix", &d.prefix); err != nil {
			return nil, err
		}
		return d, o.maybe("cleanup", &d.cleanup)
	case "ByteLevel":
		return byteLevelDecoder{}, nil
	case "Metaspace":
		return parseMetaspace(o)
	case "BPEDecoder":
		d := suffixDecoder("</w>")
		return d, o.maybe("suffix", &d)
	case "ByteFallback":
		return byteFallbackDecoder{}, nil
	case "Fuse":
		return fuseDecoder{}, nil
	case "Replace":
		return parseReplace(o)
	case "Strip":
		d := stripDecoder{}
		if d.content, err = o.char("content"); err != nil {
			return nil, err
		}
		if d.start, err = o.count("start", 0); err != nil {
			return nil, err
		}
		d.stop, err = o.count("stop", 0)
		return d, err
	case "CTC":
		d := ctcDecoder{pad: "<pad>", delimiter: "|", cleanup: true}
		for key, dst := range map[string]any{"pad_token": &d.pad, "word_delimiter_token": &d.delimiter, "cleanup": &d.cleanup} {
			if err := o.maybe(key, dst); err != nil {
				return nil, err
			}
		}
		return d, nil
	}
	return nil, unsupportedf(o.at("type"), "decoder %q is not known", kind)
}

// decoders applies its members in order.
type decoders []decoder

func (ds decoders) decode(tokens []string) []string {
	for _, d := range ds {
		tokens = d.decode(tokens)
	}
	return tokens
}

// wordPieceDecoder joins what the prefix marks as the rest of a word and puts spaces between words.
type wordPieceDecoder struct {
	prefix  string
	cleanup bool
}

func (d wordPieceDecoder) decode(tokens []string) []string {
	for i, token := range tokens {
		if i > 0 {
			if rest, ok := strings.CutPrefix(token, d.prefix); ok {
				token = rest
			} else {
				token = " " + token
			}
		}
		if d.cleanup {
			token = cleanUp(token)
		}
		tokens[i] = token
	}
	return tokens
}

// cleanUp is CleanUp for one token, with one rule more.
func cleanUp(token string) string {
	for i, r := range spaceFixes {
		if i == 7 {
			token = strings.ReplaceAll(token, " do not", " don't")
		}
		token = strings.ReplaceAll(token, r[0], r[1])
	}
	return token
}

// CleanUp does to decoded text what the transformers library does unless clean_up_tokenization_spaces is off: it takes out
// spaces before punctuation and in English short forms.
func CleanUp(text string) string {
	for _, r := range spaceFixes {
		text = strings.ReplaceAll(text, r[0], r[1])
	}
	return text
}

var spaceFixes = [...][2]string{
	{" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"}, {" n't", "n't"}, {" 'm", "'m"},
	{" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
}

// byteLevelDecoder turns the characters that stand for bytes back into them.
type byteLevelDecoder struct{}

func (byteLevelDecoder) decode(tokens []string) []string {
	var b []byte
	for _, token := range tokens {
		if raw, ok := unmapBytes(token); ok {
			b = append(b, raw...)
		} else {
			b = append(b, token...)
		}
	}
	return []string{validText(b)}
}

func validText(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	return replaceInvalid(string(b))
}

// suffixDecoder turns what marks the end of a word into a space, except at the end of the text.
type suffixDecoder string

func (d suffixDecoder) decode(tokens []string) []string {
	for i, token := range tokens {
		with := " "
		if i == len(tokens)-1 {
			with = ""
		}
		tokens[i] = strings.ReplaceAll(token, string(d), with)
	}
	return tokens
}

// byteFallbackDecoder turns tokens such as <0x41> into the bytes they name; a run of them that is not UTF-8 becomes one U+FFFD
// for each byte.
type byteFallbackDecoder struct{}

func (byteFallbackDecoder) decode(tokens []string) []string {
	var out []string
	var run []byte
	flush := func() {
		switch {
		case len(run) == 0:
		case utf8.Valid(run):
			out = append(out, string(run))
		default:
			for range run {
				out = append(out, string(utf8.RuneError))
			}
		}
		run = run[:0]
	}
	for _, token := range tokens {
		if b, ok := namedByte(token); ok {
			run = append(run, b)
			continue
		}
		flush()
		out = append(out, token)
	}
	flush()
	return out
}

func namedByte(token string) (byte, bool) {
	if len(token) != 6 || token[:3] != "<0x" || token[5] != '>' {
		return 0, false
	}
	n, err := strconv.ParseUint(token[3:5], 16, 8)
	return byte(n), err == nil
}

// fuseDecoder joins all tokens.
type fuseDecoder struct{}

func (fuseDecoder) decode(tokens []string) []string { return []string{strings.Join(tokens, "")} }

func (n *replaceNormalizer) decode(tokens []string) []string {
	for i, token := range tokens {
		found, err := n.pattern.matches(nil, []byte(token))
		if err != nil || len(found) == 0 {
			continue // a pattern that takes too long leaves the token as it is
		}
		var b strings.Builder
		done := int32(0)
		for _, m := range found {
			b.WriteString(token[done:m.start] + n.content)
			done = m.end
		}
		b.WriteString(token[done:])
		tokens[i] = b.String()
	}
	return tokens
}

// stripDecoder takes up to so many of one character off the ends of each token.
type stripDecoder struct {
	content     rune
	start, stop int
}

func (d stripDecoder) decode(tokens []string) []string {
	c := string(d.content)
	for i, token := range tokens {
		for k := 0; k < d.start && strings.HasPrefix(token, c); k++ {
			token = token[len(c):]
		}
		for k := 0; k < d.stop && strings.HasSuffix(token, c); k++ {
			token = token[:len(token)-len(c)]
		}
		tokens[i] = token
	}
	return tokens
}

// ctcDecoder reads the output of connectionist temporal classification: of equal tokens in a row one counts, and padding none.
type ctcDecoder struct {
	pad, delimiter string
	cleanup        bool
}

func (d ctcDecoder) decode(tokens []string) []string {
	var out []string
	for i, token := range tokens {
		if i > 0 && token == tokens[i-1] {
			continue
		}
		if d.pad != "" {
			token = strings.ReplaceAll(token, d.pad, "")
		}
		if d.cleanup {
			token = cleanUp(token)
			if d.delimiter != "" {
				token = strings.ReplaceAll(token, d.delimiter, " ")
			}
		}
		if token != "" {
			out = append(out, token)
		}
	}
	return out
}
