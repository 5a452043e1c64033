package finetune

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ftk-go/ftk/finetune/dataset"
	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/safetensors"
)

// withTables makes the tiny model's word embeddings count as a large table.
func withTables(t *testing.T) {
	old := tableRows
	tableRows = 64
	t.Cleanup(func() { tableRows = old })
}

func TestLearns(t *testing.T) {
	withTables(t)
	for _, loss := range []string{LossCrossEntropy, LossHinge} {
		t.Run(loss, func(t *testing.T) {
			c := tinyConfig(t)
			c.Train, c.Loss, c.Epochs = writeTask(t, 600, 1), loss, 5
			steps := 0
			c.Progress = func(e Event) {
				switch e := e.(type) {
				case Evaluated:
					t.Logf("%+v", e)
				case Step:
					steps++
					if e.Step != steps || e.Steps != 5*38 {
						t.Errorf("step %d of %d, want %d of 190", e.Step, e.Steps, steps)
					}
				}
			}
			r := run(t, c)
			if r.Eval.Accuracy < 0.95 {
				t.Errorf("accuracy %v after %d steps", r.Eval.Accuracy, r.Train.Steps)
			}
			best := r.Evaluations[r.BestEpoch-1]
			for _, e := range r.Evaluations {
				if e.Accuracy > best.Accuracy {
					t.Errorf("epoch %d is better than the best, %d", e.Epoch, r.BestEpoch)
				}
			}
		})
	}
}

// trained returns all float initializers of a model as bytes, by name.
func trained(t *testing.T, m *graph.Model) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for _, v := range m.Graph.Initializers {
		raw, err := v.Init.Raw()
		if err != nil {
			t.Fatal(err)
		}
		all[v.Name] = raw
	}
	return all
}

func sameBytes(t *testing.T, got, want map[string][]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d initializers, want %d", len(got), len(want))
	}
	for name, w := range want {
		if !bytes.Equal(got[name], w) {
			t.Errorf("initializer %q differs", name)
		}
	}
}

func TestReproducible(t *testing.T) {
	withTables(t)
	c := tinyConfig(t)
	want := trained(t, run(t, c).Model)
	sameBytes(t, trained(t, run(t, c).Model), want)
	c.Seed++
	if bytes.Equal(trained(t, run(t, c).Model)["classifier.weight"], want["classifier.weight"]) {
		t.Error("another seed gives the same weights")
	}
}

func TestResumeIsBitEqual(t *testing.T) {
	withTables(t)
	c := tinyConfig(t)
	c.Epochs, c.GradAccum = 3, 2
	want := run(t, c)
	wantBytes := trained(t, want.Model)
	for _, stopAt := range []int{1, 10, 23} { // 10 steps an epoch
		c.Workspace = tinyWorkspace(t)
		ctx, cancel := context.WithCancel(context.Background())
		interrupted := c
		interrupted.Progress = func(e Event) {
			if s, ok := e.(Step); ok && s.Step == stopAt {
				cancel()
			}
		}
		r, err := Run(ctx, interrupted)
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("stopped at %d: %v", stopAt, err)
		}
		if (r == nil) != (stopAt <= 10) {
			t.Errorf("stopped at %d: result %v", stopAt, r)
		}
		resumed := c
		resumed.Progress = func(e Event) {
			if e, ok := e.(Resumed); ok && e.Step != stopAt {
				t.Errorf("resumed at step %d, stopped at %d", e.Step, stopAt)
			}
		}
		if stopAt == 10 { // nothing said: the run's own settings
			resumed.Settings = Settings{}
		}
		if resumed.Resume, err = c.Workspace.LatestCheckpoint(); err != nil {
			t.Fatal(err)
		}
		got := run(t, resumed)
		sameBytes(t, trained(t, got.Model), wantBytes)
		if got.Eval != want.Eval || got.BestEpoch != want.BestEpoch || len(got.Evaluations) != 3 || got.Evaluations[0] != want.Evaluations[0] {
			t.Errorf("stopped at %d: result %+v, want %+v", stopAt, got, want)
		}
		if _, err := c.Workspace.LatestCheckpoint(); err == nil {
			t.Error("a complete run can be resumed")
		}
	}
}

