package ort_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/ort"
	"github.com/ftk-go/ftk/internal/serde"
	"github.com/ftk-go/ftk/internal/testenv"
)

// TestRealModels runs the shared models on the inputs that come with them and
// compares with the outputs that come with them.
func TestRealModels(t *testing.T) {
	testenv.ORT(t)
	models, err := filepath.Glob(filepath.Join(testenv.Shared(t, "models"), "*", "*.onnx"))
	if err != nil || len(models) == 0 {
		t.Fatalf("no models: %v", err)
	}
	for _, path := range models {
		t.Run(filepath.Base(path), func(t *testing.T) {
			data := testData(t, path)
			s, err := ort.Open(path, ort.Options{Threads: 2})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			inputs := map[string]ort.Array{}
			for i, v := range fed(s) {
				inputs[v.Name] = readArray(t, filepath.Join(data, fmt.Sprintf("input_%d.pb", i)))
			}
			outputs, err := s.Run(t.Context(), inputs)
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range s.Outputs() {
				file := filepath.Join(data, fmt.Sprintf("output_%d.pb", i))
				if _, err := os.Stat(file); err != nil {
					continue
				}
				compare(t, v.Name, outputs[v.Name], readArray(t, file))
			}
		})
	}
}

// testData returns the directory of a model's inputs and outputs: beside it
// "NAME.test_data_set_0", or "test_data_KIND" for all of "KIND_*.onnx".
func testData(t *testing.T, model string) string {
	t.Helper()
	name := strings.TrimSuffix(filepath.Base(model), ".onnx")
	kind, _, _ := strings.Cut(name, "_")
	for _, dir := range []string{name + ".test_data_set_0", "test_data_" + kind} {
		dir = filepath.Join(filepath.Dir(model), dir)
		if _, err := os.Stat(dir); err == nil {
			return dir
		}
	}
	t.Skipf("SKIPPED: no test data beside %s", filepath.Base(model))
	return ""
}

// fed lists the inputs that must be given.
func fed(s *ort.Session) []ort.Value {
	var list []ort.Value
	for _, v := range s.Inputs() {
		if !v.Default {
			list = append(list, v)
		}
	}
	return list
}

func readArray(t *testing.T, file string) ort.Array {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	tensor, err := serde.DeserializeTensor(data)
	if err != nil {
		t.Fatalf("%s: %v", filepath.Base(file), err)
	}
	a := ort.Array{Shape: tensor.Dims}
	if a.Shape == nil {
		a.Shape = []int64{}
	}
	switch tensor.DType {
	case graph.Float32:
		a.F32, err = tensor.Float32s()
	case graph.Int64:
		a.I64, err = tensor.Int64s()
	case graph.Int32:
		var wide []int64
		wide, err = tensor.Int64s()
		for _, x := range wide {
			a.I32 = append(a.I32, int32(x))
		}
	default:
		t.Fatalf("%s holds %v", filepath.Base(file), tensor.DType)
	}
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// compare allows 1e-3 relative to the largest value: the reference outputs
// were computed on another machine.
func compare(t *testing.T, name string, got, want ort.Array) {
	t.Helper()
	if fmt.Sprint(got.Shape) != fmt.Sprint(want.Shape) || got.DType() != want.DType() {
		t.Errorf("%s is %v %v, want %v %v", name, got.DType(), got.Shape, want.DType(), want.Shape)
		return
	}
	if want.F32 == nil {
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s differs", name)
		}
		return
	}
	scale, worst := 1.0, 0.0
	for i, w := range want.F32 {
		scale = max(scale, math.Abs(float64(w)))
		worst = max(worst, math.Abs(float64(got.F32[i])-float64(w)))
	}
	if !(worst <= 1e-3*scale) {
		t.Errorf("%s differs by %g, its scale is %g", name, worst, scale)
	}
}
