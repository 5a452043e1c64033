package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// stepper is a process that waits for a number of steps to do.
type stepper struct {
	hello
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

// startStepper starts a process and waits until it has said hello, which it does when it has done a first step.
func startStepper(ctx context.Context, threads int, name string, args ...string) (*stepper, error) {
	p := &stepper{cmd: command(ctx, threads, name, args...)}
	p.cmd.Stderr = os.Stderr
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	p.out = bufio.NewScanner(out)
	line, err := p.answer()
	if err == nil {
		err = json.Unmarshal([]byte(line), &p.hello)
	}
	if err != nil {
		p.end()
		return nil, fmt.Errorf("%s: %w", strings.Join(p.cmd.Args, " "), err)
	}
	return p, nil
}

// command gives the process as many threads as it shall have, in the ways that libraries read.
func command(ctx context.Context, threads int, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	n := strconv.Itoa(threads)
	cmd.Env = append(os.Environ(), "OMP_NUM_THREADS="+n, "MKL_NUM_THREADS="+n, "TOKENIZERS_PARALLELISM=true",
		"HF_HUB_OFFLINE=1", "TRANSFORMERS_VERBOSITY=error", "RAYON_NUM_THREADS="+n, "GOMAXPROCS="+n)
	return cmd
}

func (p *stepper) answer() (string, error) {
	if p.out.Scan() {
		return p.out.Text(), nil
	}
	if err := p.out.Err(); err != nil {
		return "", err
	}
	return "", fmt.Errorf("it ended without an answer")
}

// ask sends a line and reads the number that comes back.
func (p *stepper) ask(line string) (float64, error) {
	if _, err := fmt.Fprintln(p.in, line); err != nil {
		return 0, fmt.Errorf("%s: %w", p.Peer, err)
	}
	text, err := p.answer()
	if err != nil {
		return 0, fmt.Errorf("%s: %w", p.Peer, err)
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, fmt.Errorf("%s answered %q", p.Peer, text)
	}
	return v, nil
}

// end lets the process end and returns the most memory it had resident, in bytes.
func (p *stepper) end() (peak int64, err error) {
	p.in.Close()
	err = p.cmd.Wait()
	return peakRSS(p.cmd.ProcessState), err
}

// peakRSS is what getrusage says of a process that has ended, in bytes; 0 where it is not known.
func peakRSS(s *os.ProcessState) int64 {
	if s == nil {
		return 0
	}
	u, ok := s.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	return u.Maxrss * rssUnit
}
