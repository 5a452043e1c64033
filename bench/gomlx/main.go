// Command gomlx trains an ONNX encoder with onnx-gomlx on GoMLX's Go backend: a peer of bench/peers. It is a module of its
// own, so that its dependencies are not ftk's.
//
//	gomlx       repeats a training step on one batch, speaking the protocol of steps of bench/peers
//	gomlx train trains a classifier on a data set; see train.go
//
// The head is pooling (the mean of the tokens, or the first one), dropout and one linear layer; the loss is cross-entropy;
// the optimiser GoMLX's Adam with decoupled weight decay. What GoMLX does not have is made of what it has: clipping by the
// gradient's global norm, groups of variables with a learning rate and a decay of their own (adamw.go), and linear warm-up
// and decay of the learning rate, which is a variable of the graph. Which initializers are trained is said in a file that
// bench/peers writes.
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
)

func main() {
	var err error
	if len(os.Args) > 1 && os.Args[1] == "train" {
		err = trainCommand(os.Args[2:])
	} else {
		err = stepCommand(os.Args[1:])
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "gomlx: %v\n", err)
		os.Exit(1)
	}
}

func stepCommand(args []string) error {
	fl := flag.NewFlagSet("gomlx", flag.ExitOnError)
	model := fl.String("model", "", "the ONNX file")
	trainable := fl.String("trainable", "", "a JSON list of the initializers that are trained")
	pooling := fl.String("pooling", "mean", "mean or cls")
	rows := fl.Int("batch", 32, "examples")
	tokens := fl.Int("tokens", 64, "tokens of each")
	fl.Int("threads", 0, "as GOMAXPROCS says")
	forward := fl.Bool("forward", false, "forward only")
	vocabulary := fl.Int64("vocabulary", 30522, "token ids are below this")
	fl.Parse(args)
	c, err := openClassifier(*model, *trainable)
	if err != nil {
		return err
	}
	c.pooling = *pooling
	t := c.trainer(newAdamW(c.ctx, 5e-5, 1e-3, 0.01, 1))
	rng := rand.New(rand.NewPCG(1, 1))
	b := newBatch(*rows, *tokens)
	for r := range b.ids {
		for i := range b.ids[r] {
			b.ids[r][i], b.mask[r][i] = rng.Int64N(*vocabulary), 1
		}
		b.labels[r][0] = rng.Int64N(int64(c.labels))
	}
	if *forward {
		return serve(func() error { return b.do(t.EvalStep) })
	}
	return serve(func() error { return b.do(t.TrainStep) })
}

// serve does a step, says hello, and does as many steps as each line of standard input says.
func serve(step func() error) error {
	if err := step(); err != nil {
		return err
	}
	json.NewEncoder(os.Stdout).Encode(map[string]string{"peer": peerName, "version": versions()})
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

// peerName is what the tables of bench/peers call this program.
const peerName = "onnx-gomlx"

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
