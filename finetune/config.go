// Package finetune trains a head, and as much of the model under it as is
// wanted, on labelled text.
//
// Run is the loop. Around it: data sets (dataset), batches of like length
// (batches.go, feed.go), the model with its head cut at the freeze boundary
// (network.go), features of the frozen part from onnxruntime, kept on disk
// (features.go, featurefile.go), a lowered graph and machine for each shape
// (plans.go), AdamW (optimizer.go, tables.go), evaluation (evaluate.go),
// checkpoints (checkpoint.go) and what a run leaves behind (workspace).
//
// A run is a function of its Config and of the number of threads, to the bit,
// also when it was stopped and resumed.
package finetune

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/ftk-go/ftk/finetune/dataset"
	"github.com/ftk-go/ftk/finetune/workspace"
	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/tokenize"
)

// Config says what is trained, on what, and how.
type Config struct {
	Model     *graph.Model        `json:"-"` // the backbone; it is not changed
	Tokenizer *tokenize.Tokenizer `json:"-"`
	Settings

	Workspace *workspace.Workspace `json:"-"` // nil: nothing is kept but the Result
	Resume    *workspace.Run       `json:"-"` // continue this run's checkpoint
	Progress  func(Event)          `json:"-"` // called from the training goroutine; may be nil
}

// Settings is the part of Config that decides the result. It stands in run.json.
type Settings struct {
	Head    string `json:"head"`              // "classify"
	Pooling string `json:"pooling,omitempty"` // "auto", "cls", "mean", "pooler"; see heads.Config
	// SourcePooling is what the model's directory asks for; see models.ReadPooling.
	SourcePooling string `json:"source_pooling,omitempty"`
	Freeze        string `json:"freeze"` // "backbone", "embeddings", "none" or a number of layers

	Train     string          `json:"data"`
	Eval      string          `json:"eval,omitempty"`       // or:
	EvalSplit float64         `json:"eval_split,omitempty"` // share of Train, stratified
	Columns   dataset.Columns `json:"columns"`              // guessed where empty
	MaxLength int             `json:"max_length"`           // tokens, special ones included; 0: what the model allows, at most 256

	Epochs           int     `json:"epochs"`
	BatchSize        int     `json:"batch_size"`
	GradAccum        int     `json:"grad_accum"` // batches in an optimiser step
	LearningRate     float64 `json:"lr"`
	HeadLearningRate float64 `json:"head_lr"` // 0: LearningRate
	WeightDecay      float64 `json:"weight_decay"`
	Warmup           float64 `json:"warmup"`    // share of all steps, or a number of steps from 1
	Schedule         string  `json:"schedule"`  // see ScheduleKinds
	GradClip         float64 `json:"grad_clip"` // largest norm; 0: any
	Dropout          float64 `json:"dropout"`   // before the head's last layer
	Loss             string  `json:"loss"`      // "cross-entropy" or "hinge"
	LabelSmoothing   float64 `json:"label_smoothing,omitempty"`
	Seed             uint64  `json:"seed"`
	Threads          int     `json:"threads"` // 0: all

	CacheLimit int64 `json:"cache_limit"` // bytes of features kept on disk; 0: none are
}

// Defaults are the settings of a run that asks for nothing in particular.
func Defaults() Settings {
	return Settings{
		Head: "classify", Pooling: "auto", Freeze: "none",
		Epochs: 3, BatchSize: 32, GradAccum: 1,
		LearningRate: 5e-5, WeightDecay: 0.01, Warmup: 0.1, Schedule: "linear", GradClip: 1,
		Dropout: 0.1, Loss: LossCrossEntropy, Seed: 42, CacheLimit: 16 << 30,
	}
}

// The losses.
const (
	LossCrossEntropy = "cross-entropy"
	LossHinge        = "hinge"
)

// Check tells what is wrong with the settings.
func (s *Settings) Check() error {
	positive := func(v int) bool { return v > 0 }
	finite := func(v float64) bool { return v >= 0 && !math.IsInf(v, 0) }
	switch {
	case s.Head != "classify":
		return fmt.Errorf("head %q: only classify can be trained so far", s.Head)
	case s.Train == "":
		return errors.New("no training data (--data)")
	case s.Eval == "" && s.EvalSplit == 0:
		return errors.New("no evaluation data: give --eval FILE or --eval-split SHARE")
	case s.Eval != "" && s.EvalSplit != 0:
		return errors.New("--eval and --eval-split exclude each other")
	case s.EvalSplit != 0 && !(s.EvalSplit > 0 && s.EvalSplit < 1):
		return fmt.Errorf("evaluation share %v is not between 0 and 1", s.EvalSplit)
	case !positive(s.Epochs):
		return fmt.Errorf("%d epochs", s.Epochs)
	case !positive(s.BatchSize):
		return fmt.Errorf("batch size %d", s.BatchSize)
	case !positive(s.GradAccum):
		return fmt.Errorf("gradient accumulation over %d batches", s.GradAccum)
	case !finite(s.LearningRate), !finite(s.HeadLearningRate):
		return fmt.Errorf("learning rate %v, of the head %v", s.LearningRate, s.HeadLearningRate)
	case !finite(s.WeightDecay):
		return fmt.Errorf("weight decay %v", s.WeightDecay)
	case !finite(s.GradClip):
		return fmt.Errorf("gradient clipping at norm %v", s.GradClip)
	case !(s.Dropout >= 0 && s.Dropout < 1):
		return fmt.Errorf("dropout %v is not in [0, 1)", s.Dropout)
	case !(s.LabelSmoothing >= 0 && s.LabelSmoothing < 1):
		return fmt.Errorf("label smoothing %v is not in [0, 1)", s.LabelSmoothing)
	case !slices.Contains([]string{LossCrossEntropy, LossHinge}, s.Loss):
		return fmt.Errorf("unknown loss %q; there are %s and %s", s.Loss, LossCrossEntropy, LossHinge)
	case s.MaxLength < 0:
		return fmt.Errorf("maximum length %d", s.MaxLength)
	case s.CacheLimit < 0:
		return fmt.Errorf("cache limit %d", s.CacheLimit)
	}
	_, err := NewSchedule(s.Schedule, s.Warmup, 1)
	return err
}
