package tokenize

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// object is a JSON object inside a tokenizer file, with the path that names it in errors.
type object struct {
	path   string
	fields map[string]json.RawMessage
	depth  int // how many lists it is in
}

// maxDepth is how deep Sequence stages may lie within one another. The Hugging Face tokenizers read up to 62.
const maxDepth = 64

func parseObject(path string, raw json.RawMessage) (object, error) {
	o := object{path: path}
	if err := json.Unmarshal(raw, &o.fields); err != nil {
		return o, formatErrorf(path, "want a JSON object: %w", jsonError(err))
	}
	if o.fields == nil {
		return o, formatErrorf(path, "want a JSON object, have null")
	}
	return o, nil
}

// jsonError drops the Go type names from an error of encoding/json.
func jsonError(err error) error {
	var t *json.UnmarshalTypeError
	if errors.As(err, &t) {
		return fmt.Errorf("unexpected %s", t.Value)
	}
	return err
}

func (o object) at(key string) string {
	if o.path == "" {
		return key
	}
	return o.path + "." + key
}

func isNull(raw json.RawMessage) bool {
	return len(raw) == 0 || bytes.Equal(bytes.TrimSpace(raw), []byte("null"))
}

// has says whether the field is there and not null.
func (o object) has(key string) bool { return !isNull(o.fields[key]) }

// need decodes a field that must be there.
func (o object) need(key string, dst any) error {
	if !o.has(key) {
		return formatErrorf(o.at(key), "missing")
	}
	return o.maybe(key, dst)
}

// maybe decodes a field if it is there and not null, and leaves dst alone if not.
func (o object) maybe(key string, dst any) error {
	if !o.has(key) {
		return nil
	}
	if err := json.Unmarshal(o.fields[key], dst); err != nil {
		return formatErrorf(o.at(key), "%w", jsonError(err))
	}
	return nil
}

// count decodes a whole number that is not negative.
func (o object) count(key string, def int) (int, error) {
	n := def
	if err := o.maybe(key, &n); err != nil {
		return 0, err
	}
	if n < 0 || n > 1<<31-1 {
		return 0, formatErrorf(o.at(key), "%d is out of range", n)
	}
	return n, nil
}

// char decodes a string of exactly one character.
func (o object) char(key string) (rune, error) {
	var s string
	if err := o.need(key, &s); err != nil {
		return 0, err
	}
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 || n != len(s) {
		return 0, formatErrorf(o.at(key), "want one character, have %q", s)
	}
	return r, nil
}

// child parses a field that is an object.
func (o object) child(key string) (object, error) {
	if !o.has(key) {
		return object{}, formatErrorf(o.at(key), "missing")
	}
	return parseObject(o.at(key), o.fields[key])
}

// list parses a field that is an array of objects.
func (o object) list(key string) ([]object, error) {
	var raws []json.RawMessage
	if err := o.need(key, &raws); err != nil {
		return nil, err
	}
	objs := make([]object, len(raws))
	for i, raw := range raws {
		var err error
		if objs[i], err = parseObject(fmt.Sprintf("%s[%d]", o.at(key), i), raw); err != nil {
			return nil, err
		}
		objs[i].depth = o.depth + 1
	}
	return objs, nil
}

// kind reads the "type" of a stage.
func (o object) kind() (string, error) {
	if o.depth > maxDepth {
		stage, _, _ := strings.Cut(o.path, ".")
		return "", unsupportedf(stage, "stages within more than %d others", maxDepth)
	}
	var s string
	err := o.need("type", &s)
	return s, err
}