// inFiles makes data sets lie in files, however small, and be tokenised batch
// by batch where nothing is frozen.
func inFiles(t *testing.T) {
	memory, atOnce := setMemory, tokenisedAtOnce
	setMemory, tokenisedAtOnce = 1, 1
	t.Cleanup(func() { setMemory, tokenisedAtOnce = memory, atOnce })
}

// A run does not depend, but for rounding, on how its batches are cut: each row
// has its own dropout.
func TestPartsTrainTheSame(t *testing.T) {
	cost := partCost
	t.Cleanup(func() { partCost = cost })
	steps := func(cost int) (steps []Step, plans int) {
		partCost = cost
		c := tinyConfig(t)
		c.Dropout = 0.4
		c.Progress = func(e Event) {
			if s, ok := e.(Step); ok {
				steps = append(steps, s)
			}
		}
		tr, err := prepare(context.Background(), &c)
		if err != nil {
			t.Fatal(err)
		}
		defer tr.close()
		if err := tr.trainEpoch(context.Background()); err != nil {
			t.Fatal(err)
		}
		return steps, len(tr.net.plans.made)
	}
	whole, plans := steps(1 << 20)
	parts, more := steps(1)
	if len(whole) != 19 || len(parts) != len(whole) || more <= plans {
		t.Fatalf("%d steps of %d shapes, %d in parts, of %d shapes", len(whole), plans, len(parts), more)
	}
	for i, w := range whole {
		if p := parts[i]; math.Abs(p.Loss-w.Loss) > 1e-4*w.Loss || math.Abs(p.GradNorm-w.GradNorm) > 1e-3*w.GradNorm {
			t.Errorf("step %d: loss %v and norm %v in parts, want %v and %v", i+1, p.Loss, p.GradNorm, w.Loss, w.GradNorm)
		}
	}
}

// A run does not depend on where its data is, also when it is resumed.
func TestDataInFilesTrainsTheSame(t *testing.T) {
	for _, freeze := range []string{"none", "backbone"} {
		c := tinyConfig(t)
		c.Eval, c.EvalSplit, c.Freeze = "", 0.2, freeze
		c.Workspace = tinyWorkspace(t)
		want := run(t, c)
		inFiles(t)
		c.Workspace = tinyWorkspace(t)
		ctx, cancel := context.WithCancel(context.Background())
		read := 0
		c.Progress = func(e Event) {
			switch e := e.(type) {
			case Reading:
				read = e.Examples
			case Loaded: // 256 are read and tokenised at a time
				if want := map[string]int{"none": 256, "backbone": 300}[freeze]; e.Tokenised != want {
					t.Errorf("freeze %s: %d examples are tokenised before training, want %d", freeze, e.Tokenised, want)
				}
			case Step:
				if e.Step == 7 {
					cancel()
				}
			}
		}
		if _, err := Run(ctx, c); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if read != 300 {
			t.Errorf("%d examples read", read)
		}
		setMemory = 0
		c.Progress = nil
		var err error
		if c.Resume, err = c.Workspace.LatestCheckpoint(); err != nil {
			t.Fatal(err)
		}
		got := run(t, c)
		sameBytes(t, trained(t, got.Model), trained(t, want.Model))
		if got.Eval != want.Eval {
			t.Errorf("freeze %s: evaluation %+v, want %+v", freeze, got.Eval, want.Eval)
		}
	}
}

