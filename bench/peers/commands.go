package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ftk-go/ftk/internal/blas"
	"github.com/ftk-go/ftk/internal/parallel"
)

// outcome is what one whole command came to.
type outcome struct {
	wall, first float64 // seconds from the start of the command: to its end, to the end of the first step
	read        float64 // seconds that ftk reads and tokenises
	samples     float64 // a second, while training
	tokens      float64 // of a training example on average, where the peer says
	accuracy    float64 // of the best epoch
	peak        int64   // bytes resident
}

// training is one whole command to run.
type training struct {
	model  model
	data   dataset
	freeze string
	epochs int
	ws     string // ftk's workspace, in which the model has been imported
}

// side is a way to run a whole command.
type side struct {
	name string
	run  func(context.Context, training) (outcome, error)
}

// sides are ftk and the peers.
func (o *options) sides() []side {
	all := []side{{"ftk", o.runFtk}}
	for _, peer := range o.peers {
		switch peer {
		case "transformers":
			all = append(all, side{peer, o.runTransformers})
		case "gomlx":
			all = append(all, side{"onnx-gomlx", o.runGomlx})
		}
	}
	return all
}

// commandCases are the cases that are whole commands of all sides.
func (o *options) commandCases() []string {
	return slices.DeleteFunc(slices.Clone(o.cases), func(c string) bool { return c == "step" || c == "forward" || c == "scale" })
}

// compareCommands measures whole commands for each model, data set, case and number of epochs.
func (o *options) compareCommands(ctx context.Context) error {
	cases := o.commandCases()
	if len(cases) == 0 {
		return nil
	}
	t := table{title: fmt.Sprintf("Whole commands, %d training examples, %d to evaluate", o.rows, o.evalRows),
		head: []string{"model", "pooling", "data", "trained", "epochs", "peer", "total s", "to first step s", "samples/s", "tokens/s", "GFLOP/s", "share of sgemm",
			"peak MB", "accuracy", "ftk: total ×", "range", "samples/s ×", "memory", "first step"}}
	models, err := o.allModels()
	if err != nil {
		return err
	}
	for i, m := range models {
		ws := filepath.Join(o.work, fmt.Sprintf("ws-%d", i))
		if err := os.MkdirAll(ws, 0o755); err != nil {
			return err
		}
		begin := time.Now()
		if err := o.output(ctx, o.ftk, "-C", ws, "import", m.dir); err != nil {
			return err
		}
		t.note("%s: ftk import, once before, took %.1f s; it is not in the table.", m.name, time.Since(begin).Seconds())
		var sgemm []float64
		for _, name := range o.data {
			data, err := o.dataset(name)
			if err != nil {
				return err
			}
			for _, c := range cases {
				for _, epochs := range o.epochs {
					run := training{model: m, data: data, epochs: epochs, ws: ws}
					run.freeze = map[string]string{"full": "none", "last2": strconv.Itoa(m.layers - 2), "head": "backbone"}[c]
					rates, err := o.compareCommand(ctx, run, c, &t)
					if err != nil {
						return fmt.Errorf("%s, %s, %s, %d epochs: %w", m.name, data.name, c, epochs, err)
					}
					sgemm = append(sgemm, rates...)
				}
			}
		}
		t.note("%s: sgemm of 1024³ on %d threads, measured before each round: %.0f GFLOP/s (median of %d).", m.name, o.threads, median(sgemm), len(sgemm))
	}
	t.write(os.Stdout)
	return nil
}

// compareCommand adds a line for each side to the table and returns the sgemm rates of the rounds.
func (o *options) compareCommand(ctx context.Context, run training, what string, t *table) ([]float64, error) {
	sides := o.sides()
	all := make([][]outcome, len(sides))
	var sgemm []float64
	parallel.SetThreads(o.threads)
	for range o.rounds {
		sgemm = append(sgemm, blas.MeasureSgemm())
		for i, side := range sides {
			r, err := side.run(ctx, run)
			if err != nil {
				return nil, err
			}
			all[i] = append(all[i], r)
		}
	}
	column := func(i int, f func(outcome) float64) []float64 {
		x := make([]float64, len(all[i]))
		for j, r := range all[i] {
			x[j] = f(r)
		}
		return x
	}
	wall := func(r outcome) float64 { return r.wall }
	first := func(r outcome) float64 { return r.first }
	samples := func(r outcome) float64 { return r.samples }
	peak := func(r outcome) float64 { return float64(r.peak) }
	for i, side := range sides {
		// The last four columns are ftk against this peer: how many times faster, and the shares of memory and time to
		// the first step that it needs.
		against := func(f func(outcome) float64, faster bool) string {
			if faster {
				return number(medianRatio(column(i, f), column(0, f)), 2)
			}
			return number(medianRatio(column(0, f), column(i, f)), 2)
		}
		// Tokens without padding: the peers count them, and all sides train on the same. Where layers are frozen, ftk
		// does not compute them again and its rate has no common measure.
		speed := median(column(i, samples))
		tokens := speed * median(column(len(sides)-1, func(r outcome) float64 { return r.tokens }))
		flops, share := "", ""
		if what == "full" {
			rate := 3 * run.model.flop() * tokens / 1e9
			if i == 0 {
				rate -= 3 * run.model.unneeded() * (tokens - speed) / 1e9
			}
			flops, share = number(rate, 1), fmt.Sprintf("%.0f %%", 100*rate/median(sgemm))
		}
		low, high := spread(column(i, wall), column(0, wall))
		t.add(run.model.name, run.model.pooling, run.data.name, what, strconv.Itoa(run.epochs), side.name,
			number(median(column(i, wall)), 2), number(median(column(i, first)), 2), number(speed, 1), number(tokens, 0), flops, share,
			number(median(column(i, peak))/(1<<20), 0), number(median(column(i, func(r outcome) float64 { return r.accuracy })), 4),
			against(wall, true), fmt.Sprintf("%.2f–%.2f", low, high), against(samples, false), against(peak, false), against(first, false))
	}
	return sgemm, nil
}

