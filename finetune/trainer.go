package finetune

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/ftk-go/ftk/finetune/dataset"
	"github.com/ftk-go/ftk/finetune/workspace"
	"github.com/ftk-go/ftk/internal/blas"
	"github.com/ftk-go/ftk/internal/parallel"
	"github.com/ftk-go/ftk/internal/safetensors"
	"github.com/ftk-go/ftk/models"
	"github.com/ftk-go/ftk/tokenize"
)

// trainer is a run under way.
type trainer struct {
	*Config
	run *workspace.Run // nil: nothing is kept

	train, eval            *dataset.Set // may be the same
	examples, evalExamples dataset.Examples
	net                    *network
	frozen                 *frozen
	feed, evalFeed         *feeder
	opt                    *optimizer
	identity               identity

	// Where the run is. These, the weights and the moments are what a
	// checkpoint holds.
	epoch, batch int // from 0; batches of the epoch that have been trained on
	losses       meanLoss
	pending      meanLoss // of the step under way; not saved
	history      []Evaluation
	best         *Evaluation
	bestValues   []float32 // of the weights, when there is no workspace

	clock      stopwatch
	steps      int           // of the whole run
	began      time.Time     // this process, less what the run's earlier ones took
	reading    time.Duration // what it took to read and tokenise
	checkpoint struct {      // the last one
		at   time.Time
		took time.Duration
	}
}

// prepare reads the data, builds the network, finds the features of the frozen
// part or makes ready to compute them, and takes up a checkpoint.
func prepare(ctx context.Context, c *Config) (_ *trainer, err error) {
	var record Record
	if c.Resume != nil {
		if err := c.Resume.LoadRecord(&record); err != nil {
			return nil, err
		}
		if c.Train == "" {
			c.Settings = record.Settings
		}
	}
	if err := c.Check(); err != nil {
		return nil, err
	}
	if c.HeadLearningRate == 0 {
		c.HeadLearningRate = c.LearningRate
	}
	parallel.SetThreads(c.Threads)
	blas.Init()
	if report := c.Progress; report != nil {
		var one sync.Mutex // features are computed by the goroutine that makes batches
		c.Progress = func(e Event) {
			one.Lock()
			defer one.Unlock()
			report(e)
		}
	}
	t := &trainer{Config: c, began: time.Now(), run: c.Resume}
	t.checkpoint.at = t.began
	defer func() {
		if err != nil {
			t.close()
		}
	}()
	info, err := models.Describe(c.Model)
	if err != nil {
		return nil, err
	}
	if c.MaxLength, err = maxLength(c.MaxLength, info, c.Tokenizer); err != nil {
		return nil, err
	}
	begin := time.Now()
	if err := t.load(ctx, info); err != nil {
		return nil, err
	}
	t.reading = time.Since(begin)
	if t.net, err = newNetwork(c.Model, &c.Settings, t.train.Classes.Names); err != nil {
		return nil, err
	}
	if t.identity, err = identify(c, t.train, t.eval); err != nil {
		return nil, err
	}
	chosen := t.selection()
	t.steps = (chosen.batches() + c.GradAccum - 1) / c.GradAccum * c.Epochs
	schedule, err := NewSchedule(c.Schedule, c.Warmup, t.steps)
	if err != nil {
		return nil, err
	}
	c.Model = nil // trained weights are the network's now; the caller may have let go of the rest
	t.opt = newOptimizer(t.net.weights, schedule, c)
	t.net.plans.rows, t.net.plans.groups = t.opt.gradientRows(), c.GradAccum > 1
	if err := t.announce(); err != nil {
		return nil, err
	}
	if err := t.feeds(ctx); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil { // there is nothing to keep yet
		return nil, err
	}
	if t.run != nil {
		return t, t.resume(&record)
	}
	return t, t.begin()
}

// setMemory is how many bytes of a data set are in memory at most; 0: as
// dataset has it. It is a variable for tests with small sets.
var setMemory int64

