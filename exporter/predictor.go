package exporter

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"sort"

	"github.com/ftk-go/ftk/finetune/dataset"
	"github.com/ftk-go/ftk/internal/ort"
	"github.com/ftk-go/ftk/tokenize"
)

// Predictor serves a directory that Write wrote, in onnxruntime. Its methods
// may be called from several goroutines at once.
type Predictor struct {
	Settings  Settings
	tokenizer *tokenize.Tokenizer
	session   *ort.Session
	threads   int
}

// Prediction is what the model says of one text.
type Prediction struct {
	Label  string
	Score  float64            // probability of Label: softmax over the logits
	Scores map[string]float64 // probability of each label
	Logits []float32          // in the order of Settings.Labels
}

// OpenPredictor loads a served directory. It needs nothing else: no workspace,
// no base model. Threads is the number of onnxruntime's threads, 0 for all.
func OpenPredictor(dir string, threads int) (*Predictor, error) {
	settings, err := readSettings(dir)
	if err != nil {
		return nil, err
	}
	if err := ort.Init(); err != nil {
		return nil, err
	}
	tok, err := tokenize.Load(dir)
	if err != nil {
		return nil, err
	}
	if h := tok.Hash(); settings.TokenizerHash != "" && h != settings.TokenizerHash {
		return nil, fmt.Errorf("the tokenizer in %s is not the one that the model was trained with (hash %.12s, expected %.12s): export the model again",
			dir, h, settings.TokenizerHash)
	}
	session, err := ort.Open(filepath.Join(dir, modelFile), ort.Options{Threads: threads, Outputs: []string{settings.Logits}})
	if err != nil {
		return nil, fmt.Errorf("%s: %w; export the model again", dir, err)
	}
	if err := settings.fit(session); err != nil {
		session.Close()
		return nil, fmt.Errorf("%s: config.json and model.onnx do not belong together: %w; export the model again", dir, err)
	}
	if again, err := readSettings(dir); err != nil || !reflect.DeepEqual(again, settings) { // see install
		session.Close()
		return nil, fmt.Errorf("%s was exported to while it was being read: try again", dir)
	}
	return &Predictor{Settings: settings, tokenizer: tok, session: session, threads: threads}, nil
}

// fit tells whether the settings are those of the session's model, and whether
// its inputs can be fed with tokens.
func (s Settings) fit(session *ort.Session) error {
	names := map[string]bool{}
	for _, in := range session.Inputs() {
		names[in.Name] = true
		if _, err := tokens(in.DType, nil); err != nil && !in.Default {
			return fmt.Errorf("the model's input %q is %v; %w", in.Name, in.DType, err)
		}
		if !in.Default && !slices.Contains(slices.Collect(maps.Values(s.Inputs)), in.Name) {
			return fmt.Errorf("nothing is known of the model's input %q", in.Name)
		}
	}
	for _, name := range s.Inputs {
		if !names[name] {
			return fmt.Errorf("the model has no input %q", name)
		}
	}
	shape := session.Outputs()[0].Shape // the logits alone were asked for
	if n := len(shape); n > 0 && shape[n-1] >= 0 && shape[n-1] != int64(len(s.Labels)) {
		return fmt.Errorf("the model gives %d logits for %d labels", shape[n-1], len(s.Labels))
	}
	return nil
}

// Close releases the session.
func (p *Predictor) Close() error { return p.session.Close() }

// batchSize is how many texts go through onnxruntime at once.
const batchSize = 32

