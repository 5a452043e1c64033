package main

import (
	"errors"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ftk-go/ftk/finetune"
	"github.com/ftk-go/ftk/finetune/workspace"
	"github.com/ftk-go/ftk/heads"
	"github.com/ftk-go/ftk/importer"
	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/models"
	"github.com/ftk-go/ftk/tokenize"
)

func newFinetuneCommand() *cobra.Command {
	s := finetune.Defaults()
	var resume bool
	cacheLimit := s.CacheLimit >> 20
	cmd := &cobra.Command{
		Use:   "finetune --data FILE (--eval FILE | --eval-split SHARE)",
		Short: "Attach a head to the imported model and train it",
		Long: `finetune attaches a head to the imported model, trains it on labelled text, with
as much of the model as --freeze leaves, and evaluates after each epoch. The best
epoch is what export takes. Data: .csv (RFC 4180), .tsv or .jsonl, with a header
or keys (text, sentence, question, … or sentence1 and sentence2; label, intent,
class, …; or those that flags name); labels are strings or integers. Ctrl-C ends
it cleanly: the best epoch so far is kept, and --resume goes on where it stopped.`,
		Example: `  ftk finetune --head classify --data train.csv --eval dev.csv
  ftk finetune --data train.tsv --eval-split 0.1 --freeze backbone --epochs 10
  ftk finetune --data train.jsonl --eval dev.jsonl --text-column question --label-column intent --freeze 4
  ftk finetune --resume`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if s.CacheLimit = cacheLimit << 20; s.CacheLimit>>20 != cacheLimit {
				return usagef("finetune: --%s: %d MiB are more than any disk has", cacheLimitFlag, cacheLimit)
			}
			if resume && s.Train == "" {
				if err := checkResumed(cmd, s.CacheLimit); err != nil {
					return err
				}
				return runFinetune(cmd, s, resume)
			}
			if err := s.Check(); err != nil {
				return usagef("finetune: %w; see 'ftk finetune --help'", err)
			}
			return runFinetune(cmd, s, resume)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&s.Head, "head", s.Head, "the `kind` of head: classify")
	f.StringVar(&s.Train, "data", s.Train, "training data: a .csv, .tsv or .jsonl `file`")
	f.StringVar(&s.Eval, "eval", s.Eval, "evaluation data: a `file`")
	f.Float64Var(&s.EvalSplit, "eval-split", s.EvalSplit, "instead of --eval: the `share` of the training data to evaluate on, stratified")
	f.StringVar(&s.Columns.Text, "text-column", "", "the `column` of the text (default: guessed)")
	f.StringVar(&s.Columns.Pair, "text-pair-column", "", "the `column` of the second text (default: guessed together with the text; none where --text-column alone is named)")
	f.StringVar(&s.Columns.Label, "label-column", "", "the `column` of the label (default: guessed)")
	f.StringVar(&s.Freeze, "freeze", s.Freeze, "what is not trained: backbone, embeddings, none, or `N`, the first N layers and the embeddings")
	f.StringVar(&s.Pooling, "pooling", s.Pooling, "one vector of the hidden states: auto, cls, mean or pooler")
	f.IntVar(&s.Epochs, "epochs", s.Epochs, "passes over the training data")
	f.IntVar(&s.BatchSize, "batch-size", s.BatchSize, "examples in a batch")
	f.IntVar(&s.GradAccum, "grad-accum", s.GradAccum, "batches whose gradients make one step")
	f.Float64Var(&s.LearningRate, "lr", s.LearningRate, "learning rate of the backbone")
	f.Float64Var(&s.HeadLearningRate, "head-lr", s.HeadLearningRate, "learning rate of the head (0: that of the backbone)")
	f.Float64Var(&s.WeightDecay, "weight-decay", s.WeightDecay, "decoupled weight decay, not applied to biases and layer norms")
	f.Float64Var(&s.Warmup, "warmup", s.Warmup, "share of all steps, or number of steps, in which the learning rate rises")
	f.StringVar(&s.Schedule, "schedule", s.Schedule, "the learning rate after that: linear, cosine or constant")
	f.IntVar(&s.MaxLength, "max-length", s.MaxLength, "cut texts to so many tokens (0: what the model allows, at most 256)")
	f.Float64Var(&s.GradClip, "grad-clip", s.GradClip, "largest norm of the gradient (0: any)")
	f.Float64Var(&s.Dropout, "dropout", s.Dropout, "dropout before the head's linear layer")
	f.StringVar(&s.Loss, "loss", s.Loss, "cross-entropy or hinge")
	f.Float64Var(&s.LabelSmoothing, "label-smoothing", s.LabelSmoothing, "label smoothing of the cross-entropy")
	f.Uint64Var(&s.Seed, "seed", s.Seed, "seed: the same gives the same run to the bit with the same --threads")
	f.IntVar(&s.Threads, "threads", s.Threads, "threads (0: all cores)")
	f.Int64Var(&cacheLimit, cacheLimitFlag, cacheLimit, "most `MiB` of frozen features to keep on disk, those of earlier runs included, of which the oldest go first; what does not fit is computed again for each batch")
	f.StringVar(&s.FrozenEngine, "frozen-engine", s.FrozenEngine, "the `engine` that computes the frozen part: ftk, onnxruntime, or auto, whichever is faster here")
	f.BoolVar(&resume, "resume", false, "go on with the newest run that was stopped: with the whole command as it was, or alone, when only --cache-limit may be given too")
	return cmd
}