// load reads the data sets.
func (t *trainer) load(ctx context.Context, info *models.Info) error {
	o := dataset.LoadOptions{
		Options: dataset.Options{Columns: t.Columns}, Encode: encoder(t.Tokenizer, t.MaxLength, info.VocabSize), Workers: t.Threads,
		MemoryLimit: setMemory, Progress: func(p dataset.Progress) { t.emit(Reading(p)) },
	}
	if t.Freeze == "none" { // or the size of features would not be known
		o.AtOnce, o.Together = tokenisedAtOnce, max(megabatch*t.BatchSize, blockExamples)
	}
	if t.Workspace != nil {
		o.Dir = t.Workspace.CacheDir()
	}
	var err error
	if t.train, err = dataset.Load(ctx, t.Train, o); err != nil {
		return err
	}
	if len(t.train.Classes.Names) < 2 {
		return fmt.Errorf("%s: all %d examples have the label %q; it takes at least two labels", t.Train, t.train.Len(), t.train.Classes.Names[0])
	}
	if err := t.train.CheckClasses(); err != nil {
		return err
	}
	t.examples = t.train.All()
	t.eval = t.train
	if t.Eval == "" {
		if t.examples, t.evalExamples, err = t.train.Split(t.EvalSplit, t.Seed); err != nil {
			return err
		}
	} else {
		o.Columns, o.Classes = t.train.Columns, &t.train.Classes
		if t.eval, err = dataset.Load(ctx, t.Eval, o); err != nil {
			return err
		}
		t.evalExamples = t.eval.All()
	}
	return nil
}

// maxLength is the most tokens of an example: as wanted, or what tokenizer and
// model allow, and 256 at most.
func maxLength(wanted int, info *models.Info, tok *tokenize.Tokenizer) (int, error) {
	allowed := info.MaxPositions
	if m := int64(tok.ModelMaxLength()); m > 0 && (allowed == 0 || m < allowed) {
		allowed = m
	}
	switch {
	case wanted == 0 && allowed == 0:
		return defaultMaxLength, nil
	case wanted == 0:
		return int(min(allowed, defaultMaxLength)), nil
	case info.MaxPositions > 0 && int64(wanted) > info.MaxPositions:
		return 0, fmt.Errorf("maximum length %d: the model has positions for %d tokens", wanted, info.MaxPositions)
	}
	return wanted, nil
}

const defaultMaxLength = 256

// encoder gives the model's view of a text; a pair of which the second text is
// empty is a single text. The model has embeddings for so many tokens (0: not
// known); another is an error.
func encoder(tok *tokenize.Tokenizer, maxLength int, vocabulary int64) dataset.Encode {
	o := tokenize.Options{MaxLength: maxLength, IDsOnly: true}
	fits := vocabulary == 0 || tok.MaxID() < vocabulary
	return func(text, pair string) (dataset.Encoding, error) {
		e, err := tok.EncodeInput(tokenize.Input{Text: text, Pair: pair, HasPair: pair != ""}, o)
		if err != nil {
			return dataset.Encoding{}, err
		}
		for _, id := range e.IDs {
			if !fits && id >= vocabulary {
				return dataset.Encoding{}, fmt.Errorf("the tokenizer does not fit the model: it gives token id %d, the model has %d embeddings", id, vocabulary)
			}
		}
		return dataset.Encoding{IDs: e.IDs, TypeIDs: e.TypeIDs}, nil
	}
}

// selection is what is trained on.
func (t *trainer) selection() selection {
	return selection{t.train, t.examples, t.BatchSize, t.MaxLength}
}

