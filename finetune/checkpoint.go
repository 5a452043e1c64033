package finetune

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/ftk-go/ftk/finetune/dataset"
	"github.com/ftk-go/ftk/internal/safetensors"
	"github.com/ftk-go/ftk/internal/version"
)

// Record is run.json: what the run was asked for, what it met, and what came
// of it.
type Record struct {
	Version  string          `json:"ftk"`
	Settings Settings        `json:"settings"`
	Identity identity        `json:"identity"`
	Labels   []string        `json:"labels"`
	Columns  dataset.Columns `json:"columns"` // as read, guesses included
	Result   *Result         `json:"result,omitempty"`
}

// begin makes the directory of a new run; after an error it is as if there had
// been none.
func (t *trainer) begin() error {
	if t.Workspace == nil {
		return nil
	}
	var err error
	if t.run, err = t.Workspace.NewRun(); err != nil {
		return err
	}
	if err := t.saveRecord(nil); err != nil {
		return errors.Join(err, t.run.Remove())
	}
	return nil
}

func (t *trainer) saveRecord(r *Result) error {
	return t.run.SaveRecord(Record{Version: version.String(), Settings: t.Settings, Identity: t.identity, Labels: t.train.Classes.Names, Columns: t.train.Columns, Result: r})
}

// position is the part of a checkpoint that is not tensors.
type position struct {
	Epoch   int          `json:"epoch"`
	Batch   int          `json:"batch"`
	Steps   int          `json:"steps"`
	Losses  meanLoss     `json:"losses"`
	History []Evaluation `json:"history"`
	Best    *Evaluation  `json:"best"`
	Seconds float64      `json:"seconds"` // of training
	Samples int          `json:"samples"`
	Elapsed float64      `json:"elapsed"` // seconds since the run began; 0 in checkpoints of early versions
}

// Parts of a checkpoint, by the beginning of a tensor's name. Random numbers
// are functions of seed and position (see random.go), so there is no state of
// theirs to save.
const (
	savedValue = "value/"
	savedM     = "m/"
	savedV     = "v/"
	savedLast  = "last/" // table.last, exact in float32 up to 2²⁴ steps
)

// saveCheckpoint writes all that is needed to go on to the same end, to the
// bit.
func (t *trainer) saveCheckpoint() error {
	if t.run == nil {
		return nil
	}
	p := position{t.epoch, t.batch, t.opt.steps, t.losses, t.history, t.best, t.clock.total.Seconds(), t.clock.samples, time.Since(t.began).Seconds()}
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	var tensors []safetensors.Tensor
	for _, p := range t.net.weights.params {
		tensors = append(tensors,
			safetensors.Tensor{Name: savedValue + p.name, Shape: p.shape, Data: p.value},
			safetensors.Tensor{Name: savedM + p.name, Shape: p.shape, Data: p.m},
			safetensors.Tensor{Name: savedV + p.name, Shape: p.shape, Data: p.v})
	}
	for _, tb := range t.opt.tables {
		last := make([]float32, len(tb.last))
		for i, n := range tb.last {
			last[i] = float32(n)
		}
		tensors = append(tensors, safetensors.Tensor{Name: savedLast + tb.param.name, Shape: []int64{int64(len(last))}, Data: last})
	}
	return safetensors.WriteFile(t.run.CheckpointPath(), tensors, map[string]string{"position": string(text)})
}

// resume takes up the run's checkpoint.
func (t *trainer) resume(record *Record) error {
	if err := t.sameAs(record); err != nil {
		return fmt.Errorf("run %s cannot be resumed: %w", t.run.ID, err)
	}
	f, err := safetensors.Open(t.run.CheckpointPath())
	if err != nil {
		return fmt.Errorf("run %s cannot be resumed: %w", t.run.ID, err)
	}
	defer f.Close()
	var p position
	if err := json.Unmarshal([]byte(f.Metadata["position"]), &p); err != nil {
		return fmt.Errorf("%s: position: %w", t.run.CheckpointPath(), err)
	}
	for _, w := range t.net.weights.params {
		if err := errors.Join(f.ReadInto(savedValue+w.name, w.value), f.ReadInto(savedM+w.name, w.m), f.ReadInto(savedV+w.name, w.v)); err != nil {
			return err
		}
	}
	for _, tb := range t.opt.tables {
		last := make([]float32, len(tb.last))
		if err := f.ReadInto(savedLast+tb.param.name, last); err != nil {
			return err
		}
		for i, n := range last {
			tb.last[i] = int32(n)
		}
	}
	t.epoch, t.batch, t.opt.steps = p.Epoch, p.Batch, p.Steps
	t.losses, t.history, t.best = p.Losses, p.History, p.Best
	if err := t.resumeBest(); err != nil {
		return err
	}
	t.clock.resume(p.Seconds, p.Samples)
	t.began = t.began.Add(-seconds(cmp.Or(p.Elapsed, p.Seconds)))
	t.emit(Resumed{Run: t.run.ID, Epoch: p.Epoch + 1, Step: p.Steps})
	return nil
}

// resumeBest takes up the best weights where they are of a later epoch than the
// checkpoint: the process was killed after it had saved them. That epoch will
// be trained again and come to the same.
func (t *trainer) resumeBest() error {
	if !t.run.HasBest() {
		return nil
	}
	f, err := t.run.OpenBest()
	if err != nil {
		return err
	}
	defer f.Close()
	saved, err := evaluationOf(f)
	if err != nil {
		return fmt.Errorf("run %s: %w", t.run.ID, err)
	}
	if t.best == nil || saved.Epoch > t.best.Epoch {
		t.best = saved
	}
	return nil
}

// sameAs compares settings and data with those the run was begun with.
func (t *trainer) sameAs(r *Record) error {
	now, then := t.Settings, r.Settings
	now.CacheLimit, now.Threads = then.CacheLimit, then.Threads // compared below
	now.FrozenEngine, then.FrozenEngine = cmp.Or(now.FrozenEngine, EngineAuto), cmp.Or(then.FrozenEngine, EngineAuto)
	for _, pair := range [][2]any{{now, then}, {t.identity, r.Identity}} {
		a, b, err := fields(pair[0], pair[1])
		if err != nil {
			return err
		}
		for name, was := range b {
			if string(a[name]) != string(was) {
				return fmt.Errorf("%s is %s now and was %s", name, orNone(a[name]), was)
			}
		}
		for name, is := range a {
			if _, ok := b[name]; !ok {
				return fmt.Errorf("%s is %s now and was not set", name, is)
			}
		}
	}
	return nil
}

func fields(a, b any) (x, y map[string]json.RawMessage, err error) {
	for _, p := range []struct {
		v  any
		to *map[string]json.RawMessage
	}{{a, &x}, {b, &y}} {
		text, err := json.Marshal(p.v)
		if err != nil {
			return nil, nil, err
		}
		if err := json.Unmarshal(text, p.to); err != nil {
			return nil, nil, err
		}
	}
	return x, y, nil
}

func orNone(raw json.RawMessage) string {
	if raw == nil {
		return "not set"
	}
	return string(raw)
}
