package tokenize

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ftk-go/ftk/internal/testenv"
)

// TestLoad compares directories of several make-up with what the transformers library loads from them;
// testdata/golden/tokenizers_load.py made the golden values.
func TestLoad(t *testing.T) {
	var doc struct {
		Texts []string
		Cases []struct {
			Name      string
			Files     map[string]json.RawMessage
			MaxLength int `json:"max_length"`
			IDs       [][]int64
			Pair      []int64
		}
	}
	if err := json.Unmarshal(gunzip(t, "testdata/load.json.gz"), &doc); err != nil {
		t.Fatal(err)
	}
	for _, c := range doc.Cases {
		t.Run(c.Name, func(t *testing.T) {
			dir := t.TempDir()
			for name, content := range c.Files {
				writeCaseFile(t, filepath.Join(dir, name), content)
			}
			tok, err := Load(dir)
			if err != nil {
				t.Fatal(err)
			}
			if tok.ModelMaxLength() != c.MaxLength {
				t.Errorf("maximum length %d, want %d", tok.ModelMaxLength(), c.MaxLength)
			}
			compareIDs(t, tok, doc.Texts, c.IDs)
			e, err := tok.EncodePair(doc.Texts[50], doc.Texts[60], Options{})
			if err != nil || !slices.Equal(e.IDs, c.Pair) {
				t.Errorf("pair: %v, error %v, want %v", e, err, c.Pair)
			}
			again := reloaded(t, tok)
			if again.Hash() != tok.Hash() || again.ModelMaxLength() != tok.ModelMaxLength() || again.PadID() != tok.PadID() {
				t.Errorf("an export of it loads as another tokenizer")
			}
			compareIDs(t, again, doc.Texts, c.IDs)
		})
	}
}

func compareIDs(t *testing.T, tok *Tokenizer, texts []string, want [][]int64) {
	t.Helper()
	for i, text := range texts {
		e, err := tok.Encode(text, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(e.IDs, want[i]) {
			t.Errorf("%+q: %v, want %v", text, e.IDs, want[i])
		}
	}
}

// writeCaseFile writes a file of a case: JSON as it is, or the part of a small tokenizer that a file of that name holds.
func writeCaseFile(t *testing.T, path string, content json.RawMessage) {
	t.Helper()
	data := []byte(content)
	var name string
	if json.Unmarshal(content, &name) == nil {
		var err error
		if data, err = os.ReadFile(filepath.Join(testenv.Root(t), "testdata", "tokenizers", name+".json")); err != nil {
			t.Fatal(err)
		}
		data = partOf(t, filepath.Base(path), data)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// reloaded is what a tokenizer loads as from the files that go into an export:
// it must be the same.
func reloaded(t *testing.T, tok *Tokenizer) *Tokenizer {
	t.Helper()
	dir := t.TempDir()
	for name, data := range tok.Files() {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	again, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return again
}

// partOf returns vocab.txt, vocab.json or merges.txt of a tokenizer.json, or all of it.
func partOf(t *testing.T, file string, doc []byte) []byte {
	t.Helper()
	var parts struct {
		Model struct {
			Vocab  map[string]int
			Merges [][2]string
		}
	}
	if err := json.Unmarshal(doc, &parts); err != nil {
		t.Fatal(err)
	}
	switch file {
	case "vocab.txt":
		lines := make([]string, len(parts.Model.Vocab))
		for token, id := range parts.Model.Vocab {
			lines[id] = token
		}
		return []byte(strings.Join(lines, "\n") + "\n")
	case "vocab.json":
		data, err := json.Marshal(parts.Model.Vocab)
		if err != nil {
			t.Fatal(err)
		}
		return data
	case "merges.txt":
		var b strings.Builder
		b.WriteString("#version: 0.2\n")
		for _, m := range parts.Model.Merges {
			fmt.Fprintf(&b, "%s %s\n", m[0], m[1])
		}
		return []byte(b.String())
	}
	return doc
}

func TestLoadErrors(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct{ path, want string }{
		{filepath.Join(dir, "none"), "no such file"},
		{t.TempDir(), "has no tokenizer.json"},
		{write("a.txt", "one\ntwo\n"), "no line [UNK]"},
		{write("b.txt", "\xff\xfe"), "not UTF-8"},
		{write("c.json", "{"), "not JSON"},
		{write("d.json", "{}"), "field model: missing"},
		{write("e.json", `{"version":"2.0"}`), "field version"},
		{write("vocab.json", "{}"), "merges.txt"},
	} {
		_, err := Load(c.path)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.path, err, c.want)
		}
	}
}

func TestAccessors(t *testing.T) {
	tok := small(t, "bert_uncased")
	if id := tok.TokenToID("[CLS]"); id != 2 {
		t.Errorf("[CLS] is %d", id)
	}
	if s, ok := tok.IDToToken(3); s != "[SEP]" || !ok {
		t.Errorf("3 is %q", s)
	}
	if id := tok.TokenToID("no such token"); id != -1 {
		t.Errorf("an unknown token is %d", id)
	}
	if _, ok := tok.IDToToken(int64(tok.VocabSize())); ok {
		t.Error("an id beyond the vocabulary has a token")
	}
	if tok.PadID() != 0 || tok.PadToken().Token != "[PAD]" || tok.MaxID() != int64(tok.VocabSize())-1 || !tok.HasTypeIDs() {
		t.Errorf("pad %v, largest id %d of %d", tok.PadToken(), tok.MaxID(), tok.VocabSize())
	}
	if small(t, "roberta").HasTypeIDs() {
		t.Error("RoBERTa has type ids")
	}
	if a, b := tok.Hash(), small(t, "bert_cased").Hash(); a == b || len(a) != 64 {
		t.Errorf("hashes %s and %s", a, b)
	}
}
