package exporter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/testenv"
	"github.com/ftk-go/ftk/tokenize"
)

// turned is bagOfWords with its first two labels, and the logits of "plum" for
// them, in the other order where odd is set: "plum" is an "a" by either, and a
// "b" by the labels of one with the model of the other. Export tells exports
// apart that are else the same.
func turned(t *testing.T, odd bool, export int) Served {
	s := bagOfWords(t)
	if odd {
		v := s.Model.Graph.Value("table")
		rows, err := v.Init.Float32s()
		if err != nil {
			t.Fatal(err)
		}
		rows = slices.Clone(rows)
		copy(rows[5*4:], []float32{0, 9, 0, 0})
		v.Init = graph.NewFloat32("table", []int64{512, 4}, rows)
		s.Settings.Labels = []string{"b", "a", "c", "d"}
	}
	s.Settings.Metrics = map[string]float64{"export": float64(export)}
	return s
}

// write exports into dir, with the weights in a file of their own or not.
func write(dir string, s Served, outside bool) error {
	defer func(was int64) { largest = was }(largest)
	if outside {
		largest = 4096
	}
	_, err := Write(context.Background(), dir, s)
	return err
}

func setRename(t *testing.T, to func(from, to string) error) {
	t.Helper()
	was := rename
	rename = to
	t.Cleanup(func() { rename = was })
}

// killedAt exports into dir and returns a copy of dir as a process that is killed before one of its renames leaves it; "" if
// there are fewer.
func killedAt(t *testing.T, step int, dir string, export Served, outside bool) string {
	t.Helper()
	steps, copied := 0, t.TempDir()
	setRename(t, func(from, to string) error {
		if steps++; steps == step {
			if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
				t.Error(err)
			}
		}
		return os.Rename(from, to)
	})
	if err := write(dir, export, outside); err != nil {
		t.Fatal(err)
	}
	rename = os.Rename
	if steps < step {
		return ""
	}
	return copied
}

// TestWriteOverFails lets every single step of an export over another fail: the
// former one is there as it was.
func TestWriteOverFails(t *testing.T) {
	testenv.ORT(t)
	for _, outside := range [][2]bool{{false, false}, {true, true}, {true, false}, {false, true}} {
		for step, failed := 1, true; failed; step++ {
			rename = os.Rename
			dir := filepath.Join(t.TempDir(), "export")
			if err := write(dir, turned(t, false, 1), outside[0]); err != nil {
				t.Fatal(err)
			}
			before, steps := contents(t, dir), 0
			setRename(t, func(from, to string) error {
				if steps++; steps == step {
					return errors.New("out of order")
				}
				return os.Rename(from, to)
			})
			err := write(dir, turned(t, true, 2), outside[1])
			if failed = steps >= step; failed != (err != nil) {
				t.Fatalf("step %d of %d: error %v", step, steps, err)
			}
			if after := contents(t, dir); failed && after != before {
				t.Errorf("step %d: the former export has changed; there is %q", step, files(t, dir))
			}
			if p := predicted(t, dir); p.Label != "a" {
				t.Errorf("step %d: predicted %+v", step, p)
			}
			want := []string{"README.md", "config.json", "model.onnx", "vocab.txt"}
			if !failed && outside[1] {
				want = slices.Insert(want, 3, "model.onnx.data")
			}
			if got := files(t, dir); !failed && !slices.Equal(got, want) {
				t.Errorf("exported %q, want %q", got, want)
			}
			if !failed && step < 9 {
				t.Errorf("%d steps", step-1)
			}
		}
	}
}

// TestWriteOverKilled ends an export over another at every single step: what is
// there then is served as one of both or not at all, and the next export
// removes what was left.
func TestWriteOverKilled(t *testing.T) {
	testenv.ORT(t)
	for _, outside := range []bool{false, true} {
		for step := 1; ; step++ {
			dir := filepath.Join(t.TempDir(), "export")
			if err := write(dir, turned(t, false, 1), outside); err != nil {
				t.Fatal(err)
			}
			copied := killedAt(t, step, dir, turned(t, true, 2), outside)
			if copied == "" {
				break
			}
			if p, err := OpenPredictor(copied, 1); err == nil {
				p.Close()
				if got := predicted(t, copied); got.Label != "a" {
					t.Errorf("step %d: predicted %+v", step, got)
				}
			}
			if left := files(t, copied); !strings.HasPrefix(left[0], stagingPrefix) {
				t.Errorf("nothing was left of the staging directory: %q", left)
			}
			// The next export brings one of both back, whatever becomes of it.
			failing := turned(t, true, 3)
			failing.Samples[0].Logits[0]++
			var wrong *DisagreementError
			if err := write(copied, failing, outside); !errors.As(err, &wrong) {
				t.Errorf("step %d: error %v", step, err)
			}
			if got := predicted(t, copied); got.Label != "a" {
				t.Errorf("step %d: after a failing export, predicted %+v", step, got)
			}
			if got, want := files(t, copied), files(t, dir); !slices.Equal(got, want) {
				t.Errorf("step %d: after a failing export there is %q, want %q", step, got, want)
			}
			if err := write(copied, turned(t, true, 3), outside); err != nil {
				t.Fatal(err)
			}
			if got, want := files(t, copied), files(t, dir); !slices.Equal(got, want) {
				t.Errorf("step %d: after the next export there is %q, want %q", step, got, want)
			}
		}
	}
}

