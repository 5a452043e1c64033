package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/ftk-go/ftk/models"
)

// tinyBERT is small enough to train on a million rows in minutes, so that what it takes to handle the data shows.
var tinyBERT = models.BERTConfig{
	VocabSize: 30522, HiddenSize: 32, Layers: 2, Heads: 2, IntermediateSize: 64,
	MaxPositions: 128, TypeVocabSize: 2, Activation: "gelu", LayerNormEps: 1e-12,
}

// measureScale measures whole commands of ftk, one epoch of a tiny model, on more and more rows of generated text. There
// is no peer.
func (o *options) measureScale(ctx context.Context) error {
	dir, err := o.minilmDir()
	if err != nil {
		return err
	}
	m := model{name: "tiny", dir: filepath.Join(o.work, "tiny")}
	if err := o.writeBERT(m.dir, dir, tinyBERT); err != nil {
		return err
	}
	ws := filepath.Join(o.work, "ws-tiny")
	if err := os.MkdirAll(ws, 0o755); err != nil {
		return err
	}
	if err := o.output(ctx, o.ftk, "-C", ws, "import", m.dir); err != nil {
		return err
	}
	t := table{title: fmt.Sprintf("More rows: a tiny model (%d layers of %d), 1 epoch, a twentieth of the rows to evaluate", tinyBERT.Layers, tinyBERT.HiddenSize),
		head: []string{"rows", "frozen", "read and tokenise s", "to first step s", "total s", "µs a row", "samples/s", "peak MB", "accuracy"}}
	for _, freeze := range []string{"none", "backbone"} {
		for _, rows := range o.scale {
			r, err := o.runScale(ctx, ws, rows, freeze)
			if err != nil {
				return err
			}
			t.add(strconv.Itoa(rows), freeze, number(r.read, 2), number(r.first, 2), number(r.wall, 2), number(r.wall/float64(rows)*1e6, 0),
				number(r.samples, 0), number(float64(r.peak)/(1<<20), 0), number(r.accuracy, 4))
		}
	}
	t.write(os.Stdout)
	return nil
}

func (o *options) runScale(ctx context.Context, ws string, rows int, freeze string) (outcome, error) {
	data := filepath.Join(o.work, fmt.Sprintf("scale-%d.csv", rows))
	if _, err := os.Stat(data); err != nil {
		if err := writeText(data, rows, uint64(o.seed)); err != nil {
			return outcome{}, err
		}
	}
	return o.finetune(ctx, ws, "--data", data, "--eval-split", "0.05", "--freeze", freeze, "--epochs", "1",
		"--lr", "1e-3", "--head-lr", "1e-2", "--pooling", "mean")
}
