package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ftk-go/ftk/exporter"
	"github.com/ftk-go/ftk/finetune"
	"github.com/ftk-go/ftk/finetune/dataset"
	"github.com/ftk-go/ftk/finetune/workspace"
	"github.com/ftk-go/ftk/internal/version"
	"github.com/ftk-go/ftk/models"
	"github.com/ftk-go/ftk/tokenize"
)

func newExportCommand() *cobra.Command {
	var dir, run string
	var threads int
	cmd := &cobra.Command{
		Use:   "export [--out DIR]",
		Short: "Write the trained model as a directory that onnxruntime serves",
		Long: `export writes the best epoch of a run as a directory in the layout that Hugging
Face's tools expect: model.onnx, config.json with the label names, the tokenizer's
files, README.md. The graph is the imported one with the head's nodes after it;
frozen initializers are byte for byte what they were. Its output "logits" is the
head's; that of a model which was a classifier before is called "base_logits".
Before anything is written,
the model is run in onnxruntime: if its logits and the trained graph's differ by
more than 1e-4 of their scale, export refuses.`,
		Example: `  ftk export --out ./model
  ftk export --run 3 --out ./model`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dir == "" {
				return usagef("export needs --out DIR")
			}
			return runExport(cmd.Context(), dir, run, threads)
		},
	}
	cmd.Flags().StringVar(&dir, "out", "export", "the `directory` to write")
	cmd.Flags().StringVar(&run, "run", "", "the `number` of the run (default: the newest)")
	cmd.Flags().IntVar(&threads, "threads", 0, "threads (0: all cores)")
	return cmd
}

// exported is what export prints with --json.
type exported struct {
	Run        string              `json:"run"`
	Dir        string              `json:"dir"`
	Labels     []string            `json:"labels"`
	Metrics    map[string]float64  `json:"metrics"`
	Difference exporter.Difference `json:"check"`
}

func runExport(ctx context.Context, dir, runID string, threads int) error {
	trained, err := openTrained(runID, threads)
	if err != nil {
		return err
	}
	defer trained.Close()
	samples, err := trained.Samples(ctx, trained.checkTexts())
	if err != nil {
		return err
	}
	model := trained.Model()
	moved := exporter.NameLogits(model.Graph, trained.Head().Logits)
	info, err := models.Describe(model)
	if err != nil {
		return err
	}
	served := exporter.Served{
		Model: model, Family: info.Family, BaseConfig: trained.baseConfig, Tokenizer: trained.tokenizer.Files(), Samples: samples, Threads: threads,
		Settings: exporter.Settings{
			Version: version.String(), Head: trained.Record.Settings.Head, Labels: trained.Record.Labels,
			Logits: trained.Head().Logits.Name, Inputs: map[string]string{}, MaxLength: trained.MaxLength(),
			TokenizerHash: trained.tokenizer.Hash(), Columns: trained.Record.Columns, Metrics: map[string]float64{},
		},
	}
	for _, in := range info.Inputs {
		served.Settings.Inputs[string(in.Role)] = in.Name
	}
	if e := trained.Eval; e != nil {
		served.Settings.Metrics = map[string]float64{"accuracy": e.Accuracy, "f1_macro": e.F1Macro, "loss": e.Loss}
	}
	difference, err := exporter.Write(ctx, dir, served)
	if err != nil {
		return err
	}
	say("exported run %s to %s", trained.id, dir)
	if moved != "" {
		say("the imported model has \"logits\" of its own: in the export they are called %q, and \"logits\" are the new head's", moved)
	}
	say("checked in onnxruntime: logits differ from the trained graph's by at most %.2g (scale %.2g, %d examples)", difference.Max, difference.Scale, difference.Rows)
	if global.json {
		return printJSON(exported{trained.id, dir, trained.Record.Labels, served.Settings.Metrics, difference})
	}
	return nil
}

// trainedRun is a run of the workspace with what it was trained from.
type trainedRun struct {
	*finetune.Trained
	id         string
	tokenizer  *tokenize.Tokenizer
	baseConfig []byte // config.json of the imported model, nil if it has none
}

// openTrained loads a run of the workspace, the newest for "".
func openTrained(id string, threads int) (*trainedRun, error) {
	if err := errors.Join(checkRun(id), checkThreads(threads)); err != nil {
		return nil, err
	}
	ws, err := workspace.Open(global.workspace)
	if err != nil {
		return nil, err
	}
	var c finetune.Config
	if err := loadBackbone(ws, &c); err != nil {
		return nil, err
	}
	run, err := ws.LatestRun()
	if id != "" {
		run, err = ws.Run(id)
	}
	if err != nil {
		return nil, err
	}
	t := &trainedRun{id: run.ID, tokenizer: c.Tokenizer}
	dir, err := ws.ModelDir()
	if err != nil {
		return nil, err
	}
	if t.baseConfig, err = os.ReadFile(filepath.Join(dir, "config.json")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	t.Trained, err = finetune.Load(c.Model, c.Tokenizer, run, threads)
	return t, err
}

// checkExamples is how many texts an export is checked with.
const checkExamples = 64

// checkTexts are texts, or pairs of texts, of the run's own data, where the file
// is still there, and some of every kind that are always at hand, as far as the
// tokenizer takes them.
func (t *trainedRun) checkTexts() []dataset.Record {
	var texts []dataset.Record
	for _, text := range []string{
		"", "a", "Where is my new card?", "Ça va très bien, merci — et vous ?", "価格は三百円です。", "C1=CC=CC=C1",
		strings.Repeat("a long text that fills the sequence, ", 40),
	} {
		if r := (dataset.Record{Text: text}); t.Takes(r) {
			texts = append(texts, r)
		}
	}
	return append(texts, dataTexts(&t.Record, checkExamples-len(texts))...)
}

// dataTexts are the first n texts of the run's data, as many as can be read.
func dataTexts(run *finetune.Record, n int) (texts []dataset.Record) {
	path := run.Settings.Eval
	if path == "" {
		path = run.Settings.Train
	}
	r, err := dataset.Open(path, dataset.Options{Columns: run.Columns})
	if err != nil {
		return nil
	}
	defer r.Close()
	for len(texts) < n {
		record, err := r.Next()
		if err != nil {
			break
		}
		texts = append(texts, record)
	}
	return texts
}
