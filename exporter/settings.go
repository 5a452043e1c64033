package exporter

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/ftk-go/ftk/finetune/dataset"
	"github.com/ftk-go/ftk/internal/graph"
)

// Settings is what a served model needs beside its graph and its tokenizer.
// It stands in config.json under "ftk", and in the model's metadata under
// names that begin with "ftk.", so that neither is needed to understand the
// other.
type Settings struct {
	Version       string             `json:"version"` // of ftk
	Head          string             `json:"head"`    // "classify", …
	Labels        []string           `json:"labels"`
	Logits        string             `json:"logits"`           // name of the output
	Inputs        map[string]string  `json:"inputs"`           // role (input_ids, attention_mask, token_type_ids) → name
	MaxLength     int                `json:"max_length"`       // tokens, special ones included
	TokenizerHash string             `json:"tokenizer_hash"`   // of all that decides the ids
	Columns       dataset.Columns    `json:"columns,omitzero"` // that were trained on; none in exports of early versions
	Metrics       map[string]float64 `json:"metrics,omitempty"`
}

// modelFile is the name of the model in a served directory, as Hugging Face's
// tools expect it.
const modelFile = "model.onnx"

// annotate writes the settings into the model's metadata_props.
func (s Settings) annotate(m *graph.Model) error {
	labels, err := json.Marshal(s.Labels)
	if err != nil {
		return err
	}
	metrics, err := json.Marshal(s.Metrics)
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	m.SetMetadata("ftk.version", s.Version)
	m.SetMetadata("ftk.head", s.Head)
	m.SetMetadata("ftk.labels", string(labels))
	m.SetMetadata("ftk.logits", s.Logits)
	m.SetMetadata("ftk.max_length", strconv.Itoa(s.MaxLength))
	m.SetMetadata("ftk.tokenizer_hash", s.TokenizerHash)
	m.SetMetadata("ftk.metrics", string(metrics))
	if s.Columns.Text != "" {
		columns, err := json.Marshal(s.Columns)
		if err != nil {
			return err
		}
		m.SetMetadata("ftk.columns", string(columns))
	}
	return nil
}

// configJSON merges the settings into the config.json of the base model (nil
// if there was none): label names in the keys that Hugging Face's
// configurations use for sequence classification, the rest under "ftk".
func (s Settings) configJSON(base []byte, family string) ([]byte, error) {
	config := map[string]any{}
	if len(base) > 0 {
		if err := json.Unmarshal(base, &config); err != nil {
			return nil, fmt.Errorf("config.json of the base model: %w", err)
		}
	}
	if _, ok := config["model_type"]; !ok && family != "" {
		config["model_type"] = family
	}
	id2label, label2id := map[string]string{}, map[string]int{}
	for i, l := range s.Labels {
		id2label[strconv.Itoa(i)] = l
		label2id[l] = i
	}
	config["id2label"], config["label2id"] = id2label, label2id
	config["problem_type"] = "single_label_classification"
	if c, ok := sequenceClassifier[fmt.Sprint(config["model_type"])]; ok {
		config["architectures"] = []string{c}
	} else {
		delete(config, "architectures")
	}
	config["ftk"] = s
	return json.MarshalIndent(config, "", "  ")
}

// sequenceClassifier names the class of the transformers library that holds a
// family with a classification head.
var sequenceClassifier = map[string]string{
	"albert":      "AlbertForSequenceClassification",
	"bert":        "BertForSequenceClassification",
	"deberta-v2":  "DebertaV2ForSequenceClassification",
	"distilbert":  "DistilBertForSequenceClassification",
	"electra":     "ElectraForSequenceClassification",
	"modernbert":  "ModernBertForSequenceClassification",
	"mpnet":       "MPNetForSequenceClassification",
	"roberta":     "RobertaForSequenceClassification",
	"xlm-roberta": "XLMRobertaForSequenceClassification",
}

// readSettings reads the settings of a served directory.
func readSettings(dir string) (Settings, error) {
	path := filepath.Join(dir, "config.json")
	data, err := os.ReadFile(path)
	if err != nil {
		return Settings{}, fmt.Errorf("%s is not a directory that ftk export wrote: %w", dir, err)
	}
	var config struct {
		FTK *Settings `json:"ftk"`
	}
	if err := json.Unmarshal(data, &config); err != nil {
		return Settings{}, fmt.Errorf("%s: %w; export the model again", path, err)
	}
	if config.FTK == nil {
		return Settings{}, fmt.Errorf("%s has no \"ftk\" section: ftk predict needs a directory that ftk export wrote", path)
	}
	if err := config.FTK.check(); err != nil {
		return Settings{}, fmt.Errorf("%s: the \"ftk\" section: %w; export the model again", path, err)
	}
	return *config.FTK, nil
}

// isExport tells whether a directory has what ftk export writes, of whatever
// version.
func isExport(dir string) bool {
	data, err := os.ReadFile(filepath.Join(dir, configFile))
	var config struct {
		FTK json.RawMessage `json:"ftk"`
	}
	return err == nil && json.Unmarshal(data, &config) == nil && len(config.FTK) > 0
}

// check tells whether the settings can serve a model.
func (s *Settings) check() error {
	switch {
	case s.Head != "classify":
		return fmt.Errorf("head %q is not one that this ftk serves", s.Head)
	case len(s.Labels) < 2:
		return fmt.Errorf("labels: %d of them, it takes two or more", len(s.Labels))
	case s.Logits == "":
		return errors.New("logits: the name of the output is missing")
	case s.MaxLength < 1:
		return fmt.Errorf("max_length: %d tokens", s.MaxLength)
	case s.Inputs["input_ids"] == "":
		return errors.New("inputs: the name of input_ids is missing")
	}
	for role, name := range s.Inputs {
		if !slices.Contains(inputRoles, role) {
			return fmt.Errorf("inputs: %q stands for %q, which text has not", name, role)
		}
	}
	return nil
}

// inputRoles are what a model of text is fed with.
var inputRoles = []string{"attention_mask", "input_ids", "position_ids", "token_type_ids"}