// Inputs that have room for one number of tokens only are refused at once.
func TestFixedSizesAreRefused(t *testing.T) {
	for want, dims := range map[string][]graph.Dim{
		"has a fixed size, int64[1 16]":     graph.FixedDims(1, 16),
		"has a fixed size, int64[batch 16]": {graph.NamedDim("batch"), {Size: 16}},
		"has 3 axes":                        {graph.NamedDim("batch"), graph.NamedDim("a"), graph.NamedDim("b")},
	} {
		for _, freeze := range []string{"none", "backbone"} {
			c := tinyConfig(t)
			c.Freeze = freeze
			for _, v := range c.Model.Graph.Inputs {
				v.Type = graph.TensorOf(graph.Int64, dims...)
			}
			if _, err := Run(context.Background(), c); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("freeze %s: error %v, want %q", freeze, err, want)
			}
		}
	}
}

// A run that is interrupted while it reads its data, or before it trains,
// leaves no run.
func TestInterruptedBeforeTraining(t *testing.T) {
	for name, at := range map[string]func(Event) bool{
		"reading": func(e Event) bool { _, ok := e.(Reading); return ok },
		"loaded":  func(e Event) bool { _, ok := e.(Loaded); return ok },
	} {
		c := tinyConfig(t)
		c.Workspace = tinyWorkspace(t)
		ctx, cancel := context.WithCancel(context.Background())
		c.Progress = func(e Event) {
			if at(e) {
				cancel()
			}
			if _, ok := e.(Loaded); ok && name == "reading" {
				t.Error("it read on")
			}
		}
		_, err := Run(ctx, c)
		var stopped *StoppedError
		if !errors.Is(err, context.Canceled) || errors.As(err, &stopped) {
			t.Errorf("%s: error %v", name, err)
		}
		if runs, err := c.Workspace.Runs(); len(runs) > 0 || err != nil {
			t.Errorf("%s: %d runs, %v", name, len(runs), err)
		}
		cancel()
	}
}

// Data that cannot be read back ends a run with an error.
func TestDataIsLost(t *testing.T) {
	inFiles(t)
	for _, freeze := range []string{"none", "backbone"} {
		c := tinyConfig(t)
		c.Freeze, c.Workspace = freeze, tinyWorkspace(t)
		tr, err := prepare(context.Background(), &c)
		if err != nil {
			t.Fatal(err)
		}
		if err := tr.train.Close(); err != nil {
			t.Fatal(err)
		}
		if err := tr.trainEpoch(context.Background()); !errors.Is(err, os.ErrClosed) || !strings.Contains(err.Error(), c.Train) {
			t.Errorf("freeze %s: error %v", freeze, err)
		}
		tr.close()
	}
}

// A run is resumed on the same data, whose hash stays what it was.
func TestHashOfSet(t *testing.T) {
	c := tinyConfig(t)
	set, err := dataset.Load(t.Context(), c.Train, dataset.LoadOptions{Encode: encoder(c.Tokenizer, 64, 0)})
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	var classes []int32
	for e, err := range set.Scan(0, set.Len()) {
		if err != nil {
			t.Fatal(err)
		}
		classes = append(classes, e.Class)
	}
	h := sha256.New()
	content := set.Hash()
	h.Write(content[:])
	fmt.Fprint(h, classes, set.Classes.Names)
	if got, err := hashSet(set); err != nil || got != hex.EncodeToString(h.Sum(nil)) {
		t.Errorf("hash %s, %v", got, err)
	}
}

