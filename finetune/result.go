package finetune

import (
	"math"
	"time"

	"github.com/ftk-go/ftk/finetune/metrics"
	"github.com/ftk-go/ftk/heads"
	"github.com/ftk-go/ftk/internal/graph"
)

// Result is what a run came to; as JSON, the last line of ftk finetune --json.
type Result struct {
	Run       string                 `json:"run"` // "" without a workspace
	Head      string                 `json:"head"`
	Labels    []string               `json:"labels"`
	BestEpoch int                    `json:"best_epoch"` // from 1
	Eval      metrics.Classification `json:"eval"`       // of the best epoch
	Train     TrainResult            `json:"train"`

	// Model is backbone and head with the weights of the best epoch.
	Model       *graph.Model `json:"-"`
	Attached    *heads.Head  `json:"-"`
	Evaluations []Evaluation `json:"-"`
	MaxLength   int          `json:"-"`
}

// TrainResult says what training took. Steps, speed and seconds of a run that
// was resumed are those of all its processes.
type TrainResult struct {
	Steps            int     `json:"steps"`              // of the optimiser
	SamplesPerSecond float64 `json:"samples_per_second"` // over whole epochs, evaluations left out
	Seconds          float64 `json:"seconds"`            // from the run's start to its end, while it was running
	ReadSeconds      float64 `json:"read_seconds"`       // that this process took to read and tokenise the data
	PeakRSSBytes     int64   `json:"peak_rss_bytes"`
	// FirstStepAt is when this process had done its first step; zero if it
	// only evaluated.
	FirstStepAt time.Time `json:"first_step_at,omitzero"`
}

// finish ends a run that trained all its epochs.
func (t *trainer) finish() (*Result, error) {
	r, err := t.result()
	if err != nil || t.run == nil {
		return r, err
	}
	if err := t.saveRecord(r); err != nil {
		return nil, err
	}
	return r, t.run.RemoveCheckpoint()
}

// result brings the best weights back and says what they are worth.
func (t *trainer) result() (*Result, error) {
	if err := t.loadBest(); err != nil {
		return nil, err
	}
	model, err := t.net.export()
	if err != nil {
		return nil, err
	}
	r := &Result{
		Head: t.Head, Labels: t.train.Classes.Names, BestEpoch: t.best.Epoch, Eval: t.best.Classification,
		Train: TrainResult{
			Steps: t.opt.steps, SamplesPerSecond: round(t.clock.mean(), 2),
			Seconds: round(time.Since(t.began).Seconds(), 3), ReadSeconds: round(t.reading.Seconds(), 3), PeakRSSBytes: peakRSS(),
			FirstStepAt: t.clock.first,
		},
		Model: model, Attached: t.net.head, Evaluations: t.history, MaxLength: t.MaxLength,
	}
	if t.run != nil {
		r.Run = t.run.ID
	}
	return r, nil
}

func round(x float64, digits int) float64 {
	p := math.Pow10(digits)
	return math.Round(x*p) / p
}