// TestWriteIntoEmptyKilled ends an export into an empty directory at every single step: the next one leaves nothing of it
// there, whatever becomes of it, so that the one after that is not refused.
func TestWriteIntoEmptyKilled(t *testing.T) {
	testenv.ORT(t)
	for step := 1; ; step++ {
		copied := killedAt(t, step, t.TempDir(), turned(t, false, 1), step%2 > 0)
		if copied == "" {
			break
		}
		failing := turned(t, true, 3)
		failing.Samples[0].Logits[0]++
		var wrong *DisagreementError
		if err := write(copied, failing, true); !errors.As(err, &wrong) {
			t.Errorf("step %d: error %v", step, err)
		}
		if got := files(t, copied); len(got) > 0 {
			t.Errorf("step %d: %q is left", step, got)
		}
		if err := write(copied, turned(t, false, 1), true); err != nil {
			t.Errorf("step %d: %v", step, err)
		}
	}
}

// TestWriteOverOtherTokenizer leaves no file of the tokenizer that was there before, also if it is killed at any step.
func TestWriteOverOtherTokenizer(t *testing.T) {
	testenv.ORT(t)
	other := turned(t, false, 1)
	other.Tokenizer = map[string][]byte{"vocab.txt": other.Tokenizer["vocab.txt"], "added_tokens.json": []byte(`{}`)}
	plain := turned(t, false, 2)
	for _, c := range []struct{ before, after Served }{{other, plain}, {plain, other}} {
		for step := 1; ; step++ {
			dir := filepath.Join(t.TempDir(), "export")
			if err := write(dir, c.before, false); err != nil {
				t.Fatal(err)
			}
			was := files(t, dir)
			copied := killedAt(t, step, dir, c.after, false)
			if got := files(t, dir); slices.Contains(got, "added_tokens.json") != (c.after.Tokenizer["added_tokens.json"] != nil) {
				t.Errorf("files %q", got)
			}
			if copied == "" {
				break
			}
			staging, err := stage(copied)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(staging); err != nil {
				t.Fatal(err)
			}
			if got := files(t, copied); !slices.Equal(got, was) {
				t.Errorf("step %d: %q is there, want %q", step, got, was)
			}
		}
	}
}

// TestWriteWhileRead serves a directory that is exported to again and again.
func TestWriteWhileRead(t *testing.T) {
	testenv.ORT(t)
	dir := filepath.Join(t.TempDir(), "export")
	if err := write(dir, turned(t, false, 0), false); err != nil {
		t.Fatal(err)
	}
	exports := make(chan error, 1)
	go func() {
		var err error
		for i := 1; i <= 60 && err == nil; i++ {
			err = write(dir, turned(t, i%2 == 1, i), false)
		}
		exports <- err
	}()
	served := 0
	for {
		select {
		case err := <-exports:
			if err != nil || served == 0 {
				t.Errorf("served %d times; %v", served, err)
			}
			return
		default:
		}
		p, err := OpenPredictor(dir, 1)
		if err != nil {
			continue
		}
		out, err := p.Predict(context.Background(), []tokenize.Input{{Text: "plum"}})
		p.Close()
		if err != nil || out[0].Label != "a" {
			t.Fatalf("predicted %+v, %v", out, err)
		}
		served++
	}
}

// TestWriteInside exports to a directory that is there: nothing is written
// beside it, and what is not the export's stays.
func TestWriteInside(t *testing.T) {
	testenv.ORT(t)
	dir := t.TempDir()
	for _, name := range []string{"notes.txt", "model.onnx.data"} { // a data file without its model is none of ours
		if err := os.WriteFile(filepath.Join(dir, name), []byte("mine"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	setRename(t, func(from, to string) error {
		if !strings.HasPrefix(from, dir+string(filepath.Separator)) || !strings.HasPrefix(to, dir+string(filepath.Separator)) {
			t.Errorf("%s is moved to %s", from, to)
		}
		return os.Rename(from, to)
	})
	if err := write(dir, turned(t, false, 1), false); err != nil {
		t.Fatal(err)
	}
	if got := files(t, dir); !slices.Equal(got, []string{"README.md", "config.json", "model.onnx", "model.onnx.data", "notes.txt", "vocab.txt"}) {
		t.Errorf("files %q", got)
	}
	// Files that no export has written are not replaced.
	for _, name := range []string{"README.md", "config.json", "model.onnx", "vocab.txt"} {
		dir := t.TempDir()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("{}"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := write(dir, turned(t, false, 1), false); err == nil || !strings.Contains(err.Error(), name+" is none of an export") {
			t.Errorf("error %v", err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != "{}" || len(files(t, dir)) != 1 {
			t.Errorf("%s is %q, %v, in %q", name, got, err, files(t, dir))
		}
	}
	// A directory in the way is not moved away.
	for _, name := range []string{"model.onnx", "vocab.txt"} {
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, name, "precious"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := write(dir, turned(t, false, 1), false); err == nil || !strings.Contains(err.Error(), name+" is a directory") {
			t.Errorf("error %v", err)
		}
		if got := files(t, dir); !slices.Equal(got, []string{name}) {
			t.Errorf("files %q", got)
		}
	}
}

// TestStageRemovesWhatIsLeft of exports to the same directory, and nothing else.
func TestStageRemovesWhatIsLeft(t *testing.T) {
	parent := t.TempDir()
	exists, absent := filepath.Join(parent, "here"), filepath.Join(parent, "new")
	for _, dir := range []string{exists + "/.ftk-export-1/former", parent + "/.new.ftk-export-2", parent + "/.other.ftk-export-3"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{exists, absent} {
		staging, err := stage(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(staging); err != nil {
			t.Error(err)
		}
	}
	if got := fmt.Sprint(files(t, exists), files(t, parent)); got != "[] [.other.ftk-export-3 here]" {
		t.Errorf("files %s", got)
	}
}
