package main

import (
	"github.com/spf13/cobra"

	"github.com/ftk-go/ftk/finetune/dataset"
	"github.com/ftk-go/ftk/finetune/metrics"
)

func newEvalCommand() *cobra.Command {
	var data, run string
	var columns dataset.Columns
	var threads int
	cmd := &cobra.Command{
		Use:     "eval --data FILE",
		Short:   "Compute a run's metrics on labelled data",
		Long:    `eval runs the best epoch of a run, natively, on labelled data.`,
		Example: `  ftk eval --data test.csv`,
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if data == "" {
				return usagef("eval needs --data FILE")
			}
			trained, err := openTrained(run, threads)
			if err != nil {
				return err
			}
			defer trained.Close()
			progress := newTrainingProgress()
			m, err := trained.Evaluate(cmd.Context(), data, columns, progress.event)
			progress.end()
			if err != nil {
				return err
			}
			say("run %s on %s: accuracy %.4f, macro F1 %.4f, loss %.4f", trained.id, data, m.Accuracy, m.F1Macro, m.Loss)
			if global.json {
				return printJSON(struct {
					Run  string                 `json:"run"`
					Data string                 `json:"data"`
					Eval metrics.Classification `json:"eval"`
				}{trained.id, data, m})
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&data, "data", "", "labelled data: a .csv, .tsv or .jsonl `file`")
	f.StringVar(&run, "run", "", "the `number` of the run (default: the newest)")
	f.StringVar(&columns.Text, "text-column", "", "the `column` of the text (default: as trained, else guessed)")
	f.StringVar(&columns.Pair, "text-pair-column", "", "the `column` of the second text, for a run that was trained on pairs (default: as trained, else guessed together with the text)")
	f.StringVar(&columns.Label, "label-column", "", "the `column` of the label (default: as trained, else guessed)")
	f.IntVar(&threads, "threads", 0, "threads (0: all cores)")
	return cmd
}
