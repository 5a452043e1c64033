package workspace

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ftk-go/ftk/internal/safetensors"
)

func open(t *testing.T) *Workspace {
	t.Helper()
	w, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestLock(t *testing.T) {
	w := open(t)
	if err := w.Lock(); err != nil {
		t.Fatal(err)
	}
	other, _ := Open(w.Root())
	if err := other.Lock(); err == nil || !strings.Contains(err.Error(), "in use by another run (process ") {
		t.Errorf("error %v", err)
	}
	if err := w.Unlock(); err != nil {
		t.Fatal(err)
	}
	if err := other.Lock(); err != nil {
		t.Errorf("after unlock: %v", err)
	}
	other.Unlock()
}

func TestImport(t *testing.T) {
	w := open(t)
	if _, err := w.ModelDir(); err == nil || !strings.Contains(err.Error(), "ftk import") {
		t.Errorf("error %v", err)
	}
	put := func(content string) func(string) error {
		return func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "model.onnx"), []byte(content), 0o644)
		}
	}
	for _, content := range []string{"one", "two"} {
		if err := w.Import(put(content)); err != nil {
			t.Fatal(err)
		}
	}
	broken := errors.New("broken")
	if err := w.Import(func(dir string) error { put("three")(dir); return broken }); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	dir, err := w.ModelDir()
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(filepath.Join(dir, "model.onnx")); string(got) != "two" {
		t.Errorf("model is %q", got)
	}
	entries, _ := os.ReadDir(w.path())
	if len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestRuns(t *testing.T) {
	w := open(t)
	if _, err := w.LatestRun(); err == nil || !strings.Contains(err.Error(), "ftk finetune") {
		t.Errorf("error %v", err)
	}
	for _, want := range []string{"0001", "0002", "0003"} {
		r, err := w.NewRun()
		if err != nil || r.ID != want {
			t.Fatalf("run %v, %v; want %s", r, err, want)
		}
	}
	second, err := w.Run("2")
	if err != nil {
		t.Fatal(err)
	}
	if err := second.SaveBest([]safetensors.Tensor{{Name: "w", Shape: []int64{1}, Data: []float32{2}}}, nil); err != nil {
		t.Fatal(err)
	}
	latest, err := w.LatestRun() // 3 saved nothing
	if err != nil || latest.ID != "0002" {
		t.Errorf("latest %v, %v", latest, err)
	}
	f, err := latest.OpenBest()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got, err := f.Read("w"); err != nil || got.Data[0] != 2 {
		t.Errorf("best: %v, %v", got, err)
	}
	type record struct{ A int }
	if err := latest.SaveRecord(record{7}); err != nil {
		t.Fatal(err)
	}
	var got record
	if err := latest.LoadRecord(&got); err != nil || got.A != 7 {
		t.Errorf("record %v, %v", got, err)
	}
	if err := SaveMetrics(latest, []record{{1}, {2}}); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(filepath.Join(latest.Dir, "metrics.jsonl")); string(text) != "{\"A\":1}\n{\"A\":2}\n" {
		t.Errorf("metrics.jsonl: %q", text)
	}
	if _, err := w.LatestCheckpoint(); err == nil {
		t.Error("a checkpoint of a run that has none")
	}
	if _, err := w.Run("9"); err == nil {
		t.Error("run 9 exists")
	}
}

// What is resumed is the newest run that left anything.
func TestLatestCheckpoint(t *testing.T) {
	tensors := []safetensors.Tensor{{Name: "w", Shape: []int64{1}, Data: []float32{2}}}
	save := func(r *Run, what string) error {
		switch what {
		case "nothing":
			return nil
		case "record":
			return r.SaveRecord(map[string]any{"settings": 1})
		case "result":
			return r.SaveRecord(map[string]any{"result": map[string]int{"best_epoch": 1}})
		case "best":
			return r.SaveBest(tensors, nil)
		}
		return safetensors.WriteFile(r.CheckpointPath(), tensors, nil)
	}
	for _, c := range []struct {
		name string
		runs [][]string // what each run left
		want string     // "": there is nothing to resume
	}{
		{"no run", nil, ""},
		{"stopped", [][]string{{"record", "best"}, {"record", "best", "checkpoint"}}, "0002"},
		{"stopped early", [][]string{{"record", "checkpoint"}}, "0001"},
		{"killed at once", [][]string{{"record", "checkpoint"}, {"record"}, {"nothing"}}, "0001"},
		{"killed at once, nothing before", [][]string{{"record"}}, ""},
		{"failed after an evaluation", [][]string{{"record", "checkpoint"}, {"record", "best"}}, ""},
		{"complete", [][]string{{"record", "checkpoint"}, {"result", "best"}, {"record"}}, ""},
		{"complete, tensors deleted", [][]string{{"record", "checkpoint"}, {"result"}}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := open(t)
			for _, left := range c.runs {
				r, err := w.NewRun()
				if err != nil {
					t.Fatal(err)
				}
				for _, what := range left {
					if err := save(r, what); err != nil {
						t.Fatal(err)
					}
				}
			}
			r, err := w.LatestCheckpoint()
			switch {
			case c.want == "":
				if err == nil || !strings.Contains(err.Error(), "nothing to resume") {
					t.Errorf("run %v, error %v", r, err)
				}
			case err != nil:
				t.Error(err)
			case r.ID != c.want:
				t.Errorf("run %s, want %s", r.ID, c.want)
			}
		})
	}
}

func TestOpenMissing(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("no error")
	}
}
