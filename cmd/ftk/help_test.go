package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestHelp walks all commands: each says what it does, with an example that
// begins with its own name, and every flag is explained.
func TestHelp(t *testing.T) {
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Name() == "help" || c.Name() == "completion" {
			return
		}
		t.Run(strings.ReplaceAll(c.CommandPath(), " ", "_"), func(t *testing.T) {
			o := must(t, append(strings.Fields(c.CommandPath())[1:], "--help")...)
			for _, want := range []string{c.Long, "Examples:\n  " + c.CommandPath()} {
				if want == "" || !strings.Contains(o.stdout, want) {
					t.Errorf("the help has no %q:\n%s", want, o.stdout)
				}
			}
		})
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRootCommand())
}

// TestFlagHelp: what a flag does by itself is said as it is.
func TestFlagHelp(t *testing.T) {
	for command, words := range map[string][]string{
		"finetune": {"guessed together with the text; none where --text-column alone is named"},
		"eval":     {"as trained, else guessed together with the text"},
		"predict":  {"as trained, else guessed together with the text"},
		"tokenize": {"one object; from predict and tokenize one a line"},
	} {
		help := must(t, command, "--help").stdout
		for _, w := range words {
			if !strings.Contains(help, w) {
				t.Errorf("%s: the help has no %q:\n%s", command, w, help)
			}
		}
	}
}

// TestUsage holds wrong command lines: exit status 2, one line that says where
// to read on or what there is, and nothing touched.
func TestUsage(t *testing.T) {
	data := writeTask(t, "data.csv", 30, 1)
	finetune := func(more ...string) []string {
		return append([]string{"finetune", "--data", data, "--eval", data}, more...)
	}
	for name, c := range map[string]struct {
		args  []string
		words []string
	}{
		"command":           {[]string{"finetoon"}, []string{`"finetoon"`, "ftk --help"}},
		"flag":              {[]string{"import", "--tokeniser", "x", "y"}, []string{"--tokeniser", "ftk import --help"}},
		"no model":          {[]string{"import"}, []string{"1 arg", "ftk import --help"}},
		"two models":        {[]string{"import", "a", "b"}, []string{"1 arg"}},
		"argument":          {[]string{"export", "somewhere"}, []string{`"somewhere"`, "ftk export --help"}},
		"not a number":      {finetune("--epochs", "many"), []string{"--epochs", "many"}},
		"no epochs":         {finetune("--epochs", "0"), []string{"--epochs 0"}},
		"no batch":          {finetune("--batch-size", "0"), []string{"--batch-size 0"}},
		"negative lr":       {finetune("--lr", "-1"), []string{"--lr"}},
		"freeze":            {finetune("--freeze", "all"), []string{"--freeze", `"all"`, "backbone", "embeddings", "none"}},
		"eval's threads":    {[]string{"eval", "--data", data, "--threads", "-1"}, []string{"--threads -1"}},
		"predict's threads": {[]string{"predict", "--model", "x", "--text", "a", "--threads", "-1"}, []string{"--threads -1"}},
		"negative freeze":   {finetune("--freeze", "-1"), []string{"--freeze", "backbone"}},
		"frozen engine":     {finetune("--frozen-engine", "torch"), []string{"--frozen-engine", `"torch"`, "ftk", "onnxruntime"}},
		"pooling":           {finetune("--pooling", "max"), []string{"--pooling", `"max"`, "mean", "cls"}},
		"head":              {finetune("--head", "poetry"), []string{`"poetry"`, "classify"}},
		"loss":              {finetune("--loss", "mse"), []string{`"mse"`, "cross-entropy", "hinge"}},
		"schedule":          {finetune("--schedule", "zigzag"), []string{`"zigzag"`, "linear", "cosine", "constant"}},
		"smoothed hinge":    {finetune("--loss", "hinge", "--label-smoothing", "0.1"), []string{"--label-smoothing", "cross-entropy"}},
		"threads":           {finetune("--threads", "-2"), []string{"--threads -2"}},
		"cache":             {finetune("--cache-limit", "-2"), []string{"--cache-limit"}},
		"huge cache":        {finetune("--cache-limit", "17592186044417"), []string{"--cache-limit", "17592186044417 MiB"}},
		"predict columns":   {[]string{"predict", "--model", "x", "--text", "a", "--text-column", "b"}, []string{"--text-column", "--data"}},
		"predict pair of":   {[]string{"predict", "--model", "x", "--text", "a", "--text-pair-column", "b"}, []string{"--text-pair-column", "--data"}},
		"split too":         {finetune("--eval-split", "0.1"), []string{"--eval", "--eval-split"}},
		"no data":           {[]string{"finetune", "--eval", data}, []string{"--data"}},
		"no eval":           {[]string{"finetune", "--data", data}, []string{"--eval", "--eval-split"}},
		"split":             {[]string{"finetune", "--data", data, "--eval-split", "1.5"}, []string{"--eval-split 1.5"}},
		"resume otherwise":  {[]string{"finetune", "--resume", "--lr", "1", "--epochs", "9", "--cache-limit", "3"}, []string{"--resume", "leave out --epochs, --lr,", "settings it was begun with"}},
		"resume, eval":      {[]string{"finetune", "--resume", "--eval", data}, []string{"leave out --eval,", "--data"}},
		"resume, default":   {[]string{"finetune", "--resume", "--seed", "42"}, []string{"leave out --seed,"}},
		"resume, cache":     {[]string{"finetune", "--resume", "--cache-limit", "-1"}, []string{"--cache-limit"}},
		"eval of nothing":   {[]string{"eval"}, []string{"--data"}},
		"run":               {[]string{"export", "--run", "first"}, []string{"--run", `"first"`}},
		"out":               {[]string{"export", "--out", ""}, []string{"--out"}},
		"predict with what": {[]string{"predict", "--text", "x"}, []string{"--model"}},
		"predict what":      {[]string{"predict", "--model", "x"}, []string{"--text", "--data"}},
		"predict which":     {[]string{"predict", "--model", "x", "--text", "a", "--data", data}, []string{"--text", "--data"}},
		"predict one pair":  {[]string{"predict", "--model", "x", "--text", "a", "--text", "b", "--text-pair", "c"}, []string{"2 --text", "1 --text-pair"}},
		"predict pairs of":  {[]string{"predict", "--model", "x", "--data", data, "--text-pair", "c"}, []string{"0 --text", "1 --text-pair"}},
	} {
		t.Run(name, func(t *testing.T) {
			ws := t.TempDir()
			unchanged(t, ws, func() { fails(t, exitUsage, c.words, append(c.args, "-C", ws)...) })
		})
	}
}
