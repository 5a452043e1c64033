package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
)

// slowStep is from how many seconds a step is measured once in a round.
const slowStep = 10

// compareSteps measures a training step, or the forward pass alone, of all peers for each model.
func (o *options) compareSteps(ctx context.Context, forward bool) error {
	what := "Full training step"
	if forward {
		what = "Forward only"
	}
	t := table{title: fmt.Sprintf("%s, %d × %d tokens", what, o.batch, o.tokens),
		head: []string{"model", "pooling", "peer", "ms a step", "samples/s", "tokens/s", "GFLOP/s", "share of sgemm", "peak MB", "ftk is faster by", "range"}}
	models, err := o.allModels()
	if err != nil {
		return err
	}
	for _, m := range models {
		if err := o.compareModelSteps(ctx, m, forward, &t); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	t.write(os.Stdout)
	return nil
}

func (o *options) compareModelSteps(ctx context.Context, m model, forward bool, t *table) (err error) {
	var all []*stepper
	defer func() {
		for _, p := range all {
			if err != nil {
				p.cmd.Process.Kill()
			}
			p.in.Close()
		}
	}()
	start := func(name string, args ...string) error {
		if forward {
			args = append(args, "-forward")
		}
		p, err := startStepper(ctx, o.threads, name, args...)
		if err == nil {
			all = append(all, p)
		}
		return err
	}
	shape := []string{"-batch", strconv.Itoa(o.batch), "-tokens", strconv.Itoa(o.tokens), "-threads", strconv.Itoa(o.threads)}
	if err := start(o.self, append(shape, "-serve-step", "-model", m.dir, "-pool", m.pooling)...); err != nil {
		return err
	}
	for _, peer := range o.peers {
		switch peer {
		case "transformers":
			args := []string{o.peerScript(), "step", "--model", m.dir, "--batch", shape[1], "--length", shape[3], "--threads", shape[5], "--pooling", m.pooling}
			err = start(o.python, args...)
		case "gomlx":
			var p gomlx
			if p, err = o.prepareGomlx(ctx, m, "none"); err == nil {
				err = start(p.program, append(shape, "-model", p.model, "-trainable", p.trainable, "-pooling", m.pooling)...)
			}
		}
		if err != nil {
			return err
		}
	}
	seconds, steps := make([][]float64, len(all)), make([]int, len(all))
	for i := range steps {
		steps[i] = o.steps
	}
	var sgemm []float64
	for range 2 * o.rounds {
		rate, err := all[0].ask("sgemm")
		if err != nil {
			return err
		}
		sgemm = append(sgemm, rate)
		for i, p := range all {
			s, err := p.ask(strconv.Itoa(steps[i]))
			if err != nil {
				return err
			}
			s /= float64(steps[i])
			seconds[i] = append(seconds[i], s)
			if s > slowStep {
				steps[i] = 1
			}
		}
	}
	rate := median(sgemm)
	for i, p := range all {
		peak, err := p.end()
		if err != nil {
			return fmt.Errorf("%s: %w", p.Peer, err)
		}
		s, flop := median(seconds[i]), all[0].FLOP
		if i == 0 {
			flop = m.done(flop, o.batch, o.tokens, forward)
		}
		low, high := spread(seconds[i], seconds[0])
		t.add(m.name, m.pooling, p.Peer+" "+p.Version, number(1000*s, 0), number(float64(o.batch)/s, 1), number(float64(o.batch*o.tokens)/s, 0),
			number(flop/s/1e9, 1), fmt.Sprintf("%.0f %%", 100*flop/s/1e9/rate), number(float64(peak)/(1<<20), 0),
			number(medianRatio(seconds[i], seconds[0]), 2), fmt.Sprintf("%.2f–%.2f", low, high))
	}
	t.note("%s: sgemm of 1024³ on %d threads, measured before each round: %.0f GFLOP/s (median of %d).", m.name, o.threads, rate, len(sgemm))
	return nil
}
