package dataset

import (
	"runtime"
	"strings"
	"testing"
)

// What a set keeps in memory does not depend on how many examples it has,
// whether tokens are kept or texts, and after all of it was read once.
func TestMemoryDoesNotGrow(t *testing.T) {
	const rows = "some words of a text,one\nothers in another text,two\n"
	for name, opt := range map[string]LoadOptions{
		"tokens": {Encode: byteEncode(0), MemoryLimit: 1 << 16},
		"texts":  {Encode: byteEncode(0), MemoryLimit: 1 << 16, AtOnce: 256, Together: 512},
	} {
		opt.Dir = t.TempDir()
		held := func(n int) int64 {
			path := write(t, "a.csv", "text,label\n"+strings.Repeat(rows, n/2))
			before := heap()
			s, err := Load(t.Context(), path, opt)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			ids := make([]int64, 64)
			for i := range s.Len() {
				e, err := s.Example(i)
				if err == nil {
					err = s.IDs(e, ids)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			after := heap()
			if s.Len() != n {
				t.Fatalf("%d examples", s.Len())
			}
			return after - before
		}
		held(10_000) // pools and the like
		few, many := held(10_000), held(200_000)
		if many > few+(256<<10) {
			t.Errorf("%s: 10,000 examples hold %d bytes, 200,000 hold %d", name, few, many)
		}
	}
}

// heap is how many bytes of it are in use.
func heap() int64 {
	runtime.GC()
	runtime.GC() // what pools still hold
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
