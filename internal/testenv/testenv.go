// Package testenv finds what a test needs but the repository does not hold:
// the shared directory of models and data sets, the MiniLM model, the
// onnxruntime library. A test whose need is not met is skipped with the
// reason, so that a fresh clone passes `go test ./...`.
package testenv

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/ftk-go/ftk/internal/home"
	"github.com/ftk-go/ftk/internal/ort"
)

// MiniLMName is the directory name of the model that `make demo` uses.
const MiniLMName = "all-MiniLM-L6-v2"

// Root returns the module's root: the nearest directory, from the test's
// working directory upwards, that has a go.mod.
func Root(t testing.TB) string {
	t.Helper()
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for dir := wd; ; dir = filepath.Dir(dir) {
		if exists(filepath.Join(dir, "go.mod")) {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatalf("no go.mod in %s or above it", wd)
		}
	}
}

// Shared returns the path of rel (slash-separated, "" for the root) in the
// shared directory: FTK_SHARED, or ../shared beside the module's root. Where
// it is absent the test is skipped; where FTK_SHARED names a directory that
// lacks it, the test fails, because then it was meant to be there.
func Shared(t testing.TB, rel string) string {
	t.Helper()
	if dir := os.Getenv("FTK_SHARED"); dir != "" {
		path := filepath.Join(dir, filepath.FromSlash(rel))
		if !exists(path) {
			t.Fatalf("FTK_SHARED is set, but %s does not exist", path)
		}
		return path
	}
	path := filepath.Join(Root(t), "..", "shared", filepath.FromSlash(rel))
	if !exists(path) {
		t.Skipf("SKIPPED: needs shared/%s; set FTK_SHARED to the directory, or put it beside the project", rel)
	}
	return path
}

// MiniLM returns the directory of all-MiniLM-L6-v2 (config.json,
// model.safetensors, tokenizer.json, 1_Pooling/config.json) that
// `make deps` installed; FTK_MINILM names another place.
func MiniLM(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("FTK_MINILM")
	if dir == "" {
		dir = home.Model(MiniLMName)
	}
	if !exists(filepath.Join(dir, "model.safetensors")) {
		t.Skipf("SKIPPED: needs the model %s in %s; run: make deps", MiniLMName, dir)
	}
	return dir
}

// ORT loads the onnxruntime library. Without one the test is skipped, but in
// CI (CI=true), where `make test` has installed it, it fails.
func ORT(t testing.TB) {
	t.Helper()
	err := ort.Init()
	if err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal(err)
	}
	t.Skipf("SKIPPED: %v", err)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
