// Package finetune trains a head, and as much of the model under it as is
// wanted, on labelled text.
//
// Run is the loop. Around it: data sets (dataset), batches of like length
// (batches.go, feed.go), the model with its head cut at the freeze boundary
// (network.go), the frozen part (frozen.go) and its features, kept on disk
// (features.go, featurefile.go), a lowered graph and machine for each shape
// (plans.go), AdamW (optimizer.go, tables.go), evaluation (evaluate.go),
// checkpoints (checkpoint.go) and what a run leaves behind (workspace).
//
// A run is a function of its Config and of the number of threads, to the bit,
// also when it was stopped and resumed.
//
// Memory does not grow with the number of examples, but for a bit of each where
// the data is split and a bit of each while its features are made: a data set
// beyond 8 MiB lies in files (dataset.Set), features lie in files, and the order
// of an epoch is computed a megabatch at a time (batches.go, permutation.go).
package finetune

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/ftk-go/ftk/finetune/dataset"
	"github.com/ftk-go/ftk/finetune/workspace"
	"github.com/ftk-go/ftk/heads"
	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/tokenize"
)

// Config says what is trained, on what, and how.
type Config struct {
	Model     *graph.Model        `json:"-"` // the backbone; it is not changed
	Tokenizer *tokenize.Tokenizer `json:"-"`
	Settings

	Workspace *workspace.Workspace `json:"-"` // nil: nothing is kept but the Result
	Resume    *workspace.Run       `json:"-"` // continue this run's checkpoint; with no Train, all Settings are the run's
	Progress  func(Event)          `json:"-"` // called by one goroutine at a time; may be nil
}

// Settings is the part of Config that decides the result. It stands in run.json.
type Settings struct {
	Head    string `json:"head"`              // "classify"
	Pooling string `json:"pooling,omitempty"` // "auto", "cls", "mean", "pooler"; see heads.Config
	// SourcePooling is what the model's directory asks for; see models.ReadPooling.
	SourcePooling string `json:"source_pooling,omitempty"`
	Freeze        string `json:"freeze"` // "backbone", "embeddings", "none" or a number of layers
	// FrozenEngine is what runs the frozen part: "ftk", "onnxruntime", or "auto" (or empty), whichever is faster here.
	FrozenEngine string `json:"frozen_engine,omitempty"`

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

	// CacheLimit is how many bytes of features are kept on disk; 0: none are.
	// Features that are computed for each batch differ by rounding.
	CacheLimit int64 `json:"cache_limit"`
}

// Defaults are the settings of a run that asks for nothing in particular.
func Defaults() Settings {
	return Settings{
		Head: "classify", Pooling: "auto", Freeze: "none", FrozenEngine: EngineAuto,
		Epochs: 3, BatchSize: 32, GradAccum: 1,
		LearningRate: 5e-5, WeightDecay: 0.01, Warmup: 0.1, Schedule: "linear", GradClip: 1,
		Dropout: 0.1, Loss: LossCrossEntropy, Seed: 42, CacheLimit: 16 << 30,
	}
}

// The engines of the frozen part.
const (
	EngineAuto        = "auto"
	EngineFtk         = "ftk"
	EngineOnnxruntime = "onnxruntime"
)

// The losses.
const (
	LossCrossEntropy = "cross-entropy"
	LossHinge        = "hinge"
)

