package finetune

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime/debug"

	"github.com/ftk-go/ftk/internal/kernels"
	"github.com/ftk-go/ftk/internal/vm"
)

// Run trains as the configuration says and returns what came of it; the
// Result's model has the weights of the best epoch.
//
// When ctx ends, Run stops before the next batch, saves a checkpoint and
// returns a *StoppedError, with a Result if an epoch was completed.
// A loss that is not a number is a *DivergedError; the best epoch so far stays
// in the workspace.
func Run(ctx context.Context, c Config) (*Result, error) {
	defer debug.SetGCPercent(debug.SetGCPercent(gcPercent))
	t, err := prepare(ctx, &c)
	if err != nil {
		return nil, err
	}
	defer t.close()
	debug.FreeOSMemory() // what reading the model left behind
	for t.epoch < c.Epochs {
		if err := t.trainEpoch(ctx); err != nil {
			return t.stopped(err)
		}
		if err := t.evaluateEpoch(ctx); err != nil {
			return t.stopped(err)
		}
	}
	return t.finish()
}

// gcPercent is how far the heap may grow between collections. Nearly all of it
// is a few large buffers without pointers, which cost nothing to mark.
const gcPercent = 15

// trainEpoch is the training loop, from where the epoch was left.
func (t *trainer) trainEpoch(ctx context.Context) error {
	order := newTrainingOrder(t.selection(), t.Seed, t.epoch)
	groups := accumulation{order, t.GradAccum}
	at := t.batch
	t.clock.begin()
	for b, err := range t.feed.batches(ctx, order.from(ctx, at), true) {
		if err == nil {
			err = ctx.Err() // a batch that was ready when ctx ended is not taken
		}
		if err != nil {
			return err
		}
		p, err := t.net.plans.get(b, true)
		if err != nil {
			return err
		}
		t.opt.fetch(b) // the rows of embedding tables that the batch reads
		t.drop(p, at, b.before)
		t.clock.start()
		if err := p.share(groups.weight(at, len(b.examples)), t.pending.Examples == 0); err != nil {
			return err
		}
		if err := p.run(b); err != nil { // forward, backward
			return err
		}
		t.clock.skip(p.machine.Waited()) // for features of a later batch
		loss, err := p.lossValue()
		if err != nil {
			return err
		}
		if !isFinite(float64(loss)) {
			return t.diverged(p, "loss", float64(loss))
		}
		t.pending.add(float64(loss), len(b.examples))
		if !b.more {
			at++
		}
		if b.more || !groups.complete(at) {
			t.clock.stop(len(b.examples))
			continue
		}
		rate := t.opt.rate()
		norm := t.opt.norm()
		if !isFinite(norm) {
			return t.diverged(p, "norm of the gradient", norm)
		}
		t.opt.step(norm) // clip, update
		t.batch = at
		mean := t.pending.mean()
		t.losses.merge(&t.pending)
		t.clock.stop(len(b.examples))
		t.clock.stepped()
		t.report(mean, rate, norm, order.batches())
		t.checkpointWhenDue()
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	t.opt.flush()
	t.clock.end()
	return nil
}

// drop draws the dropout mask [rows width] of a batch, or of the part of it that
// has so many examples before: a row's mask does not depend on how the batch is
// cut.
func (t *trainer) drop(p *plan, batch, before int) {
	if p.dropout == nil {
		return
	}
	width := len(p.dropout) / len(p.labels)
	kernels.DropoutMask(p.dropout, t.Dropout, randomKey(t.Seed, streamDropout, uint64(t.epoch), uint64(batch)), uint64(before*width))
}

// evaluateEpoch evaluates, keeps the weights if they are the best so far, and
// saves a checkpoint if one is due.
func (t *trainer) evaluateEpoch(ctx context.Context) error {
	m, err := t.evalFeed.evaluate(ctx, t.evalExamples, t.MaxLength, func(done int) { t.emit(Evaluating{t.epoch + 1, done, t.evalExamples.Len()}) })
	if err != nil {
		return err
	}
	if !isFinite(m.Loss) {
		return &DivergedError{Epoch: t.epoch + 1, Step: t.opt.steps, What: "loss of the evaluation", Value: m.Loss}
	}
	e := Evaluation{Epoch: t.epoch + 1, Step: t.opt.steps, TrainLoss: t.losses.mean(), Classification: m}
	best := t.best == nil || m.Accuracy > t.best.Accuracy || (m.Accuracy == t.best.Accuracy && m.Loss < t.best.Loss)
	t.history = append(t.history, e)
	if best {
		if err := t.saveBest(&e); err != nil {
			return err
		}
		t.best = &e
	}
	t.epoch, t.batch, t.losses = t.epoch+1, 0, meanLoss{}
	t.emit(Evaluated{e, best})
	t.saveProgress()
	return nil
}

// stopped ends a run that did not get to its end.
func (t *trainer) stopped(cause error) (*Result, error) {
	if !errors.Is(cause, context.Canceled) && !errors.Is(cause, context.DeadlineExceeded) {
		if t.run != nil && t.Resume == nil && t.best == nil && !t.run.HasCheckpoint() { // the run has come to nothing
			cause = errors.Join(cause, t.run.Remove())
		}
		return nil, cause
	}
	if err := t.saveCheckpoint(); err != nil {
		return nil, fmt.Errorf("stopped, and the checkpoint could not be saved: %w", err)
	}
	stopped := &StoppedError{Epoch: t.epoch + 1, Saved: t.run != nil, cause: cause}
	if t.best == nil {
		return nil, stopped
	}
	stopped.Best = t.best.Epoch
	r, err := t.result()
	if err != nil {
		return nil, err
	}
	return r, stopped
}

// StoppedError says that the context ended before the run did, and wraps the
// context's error.
type StoppedError struct {
	Epoch int  // that was under way, from 1
	Best  int  // the best epoch so far, 0 before the first evaluation
	Saved bool // a checkpoint was
	cause error
}

// Error is one line.
func (e *StoppedError) Error() string {
	s := fmt.Sprintf("stopped in epoch %d, before the first evaluation", e.Epoch)
	if e.Best > 0 {
		s = fmt.Sprintf("stopped in epoch %d; epoch %d is the best so far", e.Epoch, e.Best)
	}
	if e.Saved {
		s += "; the same command with --resume goes on"
	}
	return s
}

func (e *StoppedError) Unwrap() error { return e.cause }

// DivergedError says that training gave something that is not a number.
type DivergedError struct {
	Epoch, Step int // from 1
	What        string
	Value       float64
	First       *vm.NonFinite // the first place in order of execution; nil if it did not show again
}

// Error is one line.
func (e *DivergedError) Error() string {
	s := fmt.Sprintf("training diverged in epoch %d at step %d: the %s is %v", e.Epoch, e.Step, e.What, e.Value)
	if e.First != nil {
		s += fmt.Sprintf("; first at node %q (%s)", e.First.Node, e.First.Op)
		if e.First.Op == "input" && e.Step == 1 { // a weight, before any update
			return s + ": the imported model came so; import a sound one"
		}
	}
	return s + "; try a lower --lr or a longer --warmup"
}

func (t *trainer) diverged(p *plan, what string, value float64) error {
	first, err := p.machine.CheckFinite()
	if err != nil {
		return err
	}
	return &DivergedError{Epoch: t.epoch + 1, Step: t.opt.steps + 1, What: what, Value: value, First: first}
}

func isFinite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// accumulation groups the batches of an epoch into optimiser steps.
type accumulation struct {
	*trainingOrder
	group int // batches of a step; the last may have fewer
}

// weight is the share of some examples of a batch in the gradient of its group,
// so that a group counts as one large batch.
func (a accumulation) weight(batch, examples int) float32 {
	lo := batch / a.group * a.group
	total := 0
	for i := lo; i < min(lo+a.group, a.batches()); i++ {
		total += a.rows(i)
	}
	return float32(examples) / float32(total)
}

// complete tells whether a step is due after so many batches of the epoch.
func (a accumulation) complete(done int) bool {
	return done%a.group == 0 || done == a.batches()
}