// cacheLimitFlag names the one setting that a resumed run may change.
const cacheLimitFlag = "cache-limit"

// checkResumed refuses flags that a run resumed by --resume alone would ignore.
func checkResumed(cmd *cobra.Command, cacheLimit int64) error {
	var ignored []string
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Changed && f.Name != "resume" && f.Name != cacheLimitFlag {
			ignored = append(ignored, "--"+f.Name)
		}
	})
	if len(ignored) > 0 {
		return usagef("finetune --resume: a resumed run goes on with the settings it was begun with: leave out %s, or give --data and all other flags as they were",
			strings.Join(ignored, ", "))
	}
	if cacheLimit < 0 {
		return usagef("finetune: --%s: it takes 0 or more", cacheLimitFlag)
	}
	return nil
}

// runFinetune trains. A run that is resumed without training data has its own
// settings, but for the cache's limit where that was given.
func runFinetune(cmd *cobra.Command, s finetune.Settings, resume bool) error {
	ws, err := workspace.Open(global.workspace)
	if err != nil {
		return err
	}
	if _, err := ws.ModelDir(); err != nil { // before Lock makes a .ftk
		return err
	}
	if err := ws.Lock(); err != nil {
		return err
	}
	defer ws.Unlock()
	progress := newTrainingProgress()
	config := finetune.Config{Settings: s, Workspace: ws, Progress: progress.event}
	if err := loadBackbone(ws, &config); err != nil {
		return err
	}
	auto := s.Pooling == heads.Auto || s.Pooling == ""
	if config.SourcePooling, err = sourcePooling(ws); err != nil && auto && s.Train != "" {
		return err // without data, the run that is resumed says how it pools
	}
	if resume {
		if config.Resume, err = ws.LatestCheckpoint(); err != nil {
			return err
		}
	}
	if resume && s.Train == "" {
		var record finetune.Record
		if err := config.Resume.LoadRecord(&record); err != nil {
			return err
		}
		config.Settings = record.Settings
		if cmd.Flags().Changed(cacheLimitFlag) {
			config.CacheLimit = s.CacheLimit
		}
	}
	result, err := finetune.Run(cmd.Context(), config)
	progress.end()
	if result != nil {
		say("\nrun %s: best is epoch %d with accuracy %.4f, macro F1 %.4f, loss %.4f; %d steps in %.0f s, %.1f examples/s",
			result.Run, result.BestEpoch, result.Eval.Accuracy, result.Eval.F1Macro, result.Eval.Loss,
			result.Train.Steps, result.Train.Seconds, result.Train.SamplesPerSecond)
		if global.json {
			if err := printJSON(result); err != nil {
				return err
			}
		}
	}
	return err
}

// loadBackbone loads what import put into the workspace.
func loadBackbone(ws *workspace.Workspace, c *finetune.Config) error {
	dir, err := ws.ModelDir()
	if err != nil {
		return err
	}
	if c.Model, err = importer.Load(filepath.Join(dir, workspace.ModelFile)); err != nil {
		return err
	}
	c.Tokenizer, err = tokenize.Load(dir)
	var none *tokenize.NotFoundError
	if errors.As(err, &none) {
		return errors.New("the imported model has no tokenizer: import it again with --tokenizer PATH")
	}
	return err
}

// sourcePooling is how the imported model's directory asks to pool. An error
// matters only where nothing else says how.
func sourcePooling(ws *workspace.Workspace) (string, error) {
	dir, err := ws.ModelDir()
	if err != nil {
		return "", err
	}
	pooling, err := models.ReadPooling(dir)
	var unsupported *graph.UnsupportedError
	if errors.As(err, &unsupported) {
		unsupported.Hint = "choose --pooling cls, mean or pooler"
	}
	return pooling, err
}
