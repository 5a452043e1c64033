package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/ftk-go/ftk/exporter"
	"github.com/ftk-go/ftk/models"
	"github.com/ftk-go/ftk/tokenize"
)

// gomlx is what it takes to run bench/gomlx: paths.
type gomlx struct {
	program   string
	model     string // ONNX
	trainable string // a JSON list of initializers
	examples  []string
}

// prepareGomlx builds bench/gomlx, a module of its own, and has the files made that it reads: the model as ONNX, the names
// of the initializers that are trained, which the topology of the model tells and not what they are called, and for each
// file of texts one of token ids.
func (o *options) prepareGomlx(ctx context.Context, m model, freeze string, texts ...string) (gomlx, error) {
	dir := filepath.Join(o.work, "gomlx-peer")
	p := gomlx{
		program: filepath.Join(dir, "gomlx"), model: filepath.Join(dir, "model.onnx"), trainable: filepath.Join(dir, "trainable.json"),
	}
	for i := range texts {
		p.examples = append(p.examples, examplesFile(dir, i))
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return p, err
	}
	build := command(ctx, o.threads, "go", "build", "-o", p.program, ".")
	build.Dir, build.Stderr = filepath.Join(o.root, "bench", "gomlx"), os.Stderr
	if err := build.Run(); err != nil {
		return p, fmt.Errorf("go build in bench/gomlx: %w", err)
	}
	// In a process of its own, as in bertBase.
	return p, o.output(ctx, o.self, append([]string{"-write-gomlx", dir, "-model", m.dir, freeze}, texts...)...)
}

func examplesFile(dir string, i int) string {
	return filepath.Join(dir, fmt.Sprintf("examples-%d.jsonl", i))
}

// runGomlx runs a whole command of bench/gomlx. It gets its texts tokenised: that is not in its time.
func (o *options) runGomlx(ctx context.Context, run training) (outcome, error) {
	p, err := o.prepareGomlx(ctx, run.model, run.freeze, run.data.train, run.data.eval)
	if err != nil {
		return outcome{}, err
	}
	return o.runPeer(ctx, run, p.program, "train", "--model", p.model, "--trainable", p.trainable,
		"--train", p.examples[0], "--eval", p.examples[1])
}

// writeGomlx makes the files of prepareGomlx; what is what to freeze, and files of texts, that of training first.
func writeGomlx(dir, modelDir string, what []string) error {
	source, err := models.Open(modelDir)
	if err != nil {
		return err
	}
	if err := exporter.Save(source.Model, filepath.Join(dir, "model.onnx")); err != nil {
		return err
	}
	info, err := models.Describe(source.Model)
	if err != nil {
		return err
	}
	weights, err := models.Freeze(info, what[0])
	if err != nil {
		return err
	}
	names := []string{}
	for _, w := range weights {
		names = append(names, w.Name)
	}
	list, err := json.Marshal(names)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "trainable.json"), list, 0o644); err != nil {
		return err
	}
	if len(what) == 1 {
		return nil
	}
	tokenizer, err := tokenize.Load(modelDir)
	if err != nil {
		return err
	}
	var labels []string
	for i, texts := range what[1:] {
		rows, err := readRows(texts, true)
		if err != nil {
			return err
		}
		if i == 0 {
			for _, r := range rows {
				labels = append(labels, r[1])
			}
			slices.Sort(labels)
			labels = slices.Compact(labels)
		}
		if err := writeExamples(examplesFile(dir, i), tokenizer, rows, labels); err != nil {
			return err
		}
	}
	return nil
}

// writeExamples writes rows of text and label as lines of token ids and the number of the label.
func writeExamples(path string, tokenizer *tokenize.Tokenizer, rows [][]string, labels []string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	out := bufio.NewWriter(f)
	lines := json.NewEncoder(out)
	for _, r := range rows {
		label, ok := slices.BinarySearch(labels, r[1])
		if !ok {
			return fmt.Errorf("label %q is in no training example", r[1])
		}
		e, err := tokenizer.Encode(r[0], tokenize.Options{MaxLength: maxLength, IDsOnly: true})
		if err != nil {
			return err
		}
		if err := lines.Encode(map[string]any{"ids": e.IDs, "label": label}); err != nil {
			return err
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return f.Close()
}