// announce tells what will be trained.
func (t *trainer) announce() error {
	limit := 0
	for e, err := range t.train.Scan(0, t.train.Tokenised()) {
		if err != nil {
			return err
		}
		if e.Length >= t.MaxLength && t.examples.Has(e.Number) {
			limit++
		}
	}
	t.emit(Loaded{
		Examples: t.examples.Len(), EvalExamples: t.evalExamples.Len(), Labels: t.train.Classes.Names, Columns: t.train.Columns,
		MaxLength: t.MaxLength, AtMaxLength: limit, Tokenised: t.train.Tokenised(), Rows: t.train.Len(), Trainable: t.net.weights.count(), Frozen: t.net.frozen(), Steps: t.steps,
	})
	if n := len(t.net.info.Anonymous); n > 0 && t.Freeze != "backbone" {
		t.emit(Warning{fmt.Sprintf("%d weights of the model are Constant nodes, not initializers, and stay as they are, whatever --freeze says", n)})
	}
	for _, s := range []*dataset.Set{t.train, t.eval} {
		if s.EmptyTexts > 0 {
			t.emit(Warning{fmt.Sprintf("%s: %d examples have no text, the first at line %d; they are kept", s.Path, s.EmptyTexts, s.FirstEmptyLine)})
		}
		if t.eval == t.train {
			break
		}
	}
	return nil
}

// feeds prepares what makes batches, features of the frozen part included.
func (t *trainer) feeds(ctx context.Context) error {
	var err error
	if t.frozen, err = newFrozen(t.net, &t.Settings, t.identity.Model); err != nil {
		return err
	}
	if t.feed, err = newFeeder(ctx, t.net, t.train, t.frozen, t.Config); err != nil {
		return err
	}
	t.evalFeed = t.feed
	if t.eval != t.train {
		if t.evalFeed, err = newFeeder(ctx, t.net, t.eval, t.frozen, t.Config); err != nil {
			return err
		}
	}
	return nil
}

// bestEvaluation is the metadata of the best weights that says what they are
// worth.
const bestEvaluation = "evaluation"

// saveBest keeps the weights, which have this evaluation, as the best so far.
func (t *trainer) saveBest(e *Evaluation) error {
	if t.run == nil {
		t.bestValues = append(t.bestValues[:0], t.net.weights.value...)
		return nil
	}
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return t.run.SaveBest(t.net.weights.tensors(), map[string]string{bestEvaluation: string(text)})
}

// evaluationOf returns what saveBest wrote of the weights.
func evaluationOf(best *safetensors.File) (*Evaluation, error) {
	e := new(Evaluation)
	if err := json.Unmarshal([]byte(best.Metadata[bestEvaluation]), e); err != nil {
		return nil, fmt.Errorf("the evaluation of its best weights: %w", err)
	}
	return e, nil
}

// loadBest brings the best weights back.
func (t *trainer) loadBest() error {
	if t.run == nil {
		copy(t.net.weights.value, t.bestValues)
		return nil
	}
	f, err := t.run.OpenBest()
	if err != nil {
		return err
	}
	defer f.Close()
	return t.net.weights.load(f)
}

// saveProgress writes what the run has come to after an epoch. That it cannot
// does not end the run: the weights that matter are saved.
func (t *trainer) saveProgress() {
	if t.run == nil {
		return
	}
	if err := workspace.SaveMetrics(t.run, t.history); err != nil {
		t.emit(Warning{fmt.Sprintf("the metrics could not be saved: %v", err)})
	}
	if t.epoch < t.Epochs { // else finish follows
		t.checkpointWhenDue()
	}
}

// checkpointEvery is how much training a process that is killed may lose, or
// more where saving takes long. (One that is interrupted loses nothing.)
const checkpointEvery = time.Minute

// checkpointWhenDue saves a checkpoint if the last one was long ago: measured
// by checkpointEvery, and by how long it took to save, which is to be 2 % of
// the time at most. One that cannot be saved does not end the run: the one
// before is still there.
func (t *trainer) checkpointWhenDue() {
	if t.run == nil || time.Since(t.checkpoint.at) < max(checkpointEvery, 50*t.checkpoint.took) {
		return
	}
	began := time.Now()
	if err := t.saveCheckpoint(); err != nil {
		t.emit(Warning{fmt.Sprintf("the checkpoint could not be saved: %v", err)})
	}
	t.checkpoint.at = time.Now()
	t.checkpoint.took = t.checkpoint.at.Sub(began)
}

