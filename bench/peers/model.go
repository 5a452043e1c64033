package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/ftk-go/ftk/exporter"
	"github.com/ftk-go/ftk/internal/home"
	"github.com/ftk-go/ftk/models"
)

// model is what is trained: a directory that both sides can open.
type model struct {
	name    string // for the tables
	dir     string
	layers  int
	hidden  int
	pooling string
}

// allModels finds or makes the models of -models, each with each way of pooling.
func (o *options) allModels() ([]model, error) {
	minilm, err := o.minilmDir()
	if err != nil {
		return nil, err
	}
	var all []model
	for _, name := range o.models {
		m := model{name: "MiniLM-L6", dir: minilm, layers: 6, hidden: 384, pooling: "mean"}
		if name == "base" {
			if m, err = o.bertBase(minilm); err != nil {
				return nil, err
			}
		}
		for _, pooling := range o.pooling {
			pooled := m
			if pooling != "auto" {
				pooled.pooling = pooling
			}
			all = append(all, pooled)
		}
	}
	return all, nil
}

// flop counts what the matrices of the layers cost, per token forward: four of [hidden hidden], two of [hidden 4·hidden].
func (m model) flop() float64 { return 2 * 12 * float64(m.layers*m.hidden*m.hidden) }

// unneeded counts what the matrices cost for a token that is not the first although, pooled by the first, nothing of it is
// wanted: in the last layer, all but keys and values. ftk does not compute it.
func (m model) unneeded() float64 {
	if m.pooling != "cls" {
		return 0
	}
	return 2 * 10 * float64(m.hidden*m.hidden)
}

// done is what ftk computes of a step that costs flop as the model is written.
func (m model) done(flop float64, batch, tokens int, forward bool) float64 {
	undone := m.unneeded() * float64(batch*(tokens-1))
	if undone > 0 { // attention of the last layer, for queries that nobody wants
		undone += 4 * float64(m.hidden*batch*tokens*(tokens-1))
	}
	if !forward {
		undone *= 3
	}
	return flop - undone
}

// minilmDir is where MiniLM is.
func (o *options) minilmDir() (string, error) {
	dir := o.minilm
	if dir == "" {
		dir = home.Model("all-MiniLM-L6-v2")
	}
	if _, err := os.Stat(filepath.Join(dir, "tokenizer.json")); err != nil {
		return "", fmt.Errorf("no MiniLM in %s: run make deps, or name its directory with -minilm", dir)
	}
	return dir, nil
}

// bertBase makes a model of BERT-base's shape with random weights, 12 layers of 768, and MiniLM's tokenizer, which is
// BERT's.
func (o *options) bertBase(tokenizer string) (model, error) {
	m := model{name: "BERT-base shape", dir: filepath.Join(o.work, "base"), layers: 12, hidden: 768, pooling: "cls"}
	if _, err := os.Stat(filepath.Join(m.dir, "model.onnx")); err == nil {
		return m, nil
	}
	// In a process of its own: what is resident here counts as the most memory of every process that is started (exec keeps
	// the parent's high-water mark on Linux).
	return m, o.output(context.Background(), o.self, "-write-base", m.dir, "-minilm", tokenizer, "-seed", strconv.Itoa(o.seed))
}

// baseBERT has the shape of BERT-base.
var baseBERT = models.BERTConfig{
	VocabSize: 30522, HiddenSize: 768, Layers: 12, Heads: 12, IntermediateSize: 3072,
	MaxPositions: 512, TypeVocabSize: 2, Activation: "gelu", LayerNormEps: 1e-12,
}

// writeBERT makes a directory with a BERT of random weights, as ONNX and, for transformers, as safetensors, and the
// tokenizer of another directory.
func (o *options) writeBERT(dir, tokenizer string, c models.BERTConfig) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	built, err := models.TinyBERT(models.Tiny{BERTConfig: c, NoPooler: true}, uint64(o.seed))
	if err != nil {
		return err
	}
	if err := exporter.Save(built, filepath.Join(dir, "model.onnx")); err != nil {
		return err
	}
	if err := models.WriteBERT(built, filepath.Join(dir, "model.safetensors")); err != nil {
		return err
	}
	config, err := json.Marshal(map[string]any{
		"model_type": "bert", "architectures": []string{"BertModel"}, "vocab_size": c.VocabSize, "hidden_size": c.HiddenSize,
		"num_hidden_layers": c.Layers, "num_attention_heads": c.Heads, "intermediate_size": c.IntermediateSize,
		"max_position_embeddings": c.MaxPositions, "type_vocab_size": c.TypeVocabSize, "hidden_act": c.Activation,
		"layer_norm_eps": 1e-12,
	})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), config, 0o644); err != nil {
		return err
	}
	for _, name := range []string{"tokenizer.json", "vocab.txt", "tokenizer_config.json"} {
		data, err := os.ReadFile(filepath.Join(tokenizer, name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}
