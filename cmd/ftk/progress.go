package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/ftk-go/ftk/finetune"
	"github.com/ftk-go/ftk/finetune/dataset"
)

// trainingProgress shows a run: a bar on stderr where that is a terminal, lines
// on stdout for what stays.
type trainingProgress struct {
	terminal bool
	bar      *progressbar.ProgressBar
	what     string // what the bar is of: a data file, training, evaluating, features; "" for none
	text     string // beside the bar
	features string // how far features are computed, while they are
	first    finetune.FeaturesDone
	firstAt  time.Time // of features under way, to tell how long they take
	loss     float64   // running mean over about 50 steps
	began    time.Time // when the bar was new
}

func newTrainingProgress() *trainingProgress {
	return &trainingProgress{terminal: term.IsTerminal(int(os.Stderr.Fd()))}
}

// show brings the bar to done of total units, or bytes. A bar of something else
// is replaced.
func (p *trainingProgress) show(what, text string, done, total int64, bytes bool) {
	if p.what != what {
		p.end()
		p.what, p.began = what, time.Now()
		if p.terminal {
			p.bar = progressbar.NewOptions64(total,
				progressbar.OptionSetWriter(os.Stderr), progressbar.OptionSetWidth(24),
				progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionShowCount(), progressbar.OptionShowBytes(bytes),
				progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false), progressbar.OptionClearOnFinish())
		}
	}
	p.text = text
	if p.bar != nil {
		p.bar.Describe(p.text + p.features)
		p.bar.Set64(done)
	}
}

// left is the time until done is total, at the speed so far.
func (p *trainingProgress) left(what string, done, total int64) string {
	since := time.Since(p.began)
	if p.what != what || since < time.Second/10 {
		return ""
	}
	left := time.Duration(float64(since) * float64(total-done) / float64(max(done, 1)))
	return "  ETA " + left.Round(time.Second).String()
}

// end takes the bar away.
func (p *trainingProgress) end() {
	if p.bar != nil {
		p.bar.Clear()
		p.bar = nil
	}
	p.what = ""
}

// event shows one event of a run.
func (p *trainingProgress) event(e finetune.Event) {
	switch e := e.(type) {
	case finetune.Reading:
		p.read(e)
	case finetune.Loaded:
		p.end()
		say("%s examples to train on, %s to evaluate, %d labels; columns: %s", count(int64(e.Examples)), count(int64(e.EvalExamples)), len(e.Labels), columns(e.Columns))
		say("%s values trained, %s frozen; %d steps", count(e.Trainable), count(e.Frozen), e.Steps)
		if e.AtMaxLength > 0 {
			of := ""
			if e.Tokenised < e.Rows {
				of = fmt.Sprintf(" of the first %s", count(int64(e.Tokenised)))
			}
			say("%s examples%s are %d tokens long, the most there can be (--max-length): they are probably cut", count(int64(e.AtMaxLength)), of, e.MaxLength)
		}
	case finetune.Features:
		switch {
		case e.Reused:
			say("features of the frozen part: %s, kept from an earlier run", megabytes(e.Bytes))
		case e.Cached:
			say("features of the frozen part: %s for %s examples, computed once", megabytes(e.Bytes), count(int64(e.Examples)))
		case e.Bytes == 0:
			say("features of the frozen part cannot be kept by example: computed again for each batch")
		default:
			say("features of the frozen part would take %s, more than --cache-limit: computed again for each batch", megabytes(e.Bytes))
		}
	case finetune.FeaturesDone:
		p.featuresDone(e)
	case finetune.Resumed:
		say("going on with run %s in epoch %d, after step %d", e.Run, e.Epoch, e.Step)
	case finetune.Step:
		if p.what != training {
			p.loss = e.Loss
		}
		p.loss += (e.Loss - p.loss) / 50
		p.show(training, fmt.Sprintf("epoch %d  loss %.4f  %.1f examples/s  ETA %s", e.Epoch, p.loss, e.SamplesPerSecond, e.ETA.Round(time.Second)), int64(e.Step), int64(e.Steps), false)
	case finetune.Evaluating:
		done, total := int64(e.Done), int64(e.Total)
		text := evaluating
		if e.Epoch > 0 {
			text += fmt.Sprintf(" epoch %d", e.Epoch)
		}
		p.show(evaluating, text+p.left(evaluating, done, total), done, total, false)
	case finetune.Evaluated:
		p.end()
		mark := ""
		if e.Best {
			mark = "  best so far"
		}
		say("epoch %d  train loss %.4f  eval loss %.4f  accuracy %.4f  macro F1 %.4f%s", e.Epoch, e.TrainLoss, e.Loss, e.Accuracy, e.F1Macro, mark)
	case finetune.Warning:
		p.end()
		warn("%s", e.Text)
	}
}

// What a bar is of, besides a data file.
const (
	training   = "training"
	evaluating = "evaluating"
	filling    = "features"
)

// featuresDone shows how far features are: beside the bar of training or
// evaluation, for which they are computed, or in a bar of their own before
// there is one.
func (p *trainingProgress) featuresDone(e finetune.FeaturesDone) {
	if p.features == "" {
		p.first, p.firstAt = e, time.Now()
	}
	p.features = ""
	if e.Done < e.Total {
		p.features = fmt.Sprintf("  features %.0f %%", 100*float64(e.Done)/float64(e.Total))
		if done := e.Done - p.first.Done; done > 0 {
			left := time.Duration(float64(time.Since(p.firstAt)) * float64(e.Total-e.Done) / float64(done))
			p.features += ", " + left.Round(time.Second).String() + " left"
		}
	}
	switch {
	case p.what == "" && e.Total > 0, p.what == filling:
		p.show(filling, "", int64(e.Done), int64(e.Total), false)
	case p.bar != nil:
		p.bar.Describe(p.text + p.features)
	}
}

// read shows how much of a data file has been read: its bytes are known, the
// number of its rows is not.
func (p *trainingProgress) read(e finetune.Reading) {
	if e.Bytes >= e.Size {
		p.end()
		return
	}
	p.show(e.Path, fmt.Sprintf("reading %s  %s rows%s", filepath.Base(e.Path), count(int64(e.Examples)), p.left(e.Path, e.Bytes, e.Size)), e.Bytes, e.Size, true)
}

// columns says which columns are read: text "question", label "intent".
func columns(c dataset.Columns) string {
	var parts []string
	for _, p := range []struct{ what, name string }{{"text", c.Text}, {"pair", c.Pair}, {"label", c.Label}} {
		if p.name != "" {
			parts = append(parts, fmt.Sprintf("%s %q", p.what, p.name))
		}
	}
	return strings.Join(parts, ", ")
}

// megabytes writes a number of bytes as people read it.
func megabytes(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}
