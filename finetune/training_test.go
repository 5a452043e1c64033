package finetune

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"testing"

	"github.com/ftk-go/ftk/finetune/dataset"
	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/ort"
	"github.com/ftk-go/ftk/models"
)

// goldenRun is a case of testdata/training.json.
type goldenRun struct {
	Pooling     string
	Smoothing   float64
	LR          float64
	HeadLR      float64 `json:"head_lr"`
	WeightDecay float64 `json:"weight_decay"`
	Warmup      int
	GradClip    float64 `json:"grad_clip"`
	Head        []float32
	Batches     []struct {
		IDs     [][]int64
		Lengths []int
		Labels  []int64
	}
	Losses, Norms []float64
	Weights       map[string][]float32
}

// A whole fine-tuning run is the one of PyTorch: testdata/training.json, made
// by testdata/training.py in float64. Loss and norm of the gradient of every
// step, and the weights at the end; with whole batches, and in parts, and where
// only rows of the word embeddings are updated that a batch reads.
func TestTrainingIsThatOfPyTorch(t *testing.T) {
	data, err := os.ReadFile("testdata/training.json")
	if err != nil {
		t.Fatal(err)
	}
	var runs []goldenRun
	if err := json.Unmarshal(data, &runs); err != nil {
		t.Fatal(err)
	}
	for _, g := range runs {
		t.Run(g.Pooling, func(t *testing.T) { g.repeat(t, 1) })
		t.Run(g.Pooling+", parts", func(t *testing.T) { g.repeat(t, 3) })
		t.Run(g.Pooling+", parts, rows of the word embeddings", func(t *testing.T) {
			withTables(t)
			g.repeat(t, 3)
		})
	}
}

// repeat runs each batch in so many parts.
func (g *goldenRun) repeat(t *testing.T, parts int) {
	source, err := models.Open("../models/testdata/tiny-bert")
	if err != nil {
		t.Fatal(err)
	}
	s := Defaults()
	s.Pooling, s.LabelSmoothing, s.Dropout = g.Pooling, g.Smoothing, 0
	s.LearningRate, s.HeadLearningRate, s.WeightDecay, s.GradClip = g.LR, g.HeadLR, g.WeightDecay, g.GradClip
	n, err := newNetwork(source.Model, &s, []string{"a", "b", "c"})
	if err != nil {
		t.Fatal(err)
	}
	defer n.close()
	copy(param(n.weights, "classifier.weight").value, g.Head)
	opt := newOptimizer(n.weights, Schedule{"linear", g.Warmup, len(g.Losses)}, &Config{Settings: s})
	n.plans.rows = opt.gradientRows()
	b := &batch{inputs: map[string]ort.Array{}}
	for step, given := range g.Batches {
		rows := len(given.IDs)
		loss := 0.0
		for k := range parts {
			lo, hi := k*rows/parts, (k+1)*rows/parts
			if lo == hi {
				continue
			}
			fillGolden(n, b, given.IDs[lo:hi], given.Lengths[lo:hi], given.Labels[lo:hi])
			b.before, b.more = lo, hi < rows
			opt.fetch(b)
			p, err := n.plans.get(b, true)
			if err != nil {
				t.Fatal(err)
			}
			share := float32(hi-lo) / float32(rows)
			if err := errors.Join(p.share(share, lo == 0), p.run(b)); err != nil {
				t.Fatal(err)
			}
			mean, err := p.lossValue()
			if err != nil {
				t.Fatal(err)
			}
			loss += float64(mean * share)
		}
		norm := opt.norm()
		for what, pair := range map[string][2]float64{"loss": {loss, g.Losses[step]}, "norm of the gradient": {norm, g.Norms[step]}} {
			if d := math.Abs(pair[0] - pair[1]); !(d <= 1e-4*pair[1]) {
				t.Errorf("step %d: %s is %v, want %v", step, what, pair[0], pair[1])
			}
		}
		opt.step(norm)
	}
	opt.flush()
	for name, want := range g.Weights {
		if err := closeTo(param(n.weights, name).value, want, 2e-4); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Trained weights are in memory once: those of all graphs are the ones that the
// optimiser updates.
func TestTrainedWeightsExistOnce(t *testing.T) {
	source, err := models.Open("../models/testdata/tiny-bert")
	if err != nil {
		t.Fatal(err)
	}
	s := Defaults()
	n, err := newNetwork(source.Model, &s, []string{"a", "b"})
	if err != nil {
		t.Fatal(err)
	}
	defer n.close()
	for what, g := range map[string]*graph.Graph{"model": n.model.Graph, "trainable part": n.parts.Suffix.Graph, "canonical form": n.suffix} {
		byName := initializers(g)
		for _, p := range n.weights.params {
			before := p.value[0]
			p.value[0] = 12345
			values, err := byName[p.name].Init.Float32s()
			if err != nil {
				t.Fatal(err)
			}
			if values[0] != 12345 {
				t.Errorf("%s: %s is a copy", what, p.name)
			}
			p.value[0] = before
		}
	}
}

// fillGolden makes a batch of ids with padding.
func fillGolden(n *network, b *batch, ids [][]int64, lengths []int, labels []int64) {
	rows, seq := len(ids), len(ids[0])
	b.batchPlan = batchPlan{examples: make([]dataset.Example, rows), seq: seq}
	b.labels = labels
	for _, in := range n.suffix.Inputs {
		var flat []int64
		for r, row := range ids {
			for i, id := range row {
				switch n.roles[in.Name] {
				case models.InputIDs:
				case models.AttentionMask:
					id = 0
					if i < lengths[r] {
						id = 1
					}
				default:
					id = 0
				}
				flat = append(flat, id)
			}
		}
		b.inputs[in.Name] = ort.Array{Shape: []int64{int64(rows), int64(seq)}, I64: flat}
	}
}