func TestResumeRefuses(t *testing.T) {
	c := tinyConfig(t)
	c.Workspace = tinyWorkspace(t)
	ctx, cancel := context.WithCancel(context.Background())
	c.Progress = func(e Event) {
		if _, ok := e.(Step); ok {
			cancel()
		}
	}
	if _, err := Run(ctx, c); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	c.Progress = nil
	var err error
	if c.Resume, err = c.Workspace.LatestCheckpoint(); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*Config){
		"batch_size": func(c *Config) { c.BatchSize = 8 },
		"train":      func(c *Config) { c.Train = writeTask(t, 300, 9) },
		"model":      func(c *Config) { m, _ := tinyModel(2); c.Model = m },
		"threads":    func(c *Config) { c.Threads = 1 },

		"frozen_engine": func(c *Config) { c.FrozenEngine = EngineOnnxruntime },
	} {
		other := c
		change(&other)
		if what == "train" { // the same path with other content
			if err := os.Rename(other.Train, c.Train); err != nil {
				t.Fatal(err)
			}
			other.Train = c.Train
		}
		if _, err := Run(context.Background(), other); err == nil || !strings.Contains(err.Error(), "cannot be resumed: "+what+" is") {
			t.Errorf("%s: error %v", what, err)
		}
		if what == "train" {
			if err := os.Rename(writeTask(t, 300, 1), c.Train); err != nil {
				t.Fatal(err)
			}
		}
	}
	record := filepath.Join(c.Resume.Dir, "run.json")
	text, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	write := func(text []byte) {
		if err := os.WriteFile(record, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(bytes.Replace(text, []byte(`"order": `), []byte(`"order": 9`), 1)) // as by another version
	if _, err := Run(context.Background(), c); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("cannot be resumed: order is %d now and was 9%[1]d", orderVersion)) {
		t.Errorf("order: error %v", err)
	}
	write(text)
	if c.FrozenEngine == "" {
		t.Fatal("the run does not say what computes the frozen part")
	}
	c.FrozenEngine = "" // means the default
	if _, err := Run(context.Background(), c); err != nil {
		t.Errorf("unchanged: %v", err)
	}
}

func TestFrozenStaysByteIdentical(t *testing.T) {
	c := tinyConfig(t)
	c.Epochs = 1
	before := trained(t, c.Model)
	after := trained(t, run(t, c).Model)
	changed := 0
	for name, raw := range before {
		if !bytes.Equal(after[name], raw) {
			changed++
		}
	}
	if changed < 10 {
		t.Errorf("freeze none: %d initializers changed", changed)
	}
	sameBytes(t, trained(t, c.Model), before) // the caller's model is untouched
}

func TestDiverges(t *testing.T) {
	poisoned := func(name string) *graph.Model {
		m := tinyBERT(t)
		v := m.Graph.Value(name)
		x, err := v.Init.Float32s()
		if err != nil {
			t.Fatal(err)
		}
		x = append([]float32(nil), x...)
		x[3] = float32(math.NaN())
		v.Init.SetFloat32s(x)
		return m
	}
	for _, c := range []struct {
		name string
		set  func(*Config)
		node string // part of the first node's name
		step int    // 0: any
	}{
		{"NaN in a weight", func(c *Config) { c.Model = poisoned("encoder.layer.1.output.dense.bias") }, "encoder.layer.1.output.dense.bias", 1},
		{"learning rate", func(c *Config) {
			c.LearningRate, c.HeadLearningRate, c.Warmup, c.GradClip, c.WeightDecay = 1e30, 1e30, 0, 0, 0
		}, "", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := tinyConfig(t)
			c.set(&config)
			_, err := Run(context.Background(), config)
			var d *DivergedError
			if !errors.As(err, &d) {
				t.Fatalf("error %v", err)
			}
			t.Log(err)
			if d.First == nil || !strings.Contains(d.First.Node, c.node) || d.Step != c.step {
				t.Errorf("error %v", err)
			}
		})
	}
}

// What the last step of an epoch breaks, the evaluation finds.
func TestEvaluationDiverges(t *testing.T) {
	for _, workspace := range []bool{false, true} {
		c := tinyConfig(t)
		c.BatchSize, c.Epochs, c.Warmup, c.Schedule, c.GradClip, c.WeightDecay = 300, 1, 0, "constant", 0, 0
		c.LearningRate, c.HeadLearningRate = 1e20, 1e20
		if workspace {
			c.Workspace = tinyWorkspace(t)
		}
		_, err := Run(context.Background(), c)
		var d *DivergedError
		if !errors.As(err, &d) || d.Step != 1 || !strings.Contains(err.Error(), "evaluation") {
			t.Fatalf("error %v", err)
		}
		if !workspace {
			continue
		}
		if runs, err := c.Workspace.Runs(); err != nil || len(runs) > 0 {
			t.Errorf("the run is left behind: %v, %v", runs, err)
		}
	}
}

