package tokenize

import (
	"slices"
	"testing"

	sugarme "github.com/sugarme/tokenizer/model"
	"github.com/sugarme/tokenizer/model/wordlevel"
	"github.com/sugarme/tokenizer/model/wordpiece"
)

// The models of github.com/sugarme/tokenizer that are right serve as a second opinion on ours; docs/tokenization.md says why
// they are not what Encode uses.

func libraryVocab(v *vocabulary) sugarme.Vocab {
	vocab := sugarme.Vocab{}
	for token, id := range v.ids {
		vocab[token] = int(id)
	}
	return vocab
}

func libraryWordPiece(m *wordPiece) wordpiece.WordPiece {
	vocab := libraryVocab(m.vocab)
	return wordpiece.NewWordPieceBuilder().Vocab(&vocab).UnkToken(m.unknownName).ContinuingSubwordPrefix(m.prefix).
		MaxInputCharsPerWord(m.maxChars).Build()
}

// libraryWords returns the words that a tokenizer's model gets to see of the golden strings.
func libraryWords(t testing.TB, tok *Tokenizer) []string {
	t.Helper()
	texts, _ := goldenTexts(t)
	w := tok.worker()
	var words []string
	for _, text := range texts {
		w.start(text)
		tok.normalizer.normalize(w)
		tok.preTokenizer.split(w)
		for _, p := range w.pieces {
			words = append(words, string(w.text[p.start:p.end]))
		}
	}
	return words
}

// modelIDs runs a model of ours on one word.
func modelIDs(t *testing.T, tok *Tokenizer, word string) (ids []int, offsets [][2]int) {
	t.Helper()
	w := tok.worker()
	defer tok.release(w)
	w.start(word)
	s := &w.seq[0]
	s.reset()
	if err := tok.model.tokenize(w, s, 0, int32(len(word)), 0); err != nil {
		t.Fatal(err)
	}
	toCharacters(word, s.spans)
	for i, id := range s.ids {
		ids = append(ids, int(id))
		offsets = append(offsets, [2]int{int(s.spans[i].start), int(s.spans[i].end)})
	}
	return ids, offsets
}

func TestLibraryWordPiece(t *testing.T) {
	for _, name := range []string{"bert_cased", "bert_uncased", "mpnet", "pieces"} {
		tok := small(t, name)
		library := libraryWordPiece(tok.model.(*wordPiece))
		for _, word := range libraryWords(t, tok) {
			tokens, err := library.Tokenize(word)
			if err != nil {
				t.Fatal(err)
			}
			var ids []int
			var offsets [][2]int
			for _, token := range tokens {
				ids = append(ids, token.Id)
				offsets = append(offsets, [2]int{token.Offsets[0], token.Offsets[1]}) // characters
			}
			gotIDs, gotOffsets := modelIDs(t, tok, word)
			if !slices.Equal(gotIDs, ids) || !slices.Equal(gotOffsets, offsets) {
				t.Errorf("%s: %+q: %v %v, the library %v %v", name, word, gotIDs, gotOffsets, ids, offsets)
			}
		}
	}
}

func TestLibraryWordLevel(t *testing.T) {
	tok := small(t, "wordlevel")
	m := tok.model.(*wordLevel)
	library, err := wordlevel.New(libraryVocab(m.vocab), m.unknownName)
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range libraryWords(t, tok) {
		tokens, err := library.Tokenize(word)
		if err != nil {
			t.Fatal(err)
		}
		ids, _ := modelIDs(t, tok, word)
		if len(tokens) != 1 || len(ids) != 1 || tokens[0].Id != ids[0] {
			t.Errorf("%+q: %v, the library %v", word, ids, tokens)
		}
	}
}

// BenchmarkWordPiece is the model alone: ours against the library's.
func BenchmarkWordPiece(b *testing.B) {
	tok := small(b, "bert_uncased")
	words := libraryWords(b, tok)
	m := tok.model.(*wordPiece)
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		w := tok.worker()
		s := &w.seq[0]
		for b.Loop() {
			for _, word := range words {
				s.reset()
				w.start(word)
				if err := m.tokenize(w, s, 0, int32(len(word)), 0); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	b.Run("library", func(b *testing.B) {
		b.ReportAllocs()
		library := libraryWordPiece(m)
		for b.Loop() {
			for _, word := range words {
				if _, err := library.Tokenize(word); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}
