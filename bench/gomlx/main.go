// Command gomlx repeats a training step of an ONNX encoder with onnx-gomlx on GoMLX's Go backend, on one batch: a peer of
// bench/peers, whose protocol it speaks. It is a module of its own, so that its dependencies are not ftk's.
//
// The head is the mean over tokens (none is padded), dropout and one linear layer; the loss is cross-entropy; the optimiser
// GoMLX's Adam with decoupled weight decay. GoMLX has no clipping by the gradient's global norm, so there is none here.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"time"

	"github.com/gomlx/gomlx/backends"
	"github.com/gomlx/gomlx/backends/simplego"
	"github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"
	"github.com/gomlx/gomlx/pkg/ml/context"
	"github.com/gomlx/gomlx/pkg/ml/layers"
	"github.com/gomlx/gomlx/pkg/ml/train"
	"github.com/gomlx/gomlx/pkg/ml/train/losses"
	"github.com/gomlx/gomlx/pkg/ml/train/optimizers"
	"github.com/gomlx/onnx-gomlx/onnx"
)

func main() {
	model := flag.String("model", "", "the ONNX file")
	batch := flag.Int("batch", 32, "examples")
	tokens := flag.Int("tokens", 64, "tokens of each")
	flag.Int("threads", 0, "as GOMAXPROCS says")
	forward := flag.Bool("forward", false, "forward only")
	vocabulary := flag.Int("vocabulary", 30522, "token ids are below this")
	flag.Parse()
	if err := run(*model, *batch, *tokens, *vocabulary, *forward); err != nil {
		fmt.Fprintf(os.Stderr, "gomlx: %v\n", err)
		os.Exit(1)
	}
}

func run(path string, batch, tokens, vocabulary int, forward bool) error {
	step, err := stepper(path, batch, tokens, vocabulary, forward)
	if err != nil {
		return err
	}
	if err := step(); err != nil {
		return err
	}
	json.NewEncoder(os.Stdout).Encode(map[string]string{"peer": "onnx-gomlx", "version": versions()})
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var n int
		if _, err := fmt.Sscan(in.Text(), &n); err != nil {
			return fmt.Errorf("%q is no number of steps", in.Text())
		}
		begin := time.Now()
		for range n {
			if err := step(); err != nil {
				return err
			}
		}
		fmt.Println(time.Since(begin).Seconds())
	}
	return nil
}

// stepper returns a function that does one step.
func stepper(path string, batch, tokens, vocabulary int, forward bool) (func() error, error) {
	model, err := onnx.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var backend backends.Backend
	if backend, err = simplego.New(""); err != nil {
		return nil, err
	}
	ctx := context.New()
	if err := model.VariablesToContext(ctx); err != nil {
		return nil, err
	}
	classify := func(ctx *context.Context, _ any, inputs []*graph.Node) []*graph.Node {
		hidden := model.CallGraph(ctx, inputs[0].Graph(), map[string]*graph.Node{
			"input_ids": inputs[0], "attention_mask": inputs[1], "token_type_ids": inputs[2],
		}, "last_hidden_state")[0] // [batch tokens hidden]
		pooled := graph.ReduceMean(hidden, 1)
		pooled = layers.DropoutNormalize(ctx, pooled, graph.Scalar(pooled.Graph(), pooled.DType(), 0.1), true)
		return []*graph.Node{layers.Dense(ctx.In("head"), pooled, true, 2)}
	}
	optimizer := optimizers.Adam().LearningRate(5e-5).Epsilon(1e-8).WeightDecay(0.01).Done()
	trainer := train.NewTrainer(backend, ctx, classify, losses.SparseCategoricalCrossEntropyLogits, optimizer, nil, nil)

	rng := rand.New(rand.NewPCG(1, 1))
	ids, mask, types := matrix(batch, tokens), matrix(batch, tokens), matrix(batch, tokens)
	labels := matrix(batch, 1)
	for r := range ids {
		for c := range ids[r] {
			ids[r][c], mask[r][c] = rng.Int64N(int64(vocabulary)), 1
		}
		labels[r][0] = rng.Int64N(2)
	}
	return func() error {
		inputs := []*tensors.Tensor{tensors.FromValue(ids), tensors.FromValue(mask), tensors.FromValue(types)}
		answers := []*tensors.Tensor{tensors.FromValue(labels)}
		var results []*tensors.Tensor
		var err error
		if forward {
			results, err = trainer.EvalStep(nil, inputs, answers)
		} else {
			results, err = trainer.TrainStep(nil, inputs, answers)
		}
		for _, t := range results {
			t.MustFinalizeAll()
		}
		return err
	}, nil
}

func matrix(rows, columns int) [][]int64 {
	m := make([][]int64, rows)
	for r := range m {
		m[r] = make([]int64, columns)
	}
	return m
}

// versions are those of the two modules.
func versions() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	found := map[string]string{}
	for _, m := range info.Deps {
		found[m.Path] = m.Version
	}
	return found["github.com/gomlx/onnx-gomlx"] + ", gomlx " + found["github.com/gomlx/gomlx"]
}
