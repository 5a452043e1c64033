package dataset

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// A set is the same wherever it is kept.
func TestSetInFiles(t *testing.T) {
	var b strings.Builder
	b.WriteString("text\ttext_pair\tlabel\n")
	for i := range 3000 {
		pair := ""
		if i > 2000 && i%3 == 0 { // types begin late, and ids above 16 bits with base 65400
			pair = "zz"
		}
		fmt.Fprintf(&b, "%s\t%s\t%d\n", strings.Repeat(string(rune('a'+i/200)), i%90), pair, 10-i%7)
	}
	path := write(t, "a.tsv", b.String())
	for _, base := range []int64{0, 65400, 1 << 20} {
		opt := LoadOptions{Options: Options{Columns: Columns{Text: "text", Pair: "text_pair"}}, Encode: byteEncode(base)}
		want := load(t, path, opt)
		for _, limit := range []int64{1, 100_000} {
			opt.MemoryLimit, opt.Dir = limit, filepath.Join(t.TempDir(), "cache")
			got := load(t, path, opt)
			if got.index.file == nil || len(got.index.memory) > 0 {
				t.Errorf("limit %d: the set is in memory", limit)
			}
			if entries, err := os.ReadDir(opt.Dir); err != nil || len(entries) > 0 && runtime.GOOS != "windows" {
				t.Errorf("limit %d: %s has %v, %v", limit, opt.Dir, entries, err)
			}
			if hashOf(t, got) != hashOf(t, want) || got.Shortest() != want.Shortest() || !slices.Equal(got.perClass, want.perClass) {
				t.Errorf("ids from %d, limit %d: another set than in memory", base, limit)
			}
			for _, i := range []int{0, 1, 1999, 2001, 2999} {
				e, ids, types := example(t, got, i)
				wantE, wantIDs, wantTypes := example(t, want, i)
				if e != wantE || !slices.Equal(ids, wantIDs) || !slices.Equal(types, wantTypes) {
					t.Errorf("ids from %d, limit %d: example %d differs", base, limit, i)
				}
			}
		}
	}
}

func TestSetIsReadByManyAtOnce(t *testing.T) {
	for _, atOnce := range []int{0, 1} {
		testReadByManyAtOnce(t, atOnce)
	}
}

func testReadByManyAtOnce(t *testing.T, atOnce int) {
	path := write(t, "a.csv", "text,label\n"+strings.Repeat("ab,x\nc,y\n", 2000))
	s := load(t, path, LoadOptions{Encode: byteEncode(0), MemoryLimit: 1, AtOnce: atOnce, Dir: t.TempDir()})
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range s.Len() {
				e, err := s.Example(i)
				ids := make([]int64, e.Length)
				if err == nil {
					err = s.IDs(e, ids)
				}
				if want := [][]int64{{1, 'a', 'b', 2}, {1, 'c', 2}}[i%2]; err != nil || !slices.Equal(ids, want) {
					t.Errorf("example %d: %v, %v", i, ids, err)
					return
				}
			}
		})
	}
	all.Wait()
}

// What cannot be written or read back is an error that says where.
func TestSetFileErrors(t *testing.T) {
	path := write(t, "a.csv", "text,label\n"+strings.Repeat("ab,x\nc,y\n", 2000))
	opt := LoadOptions{Encode: byteEncode(0), MemoryLimit: 1, Dir: path} // no directory
	if _, err := Load(t.Context(), path, opt); err == nil || !strings.Contains(err.Error(), "cannot be kept in "+path) {
		t.Errorf("not writable: %v", err)
	}
	opt.Dir = t.TempDir()
	s := load(t, path, opt)
	for _, c := range s.columns() {
		if c.file != nil {
			c.file.Close()
		}
	}
	e, err := s.Example(5)
	if !errors.Is(err, os.ErrClosed) {
		t.Errorf("example: %v", err)
	}
	for _, err := range s.Scan(0, 10) {
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("scan: %v", err)
		}
	}
	e.Length = 2
	if err := s.IDs(e, make([]int64, 2)); !errors.Is(err, os.ErrClosed) || !strings.HasPrefix(err.Error(), path+": ") {
		t.Errorf("ids: %v", err)
	}
	for _, err := range s.ExampleClasses() {
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("classes: %v", err)
		}
	}
	*s = Set{} // closed already
}

// A full disk is noticed.
func TestFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("SKIPPED: no /dev/full here: ", err)
	}
	defer full.Close()
	b := newSetBuilder("a.csv", Columns{}, LoadOptions{MemoryLimit: 1, Dir: "/data"})
	b.add(Encoding{IDs: make([]int64, 300_000)}, 0)
	b.index.file = full
	b.index.memory = make([]byte, tailBytes)
	if err := b.settle(); err == nil || !strings.Contains(err.Error(), "a.csv: its tokens cannot be kept in /data: ") || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %v", err)
	}
}

func TestLoadTellsProgress(t *testing.T) {
	content := "text,label\n" + strings.Repeat("ab,x\nc,y\n", 2000)
	var last Progress
	opt := LoadOptions{Encode: byteEncode(0), Progress: func(p Progress) {
		if p.Examples < last.Examples || p.Bytes < last.Bytes {
			t.Errorf("%+v after %+v", p, last)
		}
		last = p
	}}
	path := write(t, "a.csv", content)
	load(t, path, opt)
	if want := (Progress{path, 4000, int64(len(content)), int64(len(content))}); last != want {
		t.Errorf("at the end %+v, want %+v", last, want)
	}
}

// A set that is large is not read to its end when the context ends.
func TestLoadIsInterrupted(t *testing.T) {
	const rows = 200_000
	path := write(t, "a.csv", "text,label\n"+strings.Repeat("ab,x\nc,y\n", rows/2))
	for _, after := range []int32{0, 1000} {
		ctx, cancel := context.WithCancel(t.Context())
		if after == 0 {
			cancel()
		}
		var encoded atomic.Int32
		encode := func(text, pair string) (Encoding, error) {
			if encoded.Add(1) == after {
				cancel()
			}
			return byteEncode(0)(text, pair)
		}
		s, err := Load(ctx, path, LoadOptions{Encode: encode, Workers: 2, MemoryLimit: 1, Dir: t.TempDir()})
		if s != nil || !errors.Is(err, context.Canceled) || !strings.HasPrefix(err.Error(), path+": ") {
			t.Errorf("cancelled after %d texts: error %v", after, err)
		}
		if n := encoded.Load(); n > after+20*chunkRecords {
			t.Errorf("cancelled after %d texts, %d were encoded", after, n)
		}
		cancel()
	}
}