func (t *trainer) close() {
	if t.feed != nil {
		t.feed.close()
	}
	if t.evalFeed != nil && t.evalFeed != t.feed {
		t.evalFeed.close()
	}
	t.frozen.close()
	if t.net != nil {
		t.net.close()
	}
	if t.train != nil {
		t.train.Close()
	}
	if t.eval != nil && t.eval != t.train {
		t.eval.Close()
	}
}

// report tells of a step.
func (t *trainer) report(loss, rate, norm float64, batches int) {
	if t.Progress == nil {
		return
	}
	left := float64(batches-t.batch)*float64(t.BatchSize) + float64(t.Epochs-t.epoch-1)*float64(t.examples.Len())
	speed := t.clock.speed()
	e := Step{Epoch: t.epoch + 1, Step: t.opt.steps, Steps: t.steps, Loss: loss, LearningRate: rate, GradNorm: norm, SamplesPerSecond: speed}
	if speed > 0 {
		e.ETA = seconds(left / speed)
	}
	t.emit(e)
}

// meanLoss is the mean loss of examples.
type meanLoss struct {
	Sum      float64 `json:"sum"`
	Examples int     `json:"examples"`
}

func (m *meanLoss) add(mean float64, examples int) {
	m.Sum += mean * float64(examples)
	m.Examples += examples
}

// merge moves what another has into m.
func (m *meanLoss) merge(other *meanLoss) {
	m.Sum, m.Examples = m.Sum+other.Sum, m.Examples+other.Examples
	*other = meanLoss{}
}

func (m *meanLoss) mean() float64 { return m.Sum / float64(max(1, m.Examples)) }

// stopwatch measures training: all of an epoch but its evaluation for the
// run's speed; for the time that is left, steps without what comes seldom, or
// in the first epoch only: planning, and waiting for features.
type stopwatch struct {
	began   time.Time // the epoch, or what of it is not in total yet
	from    time.Time // the step
	total   time.Duration
	samples int
	first   time.Time // the end of the first step

	recent     float64 // samples, the older the less they count
	recentTime float64 // seconds that they took
}

// begin begins an epoch.
func (s *stopwatch) begin() { s.began = time.Now() }

// end ends it.
func (s *stopwatch) end() { s.count(time.Now()) }

func (s *stopwatch) count(now time.Time) {
	s.total += now.Sub(s.began)
	s.began = now
}

func (s *stopwatch) start() { s.from = time.Now() }

// skip leaves time out that was spent otherwise since start.
func (s *stopwatch) skip(d time.Duration) { s.from = s.from.Add(d) }

// stop counts samples, of a step or a part of one.
func (s *stopwatch) stop(samples int) {
	now := time.Now()
	s.count(now)
	s.samples += samples
	const keep = 0.98
	s.recent = keep*s.recent + float64(samples)
	s.recentTime = keep*s.recentTime + now.Sub(s.from).Seconds()
}

// stepped notes that a step is done.
func (s *stopwatch) stepped() {
	if s.first.IsZero() {
		s.first = time.Now()
	}
}

// speed is the recent speed in samples a second, for the time that is left.
func (s *stopwatch) speed() float64 {
	if s.recentTime <= 0 {
		return 0
	}
	return s.recent / s.recentTime
}

// resume goes on from what an earlier process measured.
func (s *stopwatch) resume(total float64, samples int) {
	s.total, s.samples = seconds(total), samples
}

// mean is the speed over the whole run.
func (s *stopwatch) mean() float64 {
	if s.total == 0 {
		return 0
	}
	return float64(s.samples) / s.total.Seconds()
}

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }
