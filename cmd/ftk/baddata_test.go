package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/ftk-go/ftk/exporter"
	"github.com/ftk-go/ftk/finetune/workspace"
	"github.com/ftk-go/ftk/models"
)

// TestBadData trains and evaluates on files that cannot be read.
func TestBadData(t *testing.T) {
	ws := workspaceOf(t, saved(t, fused(t)))
	good := writeTask(t, "good.csv", 60, 1)
	must(t, tuned(ws, good, good, "--epochs", "1")...)
	in := func(name, content string) string { return writeFile(t, filepath.Join(t.TempDir(), name), content) }
	rows := "text,label\na horse,animal\nthe fig,fruit\nsome tin,metal\nan otter,animal\na plum,fruit\n"
	two := "text,label\na horse,animal\nthe fig,fruit\nan otter,animal\na plum,fruit\n"
	for name, c := range map[string]struct {
		data  string
		flags []string // in place of --eval
		words []string
	}{
		"absent":             {"nowhere.csv", nil, []string{"ftk: nowhere.csv: no such file"}},
		"directory":          {ws, nil, []string{"is a directory", ".csv"}},
		"ending":             {in("data.xlsx", rows), nil, []string{"data.xlsx", `".xlsx"`, ".csv", ".tsv", ".jsonl"}},
		"no ending":          {in("data", rows), nil, []string{".csv"}},
		"empty CSV":          {in("e.csv", ""), nil, []string{"e.csv", "empty", "header"}},
		"empty TSV":          {in("e.tsv", ""), nil, []string{"e.tsv", "empty", "header"}},
		"empty JSONL":        {in("e.jsonl", "\n\n"), nil, []string{"e.jsonl", "empty"}},
		"header only":        {in("h.csv", "text,label\n"), nil, []string{"h.csv", "no records"}},
		"no label column":    {in("c.csv", "text,kind,more\na,b,c\n"), nil, []string{"c.csv", "label", `"text", "kind", "more"`, "--label-column"}},
		"no text column":     {in("c.csv", "words,label,more\na,b,c\n"), nil, []string{"c.csv", "text", `"words", "label", "more"`, "--text-column"}},
		"label column named": {good, []string{"--eval", good, "--label-column", "intent"}, []string{"good.csv", `"intent"`, `"text", "label"`}},
		"text column named":  {good, []string{"--eval", good, "--text-column", "question"}, []string{"good.csv", `"question"`, `"text", "label"`}},
		"pair column named":  {good, []string{"--eval", good, "--text-pair-column", "answer"}, []string{"good.csv", `"answer"`, `"text", "label"`}},
		"column in eval":     {good, []string{"--eval", in("dev.csv", "sentence,label\na fig,fruit\n")}, []string{"dev.csv", `"text"`, `"sentence", "label"`}},
		"duplicate column":   {in("d.csv", "text,label,label\na,b,c\n"), nil, []string{"d.csv", `"label"`}},
		"ragged CSV":         {in("r.csv", rows+"one,two,three\n"), nil, []string{"r.csv:7", "3 fields", "header has 2"}},
		"ragged TSV":         {in("r.tsv", "text\tlabel\na horse\tanimal\nnothing\n"), nil, []string{"r.tsv:3", "1 field", "header has 2"}},
		"open quote":         {in("q.csv", rows+"\"an open quote,fruit\n"), nil, []string{"q.csv:7", "quote"}},
		"UTF-8":              {in("u.csv", rows+"caf\xe9,fruit\n"), nil, []string{"u.csv:7", "UTF-8"}},
		"UTF-8 in TSV":       {in("u.tsv", "text\tlabel\ncaf\xe9\tfruit\n"), nil, []string{"u.tsv:2", "UTF-8"}},
		"UTF-8 in JSONL":     {in("u.jsonl", "{\"text\":\"caf\xe9\",\"label\":\"fruit\"}\n"), nil, []string{"u.jsonl:1", "UTF-8"}},
		"UTF-8 in a label":   {in("u.csv", rows+"plum,fr\xfcit\n"), nil, []string{"u.csv:7", "UTF-8"}},
		"UTF-16":             {in("u.csv", "\xff\xfet\x00e\x00"), nil, []string{"u.csv", "UTF-16", "UTF-8"}},
		"not JSON":           {in("j.jsonl", `{"text":"a","label":"b"}`+"\n[1]\n"), nil, []string{"j.jsonl:2", "JSON object"}},
		"key missing":        {in("j.jsonl", `{"text":"a","label":"b"}`+"\n"+`{"text":"c"}`+"\n"), nil, []string{"j.jsonl:2", `"label"`, `"text"`}},
		"one label":          {in("o.csv", "text,label\na,same\nb,same\n"), nil, []string{"o.csv", `"same"`, "two labels"}},
		"empty label":        {in("o.csv", rows+"a plum,\n"), nil, []string{"o.csv:7", "label"}},
		"label only in eval": {in("t.csv", two), nil, []string{"good.csv:", `"metal"`, `"animal", "fruit"`}},
		"class of one":       {in("t.csv", rows), []string{"--eval-split", "0.3"}, []string{"t.csv:4", `"metal"`, "one example", "remove it"}},
		"class of one, eval": {in("t.csv", rows), []string{"--eval", good}, []string{"t.csv:4", `"metal"`, "one example", "remove it"}},
		"eval is empty":      {good, []string{"--eval", in("e.csv", "")}, []string{"e.csv", "empty"}},
		"eval absent":        {good, []string{"--eval", "nowhere.csv"}, []string{"ftk: nowhere.csv: no such file"}},
		"too many layers":    {good, []string{"--eval", good, "--freeze", "7"}, []string{"freeze 7", "2 layers"}},
		"too long":           {good, []string{"--eval", good, "--max-length", "65"}, []string{"65", "64 tokens"}},
		"no room for text":   {good, []string{"--eval", good, "--max-length", "1"}, []string{"max", "1"}},
	} {
		t.Run(name, func(t *testing.T) {
			flags := c.flags
			if flags == nil {
				flags = []string{"--eval", good}
			}
			unchanged(t, ws, func() {
				o := fails(t, exitFailed, c.words, append([]string{"finetune", "-C", ws, "--data", c.data, "--epochs", "1", "--json"}, flags...)...)
				if o.stdout != "" {
					t.Errorf("stdout: %v", o)
				}
			})
		})
	}
	for name, c := range map[string]struct {
		args  []string
		words []string
	}{
		"eval, column":     {[]string{"eval", "--data", in("c.csv", "text,kind,more\na,b,c\n")}, []string{"c.csv", `"text", "kind", "more"`}},
		"eval, label":      {[]string{"eval", "--data", in("l.csv", "text,label\na wolf,animal\na wolf,mammal\n")}, []string{"l.csv:3", `"mammal"`, `"animal", "fruit", "metal"`}},
		"eval, no run":     {[]string{"eval", "--run", "9", "--data", good}, []string{"run 0009"}},
		"export, no run":   {[]string{"export", "--run", "9", "--out", filepath.Join(ws, "x")}, []string{"run 0009"}},
		"export on a file": {[]string{"export", "--out", good}, []string{"good.csv", "not a directory"}},
		"export in a file": {[]string{"export", "--out", filepath.Join(good, "x")}, []string{"good.csv", "not a directory"}},
	} {
		t.Run(name, func(t *testing.T) {
			unchanged(t, ws, func() { fails(t, exitFailed, c.words, append(c.args, "-C", ws)...) })
		})
	}
}

