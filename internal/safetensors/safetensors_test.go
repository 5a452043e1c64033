package safetensors

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// golden is what safetensors.numpy.save gives for {"b": [[1,2],[3,4]], "a": 0.5}
// (float32) with metadata {"k": "v"}; see testdata/golden.py.
const golden = "testdata/golden.safetensors"

func TestReadGolden(t *testing.T) {
	f, err := Open(golden)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if d := cmp.Diff([]string{"a", "b"}, f.Names()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(map[string]string{"k": "v"}, f.Metadata); d != "" {
		t.Error(d)
	}
	for _, want := range []Tensor{{"a", []int64{}, []float32{0.5}}, {"b", []int64{2, 2}, []float32{1, 2, 3, 4}}} {
		got, err := f.Read(want.Name)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	}
}

func TestWriteRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.safetensors")
	in := []Tensor{{"z", []int64{3}, []float32{1, 2, 3}}, {"s", nil, []float32{-1}}, {"empty", []int64{0, 4}, []float32{}}}
	if err := WriteFile(path, in, map[string]string{"step": "3"}); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := f.Read("z")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(in[0], got); d != "" {
		t.Error(d)
	}
	if err := f.ReadInto("z", make([]float32, 2)); err == nil {
		t.Error("a destination of the wrong size is accepted")
	}
	if f.Metadata["step"] != "3" {
		t.Error(f.Metadata)
	}
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*"))
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestOpenErrors(t *testing.T) {
	whole, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, content, want string }{
		{"empty", "", "shorter"},
		{"huge header", "\xff\xff\xff\xff\xff\xff\xff\x7f", "header"},
		{"truncated", string(whole[:len(whole)-1]), "truncated"},
		{"no json", "\x02\x00\x00\x00\x00\x00\x00\x00xx", "header"},
	} {
		path := filepath.Join(t.TempDir(), "x")
		os.WriteFile(path, []byte(c.content), 0o644)
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
}
