package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/ml/context"
)

// megabatch is how many batches have their examples sorted by length together.
const megabatch = 50

// training is what mode train is told.
type training struct {
	model, trainable, train, eval string
	pooling                       string
	epochs, batch                 int
	rate, headRate, decay         float64
	warmup, clip, dropout         float64
	seed                          uint64
}

// example is a line of the files of examples: GoMLX has no tokenizer, bench/peers has done its work.
type example struct {
	IDs   []int64 `json:"ids"`
	Label int64   `json:"label"`
}

// trainCommand trains a classifier and evaluates it after each epoch. Its last line of output is JSON, as that of
// peer_transformers.py. Batches are grouped by length and padded to the longest of them. GoMLX builds a graph for each
// shape, which costs less than the tokens that a multiple of 8 would add. Frozen layers are computed in every epoch, without
// their gradient.
func trainCommand(args []string) error {
	var o training
	fl := flag.NewFlagSet("gomlx train", flag.ExitOnError)
	fl.StringVar(&o.model, "model", "", "the ONNX file")
	fl.StringVar(&o.trainable, "trainable", "", "a JSON list of the initializers that are trained")
	fl.StringVar(&o.train, "train", "", "examples to train on, one {\"ids\": […], \"label\": N} a line")
	fl.StringVar(&o.eval, "eval", "", "examples to evaluate on after each epoch")
	fl.StringVar(&o.pooling, "pooling", "mean", "mean or cls")
	fl.IntVar(&o.epochs, "epochs", 3, "epochs")
	fl.IntVar(&o.batch, "batch", 32, "examples in a batch")
	fl.Float64Var(&o.rate, "lr", 5e-5, "learning rate")
	fl.Float64Var(&o.headRate, "head-lr", 1e-3, "learning rate of the head")
	fl.Float64Var(&o.decay, "weight-decay", 0.01, "weight decay of matrices")
	fl.Float64Var(&o.warmup, "warmup", 0.06, "share of the steps in which the learning rate grows; then it falls")
	fl.Float64Var(&o.clip, "grad-clip", 1, "largest norm of the gradient")
	fl.Float64Var(&o.dropout, "dropout", 0.1, "dropout before the head's linear layer")
	fl.Uint64Var(&o.seed, "seed", 1, "seed")
	fl.Int("threads", 0, "as GOMAXPROCS says")
	fl.Parse(args)
	return o.run()
}

func (o *training) run() error {
	train, err := readExamples(o.train)
	if err != nil {
		return err
	}
	eval, err := readExamples(o.eval)
	if err != nil {
		return err
	}
	c, err := openClassifier(o.model, o.trainable)
	if err != nil {
		return err
	}
	c.pooling, c.dropout = o.pooling, o.dropout
	for _, e := range train {
		c.labels = max(c.labels, int(e.Label)+1)
	}
	if err := c.ctx.SetRNGStateFromSeed(int64(o.seed)); err != nil {
		return err
	}
	optimizer := newAdamW(c.ctx, o.rate, o.headRate, o.decay, o.clip)
	trainer := c.trainer(optimizer)
	predict, err := c.predictor()
	if err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(o.seed, 1))
	steps := o.epochs * ((len(train) + o.batch - 1) / o.batch)
	var evals []float64
	var first time.Time
	var busy time.Duration
	step, tokens := 0, 0
	for epoch := range o.epochs {
		begin := time.Now()
		for _, examples := range o.trainingOrder(train, rng) {
			if err := optimizer.schedule(o.share(step, steps)); err != nil {
				return err
			}
			if err := pad(examples).do(trainer.TrainStep); err != nil {
				return err
			}
			step++
			for _, e := range examples {
				tokens += len(e.IDs)
			}
			if first.IsZero() {
				first = time.Now()
			}
		}
		busy += time.Since(begin)
		right := 0
		for _, examples := range o.batches(eval) {
			n, err := predict(pad(examples))
			if err != nil {
				return err
			}
			right += n
		}
		evals = append(evals, float64(right)/float64(len(eval)))
		fmt.Fprintf(os.Stderr, "epoch %d: accuracy %.4f\n", epoch+1, evals[epoch])
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"peer": peerName, "version": versions(), "accuracy": slices.Max(evals), "evals": evals, "steps": steps,
		"samples_per_second": float64(o.epochs*len(train)) / busy.Seconds(), "tokens_per_second": float64(tokens) / busy.Seconds(),
		"first_step_at": first.Format(time.RFC3339Nano),
	})
}

// share is what share of the learning rate a step gets: it grows linearly, and falls linearly to 0.
func (o *training) share(step, steps int) float64 {
	warm := max(1, int(math.Ceil(o.warmup*float64(steps))))
	if step < warm {
		return float64(step) / float64(warm)
	}
	return float64(steps-step) / float64(max(1, steps-warm))
}

// trainingOrder is the batches of an epoch: examples shuffled, sorted by length within some batches, cut, and the batches
// shuffled.
func (o *training) trainingOrder(all []example, rng *rand.Rand) [][]example {
	all = slices.Clone(all)
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	var batches [][]example
	for part := range slices.Chunk(all, megabatch*o.batch) {
		batches = append(batches, o.batches(part)...)
	}
	rng.Shuffle(len(batches), func(i, j int) { batches[i], batches[j] = batches[j], batches[i] })
	return batches
}

// batches are of examples of like length.
func (o *training) batches(all []example) [][]example {
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b example) int { return len(b.IDs) - len(a.IDs) })
	return slices.Collect(slices.Chunk(all, o.batch))
}

// pad fills examples up to the longest of them.
func pad(examples []example) batch {
	longest := 0
	for _, e := range examples {
		longest = max(longest, len(e.IDs))
	}
	b := newBatch(len(examples), longest)
	for r, e := range examples {
		copy(b.ids[r], e.IDs)
		for i := range e.IDs {
			b.mask[r][i] = 1
		}
		b.labels[r][0] = e.Label
	}
	return b
}

// predictor returns a function that counts the right answers in a batch.
func (c *classifier) predictor() (func(batch) (int, error), error) {
	exec, err := context.NewExec(c.backend, c.ctx.Checked(false), func(ctx *context.Context, inputs []*graph.Node) *graph.Node {
		return graph.ArgMax(c.logits(ctx, inputs), -1)
	})
	if err != nil {
		return nil, err
	}
	exec.SetMaxCache(-1)
	return func(b batch) (int, error) {
		in := b.inputs()
		answer, err := exec.Exec1(in[0], in[1], in[2])
		if err != nil {
			return 0, err
		}
		defer answer.MustFinalizeAll()
		right := 0
		for i, label := range answer.Value().([]int32) {
			if int64(label) == b.labels[i][0] {
				right++
			}
		}
		return right, nil
	}, nil
}

func readExamples(path string) ([]example, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []example
	for in := json.NewDecoder(bufio.NewReader(f)); ; {
		var e example
		if err := in.Decode(&e); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		all = append(all, e)
	}
}
