package exporter

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/ftk-go/ftk/importer"
	"github.com/ftk-go/ftk/internal/graph"
)

// tiny is y = x + big + bias; big has 8 KB, bias 16 bytes.
func tiny() *graph.Model {
	g := &graph.Graph{Name: "tiny"}
	x := g.AddInput("x", graph.TensorOf(graph.Float32, graph.NamedDim("batch"), graph.Dim{Size: 4}))
	big := make([]float32, 2048)
	for i := range big {
		big[i] = float32(i)
	}
	b := g.AddInitializer("big", graph.NewFloat32("big", []int64{512, 4}, big))
	bias := g.AddInitializer("bias", graph.NewFloat32("bias", []int64{4}, []float32{1, 2, 3, 4}))
	sum := g.AddNode("Add", "add", []*graph.Value{x, b}).Output()
	y := g.AddNode("Add", "add_bias", []*graph.Value{sum, bias}).Output()
	y.Name, y.Type = "y", graph.TensorOf(graph.Float32, graph.Dim{Size: 512}, graph.Dim{Size: 4})
	g.Outputs = []*graph.Value{y}
	return &graph.Model{IRVersion: 8, Opsets: []graph.Opset{{Version: 17}}, Graph: g}
}

func load(t *testing.T, path string) *graph.Model {
	t.Helper()
	m, err := importer.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func floats(t *testing.T, m *graph.Model, name string) []float32 {
	t.Helper()
	v, err := m.Graph.Value(name).Init.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestSave(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "model.onnx")
	m := tiny()
	for range 2 { // new, then over the earlier one
		if err := Save(m, path); err != nil {
			t.Fatal(err)
		}
	}
	if got := files(t, dir); !slices.Equal(got, []string{"model.onnx"}) {
		t.Errorf("files: %q", got)
	}
	want, err := Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(path); !bytes.Equal(got, want) {
		t.Error("the file is not what Marshal gives")
	}
	if got := floats(t, load(t, path), "big"); got[2047] != 2047 {
		t.Errorf("big ends with %v", got[2047])
	}
}

func TestSaveExternalData(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "model.onnx")
	m := tiny()
	if err := Save(m, path, Options{ExternalData: true}); err != nil {
		t.Fatal(err)
	}
	if got := files(t, dir); !slices.Equal(got, []string{"model.onnx", "model.onnx.data"}) {
		t.Errorf("files: %q", got)
	}
	if m.Graph.Value("big").Init.Location != graph.InModel {
		t.Error("saving changed the model in memory")
	}

	external := load(t, path)
	if external.Graph.Value("big").Init.Location != graph.InFile || external.Graph.Value("bias").Init.Location != graph.InModel {
		t.Error("big is to be in the data file, bias in the model")
	}
	if got := floats(t, external, "big"); got[2047] != 2047 {
		t.Errorf("big ends with %v", got[2047])
	}

	// Elsewhere: the data file goes along, and the model is the same.
	other := filepath.Join(t.TempDir(), "copy.onnx")
	if err := Save(load(t, path), other); err != nil {
		t.Fatal(err)
	}
	a, _ := os.ReadFile(path)
	b, _ := os.ReadFile(other)
	if !bytes.Equal(a, b) {
		t.Error("the copy's model file differs")
	}
	if got := floats(t, load(t, other), "big"); got[2047] != 2047 {
		t.Errorf("the copy's big ends with %v", got[2047])
	}

	// In place, with one tensor trained.
	trained := load(t, path)
	if err := trained.Graph.Value("big").Init.SetFloat32s(make([]float32, 2048)); err != nil {
		t.Fatal(err)
	}
	if err := Save(trained, path, Options{ExternalData: true}); err != nil {
		t.Fatal(err)
	}
	if got := floats(t, load(t, path), "big"); got[2047] != 0 {
		t.Errorf("after training big ends with %v", got[2047])
	}
}

func TestFailedSaveLeavesNothing(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(m *graph.Model, dir string)
		want  string
	}{
		{"tensor", func(m *graph.Model, _ string) { m.Graph.Value("bias").Init.Dims[0] = 5 }, `"bias"`},
		{"order", func(m *graph.Model, _ string) { slices.Reverse(m.Graph.Nodes) }, "not defined before"},
		{"name twice", func(m *graph.Model, _ string) { m.Graph.Value("bias").Name = "big" }, `"big" more than once`},
		{"no opset", func(m *graph.Model, _ string) { m.Opsets = nil }, "operator set"},
		{"external data gone", func(m *graph.Model, dir string) {
			e, err := graph.NewExternal([]graph.Property{{Key: "location", Value: "gone"}}, dir)
			if err != nil {
				t.Fatal(err)
			}
			big := m.Graph.Value("big").Init
			big.Storage, big.Location = graph.Storage{External: e}, graph.InFile
		}, "does not exist"},
	}
	for _, test := range tests {
		for _, o := range []Options{{}, {ExternalData: true}} {
			t.Run(test.name, func(t *testing.T) {
				dir := t.TempDir()
				path := filepath.Join(dir, "model.onnx")
				if err := os.WriteFile(path, []byte("earlier"), 0o644); err != nil {
					t.Fatal(err)
				}
				m := tiny()
				test.spoil(m, dir)
				err := Save(m, path, o)
				if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
					t.Errorf("error %v, want one that names %s and %s", err, test.want, path)
				}
				if got := files(t, dir); !slices.Equal(got, []string{"model.onnx"}) {
					t.Errorf("files: %q", got)
				}
				if got, _ := os.ReadFile(path); string(got) != "earlier" {
					t.Error("the earlier file was changed")
				}
			})
		}
	}
}

// An error names the file that the model is read from, but not temporary ones.
func TestSaveErrorsNameTheSource(t *testing.T) {
	dir := t.TempDir()
	if err := unwritten("export", copyFile(io.Discard, dir)); !strings.Contains(err.Error(), "writing export: read "+dir+": ") {
		t.Errorf("error %v", err) // a directory cannot be read
	}
	if err := unwritten("export", copyFile(io.Discard, "nowhere")); !strings.Contains(err.Error(), "open nowhere: ") {
		t.Errorf("error %v", err)
	}
	_, err := os.Create(filepath.Join(t.TempDir(), "gone", "model.onnx.tmp"))
	if err = unwritten("export", err); strings.Contains(err.Error(), "tmp") || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

func TestSaveToFullDisk(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("SKIPPED: needs /dev/full")
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	defer full.Close()
	if _, err := moveOut(tiny(), full, "model.onnx.data"); err == nil {
		t.Error("a full disk gave no error")
	}
}

func TestSaveIntoNothing(t *testing.T) {
	if err := Save(tiny(), filepath.Join(t.TempDir(), "nothere", "model.onnx")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
