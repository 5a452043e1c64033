package finetune

import (
	"time"

	"github.com/ftk-go/ftk/finetune/dataset"
	"github.com/ftk-go/ftk/finetune/metrics"
)

// Event is something that happened in a run: one of the types below.
type Event any

// Reading says how far a data file has been read and tokenised.
type Reading dataset.Progress

// Loaded says what will be trained on.
type Loaded struct {
	Examples, EvalExamples int
	Labels                 []string
	Columns                dataset.Columns // those read, guesses included
	MaxLength              int
	AtMaxLength            int // training examples of that length, probably cut, as far as they are tokenised yet
	Tokenised, Rows        int // so many first rows of the training file, of all, are tokenised; the others are batch by batch
	Trainable, Frozen      int64
	Steps                  int // optimiser steps of the whole run
}

// Features says what is known of the frozen part's features before they are
// computed.
type Features struct {
	Bytes    int64 // that they take on disk
	Examples int
	Reused   bool // found from an earlier run
	Cached   bool // false: beyond the limit, so computed anew for each batch
	Path     string
}

// FeaturesDone counts examples whose features are computed; 0 of 0: no more
// will be.
type FeaturesDone struct{ Done, Total int }

// Step is an optimiser step.
type Step struct {
	Epoch, Step, Steps int // from 1; steps of the whole run
	Loss               float64
	LearningRate       float64
	GradNorm           float64
	SamplesPerSecond   float64
	ETA                time.Duration // to the end of the last epoch, evaluations not included
}

// Evaluating counts the examples of an evaluation; Epoch is 0 outside of
// training.
type Evaluating struct{ Epoch, Done, Total int }

// Evaluated is the result of an epoch.
type Evaluated struct {
	Evaluation
	Best bool // so far
}

// Evaluation is a line of metrics.jsonl.
type Evaluation struct {
	Epoch     int     `json:"epoch"` // from 1
	Step      int     `json:"step"`
	TrainLoss float64 `json:"train_loss"`
	metrics.Classification
}

// Warning is something to tell that does not end the run.
type Warning struct{ Text string }

// Resumed says where a run goes on.
type Resumed struct {
	Run         string
	Epoch, Step int
}

func (c *Config) emit(e Event) {
	if c.Progress != nil {
		c.Progress(e)
	}
}