// Predict classifies texts, or pairs of texts, and returns a prediction for
// each, in their order. Texts are run in batches of like length; of the same
// length where the model has no attention mask to tell padding by.
func (p *Predictor) Predict(ctx context.Context, texts []tokenize.Input) ([]Prediction, error) {
	encodings, err := p.tokenizer.EncodeBatch(texts, tokenize.Options{MaxLength: p.Settings.MaxLength, IDsOnly: true}, p.threads)
	if err != nil {
		return nil, err
	}
	order := make([]int, len(texts))
	for i := range order {
		if encodings[i].Len() == 0 {
			return nil, &tokenize.TextError{Index: i, Err: dataset.ErrNoTokens}
		}
		order[i] = i
	}
	sort.SliceStable(order, func(i, j int) bool { return encodings[order[i]].Len() < encodings[order[j]].Len() })

	predictions := make([]Prediction, len(texts))
	_, masked := p.Settings.Inputs["attention_mask"]
	for len(order) > 0 {
		batch := order[:min(batchSize, len(order))]
		if !masked {
			length := encodings[order[0]].Len()
			longer := slices.IndexFunc(batch, func(i int) bool { return encodings[i].Len() != length })
			if longer > 0 {
				batch = batch[:longer]
			}
		}
		order = order[len(batch):]
		logits, err := p.run(ctx, batch, encodings)
		if err != nil {
			return nil, err
		}
		classes := len(p.Settings.Labels)
		if len(logits) != len(batch)*classes {
			return nil, fmt.Errorf("the model gives %d logits for %d texts and %d labels", len(logits), len(batch), classes)
		}
		for row, i := range batch {
			predictions[i] = p.decode(logits[row*classes : (row+1)*classes])
		}
	}
	return predictions, nil
}

// run computes the logits [len(batch) labels] of some of the encodings, padded
// to the longest of them.
func (p *Predictor) run(ctx context.Context, batch []int, encodings []*tokenize.Encoding) ([]float32, error) {
	width := 1
	for _, i := range batch {
		width = max(width, encodings[i].Len())
	}
	fields := map[string]func(*tokenize.Encoding) []int64{
		"input_ids":      func(e *tokenize.Encoding) []int64 { return e.IDs },
		"attention_mask": func(e *tokenize.Encoding) []int64 { return e.AttentionMask },
		"token_type_ids": func(e *tokenize.Encoding) []int64 { return e.TypeIDs },
	}
	types := make(map[string]ort.DType, len(p.Settings.Inputs))
	for _, in := range p.session.Inputs() {
		types[in.Name] = in.DType
	}
	inputs := make(map[string]ort.Array, len(p.Settings.Inputs))
	for role, name := range p.Settings.Inputs {
		field := fields[role]
		data := make([]int64, len(batch)*width)
		for row, i := range batch {
			into := data[row*width : (row+1)*width]
			if role == "position_ids" {
				for j := range into {
					into[j] = int64(j)
				}
				continue
			}
			n := copy(into, field(encodings[i]))
			if role == "input_ids" {
				for j := n; j < width; j++ {
					into[j] = p.tokenizer.PadID()
				}
			}
		}
		array, err := tokens(types[name], data)
		if err != nil {
			return nil, err
		}
		array.Shape = []int64{int64(len(batch)), int64(width)}
		inputs[name] = array
	}
	out, err := p.session.Run(ctx, inputs)
	if err != nil {
		return nil, err
	}
	return out[p.Settings.Logits].F32, nil
}

// tokens are ids, a mask, … in an array of the type that the model's input has:
// int64, also where the model does not say, int32 or float32, as in training.
func tokens(dtype ort.DType, data []int64) (a ort.Array, err error) {
	switch dtype {
	case ort.Int64, 0:
		a.I64 = data
	case ort.Int32:
		a.I32 = make([]int32, len(data))
		for i, x := range data {
			a.I32[i] = int32(x)
		}
	case ort.Float32:
		a.F32 = make([]float32, len(data))
		for i, x := range data {
			a.F32[i] = float32(x)
		}
	default:
		err = errors.New("tokens are given as int64, int32 or float32")
	}
	return a, err
}

// decode turns one row of logits into a prediction.
func (p *Predictor) decode(logits []float32) Prediction {
	out := Prediction{Scores: make(map[string]float64, len(logits)), Logits: slices.Clone(logits)}
	best := 0
	for i, x := range logits {
		if x > logits[best] {
			best = i
		}
	}
	var sum float64
	for _, x := range logits {
		sum += math.Exp(float64(x - logits[best]))
	}
	for i, x := range logits {
		out.Scores[p.Settings.Labels[i]] = math.Exp(float64(x-logits[best])) / sum
	}
	out.Label = p.Settings.Labels[best]
	out.Score = out.Scores[out.Label]
	return out
}
