package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ftk-go/ftk/finetune"
)

// TestReproducible trains twice: the same seed and threads give the same bytes,
// another seed does not.
func TestReproducible(t *testing.T) {
	ws := workspaceOf(t, saved(t, decomposed(t)))
	train, dev := writeTask(t, "train.csv", 240, 1), writeTask(t, "dev.csv", 60, 2)
	for _, flags := range [][]string{nil, nil, {"--seed", "4"}} {
		must(t, tuned(ws, train, dev, flags...)...)
	}
	best := func(run string) []byte {
		return readFile(t, filepath.Join(ws, ".ftk", "runs", run, "best.safetensors"))
	}
	if !bytes.Equal(best("0001"), best("0002")) {
		t.Error("the same seed and threads gave other weights")
	}
	if bytes.Equal(best("0001"), best("0003")) {
		t.Error("another seed gave the same weights")
	}
	a, b := readFile(t, filepath.Join(ws, ".ftk", "runs", "0001", "metrics.jsonl")), readFile(t, filepath.Join(ws, ".ftk", "runs", "0002", "metrics.jsonl"))
	if !bytes.Equal(a, b) {
		t.Errorf("metrics differ:\n%s%s", a, b)
	}
}

// long is a run of so many epochs that it can be ended in the middle.
func long(ws, train, dev string, more ...string) []string {
	return tuned(ws, train, dev, append([]string{"--epochs", "60"}, more...)...)
}

// TestInterrupted ends runs in the middle: as Ctrl-C does, and then as kill -9
// does. What was the best so far can be exported, and --resume comes to the
// bytes of a run that was never ended.
func TestInterrupted(t *testing.T) {
	source := saved(t, fused(t))
	train, dev := writeTask(t, "train.csv", 300, 1), writeTask(t, "dev.csv", 60, 2)
	whole := workspaceOf(t, source)
	must(t, long(whole, train, dev)...)

	for name, kill := range map[string]bool{"interrupt": false, "kill": true} {
		t.Run(name, func(t *testing.T) {
			ws := workspaceOf(t, source)
			run := filepath.Join(ws, ".ftk", "runs", "0001")
			o := signalled(t, syscall.SIGINT, filepath.Join(run, "best.safetensors"), long(ws, train, dev)...)
			if o.status == exitDone {
				t.Fatalf("the run went on to its end in spite of the signal, or before it came: %v", o)
			}
			o.check(t, exitFailed, []string{"stopped in epoch", "best so far", "--resume"})
			if kill { // the checkpoint is that of the process before
				metrics := filepath.Join(run, "metrics.jsonl") // written after each epoch
				if err := os.Remove(metrics); err != nil {
					t.Fatal(err)
				}
				if o := signalled(t, syscall.SIGKILL, metrics, long(ws, train, dev, "--resume")...); o.status == exitDone {
					t.Fatalf("the run went on to its end in spite of the signal, or before it came: %v", o)
				}
			}
			if strings.Contains(string(readFile(t, filepath.Join(run, "run.json"))), `"best_epoch"`) {
				t.Error("the run has a result")
			}

			out := filepath.Join(t.TempDir(), "export")
			var export exported
			mustJSON(t, &export, "export", "--out", out, "-C", ws)
			if len(export.Metrics) != 3 {
				t.Errorf("the export has metrics %v", export.Metrics)
			}
			must(t, "predict", "--model", out, "--text", "a horse")

			// Other settings are another run.
			fails(t, exitFailed, []string{"run 0001 cannot be resumed", "lr"}, long(ws, train, dev, "--resume", "--lr", "1e-4")...)

			resumed := must(t, long(ws, train, dev, "--resume")...)
			if !strings.Contains(resumed.stdout, "going on with run 0001 in epoch") {
				t.Errorf("resumed: %v", resumed)
			}
			for _, file := range []string{"best.safetensors", "metrics.jsonl"} {
				want := readFile(t, filepath.Join(whole, ".ftk", "runs", "0001", file))
				if got := readFile(t, filepath.Join(run, file)); !bytes.Equal(got, want) {
					t.Errorf("%s differs from that of a run that was not interrupted", file)
				}
			}
			fails(t, exitFailed, []string{"nothing to resume"}, long(ws, train, dev, "--resume")...)
		})
	}
}

// TestResumeAlone: a run goes on with its own settings, but for the limit of the
// cache where that is given.
func TestResumeAlone(t *testing.T) {
	train, dev := writeTask(t, "train.csv", 300, 1), writeTask(t, "dev.csv", 60, 2)
	for _, c := range []struct {
		flags []string
		limit int64
	}{
		{nil, 7 << 20},
		{[]string{"--cache-limit", "0"}, 0},
		{[]string{"--cache-limit", "9", "--json"}, 9 << 20},
	} {
		t.Run(strings.Join(c.flags, " "), func(t *testing.T) {
			ws := workspaceOf(t, saved(t, fused(t)))
			run := filepath.Join(ws, ".ftk", "runs", "0001")
			o := signalled(t, syscall.SIGINT, filepath.Join(run, "best.safetensors"), long(ws, train, dev, "--freeze", "1", "--cache-limit", "7")...)
			if o.status == exitDone {
				t.Fatalf("the run went on to its end in spite of the signal, or before it came: %v", o)
			}
			must(t, append([]string{"finetune", "-C", ws, "--resume"}, c.flags...)...)
			var record finetune.Record
			if err := json.Unmarshal(readFile(t, filepath.Join(run, "run.json")), &record); err != nil {
				t.Fatal(err)
			}
			if s := record.Settings; s.CacheLimit != c.limit || s.Epochs != 60 || s.Freeze != "1" || record.Result == nil {
				t.Errorf("resumed with %v: %+v", c.flags, record)
			}
		})
	}
}

// signalled runs a command in a process of its own and sends it a signal as
// soon as there is a file.
func signalled(t *testing.T, signal syscall.Signal, file string, args ...string) outcome {
	t.Helper()
	var stdout, stderr strings.Builder
	cmd := process(t, nil, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		cmd.Wait()
	}()
	for waiting := true; waiting; {
		select {
		case <-ended:
			waiting = false
		case <-time.After(2 * time.Millisecond):
			if _, err := os.Stat(file); err == nil {
				cmd.Process.Signal(signal)
				waiting = false
			}
		}
	}
	<-ended
	return outcome{args, cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// TestCancelled starts every long command when it is already interrupted.
func TestCancelled(t *testing.T) {
	source := saved(t, fused(t))
	ws := workspaceOf(t, source)
	train, dev := writeTask(t, "train.csv", 120, 1), writeTask(t, "dev.csv", 30, 2)
	must(t, tuned(ws, train, dev)...)
	out := filepath.Join(t.TempDir(), "export")
	must(t, "export", "--out", out, "-C", ws)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, args := range map[string][]string{
		"import":   {"import", source},
		"eval":     {"eval", "--data", dev},
		"export":   {"export", "--out", filepath.Join(ws, "new", "export")},
		"predict":  {"predict", "--model", out, "--data", dev},
		"features": tuned(ws, train, dev, "--freeze", "backbone"),
	} {
		t.Run(name, func(t *testing.T) {
			unchanged(t, ws, func() {
				o := ftkUntil(t, ctx, append(args, "-C", ws)...)
				o.check(t, exitFailed, []string{"interrupted"})
			})
		})
	}
}