// TestBadWorkspace uses workspaces that cannot be worked in.
func TestBadWorkspace(t *testing.T) {
	needsORT(t)
	source := saved(t, fused(t))
	data := writeTask(t, "data.csv", 60, 1)
	commands := map[string][]string{
		"finetune": {"finetune", "--data", data, "--eval", data, "--epochs", "1"},
		"eval":     {"eval", "--data", data},
		"export":   {"export", "--out", filepath.Join(t.TempDir(), "export")},
	}
	t.Run("nothing imported", func(t *testing.T) {
		ws := t.TempDir()
		for name, args := range commands {
			unchanged(t, ws, func() { fails(t, exitFailed, []string{"no model", ws, "ftk import MODEL"}, append(args, "-C", ws)...) })
			if entries, err := os.ReadDir(ws); err != nil || len(entries) > 0 {
				t.Errorf("%s left %v, %v", name, entries, err)
			}
		}
	})
	t.Run("nothing trained", func(t *testing.T) {
		ws := workspaceOf(t, source)
		for _, name := range []string{"eval", "export"} {
			unchanged(t, ws, func() {
				fails(t, exitFailed, []string{"no finished run", "ftk finetune"}, append(commands[name], "-C", ws)...)
			})
		}
		unchanged(t, ws, func() {
			fails(t, exitFailed, []string{"nothing to resume"}, append(commands["finetune"], "-C", ws, "--resume")...)
		})
	})
	t.Run("no tokenizer", func(t *testing.T) {
		dir := saved(t, fused(t))
		if err := os.Remove(filepath.Join(dir, "vocab.txt")); err != nil {
			t.Fatal(err)
		}
		ws := t.TempDir()
		o := must(t, "import", dir, "-C", ws)
		if !strings.Contains(o.stdout, "import again with --tokenizer PATH") {
			t.Errorf("import does not say it: %v", o)
		}
		unchanged(t, ws, func() {
			fails(t, exitFailed, []string{"no tokenizer", "--tokenizer PATH"}, append(commands["finetune"], "-C", ws)...)
		})
	})
	t.Run("another model since", func(t *testing.T) {
		ws := workspaceOf(t, source)
		must(t, append(commands["finetune"], "-C", ws)...)
		must(t, "import", saved(t, decomposed(t)), "-C", ws)
		fails(t, exitFailed, []string{"run 0001", "another model"}, append(commands["export"], "-C", ws)...)
	})
	t.Run("damaged run", func(t *testing.T) {
		ws := workspaceOf(t, source)
		must(t, append(commands["finetune"], "-C", ws)...)
		best := filepath.Join(ws, ".ftk", "runs", "0001", "best.safetensors")
		if err := os.Truncate(best, 20000); err != nil {
			t.Fatal(err)
		}
		fails(t, exitFailed, []string{"best.safetensors"}, append(commands["export"], "-C", ws)...)
	})
	t.Run("in use", func(t *testing.T) {
		ws := workspaceOf(t, source)
		held, err := workspace.Open(ws)
		if err != nil {
			t.Fatal(err)
		}
		if err := held.Lock(); err != nil {
			t.Fatal(err)
		}
		defer held.Unlock()
		for _, args := range [][]string{commands["finetune"], {"import", source}} {
			unchanged(t, ws, func() {
				o := inProcess(t, nil, append(args, "-C", ws)...)
				o.check(t, exitFailed, []string{"in use by another run", fmt.Sprint("process ", os.Getpid()), "-C"})
			})
		}
	})
	t.Run("no onnxruntime", func(t *testing.T) {
		ws := workspaceOf(t, source)
		must(t, append(commands["finetune"], "-C", ws)...)
		out := filepath.Join(t.TempDir(), "export")
		must(t, "export", "--out", out, "-C", ws)
		odd := workspaceOf(t, saved(t, withOperators(t))) // its frozen part is for onnxruntime
		empty := t.TempDir()
		for _, c := range []struct {
			env   []string
			words []string
		}{
			{[]string{"FTK_ONNXRUNTIME=" + filepath.Join(empty, "gone.so")}, []string{"FTK_ONNXRUNTIME", "gone.so", "no such file", "unset"}},
			{[]string{"FTK_HOME=" + empty, "FTK_ONNXRUNTIME=", "LD_LIBRARY_PATH="}, []string{"no onnxruntime library", "make deps", "FTK_ONNXRUNTIME"}},
		} {
			for _, args := range [][]string{
				{"import", source, "-C", ws},
				{"export", "--out", filepath.Join(ws, "export"), "-C", ws},
				append(commands["finetune"], "-C", odd, "--freeze", "backbone"),
				{"predict", "--model", out, "--text", "a horse"},
			} {
				unchanged(t, ws, func() {
					o := inProcess(t, c.env, args...)
					if o.status == exitDone && strings.HasPrefix(c.env[0], "FTK_HOME") {
						t.Skip("SKIPPED: the system has an onnxruntime library")
					}
					o.check(t, exitFailed, c.words)
				})
			}
			// Training as such does not need it.
			if o := inProcess(t, c.env, append(commands["finetune"], "-C", ws, "--freeze", "backbone")...); o.status != exitDone {
				t.Errorf("%v", o)
			}
		}
	})
	t.Run("unwritable", func(t *testing.T) {
		if runtime.GOOS == "windows" || os.Getuid() == 0 {
			t.Skip("SKIPPED: root may write anywhere; TestFullDisk takes its place")
		}
		ws := t.TempDir()
		if err := os.Chmod(ws, 0o555); err != nil {
			t.Fatal(err)
		}
		fails(t, exitFailed, []string{ws, "permission denied"}, "import", source, "-C", ws)
	})
}

