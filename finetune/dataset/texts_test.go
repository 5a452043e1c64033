package dataset

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// A set of which texts are kept has the same examples as one that is tokenised.
func TestKeepTexts(t *testing.T) {
	const rows = 3000
	var b strings.Builder
	b.WriteString("text\ttext_pair\tlabel\n")
	for i := range rows {
		pair := ""
		if i%3 == 0 {
			pair = "zz"
		}
		fmt.Fprintf(&b, "%s\t%s\t%d\n", strings.Repeat(string(rune('a'+i/200)), i%2500), pair, 10-i%7)
	}
	path := write(t, "a.tsv", b.String())
	opt := LoadOptions{Options: Options{Columns: Columns{Text: "text", Pair: "text_pair"}}, Encode: byteEncode(1 << 20)}
	want := load(t, path, opt)
	if want.Tokenised() != rows {
		t.Fatalf("%d examples tokenised", want.Tokenised())
	}
	for _, limit := range []int64{1, 8 << 20} { // in files, in memory
		const atOnce = 1000
		var encoded atomic.Int32
		opt.Encode = func(text, pair string) (Encoding, error) {
			encoded.Add(1)
			return byteEncode(1<<20)(text, pair)
		}
		opt.MemoryLimit, opt.AtOnce, opt.Dir, opt.Workers = limit, atOnce, t.TempDir(), 2
		got := load(t, path, opt)
		if n := got.Tokenised(); n < atOnce || n > atOnce+chunkRecords || int(encoded.Load()) > n+1 { // an empty text, to see whether it has a token
			t.Errorf("limit %d: %d examples are kept tokenised, %d were", limit, n, encoded.Load())
		}
		if got.Hash() != want.Hash() || !slices.Equal(classes(t, got), classes(t, want)) || !slices.Equal(got.perClass, want.perClass) {
			t.Errorf("limit %d: another set", limit)
		}
		for i := range rows {
			n := i * 1234567 % rows // in any order
			e, err := got.Example(n)
			ids, types := make([]int64, e.Length), make([]int64, e.Length)
			if err := errors.Join(err, got.IDs(e, ids), got.Types(e, types)); err != nil {
				t.Fatal(err)
			}
			wantE, wantIDs, wantTypes := example(t, want, n)
			if e.Length != wantE.Length || e.Class != wantE.Class || e.Number != n || !slices.Equal(ids, wantIDs) || !slices.Equal(types, wantTypes) {
				t.Fatalf("limit %d: example %d is %+v, want %+v", limit, n, e, wantE)
			}
		}
		if r := &got.texts; r.tokens > recentTokens || len(r.queue) != len(r.recent) || r.tokens < recentTokens/2 {
			t.Errorf("limit %d: %d tokens of %d examples are kept, %d in the queue", limit, r.tokens, len(r.recent), len(r.queue))
		}
		for e, err := range got.Scan(0, rows) {
			if err != nil || e.Number >= got.Tokenised() {
				t.Fatalf("scanned %+v, %v", e, err)
			}
		}
		// What was asked for last is not tokenised again.
		before := encoded.Load()
		e, err := got.Example(rows - 1)
		if err := errors.Join(err, got.IDs(e, make([]int64, e.Length)), got.Types(e, make([]int64, e.Length))); err != nil || encoded.Load() > before+1 {
			t.Errorf("%d times tokenised, %v", encoded.Load()-before, err)
		}
	}
}

// What is wrong with a text that is kept shows when it is asked for.
func TestKeptTextErrors(t *testing.T) {
	path := write(t, "a.csv", "text,label\n"+strings.Repeat("ab,x\nc,y\n", 2000)+"fail,x\n")
	s := load(t, path, LoadOptions{Encode: byteEncode(0), MemoryLimit: 1, AtOnce: 1, Dir: t.TempDir()})
	if _, err := s.Example(4000); err == nil || err.Error() != path+":4002: cannot" {
		t.Errorf("error %v", err)
	}
	// One without any text, for which a tokenizer may have no token, shows when it is read.
	path = write(t, "b.csv", "text,label\n"+strings.Repeat("ab,x\nc,y\n", 2000)+"\" \",x\n")
	_, err := Load(t.Context(), path, LoadOptions{AtOnce: 1, Encode: func(text, pair string) (Encoding, error) {
		return Encoding{IDs: make([]int64, len(strings.TrimSpace(text)))}, nil
	}})
	if err == nil || !strings.Contains(err.Error(), path+":4002: ") {
		t.Errorf("error %v", err)
	}
	path = s.Path
	s.texts.file.Close()
	if _, err := s.Example(3999); !errors.Is(err, os.ErrClosed) || !strings.HasPrefix(err.Error(), path+": ") {
		t.Errorf("error %v", err)
	}
	for _, c := range s.columns() {
		if c.file != nil {
			c.file.Close()
		}
	}
	*s = Set{} // closed already
}
