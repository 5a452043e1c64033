package main

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/ftk-go/ftk/finetune"
	"github.com/ftk-go/ftk/finetune/metrics"
	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/onnxpb"
)

// TestWholePath goes from a model on disk to predictions, for every kind of
// source and every way of freezing.
func TestWholePath(t *testing.T) {
	needsORT(t)
	onnx := func(make func(*testing.T) *graph.Model) func(*testing.T) string {
		return func(t *testing.T) string { return saved(t, make(t)) }
	}
	all := func(string) bool { return true }
	none := func(string) bool { return false }
	notEmbeddings := func(name string) bool { return !strings.HasPrefix(name, "embeddings.") }
	fromLayer1 := func(name string) bool { return notEmbeddings(name) && !strings.HasPrefix(name, "encoder.layer.0.") }
	for name, c := range map[string]struct {
		source   func(*testing.T) string
		format   string // or "pairs"
		flags    []string
		trained  func(initializer string) bool
		accuracy float64 // at least, so that it is known to have learned; chance is 1/3
	}{
		"decomposed":            {onnx(decomposed), "csv", nil, all, 0.5},
		"decomposed, layer 1":   {onnx(decomposed), "tsv", []string{"--freeze", "1"}, fromLayer1, 0.5},
		"decomposed, backbone":  {onnx(decomposed), "tsv", []string{"--freeze", "backbone", "--pooling", "mean"}, none, 0.4},
		"fused, embeddings":     {onnx(fused), "jsonl", []string{"--freeze", "embeddings"}, notEmbeddings, 0.5},
		"fused, backbone":       {onnx(fused), "csv", []string{"--freeze", "backbone", "--pooling", "mean"}, none, 0.4},
		"Hugging Face, hinge":   {huggingFace, "csv", []string{"--loss", "hinge"}, all, 0.5},
		"Hugging Face, layer 1": {huggingFace, "csv", []string{"--freeze", "1"}, fromLayer1, 0.5},
		"no mask":               {onnx(unmasked), "csv", []string{"--pooling", "mean"}, all, 0.5},
		"no mask, layer 1":      {onnx(unmasked), "csv", []string{"--freeze", "1"}, fromLayer1, 0.5},
		"tied":                  {onnx(tied), "csv", nil, all, 0.5},
		"tied, embeddings":      {onnx(tied), "csv", []string{"--freeze", "embeddings"}, notEmbeddings, 0.5},
		"pairs":                 {onnx(decomposed), "pairs", nil, all, 0.5},
	} {
		t.Run(name, func(t *testing.T) {
			write := writeTask
			if c.format == "pairs" {
				write, c.format = writePairs, "csv"
			}
			train, dev := write(t, "train."+c.format, 600, 1), write(t, "dev."+c.format, 90, 2)
			source, ws := c.source(t), t.TempDir()

			var imp imported
			mustJSON(t, &imp, "import", source, "-C", ws)
			if imp.Family == "" || len(imp.Layers) < 2 || len(imp.Inputs) < 2 || imp.Parameters == 0 || len(imp.Differences) == 0 {
				t.Errorf("imported: %+v", imp)
			}
			for _, d := range imp.Differences {
				if d.Max > 1e-4*d.Scale {
					t.Errorf("native and onnxruntime differ: %+v", d)
				}
			}

			var tunedTo finetune.Result
			mustJSON(t, &tunedTo, tuned(ws, train, dev, c.flags...)...)
			if tunedTo.Run != "0001" || !slices.Equal(tunedTo.Labels, kinds) || tunedTo.Train.Steps != 76 {
				t.Errorf("finetune: %+v", tunedTo)
			}
			if tunedTo.Eval.Accuracy < c.accuracy {
				t.Errorf("accuracy %v, want %v", tunedTo.Eval.Accuracy, c.accuracy)
			}
			t.Logf("accuracy %.3f", tunedTo.Eval.Accuracy)

			var evaluated struct {
				Run, Data string
				Eval      metrics.Classification
			}
			mustJSON(t, &evaluated, "eval", "--data", dev, "-C", ws)
			if evaluated.Eval.Accuracy != tunedTo.Eval.Accuracy || math.Abs(evaluated.Eval.Loss-tunedTo.Eval.Loss) > 1e-5 {
				t.Errorf("eval gives %+v, finetune gave %+v", evaluated.Eval, tunedTo.Eval)
			}

			out := filepath.Join(t.TempDir(), "deep", "export")
			var ex exported
			mustJSON(t, &ex, "export", "--out", out, "-C", ws)
			if ex.Difference.Relative() > 1e-4 || ex.Difference.Rows != checkExamples || ex.Metrics["accuracy"] != tunedTo.Eval.Accuracy {
				t.Errorf("export: %+v", ex)
			}
			checkExport(t, filepath.Join(ws, ".ftk", "model", "model.onnx"), filepath.Join(out, "model.onnx"), c.trained)
			if _, err := os.Stat(filepath.Join(source, "model.onnx")); err == nil {
				if !bytes.Equal(readFile(t, filepath.Join(source, "model.onnx")), readFile(t, filepath.Join(ws, ".ftk", "model", "model.onnx"))) {
					t.Error("the workspace's model is not the imported file")
				}
			}

			// The directory is moved away; nothing else is left.
			moved := filepath.Join(t.TempDir(), "elsewhere")
			if err := os.Rename(out, moved); err != nil {
				t.Fatal(err)
			}
			if err := os.RemoveAll(filepath.Join(ws, ".ftk")); err != nil {
				t.Fatal(err)
			}
			checkPredictions(t, must(t, "predict", "--model", moved, "--data", dev, "--json", "-C", ws), tunedTo.Eval.Accuracy, 0)
		})
	}
}