// TestTokenizerBeyondTheModel trains with a tokenizer whose ids the model has
// no embeddings for, put into the workspace behind import's back.
func TestTokenizerBeyondTheModel(t *testing.T) {
	m, err := models.TinyBERT(models.Tiny{BERTConfig: models.BERTConfig{VocabSize: 30}}, 1)
	ws := t.TempDir()
	needsORT(t)
	dir := t.TempDir()
	if err := exporter.Save(built(t, m, err), filepath.Join(dir, "model.onnx")); err != nil {
		t.Fatal(err)
	}
	must(t, "import", dir, "-C", ws)
	writeFile(t, filepath.Join(ws, ".ftk", "model", "vocab.txt"), vocabulary())
	data := writeTask(t, "data.csv", 60, 1)
	unchanged(t, ws, func() {
		fails(t, exitFailed, []string{"does not fit the model", "token id", "30 embeddings"}, tuned(ws, data, data)...)
	})
}

// TestFullDisk exports and trains onto a disk of 64 KiB, and onto one that must
// not be written at all. It takes root.
func TestFullDisk(t *testing.T) {
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		t.Skip("SKIPPED: mounting a small disk takes root on Linux")
	}
	ws := workspaceOf(t, saved(t, fused(t)))
	data := writeTask(t, "data.csv", 60, 1)
	must(t, tuned(ws, data, data, "--epochs", "1")...)

	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("SKIPPED: a small disk cannot be mounted: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	unchanged(t, disk, func() {
		fails(t, exitFailed, []string{disk, "no space left on device"}, "export", "--out", filepath.Join(disk, "export"), "-C", ws)
	})
	unchanged(t, disk, func() {
		fails(t, exitFailed, []string{disk, "no space left on device"}, "import", saved(t, fused(t)), "-C", disk)
	})

	// A directory that has an export already keeps it.
	if err := syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT, "size=300k"); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(disk, "export")
	must(t, "export", "--out", out, "-C", ws)
	must(t, tuned(ws, data, data, "--epochs", "1", "--seed", "9")...)
	if err := syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT, "size=180k"); err != nil {
		t.Fatal(err)
	}
	unchanged(t, disk, func() {
		fails(t, exitFailed, []string{"no space left on device"}, "export", "--out", out, "-C", ws)
	})
	must(t, "predict", "--model", out, "--text", "a horse")

	if err := syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	fails(t, exitFailed, []string{disk, "read-only"}, "export", "--out", out, "-C", ws)
	fails(t, exitFailed, []string{disk, "read-only"}, "import", saved(t, fused(t)), "-C", disk)
}
