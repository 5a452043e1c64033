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
	loss     float64   // running mean over about 50 steps
	features string    // how far features are computed, while they are
	filling  bool      // the bar is that of features
	reading  string    // the data file that the bar is of
	began    time.Time // when the bar was new
}

func newTrainingProgress() *trainingProgress {
	return &trainingProgress{terminal: term.IsTerminal(int(os.Stderr.Fd()))}
}

// start shows a new bar of total units, or bytes, in place of the one before.
func (p *trainingProgress) start(total int64, what string, bytes bool) {
	p.end()
	p.filling, p.began = false, time.Now()
	if !p.terminal {
		return
	}
	p.bar = progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(os.Stderr), progressbar.OptionSetDescription(what), progressbar.OptionSetWidth(24),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionShowCount(), progressbar.OptionShowBytes(bytes),
		progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false), progressbar.OptionClearOnFinish())
}

// end takes the bar away.
func (p *trainingProgress) end() {
	if p.bar != nil {
		p.bar.Clear()
		p.bar = nil
	}
	p.reading = ""
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
			say("%s examples are %d tokens long, the most there can be (--max-length): they are probably cut", count(int64(e.AtMaxLength)), e.MaxLength)
		}
	case finetune.Features:
		switch {
		case e.Reused:
			say("features of the frozen part: %s, kept from an earlier run", megabytes(e.Bytes))
		case e.Cached:
			say("features of the frozen part: %s for %s examples, computed once", megabytes(e.Bytes), count(int64(e.Examples)))
		default:
			say("features of the frozen part would take %s, more than --cache-limit: computed again for each batch", megabytes(e.Bytes))
		}
	case finetune.FeaturesDone:
		p.features = ""
		if e.Done < e.Total {
			p.features = fmt.Sprintf("  features %.0f %%", 100*float64(e.Done)/float64(e.Total))
		}
		if p.bar == nil { // before the first step, or in an evaluation
			p.start(int64(e.Total), "features of the frozen part", false)
			p.filling = true
		}
		if p.filling {
			p.set(int64(e.Done))
		}
	case finetune.Resumed:
		say("going on with run %s in epoch %d, after step %d", e.Run, e.Epoch, e.Step)
	case finetune.Step:
		if p.bar == nil || p.filling {
			p.loss = e.Loss
			p.start(int64(e.Steps), "", false)
		}
		p.loss += (e.Loss - p.loss) / 50
		if p.bar != nil {
			p.bar.Describe(fmt.Sprintf("epoch %d  loss %.4f  %.1f examples/s  ETA %s%s", e.Epoch, p.loss, e.SamplesPerSecond, e.ETA.Round(time.Second), p.features))
			p.set(int64(e.Step))
		}
	case finetune.Evaluated:
		p.end()
		mark := ""
		if e.Best {
			mark = "  best so far"
		}
		say("epoch %d  train loss %.4f  eval loss %.4f  accuracy %.4f  macro F1 %.4f%s", e.Epoch, e.TrainLoss, e.Loss, e.Accuracy, e.F1Macro, mark)
	case finetune.Warning:
		p.end()
		fmt.Fprintln(os.Stderr, "ftk: warning:", e.Text)
	}
}

// read shows how much of a data file has been read: its bytes are known, the
// number of its rows is not.
func (p *trainingProgress) read(e finetune.Reading) {
	if e.Bytes >= e.Size {
		p.end()
		return
	}
	if p.reading != e.Path {
		p.start(e.Size, "", true)
		p.reading = e.Path
	}
	if p.bar == nil {
		return
	}
	eta := ""
	if since := time.Since(p.began); since > time.Second/10 {
		left := time.Duration(float64(since) * float64(e.Size-e.Bytes) / float64(max(e.Bytes, 1)))
		eta = "  ETA " + left.Round(time.Second).String()
	}
	p.bar.Describe(fmt.Sprintf("reading %s  %s rows%s", filepath.Base(e.Path), count(int64(e.Examples)), eta))
	p.set(e.Bytes)
}

func (p *trainingProgress) set(n int64) {
	if p.bar != nil {
		p.bar.Set64(n)
	}
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