// TestPredictAlone predicts texts together and one by one.
func TestPredictAlone(t *testing.T) {
	texts := []string{"the horse", "there is a very old and quite new one by far with iron", "some fig", "a"}
	for name, model := range map[string]func(*testing.T) *graph.Model{"mask": fused, "no mask": unmasked} {
		t.Run(name, func(t *testing.T) {
			ws := workspaceOf(t, saved(t, model(t)))
			data := writeTask(t, "train.csv", 60, 1)
			must(t, tuned(ws, data, data, "--pooling", "mean", "--epochs", "1")...)
			out := filepath.Join(t.TempDir(), "export")
			must(t, "export", "--out", out, "-C", ws)
			predict := func(texts ...string) (scores []float64) {
				args := []string{"predict", "--model", out}
				for _, text := range texts {
					args = append(args, "--text", text)
				}
				for line := range strings.Lines(must(t, args...).stdout) {
					var p predictionLine
					if err := json.Unmarshal([]byte(line), &p); err != nil {
						t.Fatal(err)
					}
					scores = append(scores, p.Score)
				}
				return scores
			}
			for i, score := range predict(texts...) {
				if alone := predict(texts[i])[0]; math.Abs(score-alone) > 1e-5 {
					t.Errorf("%q has a score of %v among others, %v alone", texts[i], score, alone)
				}
			}
		})
	}
}

// constantName is how the builders of tiny models and heads name constants.
var constantName = regexp.MustCompile(`^(int|ints|float)_`)

func readONNX(t *testing.T, path string) *onnxpb.Model {
	t.Helper()
	m := new(onnxpb.Model)
	if err := proto.Unmarshal(readFile(t, path), m); err != nil {
		t.Fatal(err)
	}
	return m
}