// maxLength is how many tokens of a text are read.
const maxLength = 128

// hyperparameters are given to all sides in these words.
func (run training) hyperparameters() []string {
	return []string{"--lr", "5e-5", "--head-lr", "1e-3", "--weight-decay", "0.01", "--warmup", "0.06", "--grad-clip", "1",
		"--dropout", "0.1", "--pooling", run.model.pooling, "--epochs", strconv.Itoa(run.epochs)}
}

// reading says what is read and what is frozen, to the sides that read texts.
func (run training) reading() []string {
	return []string{"--eval", run.data.eval, "--text-column", "text", "--label-column", "label",
		"--max-length", strconv.Itoa(maxLength), "--freeze", run.freeze}
}

// runFtk is ftk's side of a whole command.
func (o *options) runFtk(ctx context.Context, run training) (outcome, error) {
	return o.finetune(ctx, run.ws, slices.Concat([]string{"--data", run.data.train}, run.reading(), run.hyperparameters())...)
}

// finetune runs ftk finetune in a workspace without features of an earlier run.
func (o *options) finetune(ctx context.Context, ws string, args ...string) (outcome, error) {
	for _, dir := range []string{"cache", "runs"} {
		if err := os.RemoveAll(filepath.Join(ws, ".ftk", dir)); err != nil {
			return outcome{}, err
		}
	}
	args = append([]string{"-C", ws, "--json", "finetune",
		"--batch-size", strconv.Itoa(o.batch), "--threads", strconv.Itoa(o.threads), "--seed", strconv.Itoa(o.seed)}, args...)
	var r struct {
		Eval  struct{ Accuracy float64 }
		Train struct {
			SamplesPerSecond float64   `json:"samples_per_second"`
			ReadSeconds      float64   `json:"read_seconds"`
			FirstStepAt      time.Time `json:"first_step_at"`
		}
	}
	out, err := o.timed(ctx, &r, o.ftk, args...)
	out.accuracy, out.samples, out.read = r.Eval.Accuracy, r.Train.SamplesPerSecond, r.Train.ReadSeconds
	out.first += float64(r.Train.FirstStepAt.UnixNano()) / 1e9
	return out, err
}

func (o *options) runTransformers(ctx context.Context, run training) (outcome, error) {
	args := []string{o.peerScript(), "train", "--model", run.model.dir, "--train", run.data.train}
	return o.runPeer(ctx, run, o.python, append(args, run.reading()...)...)
}

// runPeer runs a peer that takes the hyper-parameters by the names of ftk's and answers as peer_transformers.py.
func (o *options) runPeer(ctx context.Context, run training, name string, args ...string) (outcome, error) {
	args = slices.Concat(args, []string{"--batch", strconv.Itoa(o.batch), "--threads", strconv.Itoa(o.threads),
		"--seed", strconv.Itoa(o.seed)}, run.hyperparameters())
	var r struct {
		Accuracy         float64
		SamplesPerSecond float64   `json:"samples_per_second"`
		TokensPerSecond  float64   `json:"tokens_per_second"`
		FirstStepAt      time.Time `json:"first_step_at"`
	}
	out, err := o.timed(ctx, &r, name, args...)
	out.accuracy, out.samples, out.tokens = r.Accuracy, r.SamplesPerSecond, r.TokensPerSecond/r.SamplesPerSecond
	out.first += float64(r.FirstStepAt.UnixNano()) / 1e9
	return out, err
}

// timed runs a command whose last line of output is JSON. The time of the first step is still to be added to first.
func (o *options) timed(ctx context.Context, result any, name string, args ...string) (outcome, error) {
	cmd := command(ctx, o.threads, name, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	begin := time.Now()
	err := cmd.Run()
	out := outcome{wall: time.Since(begin).Seconds(), first: -float64(begin.UnixNano()) / 1e9, peak: peakRSS(cmd.ProcessState)}
	if err != nil {
		return out, commandError(cmd, err, stderr.Bytes())
	}
	lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), result); err != nil {
		return out, fmt.Errorf("%s: its last line is no JSON: %w", strings.Join(cmd.Args, " "), err)
	}
	return out, nil
}

// output runs a command for what it does.
func (o *options) output(ctx context.Context, name string, args ...string) error {
	cmd := command(ctx, o.threads, name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		return commandError(cmd, err, stderr.Bytes())
	}
	return nil
}

func commandError(cmd *exec.Cmd, err error, stderr []byte) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(stderr) > 0 {
		err = fmt.Errorf("%w: %s", err, bytes.TrimSpace(stderr))
	}
	return fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err)
}
