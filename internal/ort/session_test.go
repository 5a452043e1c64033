package ort_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftk-go/ftk/internal/ort"
	"github.com/ftk-go/ftk/internal/testenv"
)

func open(t *testing.T, name string, options ort.Options) *ort.Session {
	t.Helper()
	testenv.ORT(t)
	s, err := ort.Open(filepath.Join("testdata", name+".onnx"), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func f32(shape []int64, data ...float32) ort.Array { return ort.Array{Shape: shape, F32: data} }

func TestRun(t *testing.T) {
	s := open(t, "add", ort.Options{})
	for _, c := range []struct {
		name   string
		inputs map[string]ort.Array
		want   map[string]ort.Array
	}{
		{"one row", map[string]ort.Array{"a": f32([]int64{1, 2}, 1, 2), "b": f32([]int64{1, 2}, 10, 20)},
			map[string]ort.Array{"sum": f32([]int64{1, 2}, 11, 22), "total": f32([]int64{}, 33), "peak": f32([]int64{}, 22)}},
		{"two rows", map[string]ort.Array{"a": f32([]int64{2, 2}, 1, 2, 3, 4), "b": f32([]int64{2, 2}, 0, 0, 0, 6)},
			map[string]ort.Array{"sum": f32([]int64{2, 2}, 1, 2, 3, 10), "total": f32([]int64{}, 16), "peak": f32([]int64{}, 10)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := s.Run(t.Context(), c.inputs)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("outputs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSignature(t *testing.T) {
	s := open(t, "add", ort.Options{Outputs: []string{"sum"}})
	want := []ort.Value{
		{Name: "a", DType: ort.Float32, Shape: []int64{-1, 2}, Dims: []string{"batch", ""}},
		{Name: "b", DType: ort.Float32, Shape: []int64{-1, 2}, Dims: []string{"batch", ""}},
	}
	if diff := cmp.Diff(want, s.Inputs()); diff != "" {
		t.Errorf("inputs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]ort.Value{{Name: "sum", DType: ort.Float32, Shape: []int64{-1, 2}, Dims: []string{"batch", ""}}}, s.Outputs()); diff != "" {
		t.Errorf("outputs (-want +got):\n%s", diff)
	}
	got, err := s.Run(t.Context(), map[string]ort.Array{"a": {Shape: []int64{0, 2}, F32: []float32{}}, "b": {Shape: []int64{0, 2}, F32: []float32{}}})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || len(got["sum"].F32) != 0 || got["sum"].Shape[0] != 0 {
		t.Errorf("an empty batch gave %v", got)
	}
}

func TestTypes(t *testing.T) {
	s := open(t, "types", ort.Options{})
	n := []int64{3}
	inputs := map[string]ort.Array{
		"float32":  {Shape: n, F32: []float32{1.5, -2, 0}},
		"float64":  {Shape: n, F64: []float64{1.25, -2, 1e300}},
		"int64":    {Shape: n, I64: []int64{1 << 62, -1, 0}},
		"int32":    {Shape: n, I32: []int32{1 << 30, -1, 0}},
		"int16":    {Shape: n, I16: []int16{1 << 14, -1, 0}},
		"int8":     {Shape: n, I8: []int8{127, -128, 0}},
		"uint64":   {Shape: n, U64: []uint64{1 << 63, 1, 0}},
		"uint32":   {Shape: n, U32: []uint32{1 << 31, 1, 0}},
		"uint16":   {Shape: n, U16: []uint16{1 << 15, 1, 0}},
		"uint8":    {Shape: n, U8: []uint8{255, 1, 0}},
		"bool":     {Shape: n, Bool: []bool{true, false, true}},
		"string":   {Shape: n, Str: []string{"naïve", "", "日本"}},
		"float16":  {Shape: n, F16: []uint16{0x3c00, 0xc000, 0x7bff}},
		"bfloat16": {Shape: n, BF16: []uint16{0x3f80, 0xc000, 0x0000}},
	}
	want := map[string]ort.Array{}
	for name, a := range inputs {
		want[name+"_out"] = a
		if a.DType().String() != name {
			t.Errorf("DType of %s is %v", name, a.DType())
		}
	}
	got, err := s.Run(t.Context(), inputs)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("outputs (-want +got):\n%s", diff)
	}
}

func TestNoInputs(t *testing.T) {
	s := open(t, "constant", ort.Options{Optimization: ort.OptimizeNone})
	got, err := s.Run(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]ort.Array{"out": {Shape: []int64{2}, I64: []int64{4, 5}}}, got); diff != "" {
		t.Errorf("outputs (-want +got):\n%s", diff)
	}
}

func TestInputsWithValues(t *testing.T) {
	s := open(t, "weights", ort.Options{Threads: 1})
	got, err := s.Run(t.Context(), map[string]ort.Array{"x": f32([]int64{2}, 1, 2)})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]float32{3, 6}, got["y"].F32); diff != "" {
		t.Errorf("y (-want +got):\n%s", diff)
	}
}

func TestRunRefuses(t *testing.T) {
	row := f32([]int64{1, 2}, 1, 2)
	for _, c := range []struct {
		name, model string
		inputs      map[string]ort.Array
		want        string
	}{
		{"unknown name", "add", map[string]ort.Array{"a": row, "b": row, "c": row}, `no input "c"; it has a, b`},
		{"missing", "add", map[string]ort.Array{"a": row}, `input "b" is missing`},
		{"type", "add", map[string]ort.Array{"a": row, "b": {Shape: []int64{1, 2}, I64: []int64{1, 2}}}, `input "b" is int64, the model takes float32`},
		{"rank", "add", map[string]ort.Array{"a": row, "b": f32([]int64{2}, 1, 2)}, `input "b" has shape [2], the model takes [-1 2]`},
		{"size", "add", map[string]ort.Array{"a": row, "b": f32([]int64{1, 3}, 1, 2, 3)}, `shape [1 3], the model takes [-1 2]`},
		{"too little data", "add", map[string]ort.Array{"a": row, "b": f32([]int64{2, 2}, 1, 2, 3)}, `shape [2 2] has 4 elements, the data 3`},
		{"negative", "add", map[string]ort.Array{"a": row, "b": f32([]int64{-1, 2}, 1, 2)}, `negative dimension`},
		{"no data", "add", map[string]ort.Array{"a": row, "b": {Shape: []int64{1, 2}}}, `no data`},
		{"batches differ", "add", map[string]ort.Array{"a": f32([]int64{3, 2}, 1, 2, 3, 4, 5, 6), "b": f32([]int64{2, 2}, 1, 2, 3, 4)}, `Add`},
		{"given a value", "weights", map[string]ort.Array{"x": f32([]int64{1}, 1), "w": f32([]int64{1}, 1)}, `input "w" has its value`},
		{"failing node", "gather", map[string]ort.Array{"i": {Shape: []int64{1}, I64: []int64{7}}}, `Gather`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := open(t, c.model, ort.Options{}).Run(t.Context(), c.inputs)
			wantError(t, err, c.want)
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	testenv.ORT(t)
	add, err := os.ReadFile(filepath.Join("testdata", "add.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		model   []byte
		options ort.Options
		want    string
	}{
		{"empty", nil, ort.Options{}, "empty"},
		{"not ONNX", []byte("hello, this is text"), ort.Options{}, "not ONNX"},
		{"truncated", add[:len(add)/2], ort.Options{}, "truncated"},
		{"no graph", []byte{8, 8}, ort.Options{}, "no graph"},
		{"no such output", add, ort.Options{Outputs: []string{"logits"}}, `no output "logits"; it has sum, total, peak`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ort.NewSession(c.model, c.options)
			wantError(t, err, c.want)
		})
	}
	_, err = ort.Open(filepath.Join(t.TempDir(), "absent.onnx"), ort.Options{})
	wantError(t, err, "absent.onnx")
}

// TestQuiet runs what fails and looks for anything on the process's stderr.
func TestQuiet(t *testing.T) {
	s := open(t, "gather", ort.Options{})
	path := filepath.Join(t.TempDir(), "stderr")
	restore := redirectStderr(t, path)
	_, err := s.Run(t.Context(), map[string]ort.Array{"i": {Shape: []int64{1}, I64: []int64{7}}})
	_, err2 := ort.NewSession([]byte{0x3a, 0x05, 0x0a, 0x03, 0x22, 0x01, 'X'}, ort.Options{})
	restore()
	if err == nil || err2 == nil {
		t.Errorf("errors %v, %v; want both", err, err2)
	}
	printed, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(printed) > 0 {
		t.Errorf("onnxruntime printed to stderr: %s", printed)
	}
}

func TestCancel(t *testing.T) {
	s := open(t, "loop", ort.Options{})
	steps := func(n int64) map[string]ort.Array {
		return map[string]ort.Array{"steps": {Shape: []int64{}, I64: []int64{n}}}
	}
	got, err := s.Run(t.Context(), steps(7))
	if err != nil {
		t.Fatal(err)
	}
	if got["counted"].F32[0] != 7 {
		t.Errorf("counted %v, want 7", got["counted"].F32[0])
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := s.Run(ctx, steps(1<<40)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want %v", err, context.DeadlineExceeded)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("the run went on for %v after its context ended", took)
	}
	if _, err := s.Run(ctx, steps(1)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a run with an ended context: error %v", err)
	}
	if got, err = s.Run(t.Context(), steps(3)); err != nil || got["counted"].F32[0] != 3 {
		t.Errorf("after a cancelled run: %v, %v", got, err)
	}
}

func TestConcurrentRunsAndClose(t *testing.T) {
	s := open(t, "add", ort.Options{Threads: 1})
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 50 {
				x := float32(worker*100 + i)
				got, err := s.Run(context.Background(), map[string]ort.Array{"a": f32([]int64{1, 2}, x, x), "b": f32([]int64{1, 2}, 1, 2)})
				if err != nil {
					t.Error(err)
					return
				}
				if y := got["sum"].F32; y[0] != x+1 || y[1] != x+2 {
					t.Errorf("worker %d, run %d: got %v", worker, i, y)
				}
			}
		})
	}
	wg.Wait()
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	_, err := s.Run(t.Context(), map[string]ort.Array{"a": f32([]int64{1, 2}, 1, 1), "b": f32([]int64{1, 2}, 1, 2)})
	wantError(t, err, "closed")
}

// TestNoLeak runs with arrays of 1 MB a thousand times; were one of them
// kept by each run, the process would have grown by a gigabyte.
func TestNoLeak(t *testing.T) {
	s := open(t, "add", ort.Options{Threads: 1})
	const rows = 1 << 17
	inputs := map[string]ort.Array{"a": f32([]int64{rows, 2}, make([]float32, 2*rows)...), "b": f32([]int64{rows, 2}, make([]float32, 2*rows)...)}
	run := func(n int) {
		for range n {
			if _, err := s.Run(t.Context(), inputs); err != nil {
				t.Fatal(err)
			}
		}
		runtime.GC()
	}
	run(50)
	before := residentBytes(t)
	run(1000)
	if grown := residentBytes(t) - before; grown > 100<<20 {
		t.Errorf("1,000 runs grew the process by %d MB", grown>>20)
	}
	for range 50 { // sessions and failing runs must not leak either
		extra, err := ort.Open(filepath.Join("testdata", "gather.onnx"), ort.Options{})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = extra.Run(t.Context(), map[string]ort.Array{"i": {Shape: []int64{1}, I64: []int64{7}}})
		if err := extra.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// residentBytes is the process's resident memory (Linux: /proc/self/statm).
func residentBytes(t *testing.T) int64 {
	t.Helper()
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skipf("SKIPPED: no /proc/self/statm: %v", err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(data))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", want)
	}
	if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %q, want one line with %q", err, want)
	}
}
