package workspace

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// files makes files of a workspace; each has its name as its content.
func files(t *testing.T, w *Workspace, names ...string) {
	t.Helper()
	for _, name := range names {
		path := w.path(filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// holds checks what files a workspace has, the lock left out.
func holds(t *testing.T, w *Workspace, want ...string) {
	t.Helper()
	var got []string
	err := filepath.WalkDir(w.path(), func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != "lock" {
			name, _ := filepath.Rel(w.path(), path)
			got = append(got, filepath.ToSlash(name))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	if want = slices.Sorted(slices.Values(want)); !slices.Equal(got, want) {
		t.Errorf("the workspace has %v, want %v", got, want)
	}
}

// What killed processes left goes when the workspace is locked, not before.
func TestLockRemovesLeftovers(t *testing.T) {
	w := open(t)
	kept := []string{
		"model/model.onnx", "cache/x.features", "runs/0001/run.json", "runs/0001/best.safetensors", "runs/0001/checkpoint.safetensors",
		"runs/0001/.data.123", // of an evaluation, which locks nothing
		"runs/0002/run.json",
	}
	left := []string{
		"runs/0001/.checkpoint.safetensors.12.tmp", "runs/0002/.best.safetensors.34.tmp", "runs/0002/.run.json.56.tmp",
		"model.new.78/model.onnx", "model.new.90.old/model.onnx",
	}
	files(t, w, kept...)
	files(t, w, left...)
	if _, err := w.ModelDir(); err != nil {
		t.Error(err)
	}
	holds(t, w, slices.Concat(kept, left)...)
	if err := w.Lock(); err != nil {
		t.Fatal(err)
	}
	holds(t, w, kept...)
	files(t, w, left...) // as this process makes them
	other, _ := Open(w.Root())
	if err := other.Lock(); err == nil {
		t.Error("it is locked twice")
	}
	holds(t, w, slices.Concat(kept, left)...)
	w.Unlock()
}

// An import that was killed between its renames took the model away: it is back
// when it is asked for, or when the workspace is locked.
func TestKilledImport(t *testing.T) {
	for name, ask := range map[string]func(*Workspace) error{
		"asked for": func(w *Workspace) error {
			_, err := w.ModelDir()
			return err
		},
		"locked": func(w *Workspace) error { return errors.Join(w.Lock(), w.Unlock()) },
	} {
		t.Run(name, func(t *testing.T) {
			w := open(t)
			files(t, w, "model.new.1.old/model.onnx", "model.new.1/model.onnx")
			if err := ask(w); err != nil {
				t.Fatal(err)
			}
			dir, err := w.ModelDir()
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := os.ReadFile(filepath.Join(dir, "model.onnx")); string(got) != "model.new.1.old/model.onnx" {
				t.Errorf("the model is %q", got)
			}
			holds(t, w, "model/model.onnx")
		})
	}

	w := open(t) // an import that is under way
	files(t, w, "model.new.1.old/model.onnx", "model.new.1/model.onnx")
	other, _ := Open(w.Root())
	if err := other.Lock(); err != nil {
		t.Fatal(err)
	}
	files(t, w, "model.new.2.old/model.onnx")
	if err := os.RemoveAll(w.path("model")); err != nil {
		t.Fatal(err)
	}
	if _, err := w.ModelDir(); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("error %v", err)
	}
	holds(t, w, "model.new.2.old/model.onnx")
	other.Unlock()
}

// A model that can neither be replaced nor put back is not lost.
func TestImportFails(t *testing.T) {
	t.Cleanup(func() { rename = os.Rename })
	broken := errors.New("broken")
	for _, c := range []struct {
		name  string
		fails []int // which renames
		there bool  // the model is, before the workspace is locked again
	}{
		{"put aside", []int{1}, true},
		{"replaced", []int{2}, true},
		{"replaced and put back", []int{2, 3}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := open(t)
			files(t, w, "model/model.onnx")
			calls := 0
			rename = func(from, to string) error {
				if calls++; slices.Contains(c.fails, calls) {
					return broken
				}
				return os.Rename(from, to)
			}
			err := w.Import(func(dir string) error { return os.WriteFile(filepath.Join(dir, "new"), nil, 0o644) })
			if !errors.Is(err, broken) {
				t.Errorf("error %v", err)
			}
			if there := exists(w.path("model")); there != c.there {
				t.Errorf("the model is in its place: %v", there)
			}
			if err := errors.Join(w.Lock(), w.Unlock()); err != nil {
				t.Fatal(err)
			}
			holds(t, w, "model/model.onnx")
		})
	}
}
