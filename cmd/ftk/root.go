package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// global holds the flags that every command has.
var global struct {
	workspace string
	json      bool
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "ftk",
		Short: "Fine-tune pretrained ONNX models in Go",
		Long: `ftk takes a pretrained Transformer that reads text as ONNX, attaches a head for
your task, trains it natively in Go, and writes an ONNX model that onnxruntime
serves. State lives in .ftk/ of the workspace (-C DIR, default: here).`,
		Example: `  ftk import ./all-MiniLM-L6-v2
  ftk finetune --head classify --data train.csv --eval dev.csv
  ftk export --out ./model
  ftk predict --model ./model --text "where is my new card?"`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          usageArgs(cobra.NoArgs),
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.PersistentFlags().StringVarP(&global.workspace, "workspace", "C", ".", "the `directory` whose .ftk holds the state")
	root.PersistentFlags().BoolVar(&global.json, "json", false, "print JSON on stdout and nothing else there: one object; from predict and tokenize one a line")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%s: %w; see '%s --help'", cmd.CommandPath(), err, cmd.CommandPath())
	})
	for _, c := range commands() {
		root.AddCommand(c)
	}
	return root
}

// commands lists the subcommands, in the order of their use.
func commands() []*cobra.Command {
	return []*cobra.Command{
		newImportCommand(),
		newFinetuneCommand(),
		newEvalCommand(),
		newExportCommand(),
		newPredictCommand(),
		newTokenizeCommand(),
		newDoctorCommand(),
	}
}

// usageArgs makes wrong arguments a usage error (exit status 2).
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usagef("%s: %s; see '%s --help'", cmd.CommandPath(), firstLine(err.Error()), cmd.CommandPath())
		}
		return nil
	}
}

// checkThreads makes a negative --threads a usage error.
func checkThreads(n int) error {
	if n < 0 {
		return usagef("--threads %d: it takes 0 (all cores) or more", n)
	}
	return nil
}

// checkRun makes a --run that is not a number a usage error.
func checkRun(id string) error {
	if n, err := strconv.Atoi(id); id != "" && (err != nil || n < 1) {
		return usagef("--run %q: a run is named by its number, such as 1 or 0001", id)
	}
	return nil
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// printJSON writes v as one line of JSON to standard output.
func printJSON(v any) error { return writeJSON(os.Stdout, v) }

// writeJSON writes v as one line of JSON.
func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// out is where a command prints for people: standard output, or nowhere when
// --json keeps that for machines.
func out() io.Writer {
	if global.json {
		return io.Discard
	}
	return os.Stdout
}

// say prints one line for people.
func say(format string, args ...any) { fmt.Fprintf(out(), format+"\n", args...) }

// warn prints a warning, which does not go where results go.
func warn(format string, args ...any) { fmt.Fprintf(os.Stderr, "ftk: warning: "+format+"\n", args...) }