// Check tells what is wrong with the settings, by the names that the command
// line has for them.
func (s *Settings) Check() error {
	const most = 1 << 20 // of what is multiplied with numbers of examples
	finite := func(v float64) bool { return v >= 0 && !math.IsInf(v, 0) }
	switch {
	case !slices.Contains(heads.Kinds(), s.Head):
		return fmt.Errorf("--head %q: the heads are: %s", s.Head, strings.Join(heads.Kinds(), ", "))
	case s.Train == "":
		return errors.New("no training data: give --data FILE")
	case s.Eval == "" && s.EvalSplit == 0:
		return errors.New("no evaluation data: give --eval FILE or --eval-split SHARE")
	case s.Eval != "" && s.EvalSplit != 0:
		return errors.New("--eval and --eval-split exclude each other: give one of them")
	case s.EvalSplit != 0 && !(s.EvalSplit > 0 && s.EvalSplit < 1):
		return fmt.Errorf("--eval-split %v: it is a share between 0 and 1, such as 0.1", s.EvalSplit)
	case !freezes(s.Freeze):
		return fmt.Errorf("--freeze %q: it is backbone, embeddings, none, or a number of layers", s.Freeze)
	case s.FrozenEngine != "" && !slices.Contains([]string{EngineAuto, EngineFtk, EngineOnnxruntime}, s.FrozenEngine):
		return fmt.Errorf("--frozen-engine %q: it is %s, %s or %s", s.FrozenEngine, EngineAuto, EngineFtk, EngineOnnxruntime)
	case s.Pooling != "" && !slices.Contains(poolings, s.Pooling):
		return fmt.Errorf("--pooling %q: it is one of %s", s.Pooling, strings.Join(poolings, ", "))
	case s.Epochs < 1 || s.Epochs > most:
		return fmt.Errorf("--epochs %d: it takes 1 to %d", s.Epochs, most)
	case s.BatchSize < 1 || s.BatchSize > most:
		return fmt.Errorf("--batch-size %d: it takes 1 to %d", s.BatchSize, most)
	case s.GradAccum < 1 || s.GradAccum > most:
		return fmt.Errorf("--grad-accum %d: it takes 1 to %d", s.GradAccum, most)
	case !finite(s.LearningRate):
		return fmt.Errorf("--lr %v: it is a number from 0", s.LearningRate)
	case !finite(s.HeadLearningRate):
		return fmt.Errorf("--head-lr %v: it is a number from 0", s.HeadLearningRate)
	case !finite(s.WeightDecay):
		return fmt.Errorf("--weight-decay %v: it is a number from 0", s.WeightDecay)
	case s.WeightDecay*max(s.LearningRate, s.HeadLearningRate) >= 1:
		return fmt.Errorf("--weight-decay %v: times the learning rate it is the share that a weight loses in a step, which must be less than 1", s.WeightDecay)
	case !finite(s.GradClip):
		return fmt.Errorf("--grad-clip %v: it is a number from 0", s.GradClip)
	case !(s.Dropout >= 0 && s.Dropout < 1):
		return fmt.Errorf("--dropout %v: it is a share from 0, less than 1", s.Dropout)
	case !(s.LabelSmoothing >= 0 && s.LabelSmoothing < 1):
		return fmt.Errorf("--label-smoothing %v: it is a share from 0, less than 1", s.LabelSmoothing)
	case !slices.Contains([]string{LossCrossEntropy, LossHinge}, s.Loss):
		return fmt.Errorf("--loss %q: there are %s and %s", s.Loss, LossCrossEntropy, LossHinge)
	case s.LabelSmoothing != 0 && s.Loss != LossCrossEntropy:
		return fmt.Errorf("--label-smoothing is for --loss %s, not for %s", LossCrossEntropy, s.Loss)
	case s.MaxLength < 0:
		return fmt.Errorf("--max-length %d: it takes 0 or more", s.MaxLength)
	case s.Threads < 0:
		return fmt.Errorf("--threads %d: it takes 0 (all cores) or more", s.Threads)
	case s.CacheLimit < 0:
		return errors.New("--cache-limit: it takes 0 or more")
	}
	_, err := NewSchedule(s.Schedule, s.Warmup, 1)
	return err
}

// poolings are the values of Pooling.
var poolings = []string{heads.Auto, heads.CLS, heads.Mean, heads.Pooler}

// freezes tells whether models.Freeze can take a specification; the number of
// layers is checked there.
func freezes(spec string) bool {
	if n, err := strconv.Atoi(spec); err == nil {
		return n >= 0
	}
	return slices.Contains([]string{"backbone", "embeddings", "none"}, spec)
}
