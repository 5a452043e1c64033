package importer_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ftk-go/ftk/importer"
	"github.com/ftk-go/ftk/internal/graph"
)

func TestLoadErrorsNameTheFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "model.onnx")
	if err := os.WriteFile(path, []byte("not a model"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := importer.Load(path)
	var broken *graph.FormatError
	if !errors.As(err, &broken) || broken.File != path {
		t.Errorf("got %v, want a FormatError that names the file", err)
	}
	for _, missing := range []string{dir, filepath.Join(dir, "nothere.onnx")} {
		if _, err := importer.Load(missing); err == nil || !strings.Contains(err.Error(), missing) {
			t.Errorf("Load(%q): %v", missing, err)
		}
	}
}

func TestLoadRefusesHugeFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model.onnx")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(3 << 30); err != nil { // takes no space
		t.Skipf("SKIPPED: no sparse files here: %v", err)
	}
	if _, err := importer.Load(path); err == nil || !strings.Contains(err.Error(), "2 GiB") {
		t.Errorf("got %v", err)
	}
}