// checkExport compares the protobufs: what was not trained is as it was, the
// head stands at the end, and metadata says where it all comes from.
func checkExport(t *testing.T, sourcePath, exportPath string, trained func(string) bool) {
	t.Helper()
	source, export := readONNX(t, sourcePath), readONNX(t, exportPath)
	a, b := source.Graph, export.Graph

	if len(b.Initializer) < len(a.Initializer)+2 {
		t.Fatalf("%d initializers in the export, %d in the source", len(b.Initializer), len(a.Initializer))
	}
	for i, was := range a.Initializer {
		is := b.Initializer[i]
		same := proto.Equal(was, is)
		// The pooler is no part of what cls or mean pooling trains, and
		// constants never are.
		unused := strings.HasPrefix(was.GetName(), "pooler.") || constantName.MatchString(was.GetName())
		switch {
		case was.GetName() != is.GetName(), was.GetDataType() != is.GetDataType(), !slices.Equal(was.Dims, is.Dims):
			t.Errorf("initializer %d is %q, was %q", i, is.GetName(), was.GetName())
		case !same && (!trained(was.GetName()) || unused):
			t.Errorf("initializer %q is frozen and has changed", was.GetName())
		case same && trained(was.GetName()) && !unused:
			t.Errorf("initializer %q was trained and has not changed", was.GetName())
		}
	}
	for _, added := range b.Initializer[len(a.Initializer):] {
		if !strings.HasPrefix(added.GetName(), "classifier.") && !constantName.MatchString(added.GetName()) {
			t.Errorf("added initializer %q", added.GetName())
		}
	}

	if len(b.Node) <= len(a.Node) {
		t.Fatalf("%d nodes in the export, %d in the source", len(b.Node), len(a.Node))
	}
	for i := range a.Node {
		if !proto.Equal(a.Node[i], b.Node[i]) {
			t.Errorf("node %d, %q, has changed", i, a.Node[i].GetName())
		}
	}
	for _, n := range b.Node[len(a.Node):] {
		if !strings.Contains(n.GetName(), "pooling") && !strings.Contains(n.GetName(), "classifier") {
			t.Errorf("added node %q (%s)", n.GetName(), n.GetOpType())
		}
	}

	equal := func(what string, x, y []*onnxpb.ValueInfo, more int) {
		if len(y) != len(x)+more {
			t.Errorf("%d %s, were %d", len(y), what, len(x))
			return
		}
		for i := range x {
			if !proto.Equal(x[i], y[i]) {
				t.Errorf("%s %q has changed to %v", what, x[i].GetName(), y[i])
			}
		}
	}
	equal("inputs", a.Input, b.Input, 0)
	equal("outputs", a.Output, b.Output, 1)
	if last := b.Output[len(b.Output)-1].GetName(); last != "logits" {
		t.Errorf("the output added is %q", last)
	}

	metadata := map[string]string{}
	for _, p := range export.MetadataProps {
		metadata[p.GetKey()] = p.GetValue()
	}
	for key, want := range map[string]string{
		"ftk.version": "", "ftk.head": "classify", "ftk.labels": `["animal","fruit","metal"]`, "ftk.logits": "logits",
		"ftk.max_length": "", "ftk.tokenizer_hash": "", "ftk.metrics": "", "ftk.columns": "",
	} {
		if got, ok := metadata[key]; !ok || got == "" || (want != "" && got != want) {
			t.Errorf("metadata %s is %q, want %q", key, got, want)
		}
	}

	// What is left besides is as it was.
	a.Initializer, b.Initializer, a.Node, b.Node, a.Output, b.Output = nil, nil, nil, nil, nil, nil
	source.MetadataProps, export.MetadataProps = nil, nil
	if !proto.Equal(source, export) {
		t.Errorf("something else has changed: %v\n%v", source, export)
	}
}

// checkPredictions compares predictions, which stand in the order of the task's
// examples, with the accuracy that is to come of them but for so many.
func checkPredictions(t *testing.T, o outcome, accuracy float64, others int) {
	t.Helper()
	right, n := 0, 0
	for line := range strings.Lines(o.stdout) {
		var p struct {
			Text, Label string
			Score       float64
			Scores      map[string]float64
		}
		if err := json.Unmarshal([]byte(line), &p); err != nil || p.Text == "" {
			t.Fatalf("line %q: %v", line, err)
		}
		sum := 0.0
		for _, s := range p.Scores {
			sum += s
		}
		if math.Abs(sum-1) > 1e-6 || p.Score != p.Scores[p.Label] || len(p.Scores) != len(kinds) {
			t.Errorf("scores %+v", p)
		}
		if p.Label == kinds[n%len(kinds)] {
			right++
		}
		n++
	}
	if got := float64(right) / float64(n); math.Abs(got-accuracy)*float64(n) > float64(others)+1e-6 || n != 90 {
		t.Errorf("%d predictions of accuracy %v; evaluated natively it was %v", n, got, accuracy)
	}
}
