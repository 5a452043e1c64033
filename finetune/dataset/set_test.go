package dataset

import (
	"crypto/sha256"
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

func example(s *Set, i int) (ids, types []int64) {
	ids, types = make([]int64, s.Length(i)), make([]int64, s.Length(i))
	s.Fill(i, ids, types)
	return ids, types
}

func TestLoad(t *testing.T) {
	path := write(t, "a.tsv", "text\ttext_pair\tlabel\nab\t\t10\n\t\t9\nc\td\t10\n")
	for _, base := range []int64{0, 65500} { // 16 and 32 bits
		s, err := Load(path, LoadOptions{Options: Options{Columns: Columns{Text: "text", Pair: "text_pair"}}, Encode: byteEncode(base)})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]string{"9", "10"}, s.Classes.Names); d != "" {
			t.Error("classes are not in numeric order", d)
		}
		if d := cmp.Diff([]int32{1, 0, 1}, s.Labels); d != "" {
			t.Error(d)
		}
		b := base
		wantIDs := [][]int64{{1, b + 'a', b + 'b', 2}, {1, 2}, {1, b + 'c', 2, b + 'd'}}
		wantTypes := [][]int64{{0, 0, 0, 0}, {0, 0}, {0, 0, 0, 1}}
		for i := range wantIDs {
			ids, types := example(s, i)
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
		if s.MaxID() != b+'d' || s.Tokens() != 10 {
			t.Errorf("max id %d, tokens %d", s.MaxID(), s.Tokens())
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
		s, err := Load(path, LoadOptions{Encode: byteEncode(0), Workers: workers})
		if err != nil {
			t.Fatal(err)
		}
		h := sha256.New()
		s.Hash(h)
		fmt.Fprint(h, s.Labels)
		got := [32]byte(h.Sum(nil))
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
			_, err := Load(write(t, "a.csv", c.content), LoadOptions{Encode: byteEncode(0), Classes: c.classes})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

func TestSplit(t *testing.T) {
	var b strings.Builder
	b.WriteString("text,label\n")
	for range 3 {
		b.WriteString("x,few\n")
	}
	for range 97 {
		b.WriteString("y,many\n")
	}
	s, err := Load(write(t, "a.csv", b.String()), LoadOptions{Encode: byteEncode(0)})
	if err != nil {
		t.Fatal(err)
	}
	train, eval, err := s.Split(0.1, 7)
	if err != nil {
		t.Fatal(err)
	}
	perClass := map[string]int{}
	seen := map[int32]int{}
	for _, i := range eval {
		perClass[s.Classes.Names[s.Labels[i]]]++
		seen[i]++
	}
	for _, i := range train {
		seen[i]++
	}
	if perClass["few"] != 1 || perClass["many"] != 10 {
		t.Errorf("evaluation has %v", perClass)
	}
	if len(seen) != 100 || len(train)+len(eval) != 100 {
		t.Errorf("split is no partition: %d + %d examples, %d different", len(train), len(eval), len(seen))
	}
	_, again, _ := s.Split(0.1, 7)
	_, other, _ := s.Split(0.1, 8)
	if !cmp.Equal(eval, again) {
		t.Error("the same seed gives another split")
	}
	if cmp.Equal(eval, other) {
		t.Error("another seed gives the same split")
	}
}

func TestSplitClassWithOneExample(t *testing.T) {
	s, err := Load(write(t, "a.csv", "text,label\na,x\nb,x\nc,lonely\n"), LoadOptions{Encode: byteEncode(0)})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err = s.Split(0.5, 1); err == nil || !strings.Contains(err.Error(), `a.csv:4: label "lonely" has one example`) {
		t.Errorf("error %v", err)
	}
	if _, _, err = s.Split(1, 1); err == nil {
		t.Error("share 1 is accepted")
	}
}
