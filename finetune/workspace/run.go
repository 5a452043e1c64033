package workspace

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"

	"github.com/ftk-go/ftk/internal/atomicfile"
	"github.com/ftk-go/ftk/internal/safetensors"
)

// Run is one fine-tuning run's directory.
type Run struct {
	ID  string // "0001"
	Dir string
}

var runName = regexp.MustCompile(`^[0-9]{4,}$`)

// NewRun creates the directory of the next run.
func (w *Workspace) NewRun() (*Run, error) {
	if err := os.MkdirAll(w.path("runs"), 0o755); err != nil {
		return nil, err
	}
	runs, err := w.Runs()
	if err != nil {
		return nil, err
	}
	next := 1
	if len(runs) > 0 {
		last, err := strconv.Atoi(runs[len(runs)-1].ID)
		if err != nil {
			return nil, err
		}
		next = last + 1
	}
	r := w.run(fmt.Sprintf("%04d", next))
	return r, os.Mkdir(r.Dir, 0o755)
}

func (w *Workspace) run(id string) *Run { return &Run{ID: id, Dir: w.path("runs", id)} }

// Runs returns all runs, the oldest first.
func (w *Workspace) Runs() ([]*Run, error) {
	entries, err := os.ReadDir(w.path("runs"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var runs []*Run
	for _, e := range entries {
		if e.IsDir() && runName.MatchString(e.Name()) {
			runs = append(runs, w.run(e.Name()))
		}
	}
	sort.Slice(runs, func(i, j int) bool {
		a, b := runs[i].ID, runs[j].ID
		if len(a) != len(b) {
			return len(a) < len(b)
		}
		return a < b
	})
	return runs, nil
}

// LatestRun returns the newest run that saved trained tensors; an error says
// that there is none.
func (w *Workspace) LatestRun() (*Run, error) {
	runs, err := w.Runs()
	if err != nil {
		return nil, err
	}
	for i := len(runs) - 1; i >= 0; i-- {
		if runs[i].HasBest() {
			return runs[i], nil
		}
	}
	return nil, fmt.Errorf("no finished run in workspace %s; run: ftk finetune", w.root)
}

// LatestCheckpoint returns the run to resume: the newest of those that left
// anything, if it has a checkpoint. A run that ended before its first
// evaluation and its first checkpoint does not hide the one before it.
func (w *Workspace) LatestCheckpoint() (*Run, error) {
	runs, err := w.Runs()
	if err != nil {
		return nil, err
	}
	for i := len(runs) - 1; i >= 0; i-- {
		r := runs[i]
		if r.HasCheckpoint() {
			return r, nil
		}
		if r.HasBest() || r.hasResult() {
			break // it is complete or failed: what is older is not what is meant
		}
	}
	return nil, fmt.Errorf("the latest run in workspace %s left no checkpoint; there is nothing to resume", w.root)
}

// Run returns the run of this number ("1" and "0001" are the same).
func (w *Workspace) Run(id string) (*Run, error) {
	n, err := strconv.Atoi(id)
	if err != nil || n < 1 {
		return nil, fmt.Errorf("run %q is not a number", id)
	}
	r := w.run(fmt.Sprintf("%04d", n))
	if _, err := os.Stat(r.Dir); err != nil {
		return nil, fmt.Errorf("no run %s in workspace %s", r.ID, w.root)
	}
	return r, nil
}

// SaveRecord writes run.json.
func (r *Run) SaveRecord(v any) error {
	return atomicfile.WriteJSON(filepath.Join(r.Dir, "run.json"), v)
}

// LoadRecord reads run.json.
func (r *Run) LoadRecord(v any) error {
	path := filepath.Join(r.Dir, "run.json")
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("run %s: %w", r.ID, err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// hasResult tells whether the run's record says what came of it.
func (r *Run) hasResult() bool {
	var record struct {
		Result json.RawMessage `json:"result"`
	}
	return r.LoadRecord(&record) == nil && record.Result != nil
}

// SaveMetrics writes metrics.jsonl, a line for each evaluation.
func SaveMetrics[T any](r *Run, evaluations []T) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	for _, e := range evaluations {
		if err := enc.Encode(e); err != nil {
			return err
		}
	}
	return atomicfile.WriteBytes(filepath.Join(r.Dir, "metrics.jsonl"), b.Bytes())
}

func (r *Run) bestPath() string { return filepath.Join(r.Dir, "best.safetensors") }

// SaveBest writes the trained tensors, by initializer name.
func (r *Run) SaveBest(tensors []safetensors.Tensor, metadata map[string]string) error {
	return safetensors.WriteFile(r.bestPath(), tensors, metadata)
}

// HasBest tells whether the run has saved trained tensors.
func (r *Run) HasBest() bool { return exists(r.bestPath()) }

// OpenBest opens the trained tensors of the best epoch.
func (r *Run) OpenBest() (*safetensors.File, error) { return safetensors.Open(r.bestPath()) }

// CheckpointPath is where the run's checkpoint is or will be.
func (r *Run) CheckpointPath() string { return filepath.Join(r.Dir, "checkpoint.safetensors") }

// HasCheckpoint tells whether the run can be resumed.
func (r *Run) HasCheckpoint() bool { return exists(r.CheckpointPath()) }

// Remove removes the run with all it has saved.
func (r *Run) Remove() error { return os.RemoveAll(r.Dir) }

// RemoveCheckpoint removes the checkpoint of a run that is complete.
func (r *Run) RemoveCheckpoint() error {
	err := os.Remove(r.CheckpointPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
