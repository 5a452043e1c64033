package finetune

import (
	"context"
	"fmt"
	"slices"

	"github.com/ftk-go/ftk/exporter"
	"github.com/ftk-go/ftk/finetune/dataset"
	"github.com/ftk-go/ftk/finetune/metrics"
	"github.com/ftk-go/ftk/finetune/workspace"
	"github.com/ftk-go/ftk/heads"
	"github.com/ftk-go/ftk/internal/blas"
	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/ort"
	"github.com/ftk-go/ftk/internal/parallel"
	"github.com/ftk-go/ftk/tokenize"
)

// Trained is the model of a run with the weights of its best epoch, ready to
// be evaluated or exported.
type Trained struct {
	Record  Record
	Eval    *metrics.Classification // of the best epoch, also before the run's end; nil if it was not saved
	config  Config
	dir     string // of the run
	model   *graph.Model
	network *network
	frozen  *frozen
}

// Load puts a run's trained tensors into its backbone, which must be the one
// it was trained from.
func Load(backbone *graph.Model, tok *tokenize.Tokenizer, r *workspace.Run, threads int) (t *Trained, err error) {
	t = &Trained{dir: r.Dir}
	if err := r.LoadRecord(&t.Record); err != nil {
		return nil, err
	}
	hash, err := hashModel(backbone)
	if err != nil {
		return nil, err
	}
	if hash != t.Record.Identity.Model {
		return nil, fmt.Errorf("run %s was trained from another model than the one imported now", r.ID)
	}
	if tok.Hash() != t.Record.Identity.Tokenizer {
		return nil, fmt.Errorf("run %s was trained with another tokenizer than the one imported now", r.ID)
	}
	t.config = Config{Model: backbone, Tokenizer: tok, Settings: t.Record.Settings}
	t.config.Threads, t.config.CacheLimit, t.config.FrozenEngine = threads, 0, EngineAuto
	parallel.SetThreads(threads)
	blas.Init()
	if t.network, err = newNetwork(backbone, &t.config.Settings, t.Record.Labels); err != nil {
		return nil, err
	}
	if t.frozen, err = newFrozen(t.network, &t.config.Settings, hash); err != nil {
		return nil, err
	}
	f, err := r.OpenBest()
	if err != nil {
		return nil, fmt.Errorf("run %s has no trained tensors: %w", r.ID, err)
	}
	defer f.Close()
	if err := t.network.weights.load(f); err != nil {
		return nil, fmt.Errorf("run %s: %w", r.ID, err)
	}
	switch {
	case t.Record.Result != nil:
		t.Eval = &t.Record.Result.Eval
	case f.Metadata[bestEvaluation] != "": // the run is under way, or was stopped
		best, err := evaluationOf(f)
		if err != nil {
			return nil, fmt.Errorf("run %s: %w", r.ID, err)
		}
		t.Eval = &best.Classification
	}
	t.model, err = t.network.export()
	return t, err
}

// Model returns backbone and head with the trained tensors. All other tensors
// are the backbone's own.
func (t *Trained) Model() *graph.Model { return t.model }

// Head returns the head of Model.
func (t *Trained) Head() *heads.Head { return t.network.head }

// MaxLength is the most tokens of an example, special ones included.
func (t *Trained) MaxLength() int { return t.config.MaxLength }

// Evaluate computes the metrics on a file of labelled data. Columns left empty
// are those that were trained on where the file has them, else guessed; single
// texts where pairs were trained on, or pairs for single texts, are an error. It
// reports Reading and Evaluating, of epoch 0; progress may be nil.
func (t *Trained) Evaluate(ctx context.Context, path string, columns dataset.Columns, progress func(Event)) (metrics.Classification, error) {
	if progress == nil {
		progress = func(Event) {}
	}
	var m metrics.Classification
	classes := dataset.NewClasses(t.Record.Labels)
	o := dataset.LoadOptions{
		Options: dataset.Options{Columns: columns, Prefer: t.Record.Columns},
		Encode:  t.encoder(), AtOnce: tokenisedAtOnce, Workers: t.config.Threads, Classes: &classes,
		Dir: t.dir, MemoryLimit: setMemory, Progress: func(p dataset.Progress) { progress(Reading(p)) },
	}
	set, err := dataset.Load(ctx, path, o)
	if err != nil {
		return m, err
	}
	defer set.Close()
	fd, err := t.feeder(ctx, set)
	if err != nil {
		return m, err
	}
	defer fd.close()
	m, err = fd.evaluate(ctx, set.All(), t.config.MaxLength, func(done int) { progress(Evaluating{0, done, set.Len()}) })
	if err == nil && !isFinite(m.Loss) {
		err = fmt.Errorf("%s: the loss is %v: what the model gives is not finite", path, m.Loss)
	}
	return m, err
}

// Takes tells whether the tokenizer makes of a text what the model can take.
func (t *Trained) Takes(r dataset.Record) bool {
	e, err := t.encoder()(r.Text, r.Pair)
	return err == nil && len(e.IDs) > 0
}

// Samples runs texts through the trained graph and returns the batches, inputs
// of the whole model with their logits, for exporter's check.
func (t *Trained) Samples(ctx context.Context, texts []dataset.Record) ([]exporter.Sample, error) {
	set, err := dataset.FromRecords(texts, t.encoder())
	if err != nil {
		return nil, err
	}
	defer set.Close()
	fd, err := t.feeder(ctx, set)
	if err != nil {
		return nil, err
	}
	defer fd.close()
	fd.inputs = nil // those of the whole model, whatever the trainable part needs
	for _, v := range t.network.model.Graph.Inputs {
		if v.Init == nil {
			if err := t.network.canFeed(v); err != nil {
				return nil, err
			}
			fd.inputs = append(fd.inputs, v)
		}
	}
	var samples []exporter.Sample
	err = fd.forward(ctx, set.All(), t.config.MaxLength, func(b *batch, logits []float32) error {
		s := exporter.Sample{Inputs: map[string]ort.Array{}, Logits: slices.Clone(logits)}
		for _, v := range fd.inputs {
			a := b.inputs[v.Name]
			s.Inputs[v.Name] = ort.Array{Shape: slices.Clone(a.Shape), I64: slices.Clone(a.I64), I32: slices.Clone(a.I32), F32: slices.Clone(a.F32)}
		}
		samples = append(samples, s)
		return nil
	})
	return samples, err
}

func (t *Trained) encoder() dataset.Encode {
	return encoder(t.config.Tokenizer, t.config.MaxLength, t.network.info.VocabSize)
}

func (t *Trained) feeder(ctx context.Context, set *dataset.Set) (*feeder, error) {
	return newFeeder(ctx, t.network, set, t.frozen, &t.config)
}

// Close releases what onnxruntime and the machines hold.
func (t *Trained) Close() {
	t.frozen.close()
	t.network.close()
}
