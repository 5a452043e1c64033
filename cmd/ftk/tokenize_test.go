package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ftk-go/ftk/internal/testenv"
	"github.com/ftk-go/ftk/tokenize"
)

// runTokenize runs the command and returns what it printed.
func runTokenize(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	root := newRootCommand()
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetIn(strings.NewReader(stdin))
	tokenizer := filepath.Join(testenv.Root(t), "testdata", "tokenizers", "bert_uncased.json")
	root.SetArgs(append([]string{"tokenize", "--tokenizer", tokenizer}, args...))
	err := root.Execute()
	return out.String(), err
}

func TestTokenizeCommand(t *testing.T) {
	file := filepath.Join(t.TempDir(), "texts.txt")
	if err := os.WriteFile(file, []byte("the quick brown\tfox jumps\nCafé,\tÜber\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := runTokenize(t, "", "--data", file, "--pair")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines, want 2:\n%s", len(lines), text)
	}
	var got tokenizedLine
	if err := json.Unmarshal([]byte(lines[1]), &got); err != nil {
		t.Fatal(err)
	}
	if got.Row != 1 || got.Text != "Café," || *got.Pair != "Über" || got.Tokens[0] != "[CLS]" || got.WordIDs[0] != nil {
		t.Errorf("%s", lines[1])
	}
	comma := slices.Index(got.Tokens, ",")
	if comma < 0 || got.Offsets[comma] != [2]int{5, 6} || *got.WordIDs[comma] != 1 || got.TypeIDs[comma] != 0 {
		t.Errorf("comma at byte 5 of the first text: %s", lines[1])
	}
	if n := len(got.IDs); len(got.Offsets) != n || len(got.TypeIDs) != n || len(got.AttentionMask) != n || got.TypeIDs[n-1] != 1 {
		t.Errorf("%s", lines[1])
	}
}

func TestTokenizeCommandWindows(t *testing.T) {
	text, err := runTokenize(t, "one two three four five six seven eight\n", "--data", "-", "--max-length", "8", "--stride", "2")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i, line := range lines {
		var got tokenizedLine
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatal(err)
		}
		if got.Window != i || got.Row != 0 || len(got.IDs) > 8 {
			t.Errorf("window %d: %s", i, line)
		}
	}
	if len(lines) < 2 {
		t.Errorf("%d windows", len(lines))
	}
}

func TestTokenizeCommandUsage(t *testing.T) {
	for _, args := range [][]string{
		{}, {"--text", "a", "--data", "f"}, {"--text", "a", "--truncation", "never"}, {"--text", "a", "--stride", "2"},
		{"--text", "a", "--max-length", "-1"}, {"--text", "a", "--truncation", "only_first"}, {"--text", "a", "--threads", "-1"},
	} {
		if _, err := runTokenize(t, "", args...); err == nil {
			t.Errorf("%q was taken", args)
		} else if _, ok := err.(usageError); !ok {
			t.Errorf("%q: %v is no usage error", args, err)
		}
	}
	if _, err := runTokenize(t, "", "--text", "no tab", "--pair"); err == nil {
		t.Error("a line without a tab was taken as a pair")
	}
}

// tooLong are flags that a text of more than six tokens makes an error.
var tooLong = []string{"--max-length", "8", "--truncation", "only_second"}

