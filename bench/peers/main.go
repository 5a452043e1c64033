// Command peers measures ftk against other ways to fine-tune the same model on this machine, and prints tables in
// Markdown.
//
//	go run ./bench/peers -python PYTHON [-cases step,forward,full,last2,head] [-models minilm,base] [-data sst2,agnews]
//	go run ./bench/peers -cases scale [-scale 1000,10000,100000,1000000]
//
// Each measurement alternates between the peers (A B A B …) in one run, so that what else the machine does falls on all
// of them alike, and reports medians and ratios. There are three kinds:
//
//   - a training step on one batch in memory (case step; forward without the gradient), each peer in a process of its own
//     that waits while another one works;
//   - whole commands (full, last2, head): ftk finetune against peer_transformers.py train and gomlx train, with the same
//     data, hyper-parameters, batch size, dynamic padding and number of threads;
//   - whole commands of ftk alone on more and more generated rows (scale): what time and memory grow with.
//
// docs/performance.md says what the columns mean.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// options are the command line.
type options struct {
	cases, models, pooling []string
	data, peers            []string
	python, minilm, shared string
	threads, rounds, steps int
	batch, tokens          int
	rows, evalRows         int
	epochs, scale          []int
	seed                   int

	root string // of the repository
	work string // a directory for what is made on the way
	ftk  string // the program
	self string // this program
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func run() error {
	var o options
	var serve serveOptions
	var cases, models, pooling, data, peers, epochs, scale string
	flag.StringVar(&cases, "cases", "step,forward,full,last2,head", "what to measure: step, forward, full, last2, head, scale")
	flag.StringVar(&models, "models", "minilm", "minilm (real weights), base (the shape of BERT-base, random weights)")
	flag.StringVar(&pooling, "pooling", "auto", "auto (mean for minilm, cls for base: what ftk chooses for them), mean, cls")
	flag.StringVar(&data, "data", "sst2,agnews", "texts of whole commands: sst2, agnews, intents")
	flag.StringVar(&peers, "peers", "transformers", "what to compare with: transformers, gomlx")
	flag.StringVar(&epochs, "epochs", "1,3,10", "epochs of whole commands")
	flag.StringVar(&scale, "scale", "1000,10000,100000,1000000", "rows of case scale")
	flag.StringVar(&o.python, "python", "python3", "a Python with torch and transformers")
	flag.StringVar(&o.minilm, "minilm", "", "directory of MiniLM (default: where make deps puts it)")
	flag.StringVar(&o.shared, "shared", os.Getenv("FTK_SHARED"), "directory with datasets/ (default: ../shared)")
	flag.IntVar(&o.threads, "threads", runtime.NumCPU(), "threads of every peer")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds of whole commands; steps are measured in twice as many")
	flag.IntVar(&o.steps, "steps", 3, "steps of a round")
	flag.IntVar(&o.batch, "batch", 32, "examples in a batch")
	flag.IntVar(&o.tokens, "tokens", 64, "tokens of each example, in steps")
	flag.IntVar(&o.rows, "rows", 1000, "training examples of whole commands")
	flag.IntVar(&o.evalRows, "eval-rows", 872, "examples that whole commands evaluate after each epoch")
	flag.IntVar(&o.seed, "seed", 1, "seed")
	base := flag.String("write-base", "", "write the BERT-base shape to this directory (used by this program itself)")
	gomlxFiles := flag.String("write-gomlx", "", "write what bench/gomlx reads to this directory (used by this program itself)")
	flag.BoolVar(&serve.on, "serve-step", false, "be the ftk side of step (used by this program itself)")
	flag.BoolVar(&serve.forward, "forward", false, "with -serve-step: forward only")
	flag.StringVar(&serve.model.dir, "model", "", "with -serve-step and -write-gomlx: the model's directory")
	flag.StringVar(&serve.model.pooling, "pool", "mean", "with -serve-step: pooling")
	flag.IntVar(&serve.profile, "profile", 0, "measure no peers: print the profile of so many ftk steps")
	flag.StringVar(&serve.cpu, "cpuprofile", "", "with -profile: write a pprof profile to this file")
	flag.StringVar(&serve.mem, "memprofile", "", "with -profile: write a pprof profile of allocations to this file")
	flag.Parse()
	serve.batch, serve.tokens, serve.threads = o.batch, o.tokens, o.threads
	switch {
	case serve.on:
		return serveStep(serve)
	case *base != "":
		return o.writeBERT(*base, o.minilm, baseBERT)
	case *gomlxFiles != "":
		return writeGomlx(*gomlxFiles, serve.model.dir, flag.Args())
	}
	o.cases, o.models, o.pooling, o.data, o.peers = list(cases), list(models), list(pooling), list(data), list(peers)
	for _, n := range []struct {
		flag, text string
		to         *[]int
	}{{"-epochs", epochs, &o.epochs}, {"-scale", scale, &o.scale}} {
		var err error
		if *n.to, err = numbers(n.text); err != nil {
			return fmt.Errorf("%s %s: %w", n.flag, n.text, err)
		}
	}
	for _, c := range []struct {
		flag        string
		have, known []string
	}{
		{"-cases", o.cases, []string{"step", "forward", "full", "last2", "head", "scale"}},
		{"-models", o.models, []string{"minilm", "base"}},
		{"-pooling", o.pooling, []string{"auto", "mean", "cls"}},
		{"-data", o.data, []string{"sst2", "agnews", "intents"}},
		{"-peers", o.peers, []string{"transformers", "gomlx"}},
	} {
		for _, v := range c.have {
			if !slices.Contains(c.known, v) {
				return fmt.Errorf("%s %s: there are %s", c.flag, v, strings.Join(c.known, ", "))
			}
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := o.prepare(ctx); err != nil {
		return err
	}
	defer os.RemoveAll(o.work)
	if serve.profile > 0 {
		return o.profiles(serve)
	}
	o.describe(os.Stdout)
	for _, c := range []string{"step", "forward"} {
		if slices.Contains(o.cases, c) {
			if err := o.compareSteps(ctx, c == "forward"); err != nil {
				return err
			}
		}
	}
	if slices.Contains(o.cases, "scale") {
		if err := o.measureScale(ctx); err != nil {
			return err
		}
	}
	return o.compareCommands(ctx)
}

func list(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' })
}

// numbers are from 1.
func numbers(s string) ([]int, error) {
	var all []int
	for _, word := range list(s) {
		n, err := strconv.Atoi(word)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q is no number from 1", word)
		}
		all = append(all, n)
	}
	return all, nil
}

// prepare finds the repository and builds ftk.
func (o *options) prepare(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return fmt.Errorf("find the repository: go list -m: %w", err)
	}
	o.root = strings.TrimSpace(string(out))
	if o.shared == "" {
		o.shared = filepath.Join(o.root, "..", "shared")
	}
	if o.self, err = os.Executable(); err != nil {
		return err
	}
	if o.work, err = os.MkdirTemp("", "ftk-peers-"); err != nil {
		return err
	}
	o.ftk = filepath.Join(o.work, "ftk")
	build := exec.CommandContext(ctx, "go", "build", "-o", o.ftk, "./cmd/ftk")
	build.Dir, build.Stderr = o.root, os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("go build ./cmd/ftk: %w", err)
	}
	return nil
}

// peerScript is the sources of the transformers peer.
func (o *options) peerScript() string { return filepath.Join(o.root, "bench", "peer_transformers.py") }
