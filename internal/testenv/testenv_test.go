package testenv

import (
	"os"
	"path/filepath"
	"testing"
)

func TestShared(t *testing.T) {
	dir := t.TempDir()
	want := filepath.Join(dir, "models", "tiny.onnx")
	if err := os.MkdirAll(filepath.Dir(want), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(want, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("FTK_SHARED", dir)
	if got := Shared(t, "models/tiny.onnx"); got != want {
		t.Errorf("Shared = %q, want %q", got, want)
	}
}

func TestAbsentIsSkipped(t *testing.T) {
	t.Setenv("FTK_SHARED", "")
	t.Setenv("FTK_MINILM", t.TempDir())
	for _, c := range []struct {
		name string
		need func(testing.TB)
	}{
		{"shared", func(t testing.TB) { Shared(t, "no/such/file") }},
		{"MiniLM", func(t testing.TB) { MiniLM(t) }},
	} {
		var skipped bool
		t.Run(c.name, func(t *testing.T) {
			defer func() { skipped = t.Skipped() }()
			c.need(t)
		})
		if !skipped {
			t.Errorf("%s: the test was not skipped", c.name)
		}
	}
}

func TestRoot(t *testing.T) {
	if got := Root(t); !exists(filepath.Join(got, "internal", "testenv")) {
		t.Errorf("Root = %q, which has no internal/testenv", got)
	}
}
