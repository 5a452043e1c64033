package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ftk-go/ftk/internal/doctor"
)

// TestDoctorJSON runs the command with nothing installed: one JSON object on
// stdout, the mend on stderr, exit status 1.
func TestDoctorJSON(t *testing.T) {
	t.Setenv("FTK_HOME", t.TempDir())
	t.Setenv("FTK_ONNXRUNTIME", filepath.Join(t.TempDir(), "gone.so"))
	dir := t.TempDir()
	stdout := redirect(t, &os.Stdout, filepath.Join(dir, "stdout"))
	stderr := redirect(t, &os.Stderr, filepath.Join(dir, "stderr"))
	status := run(t.Context(), []string{"doctor", "--json"})
	printed, complaint := stdout(), stderr()
	if strings.Contains(printed, `"ok":true`) {
		t.Skip("SKIPPED: onnxruntime is already loaded in this process")
	}
	if status != exitFailed {
		t.Errorf("exit status %d, want %d", status, exitFailed)
	}
	var report doctor.Report
	if err := json.Unmarshal([]byte(printed), &report); err != nil || strings.Count(printed, "\n") != 1 {
		t.Fatalf("stdout is not one JSON object (%v): %s", err, printed)
	}
	if complaint != "ftk: onnxruntime is missing; run: unset FTK_ONNXRUNTIME\n" {
		t.Errorf("stderr: %q", complaint)
	}
}

// redirect sends a standard stream to a file until the function returned is
// called, which gives what was written.
func redirect(t *testing.T, stream **os.File, path string) (restore func() string) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	saved := *stream
	*stream = file
	return func() string {
		*stream = saved
		if err := file.Close(); err != nil {
			t.Error(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
		}
		return string(data)
	}
}
