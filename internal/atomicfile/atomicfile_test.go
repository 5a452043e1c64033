package atomicfile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.json")
	if err := WriteJSON(path, map[string]int{"a": 1}); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	err := Write(path, func(w io.Writer) error {
		io.WriteString(w, "half")
		return broken
	})
	if !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	got, _ := os.ReadFile(path)
	if string(got) != "{\n  \"a\": 1\n}\n" {
		t.Errorf("after a failed write the file holds %q", got)
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
	if err := WriteBytes(filepath.Join(dir, "none", "x"), nil); err == nil {
		t.Error("a missing directory is no error")
	}
}

func TestRemoveTemporary(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.json")
	if err := WriteBytes(path, nil); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".x.tmp", "x.json.1.tmp", ".x.json"} { // of others
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	f.Close() // and then the process is killed
	if err := RemoveTemporary(dir); err != nil {
		t.Fatal(err)
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != 4 {
		t.Errorf("left: %v", entries)
	}
	if err := RemoveTemporary(filepath.Join(dir, "none")); err == nil {
		t.Error("a missing directory is no error")
	}
}
