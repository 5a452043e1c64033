package dataset

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// byteEncode gives a token a byte between two special ones; a pair follows
// with type 1.
func byteEncode(base int64) Encode {
	return func(text, pair string) (Encoding, error) {
		if text == "fail" {
			return Encoding{}, fmt.Errorf("cannot")
		}
		e := Encoding{IDs: []int64{1}}
		for _, b := range []byte(text) {
			e.IDs = append(e.IDs, base+int64(b))
		}
		e.IDs = append(e.IDs, 2)
		if pair != "" {
			e.TypeIDs = make([]int64, len(e.IDs))
			for _, b := range []byte(pair) {
				e.IDs, e.TypeIDs = append(e.IDs, base+int64(b)), append(e.TypeIDs, 1)
			}
		}
		return e, nil
	}
}

// load loads a file into a set that the test closes.
func load(t *testing.T, path string, opt LoadOptions) *Set {
	t.Helper()
	s, err := Load(t.Context(), path, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// example reads example i, which must be the same by number and by scan.
func example(t *testing.T, s *Set, i int) (e Example, ids, types []int64) {
	t.Helper()
	e, err := s.Example(i)
	if err != nil {
		t.Fatal(err)
	}
	for scanned, err := range s.Scan(i, i+1) {
		if err != nil || scanned != e {
			t.Errorf("example %d is %+v, by scan %+v, %v", i, e, scanned, err)
		}
	}
	ids, types = make([]int64, e.Length), make([]int64, e.Length)
	if err := errors.Join(s.IDs(e, ids), s.Types(e, types)); err != nil {
		t.Fatal(err)
	}
	return e, ids, types
}

// classes returns the class of each example.
func classes(t *testing.T, s *Set) []int32 {
	t.Helper()
	var all []int32
	for class, err := range s.ExampleClasses() {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, class)
	}
	return all
}

func TestLoad(t *testing.T) {
	path := write(t, "a.tsv", "text\ttext_pair\tlabel\nab\t\t10\n\t\t9\nc\td\t10\n")
	for _, base := range []int64{0, 65500} { // 16 and 32 bits
		s := load(t, path, LoadOptions{Options: Options{Columns: Columns{Text: "text", Pair: "text_pair"}}, Encode: byteEncode(base)})
		if d := cmp.Diff([]string{"9", "10"}, s.Classes.Names); d != "" {
			t.Error("classes are not in numeric order", d)
		}
		if d := cmp.Diff([]int32{1, 0, 1}, classes(t, s)); d != "" {
			t.Error(d)
		}
		if want := (Example{Number: 1, Start: 4, Length: 2, Class: 0}); s.Shortest() != want {
			t.Errorf("the shortest is %+v, want %+v", s.Shortest(), want)
		}
		b := base
		wantIDs := [][]int64{{1, b + 'a', b + 'b', 2}, {1, 2}, {1, b + 'c', 2, b + 'd'}}
		wantTypes := [][]int64{{0, 0, 0, 0}, {0, 0}, {0, 0, 0, 1}}
		for i := range wantIDs {
			_, ids, types := example(t, s, i)
			if d := cmp.Diff(wantIDs[i], ids); d != "" {
				t.Errorf("example %d: %s", i, d)
			}
			if d := cmp.Diff(wantTypes[i], types); d != "" {
				t.Errorf("example %d types: %s", i, d)
			}
		}
		if s.EmptyTexts != 1 || s.FirstEmptyLine != 3 {
			t.Errorf("empty texts %d at line %d, want 1 at 3", s.EmptyTexts, s.FirstEmptyLine)
		}
		if s.Tokens() != 10 || s.Tokenised() != 3 {
			t.Errorf("%d tokens of %d examples", s.Tokens(), s.Tokenised())
		}
	}
}

func TestLoadSameForAnyNumberOfWorkers(t *testing.T) {
	var b strings.Builder
	b.WriteString("text,label\n")
	for i := range 3000 {
		fmt.Fprintf(&b, "%s,%c\n", strings.Repeat("x", i%17), 'a'+i%5)
	}
	path := write(t, "a.csv", b.String())
	var want [32]byte
	for _, workers := range []int{1, 2, 7} {
		s := load(t, path, LoadOptions{Encode: byteEncode(0), Workers: workers})
		got := hashOf(t, s)
		if workers == 1 {
			want = got
		} else if got != want {
			t.Errorf("%d workers give another set than 1", workers)
		}
		if s.Len() != 3000 {
			t.Errorf("%d examples", s.Len())
		}
	}
}

// hashOf hashes all that a set says of its examples.
func hashOf(t *testing.T, s *Set) [32]byte {
	t.Helper()
	h := sha256.New()
	for i := range s.Len() {
		e, ids, types := example(t, s, i)
		fmt.Fprintln(h, e.Length, e.Class, ids, types)
	}
	fmt.Fprint(h, classes(t, s), s.Hash())
	return [32]byte(h.Sum(nil))
}

// A hash names cached features and runs, so it stays what it was: SHA-256 of
// each text and second text with its length before it.
func TestHashStays(t *testing.T) {
	path := write(t, "a.tsv", "text\ttext_pair\tlabel\nab\t\t10\n\t\t9\nc\td\t10\n")
	const want = "20fc41d419adfec1a5ebc6b95d383eee39711b469251411c1e16f11c9f672ea2"
	for _, atOnce := range []int{0, 1} {
		o := LoadOptions{Options: Options{Columns: Columns{Text: "text", Pair: "text_pair"}}, Encode: byteEncode(0), MemoryLimit: 1, AtOnce: atOnce, Dir: t.TempDir()}
		if got := load(t, path, o).Hash(); hex.EncodeToString(got[:]) != want {
			t.Errorf("hash %x, want %s", got, want)
		}
	}
}

func TestLoadErrors(t *testing.T) {
	train := NewClasses([]string{"neg", "pos"})
	for _, c := range []struct {
		name, content string
		classes       *Classes
		want          string
	}{
		{"only in eval", "text,label\na,pos\nb,neutral\n", &train, `a.csv:3: label "neutral" does not occur in the training data; the labels there are: "neg", "pos"`},
		{"header only", "text,label\n", nil, "no records"},
		{"tokenizer fails", "text,label\nok,a\nfail,b\n", nil, "a.csv:3: cannot"},
		{"late error", "text,label\n" + strings.Repeat("ok,a\n", 5000) + "one\n", nil, "a.csv:5002: 1 field"},
		{"early error", "text,label\nfail,a\n" + strings.Repeat("ok,a\n", 50000), nil, "a.csv:2: cannot"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Load(t.Context(), write(t, "a.csv", c.content), LoadOptions{Encode: byteEncode(0), Classes: c.classes})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}
