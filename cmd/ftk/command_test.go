package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/ftk-go/ftk/internal/testenv"
)

// asCommand, set in the environment, makes the test binary behave as ftk: for
// tests that need a process of its own.
const asCommand = "FTK_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// outcome is what a command line came to.
type outcome struct {
	args           []string
	status         int
	stdout, stderr string
}

func (o outcome) String() string {
	return fmt.Sprintf("ftk %s\nexit status %d\n-- stdout\n%s-- stderr\n%s", strings.Join(o.args, " "), o.status, o.stdout, o.stderr)
}

// ftk runs a command line in this process.
func ftk(t *testing.T, args ...string) outcome {
	t.Helper()
	return ftkUntil(t, t.Context(), args...)
}

func ftkUntil(t *testing.T, ctx context.Context, args ...string) outcome {
	t.Helper()
	dir := t.TempDir()
	stdout := redirect(t, &os.Stdout, filepath.Join(dir, "stdout"))
	stderr := redirect(t, &os.Stderr, filepath.Join(dir, "stderr"))
	status := run(ctx, args)
	return outcome{args, status, stdout(), stderr()}
}

// must runs a command line that has to succeed, with nothing on stderr.
func must(t *testing.T, args ...string) outcome {
	t.Helper()
	o := ftk(t, args...)
	if o.status != exitDone || o.stderr != "" {
		t.Fatal(o)
	}
	return o
}

// mustJSON runs a command line with --json and decodes the one line that it
// prints.
func mustJSON(t *testing.T, into any, args ...string) {
	t.Helper()
	o := must(t, append(args, "--json")...)
	if strings.Count(o.stdout, "\n") != 1 || !strings.HasSuffix(o.stdout, "\n") {
		t.Fatalf("stdout is not one line: %v", o)
	}
	d := json.NewDecoder(strings.NewReader(o.stdout))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		t.Fatalf("%v: %v", err, o)
	}
}

// fails runs a command line that has to fail with this exit status and one line
// on stderr that has all of the words in it.
func fails(t *testing.T, status int, words []string, args ...string) outcome {
	t.Helper()
	o := ftk(t, args...)
	o.check(t, status, words)
	return o
}

func (o outcome) check(t *testing.T, status int, words []string) {
	t.Helper()
	if o.status != status {
		t.Errorf("exit status %d, want %d: %v", o.status, status, o)
	}
	if strings.Count(o.stderr, "\n") != 1 || !strings.HasPrefix(o.stderr, "ftk: ") {
		t.Errorf("stderr is not one line of ftk's: %v", o)
	}
	if strings.Contains(o.stderr, "internal error") || strings.Contains(o.stderr, "goroutine") {
		t.Errorf("a panic: %v", o)
	}
	for _, w := range words {
		if !strings.Contains(o.stderr, w) {
			t.Errorf("stderr has no %q: %v", w, o)
		}
	}
	t.Log(strings.TrimSpace(o.stderr)) // so that -v shows how the messages read
}

// process is this test binary as the command ftk.
func process(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(append(os.Environ(), asCommand+"=1"), env...)
	return cmd
}

// inProcess runs a command line in a process of its own, with additions to the
// environment.
func inProcess(t *testing.T, env []string, args ...string) outcome {
	t.Helper()
	var stdout, stderr strings.Builder
	cmd := process(t, env, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return outcome{args, cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// tree lists all files under a directory with their content's hash, and its
// directories. The .ftk and its runs themselves, and the lock, which says who had
// it last, are left out.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var lines []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil || slices.Contains([]string{".ftk", ".ftk/lock", ".ftk/runs"}, filepath.ToSlash(rel)) {
			return err
		}
		if d.IsDir() {
			lines = append(lines, rel+"/")
			return nil
		}
		data, err := os.ReadFile(path)
		lines = append(lines, fmt.Sprintf("%s %x", rel, sha256.Sum256(data)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

// unchanged runs f and fails the test if it left a trace in dir.
func unchanged(t *testing.T, dir string, f func()) {
	t.Helper()
	before := tree(t, dir)
	f()
	if after := tree(t, dir); after != before {
		t.Errorf("%s was\n%s\nand is now\n%s", dir, before, after)
	}
}

func writeFile(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func copyDir(t *testing.T, from string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}

// needsORT skips a test where there is no onnxruntime.
func needsORT(t *testing.T) {
	t.Helper()
	testenv.ORT(t)
}