// TestTokenizeCommandNamesTheLine checks that an error names the line of the file, wherever the chunks begin.
func TestTokenizeCommandNamesTheLine(t *testing.T) {
	long := "one two three four five six seven eight\n"
	for _, line := range []int{1, 700, tokenizeChunk, tokenizeChunk + 1, 2*tokenizeChunk + 100} {
		stdin := strings.Repeat("one\n", line-1) + long + "one\n" + long
		_, err := runTokenize(t, stdin, append(tooLong, "--data", "-")...)
		if want := fmt.Sprintf("-:%d: ", line); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	_, err := runTokenize(t, "", append(tooLong, "--text", "one", "--text", long)...)
	if err == nil || !strings.HasPrefix(err.Error(), "--text 2: ") {
		t.Errorf("error %v does not name the second text", err)
	}
}

// TestTokenizeCommandPrintsWhatIsComplete checks that the rows before one that is refused are printed, and whole.
func TestTokenizeCommandPrintsWhatIsComplete(t *testing.T) {
	long := "one two three four five six seven eight"
	before := tokenizeChunk + 50
	for name, c := range map[string]struct {
		text, bad string
		args      []string
	}{
		"does not fit": {"one", long, tooLong},
		"no tab":       {"one\ttwo", "one", []string{"--pair"}},
	} {
		out, err := runTokenize(t, strings.Repeat(c.text+"\n", before)+c.bad+"\n"+c.text+"\n", append(c.args, "--data", "-")...)
		if err == nil {
			t.Errorf("%s: no error", name)
		}
		lines := strings.SplitAfter(out, "\n")
		if len(lines) != before+1 || lines[before] != "" {
			t.Errorf("%s: %d lines and %q, want %d", name, len(lines)-1, lines[len(lines)-1], before)
		}
		out, err = runTokenize(t, "", append(c.args, "--text", c.text, "--text", c.bad)...)
		if err == nil || strings.Count(out, "\n") != 1 || !strings.HasSuffix(out, "}\n") {
			t.Errorf("%s: %q, %v", name, out, err)
		}
	}
}

func TestTokenizeCommandByteOrderMark(t *testing.T) {
	const bom = "\ufeff"
	want, err := runTokenize(t, "one\ntwo\n", "--data", "-")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := runTokenize(t, bom+"one\ntwo\n", "--data", "-"); err != nil || got != want {
		t.Errorf("with a byte order mark:\n%s%v", got, err)
	}
	if got, err := runTokenize(t, bom, "--data", "-"); err != nil || got != "" {
		t.Errorf("of a byte order mark alone: %q, %v", got, err)
	}
	if got, err := runTokenize(t, "one\n"+bom+"two\n", "--data", "-"); err != nil || !strings.Contains(got, bom+"two") {
		t.Errorf("in the second line it is text:\n%s%v", got, err)
	}
}

// TestTokenizeInterrupted sends a signal while tokenize waits for more of its input. The first one ends it.
func TestTokenizeInterrupted(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED: no process can be sent SIGTERM here")
	}
	tokenizer := filepath.Join(testenv.Root(t), "testdata", "tokenizers", "bert_uncased.json")
	cmd := process(t, nil, "tokenize", "--tokenizer", tokenizer, "--data", "-")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// what is printed says that the first chunk is done and that there is nothing left to read
	if _, err := io.WriteString(stdin, strings.Repeat("one\n", tokenizeChunk)); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(stdout)
	if _, err := lines.ReadString('\n'); err != nil {
		t.Fatal(err, stderr.String())
	}
	var rest []byte
	read := make(chan struct{})
	go func() {
		defer close(read)
		rest, _ = io.ReadAll(lines)
	}()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-read:
	case <-time.After(20 * time.Second):
		cmd.Process.Kill()
		<-read
		t.Error("it did not end")
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != exitFailed || stderr.String() != "ftk: interrupted\n" {
		t.Errorf("%v, stderr %q", err, stderr.String())
	}
	if !bytes.HasSuffix(rest, []byte("}\n")) || bytes.Count(rest, []byte("\n")) != tokenizeChunk-1 {
		t.Errorf("%d lines more, and at the end %q", bytes.Count(rest, []byte("\n")), rest[max(0, len(rest)-100):])
	}
}

// TestTokenizeCancelled ends the context before and within a long file.
func TestTokenizeCancelled(t *testing.T) {
	file := filepath.Join(t.TempDir(), "texts.txt")
	if err := os.WriteFile(file, []byte(strings.Repeat("one two three\n", 20*tokenizeChunk)), 0o600); err != nil {
		t.Fatal(err)
	}
	tok, err := tokenize.Load(filepath.Join(testenv.Root(t), "testdata", "tokenizers", "bert_uncased.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, after := range []int{0, 1, 1500} {
		ctx, cancel := context.WithCancel(t.Context())
		out := &cancelling{cancel: cancel, after: after}
		if after == 0 {
			cancel()
		}
		fl := tokenizeFlags{data: file}
		if err := fl.run(ctx, tok, tokenize.Options{}, out, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("after %d lines: error %v", after, err)
		}
		if out.lines > after+tokenizeChunk {
			t.Errorf("%d lines were printed, cancelled after %d", out.lines, after)
		}
		cancel()
	}
}

// cancelling is an output that cancels a context after so many lines.
type cancelling struct {
	cancel       func()
	lines, after int
}

func (c *cancelling) Write(p []byte) (int, error) {
	if c.lines++; c.lines == c.after {
		c.cancel()
	}
	return len(p), nil
}
