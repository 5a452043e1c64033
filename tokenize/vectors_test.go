package tokenize

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ftk-go/ftk/internal/testenv"
)

// TestVectors checks the expected ids that the transformers.js project published for real tokenizers.
func TestVectors(t *testing.T) {
	for _, name := range []string{"bert-base-uncased", "all-MiniLM-L6-v2", "roberta-base", "gpt2", "t5-small", "albert"} {
		t.Run(name, func(t *testing.T) {
			dir := testenv.Shared(t, filepath.Join("tokenizers", name))
			data, err := os.ReadFile(filepath.Join(dir, "vectors.json"))
			if err != nil {
				t.Fatal(err)
			}
			var vectors []struct {
				Text     string
				IDs      []int64
				Decoded  string
				TextPair *string `json:"text_pair"`
			}
			if err := json.Unmarshal(data, &vectors); err != nil {
				t.Fatal(err)
			}
			tok, err := Load(dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range vectors {
				in := Input{Text: v.Text}
				if v.TextPair != nil {
					in.Pair, in.HasPair = *v.TextPair, true
				}
				e, err := tok.EncodeInput(in, Options{})
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(e.IDs, v.IDs) {
					t.Errorf("%q: ids %v, want %v", v.Text, e.IDs, v.IDs)
				}
				if got := CleanUp(tok.Decode(v.IDs, false)); got != v.Decoded {
					t.Errorf("%v: decoded %q, want %q", v.IDs, got, v.Decoded)
				}
			}
		})
	}
}
