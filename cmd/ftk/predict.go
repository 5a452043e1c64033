package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/ftk-go/ftk/exporter"
	"github.com/ftk-go/ftk/finetune/dataset"
	"github.com/ftk-go/ftk/tokenize"
)

func newPredictCommand() *cobra.Command {
	var model, data, column, pairColumn string
	var texts, pairs []string
	var threads int
	cmd := &cobra.Command{
		Use:   "predict --model DIR (--text TEXT … | --data FILE)",
		Short: "Run an exported model in onnxruntime",
		Long: `predict classifies texts, or pairs of texts, with a directory that ftk export
wrote, and needs nothing else. It prints one JSON object a line: the text, its
label, the label's probability, and with --json the probabilities of all labels.
A file is read as the training data was: texts in pairs if those were.`,
		Example: `  ftk predict --model ./export --text "where is my new card?"
  ftk predict --model ./export --text "it rains" --text-pair "it is wet"
  ftk predict --model ./export --data questions.csv --text-column question --json`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if model == "" {
				return usagef("predict needs --model, a directory that ftk export wrote")
			}
			if (len(texts) == 0) == (data == "") {
				return usagef("predict takes either --text or --data")
			}
			if data == "" && (column != "" || pairColumn != "") {
				return usagef("--text-column and --text-pair-column are of --data")
			}
			if len(pairs) > 0 && len(pairs) != len(texts) {
				return usagef("predict has %d --text and %d --text-pair: it takes a second text for each, or for none", len(texts), len(pairs))
			}
			if err := checkThreads(threads); err != nil {
				return err
			}
			p, err := exporter.OpenPredictor(model, threads)
			if err != nil {
				return err
			}
			defer p.Close()
			if trained := p.Settings.Columns; len(pairs) > 0 && trained.Text != "" && trained.Pair == "" {
				return fmt.Errorf("%s: the model was trained on single texts: leave out --text-pair", model)
			}
			if data == "" {
				inputs, err := inputsOf(texts, pairs)
				if err != nil {
					return err
				}
				return predict(cmd, p, inputs)
			}
			return predictFile(cmd, p, data, dataset.Options{
				Columns: dataset.Columns{Text: column, Pair: pairColumn}, Prefer: p.Settings.Columns, Unlabelled: true,
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&model, "model", "", "the exported `directory`")
	f.StringArrayVar(&texts, "text", nil, "a text to classify (repeatable)")
	f.StringArrayVar(&pairs, "text-pair", nil, "the second text of a pair (repeatable: the first belongs to the first --text)")
	f.StringVar(&data, "data", "", "a `file` of texts: .csv, .tsv or .jsonl")
	f.StringVar(&column, "text-column", "", "the `column` of the text (default: as trained, else guessed)")
	f.StringVar(&pairColumn, "text-pair-column", "", "the `column` of the second text, for a model that was trained on pairs (default: as trained, else guessed together with the text)")
	f.IntVar(&threads, "threads", 0, "threads of onnxruntime (default: all cores)")
	return cmd
}

// predictChunk is how many rows of a file are predicted at a time, so that a
// file of any size takes the same memory.
const predictChunk = 1024

func predictFile(cmd *cobra.Command, p *exporter.Predictor, path string, opt dataset.Options) error {
	r, err := dataset.Open(path, opt)
	if err != nil {
		return err
	}
	defer r.Close()
	var inputs []tokenize.Input
	var lines []int // of the inputs
	for n := 0; ; n++ {
		record, err := r.Next()
		if errors.Is(err, io.EOF) {
			if n == 0 {
				return fmt.Errorf("%s: no records after the header", path)
			}
			return atLine(predict(cmd, p, inputs), path, lines)
		}
		if err != nil {
			return err
		}
		inputs, lines = append(inputs, pairOf(record.Text, record.Pair)), append(lines, record.Line)
		if len(inputs) == predictChunk {
			if err := predict(cmd, p, inputs); err != nil {
				return atLine(err, path, lines)
			}
			inputs, lines = inputs[:0], lines[:0]
		}
	}
}

// atLine names the line of a file that an error of one of its texts is about.
func atLine(err error, path string, lines []int) error {
	var text *tokenize.TextError
	if errors.As(err, &text) {
		return fmt.Errorf("%s:%d: %w", path, lines[text.Index], text.Err)
	}
	return err
}

// inputsOf makes inputs of texts of the command line, each with its second text
// where there are any.
func inputsOf(texts, pairs []string) ([]tokenize.Input, error) {
	inputs := make([]tokenize.Input, len(texts))
	for i, text := range texts {
		if !utf8.ValidString(text) {
			return nil, fmt.Errorf("--text %q is not valid UTF-8", text)
		}
		pair := ""
		if len(pairs) > 0 {
			pair = pairs[i]
		}
		if !utf8.ValidString(pair) {
			return nil, fmt.Errorf("--text-pair %q is not valid UTF-8", pair)
		}
		inputs[i] = pairOf(text, pair)
	}
	return inputs, nil
}

// pairOf is what the model gets to see of a text and a second one, by the rule
// of training: where the second is empty, it is a single text.
func pairOf(text, pair string) tokenize.Input {
	return tokenize.Input{Text: text, Pair: pair, HasPair: pair != ""}
}

func predict(cmd *cobra.Command, p *exporter.Predictor, inputs []tokenize.Input) error {
	predictions, err := p.Predict(cmd.Context(), inputs)
	if err != nil {
		return err
	}
	enc := json.NewEncoder(os.Stdout)
	enc.SetEscapeHTML(false)
	for i, pr := range predictions {
		line := predictionLine{Text: inputs[i].Text, Pair: inputs[i].Pair, Label: pr.Label, Score: pr.Score}
		if global.json {
			line.Scores = pr.Scores
		}
		if err := enc.Encode(line); err != nil {
			return fmt.Errorf("writing predictions: %w", err)
		}
	}
	return nil
}

// predictionLine is one line of predict's output.
type predictionLine struct {
	Text   string             `json:"text"`
	Pair   string             `json:"text_pair,omitempty"`
	Label  string             `json:"label"`
	Score  float64            `json:"score"`
	Scores map[string]float64 `json:"scores,omitempty"`
}