// What a model computes names it: every change of that is another name.
func TestHashOfModel(t *testing.T) {
	hash := func(change func(*graph.Model)) string {
		m := tinyBERT(t)
		one := &graph.Tensor{DType: graph.Float32, Dims: []int64{1}, Storage: graph.Storage{Raw: []byte{0, 0, 128, 63}}}
		body := &graph.Graph{Name: "body"}
		body.Outputs = []*graph.Value{body.AddNode("Constant", "one", nil).SetTensor("value", one).Output()}
		m.Functions = []*graph.Function{{Domain: "own", Name: "One", Opsets: []graph.Opset{{Version: 17}}, Body: body}}
		n := m.Graph.AddNode("If", "choice", []*graph.Value{m.Graph.Inputs[0]})
		n.Attrs = append(n.Attrs, &graph.Attribute{Name: "then_branch", Type: graph.AttrGraph, G: body})
		change(m)
		h, err := hashModel(m)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	same := func(*graph.Model) {}
	names := map[string]string{hash(same): "nothing"}
	if h := hash(same); names[h] == "" {
		t.Error("the same model has two hashes")
	}
	two := &graph.Tensor{DType: graph.Float32, Dims: []int64{1}, Storage: graph.Storage{Raw: []byte{0, 0, 0, 64}}}
	for what, change := range map[string]func(*graph.Model){
		"opset":    func(m *graph.Model) { m.Opsets[0].Version-- },
		"operator": func(m *graph.Model) { m.Graph.Nodes[3].OpType += "2" },
		"order of inputs": func(m *graph.Model) {
			n := m.Graph.Node("/embeddings/Add")
			n.Inputs[0], n.Inputs[1] = n.Inputs[1], n.Inputs[0]
		},
		"output": func(m *graph.Model) { m.Graph.Outputs = m.Graph.Outputs[:1] },
		"weight": func(m *graph.Model) {
			v := m.Graph.Value("embeddings.LayerNorm.weight").Init
			x, _ := v.Float32s()
			x[0]++
			v.SetFloat32s(x)
		},
		"function":           func(m *graph.Model) { m.Functions[0].Body = &graph.Graph{} },
		"function's opset":   func(m *graph.Model) { m.Functions[0].Opsets[0].Version-- },
		"body":               func(m *graph.Model) { m.Graph.Node("choice").Attrs[0].G = &graph.Graph{} },
		"constant in a body": func(m *graph.Model) { m.Graph.Node("choice").Attrs[0].G.Nodes[0].SetTensor("value", two) },
	} {
		h := hash(change)
		if was := names[h]; was != "" {
			t.Errorf("another %s gives the hash of another %s", what, was)
		}
		names[h] = what
	}
}

func TestWorkspaceFiles(t *testing.T) {
	c := tinyConfig(t)
	c.Eval, c.EvalSplit = "", 0.2
	c.Workspace = tinyWorkspace(t)
	r := run(t, c)
	if r.Run != "0001" {
		t.Errorf("run %q", r.Run)
	}
	latest, err := c.Workspace.LatestRun()
	if err != nil {
		t.Fatal(err)
	}
	entries, _ := os.ReadDir(latest.Dir)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if got := strings.Join(names, " "); got != "best.safetensors metrics.jsonl run.json" {
		t.Errorf("the run has %s", got)
	}
	lines, _ := os.ReadFile(filepath.Join(latest.Dir, "metrics.jsonl"))
	if n := bytes.Count(lines, []byte("\n")); n != c.Epochs || !bytes.Contains(lines, []byte(`"f1_macro":`)) {
		t.Errorf("metrics.jsonl: %s", lines)
	}
	f, err := latest.OpenBest()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	best := r.Model.Graph.Value("classifier.weight")
	var saved safetensors.Tensor
	if saved, err = f.Read("classifier.weight"); err != nil {
		t.Fatal(err)
	}
	want, _ := best.Init.Float32s()
	if err := closeTo(saved.Data, want, 0); err != nil {
		t.Error(err)
	}

	again, err := Load(c.Model, c.Tokenizer, latest, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	sameBytes(t, trained(t, again.Model()), trained(t, r.Model))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = again.Evaluate(ctx, c.Train, dataset.Columns{}, func(e Event) { t.Errorf("%T though it was interrupted", e) })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	var last Evaluating
	m, err := again.Evaluate(context.Background(), writeTask(t, 90, 2), dataset.Columns{}, func(e Event) {
		if e, ok := e.(Evaluating); ok {
			last = e
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if m.Accuracy <= 0 || m.Loss <= 0 {
		t.Errorf("evaluation %+v", m)
	}
	if last != (Evaluating{0, 90, 90}) {
		t.Errorf("the last that was heard of the evaluation is %+v", last)
	}
	other, err := tinyModel(2)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Load(other, c.Tokenizer, latest, 2); err == nil || !strings.Contains(err.Error(), "another model") {
		t.Errorf("another backbone: %v", err)
	}
}

func TestRunErrors(t *testing.T) {
	write := func(content string) string {
		path := filepath.Join(t.TempDir(), "x.csv")
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct {
		name string
		set  func(*Config)
		want string
	}{
		{"label only in eval", func(c *Config) { c.Eval = write("text,label\nthe apple,fruit\na,stone\n") }, `x.csv:3: label "stone" does not occur in the training data`},
		{"one class", func(c *Config) { c.Train = write("text,label\nthe,fruit\na,fruit\n") }, "at least two labels"},
		{"class of one", func(c *Config) {
			c.Train, c.Eval, c.EvalSplit = write("text,label\na,x\nb,x\nc,y\n"), "", 0.5
		}, `label "y" has one example`},
		{"header only", func(c *Config) { c.Train = write("text,label\n") }, "no records"},
		{"too long", func(c *Config) { c.MaxLength = 1000 }, "positions for 64 tokens"},
		{"no eval", func(c *Config) { c.Eval = "" }, "--eval-split"},
		{"freeze", func(c *Config) { c.Freeze = "7" }, "2 layers"},
		{"schedule", func(c *Config) { c.Schedule = "step" }, "--schedule"},
		{"loss", func(c *Config) { c.Loss = "mse" }, "--loss"},
		{"head", func(c *Config) { c.Head = "qa" }, "classify"},
		{"batch size", func(c *Config) { c.BatchSize = math.MaxInt }, "--batch-size"},
		{"accumulation", func(c *Config) { c.GradAccum = math.MaxInt }, "--grad-accum"},
		{"epochs", func(c *Config) { c.Epochs = math.MaxInt }, "--epochs"},
		{"warmup", func(c *Config) { c.Warmup = 1e300 }, "--warmup"},
		{"decay", func(c *Config) { c.LearningRate, c.WeightDecay = 1e-2, 100 }, "--weight-decay"},
		{"decay of the head", func(c *Config) { c.HeadLearningRate, c.WeightDecay = 1e-2, 100 }, "--weight-decay"},
		{"tokenizer does not fit", func(c *Config) {
			m, err := tinyModelOf(20)
			if err != nil {
				t.Fatal(err)
			}
			c.Model = m
		}, "the tokenizer does not fit the model"},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := tinyConfig(t)
			config.Workspace = tinyWorkspace(t)
			c.set(&config)
			_, err := Run(context.Background(), config)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if runs, _ := config.Workspace.Runs(); len(runs) > 0 {
				t.Error("a run's directory is left behind")
			}
		})
	}
}

// A checkpoint is saved when the last one is old, within epochs too, and a
// process that is killed then goes on to the same end.
func TestCheckpointWhenDue(t *testing.T) {
	c := tinyConfig(t)
	c.Workspace = tinyWorkspace(t)
	want := run(t, c)

	c.Workspace = tinyWorkspace(t)
	ctx, kill := context.WithCancel(context.Background())
	killed := c
	var tr *trainer
	killed.Progress = func(e Event) {
		switch s, ok := e.(Step); {
		case ok && s.Step == 9:
			tr.checkpoint.at = time.Now().Add(-2 * checkpointEvery)
		case ok && s.Step == 12:
			kill()
		}
	}
	tr, err := prepare(ctx, &killed)
	if err != nil {
		t.Fatal(err)
	}
	tr.checkpointWhenDue()
	if _, err := os.Stat(tr.run.CheckpointPath()); err == nil {
		t.Error("a checkpoint is saved at once")
	}
	if err := tr.trainEpoch(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	tr.close() // without what stopped does
	if c.Resume, err = c.Workspace.LatestCheckpoint(); err != nil {
		t.Fatal(err)
	}
	at := 0
	c.Progress = func(e Event) {
		if r, ok := e.(Resumed); ok {
			at = r.Step
		}
	}
	got := run(t, c)
	if at != 9 {
		t.Errorf("it goes on after step %d", at)
	}
	sameBytes(t, trained(t, got.Model), trained(t, want.Model))
}

// A process may be killed between saving the best weights and the next
// checkpoint: the resumed run knows what they are worth.
func TestBestIsNewerThanTheCheckpoint(t *testing.T) {
	c := tinyConfig(t)
	c.Epochs, c.LearningRate, c.Workspace = 4, 3e-4, tinyWorkspace(t)
	killed := c
	tr, err := prepare(context.Background(), &killed)
	if err != nil {
		t.Fatal(err)
	}
	for epoch := 1; epoch <= 2; epoch++ {
		if err := tr.trainEpoch(context.Background()); err != nil {
			t.Fatal(err)
		}
		tr.checkpoint.at = time.Now()
		if epoch == 1 {
			tr.checkpoint.at = tr.checkpoint.at.Add(-2 * checkpointEvery)
		}
		if err := tr.evaluateEpoch(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	best := *tr.best
	tr.close()
	if best.Epoch != 2 {
		t.Fatalf("epoch %d is the best, the test needs the second", best.Epoch)
	}
	if c.Resume, err = c.Workspace.LatestCheckpoint(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	at := 0
	c.Progress = func(e Event) {
		if r, ok := e.(Resumed); ok {
			at = r.Epoch
			cancel()
		}
	}
	r, err := Run(ctx, c)
	var stopped *StoppedError
	if !errors.As(err, &stopped) || at != 2 {
		t.Fatalf("%v, in epoch %d", err, at)
	}
	if stopped.Best != 2 || r.BestEpoch != 2 || r.Eval != best.Classification {
		t.Errorf("best is epoch %d with %+v, want %+v", r.BestEpoch, r.Eval, best)
	}
}

// What goes wrong later does not take a checkpoint away.
func TestFailureKeepsTheCheckpoint(t *testing.T) {
	for _, saved := range []bool{false, true} {
		c := tinyConfig(t)
		c.Workspace = tinyWorkspace(t)
		tr, err := prepare(context.Background(), &c)
		if err != nil {
			t.Fatal(err)
		}
		if saved {
			tr.checkpoint.at = tr.checkpoint.at.Add(-2 * checkpointEvery)
			tr.checkpointWhenDue()
		}
		if _, err := tr.stopped(errors.New("the disk is full")); err == nil {
			t.Error("no error")
		}
		tr.close()
		if _, err := os.Stat(tr.run.Dir); (err == nil) != saved {
			t.Errorf("checkpoint saved %v: the run's directory: %v", saved, err)
		}
	}
}

// A run whose record cannot be written leaves no directory.
func TestBeginFails(t *testing.T) {
	c := tinyConfig(t)
	c.Workspace = tinyWorkspace(t)
	c.Dropout = math.NaN() // JSON has none
	tr := &trainer{Config: &c, train: &dataset.Set{}}
	if err := tr.begin(); err == nil {
		t.Error("no error")
	}
	if runs, err := c.Workspace.Runs(); err != nil || len(runs) > 0 {
		t.Errorf("runs %v, %v", runs, err)
	}
}

// A resumed run took what all its processes took.
func TestResumedRunCountsAllSeconds(t *testing.T) {
	for _, old := range []bool{false, true} {
		c := tinyConfig(t)
		c.Workspace, c.Epochs = tinyWorkspace(t), 1
		first := c
		tr, err := prepare(context.Background(), &first)
		if err != nil {
			t.Fatal(err)
		}
		const training, running = 1000, 2000 // seconds
		tr.clock.total = training * time.Second
		tr.began = tr.began.Add(-running * time.Second)
		if err := tr.saveCheckpoint(); err != nil {
			t.Fatal(err)
		}
		tr.close()
		want := float64(running)
		if old { // a checkpoint of a version that did not save it
			data, err := os.ReadFile(tr.run.CheckpointPath())
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(tr.run.CheckpointPath(), bytes.Replace(data, []byte("elapsed"), []byte("unknown"), 1), 0o644); err != nil {
				t.Fatal(err)
			}
			want = training
		}
		c.Resume = tr.run
		if got := run(t, c).Train.Seconds; got < want || got > want+500 {
			t.Errorf("old checkpoint %v: the run took %v s, want %v and a few", old, got, want)
		}
	}
}

// Metrics that cannot be written do not end a run.
func TestMetricsCannotBeSaved(t *testing.T) {
	c := tinyConfig(t)
	c.Workspace = tinyWorkspace(t)
	warnings := 0
	tr, err := prepare(context.Background(), &c)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.close()
	if err := os.MkdirAll(filepath.Join(tr.run.Dir, "metrics.jsonl", "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	c.Progress = func(e Event) {
		if w, ok := e.(Warning); ok && strings.Contains(w.Text, "metrics could not be saved") {
			warnings++
		}
	}
	for tr.epoch < c.Epochs {
		if err := errors.Join(tr.trainEpoch(context.Background()), tr.evaluateEpoch(context.Background())); err != nil {
			t.Fatal(err)
		}
	}
	if r, err := tr.finish(); err != nil || r.BestEpoch == 0 {
		t.Errorf("result %v, error %v", r, err)
	}
	if warnings != c.Epochs {
		t.Errorf("%d warnings in %d epochs", warnings, c.Epochs)
	}
}

// What is loaded of a run says what its weights are worth, whether the run came
// to its end or was stopped.
func TestTrainedHasItsEvaluation(t *testing.T) {
	c := tinyConfig(t)
	c.Workspace = tinyWorkspace(t)
	for _, stop := range []bool{false, true} {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		c.Progress = func(e Event) {
			if _, ok := e.(Evaluated); ok && stop {
				cancel()
			}
		}
		r, err := Run(ctx, c)
		if stop != errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		latest, err := c.Workspace.LatestRun()
		if err != nil {
			t.Fatal(err)
		}
		tr, err := Load(c.Model, c.Tokenizer, latest, 2)
		if err != nil {
			t.Fatal(err)
		}
		defer tr.Close()
		if (tr.Record.Result == nil) != stop {
			t.Errorf("stopped %v: recorded result %v", stop, tr.Record.Result)
		}
		if tr.Eval == nil || *tr.Eval != r.Eval {
			t.Errorf("stopped %v: evaluation %v, want %+v", stop, tr.Eval, r.Eval)
		}
	}
}
