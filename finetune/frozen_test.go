package finetune

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ftk-go/ftk/exporter"
	"github.com/ftk-go/ftk/finetune/dataset"
	"github.com/ftk-go/ftk/internal/blas"
	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/kernels"
	"github.com/ftk-go/ftk/internal/ort"
	"github.com/ftk-go/ftk/internal/testenv"
)

// frozenPart reads the task's evaluation examples and cuts a fresh network.
func frozenPart(t *testing.T, c Config) (*dataset.Set, *network, *frozen) {
	t.Helper()
	set, err := dataset.Load(t.Context(), c.Eval, dataset.LoadOptions{Encode: encoder(c.Tokenizer, 64, 0)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { set.Close() })
	n, err := newNetwork(c.Model, &c.Settings, set.Classes.Names)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.close)
	f, err := newFrozen(n, &c.Settings, "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.close)
	return set, n, f
}

// logitsOf runs the task's evaluation examples through a fresh network.
func logitsOf(t *testing.T, c Config, freeze string) [][]float32 {
	t.Helper()
	c.Freeze = freeze
	set, n, f := frozenPart(t, c)
	if wantFrozen := freeze != "none"; (f != nil) != wantFrozen {
		t.Fatalf("freeze %s: frozen part %v", freeze, f)
	}
	fd, err := newFeeder(context.Background(), n, set, f, &c)
	if err != nil {
		t.Fatal(err)
	}
	defer fd.close()
	if f != nil && (fd.features.file == nil) != (c.CacheLimit == 0) {
		t.Fatalf("freeze %s: features are not where they should be", freeze)
	}
	return forwardAll(t, fd, set)
}

// forwardAll gives the three logits of each example of a set.
func forwardAll(t *testing.T, fd *feeder, set *dataset.Set) [][]float32 {
	t.Helper()
	all := make([][]float32, set.Len())
	err := fd.forward(context.Background(), set.All(), 64, func(b *batch, logits []float32) error {
		for r, e := range b.examples {
			all[e.Number] = append([]float32(nil), logits[3*r:3*r+3]...)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func needsRuntime(t *testing.T) {
	t.Helper()
	testenv.ORT(t)
	if err := ort.Init(); err != nil {
		t.Fatal(err)
	}
}

// The head sees the same whatever is frozen: native and onnxruntime's parts,
// from the cache or computed for each batch, padded or not.
func TestFreezeModesGiveTheSameLogits(t *testing.T) {
	needsRuntime(t)
	for _, pooling := range []string{"mean", "cls", "pooler"} {
		c := tinyConfig(t)
		c.Pooling = pooling
		c.Workspace = tinyWorkspace(t)
		want := logitsOf(t, c, "none")
		for _, freeze := range []string{"embeddings", "1", "backbone"} {
			for _, limit := range []int64{0, 1 << 30, 1 << 30} { // computed, stored, found
				c.CacheLimit = limit
				got := logitsOf(t, c, freeze)
				for i := range want {
					if err := closeTo(got[i], want[i], 1e-5); err != nil {
						t.Fatalf("%s, freeze %s, cache %d, example %d: %v", pooling, freeze, limit, i, err)
					}
				}
			}
		}
	}
}

// A frozen part of native operators runs natively, and gives what onnxruntime
// gives.
func TestEnginesAgree(t *testing.T) {
	needsRuntime(t)
	for _, freeze := range []string{"embeddings", "1", "backbone"} {
		c := tinyConfig(t)
		c.Freeze, c.FrozenEngine = freeze, EngineFtk
		set, n, f := frozenPart(t, c)
		if _, native := f.engine.(*nativeEngine); !native {
			t.Fatalf("freeze %s: the engine is %s", freeze, f.engine.name())
		}
		fd, err := newFeeder(context.Background(), n, set, nil, &c)
		if err != nil {
			t.Fatal(err)
		}
		b := &batch{batchPlan: batchPlan{seq: 24}, inputs: map[string]ort.Array{}}
		for _, i := range []int{3, 0, 7, 11} {
			e, err := set.Example(i)
			if err != nil {
				t.Fatal(err)
			}
			b.examples = append(b.examples, e)
		}
		native, err := f.run(context.Background(), fd, b)
		if err != nil {
			t.Fatal(err)
		}
		f.engine = &runtimeEngine{model: n.parts.Prefix, threads: 2}
		want, err := f.run(context.Background(), fd, b)
		if err != nil {
			t.Fatal(err)
		}
		if len(want) == 0 || len(native) != len(want) {
			t.Fatalf("freeze %s: %d values, %d of onnxruntime", freeze, len(native), len(want))
		}
		for name, w := range want {
			if err := closeTo(native[name].F32, w.F32, 1e-5); err != nil || !slices.Equal(native[name].Shape, w.Shape) {
				t.Errorf("freeze %s, %s %v, %v: %v", freeze, name, native[name].Shape, w.Shape, err)
			}
		}
	}
}

// The engine is the one asked for; by itself, onnxruntime where weights are
// not float32 or the kernels are no assembly.
func TestFrozenEngines(t *testing.T) {
	needsRuntime(t)
	for _, half := range []bool{false, true} {
		for _, name := range []string{"", EngineAuto, EngineFtk, EngineOnnxruntime} {
			c := tinyConfig(t)
			c.Freeze, c.FrozenEngine = "1", name
			if err := c.Check(); err != nil {
				t.Fatal(err)
			}
			n, err := newNetwork(c.Model, &c.Settings, []string{"a", "b"})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(n.close)
			if half {
				w := n.parts.Prefix.Graph.Initializers[0]
				w.Init = &graph.Tensor{Name: w.Name, DType: graph.Float16, Dims: w.Init.Dims}
			}
			f, err := newFrozen(n, &c.Settings, "test")
			if half && name == EngineFtk {
				if err == nil || !strings.Contains(err.Error(), "--frozen-engine ftk: not all") {
					t.Errorf("half precision: error %v", err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(f.close)
			want := name == EngineFtk || name != EngineOnnxruntime && !half && kernels.Vectorised() && blas.Info().Native
			if _, native := f.engine.(*nativeEngine); native != want {
				t.Errorf("engine %q, half precision %v: it is %s", name, half, f.engine.name())
			}
		}
	}
	s := Defaults()
	s.Train, s.Eval, s.FrozenEngine = "x", "y", "torch"
	if err := s.Check(); err == nil || !strings.Contains(err.Error(), `--frozen-engine "torch"`) {
		t.Errorf("error %v", err)
	}
}

// What is let go of comes back as it was.
func TestMappedFile(t *testing.T) {
	data := make([]byte, 20<<20)
	for i := range data {
		data[i] = byte(i*i>>7 + i)
	}
	name := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m := mapFile(f, int64(len(data)))
	if m == nil {
		t.Skip("this system maps no files")
	}
	defer m.unmap()
	for round := range 3 {
		for at := 0; at < len(data); at += 100_000 {
			end := min(at+100_000, len(data))
			if string(m.bytes(int64(at), int64(end))) != string(data[at:end]) {
				t.Fatalf("round %d: bytes %d to %d are others", round, at, end)
			}
		}
	}
	if mapFile(f, 0) != nil {
		t.Error("nothing is mapped")
	}
}

func TestFrozenInitializersStay(t *testing.T) {
	needsRuntime(t)
	for freeze, wantChanged := range map[string]string{"backbone": "", "1": "encoder.layer.1.", "embeddings": "encoder.layer."} {
		c := tinyConfig(t)
		c.Epochs, c.Freeze = 1, freeze
		before := trained(t, c.Model)
		r := run(t, c)
		after := trained(t, r.Model)
		changed := 0
		for name, raw := range before {
			if string(after[name]) != string(raw) {
				changed++
				if wantChanged == "" || !strings.HasPrefix(name, wantChanged) {
					t.Errorf("freeze %s changes %s", freeze, name)
				}
			}
		}
		if (changed > 0) != (wantChanged != "") {
			t.Errorf("freeze %s: %d initializers changed", freeze, changed)
		}
	}
}

// Training on stored features is training on features computed anew.
func TestStoredFeaturesTrainTheSame(t *testing.T) {
	needsRuntime(t)
	for _, freeze := range []string{"backbone", "1"} {
		c := tinyConfig(t)
		c.Freeze, c.CacheLimit = freeze, 0
		c.Workspace = tinyWorkspace(t)
		computed := run(t, c)
		c.CacheLimit = 1 << 30
		var seen []Features
		computing := 0
		c.Progress = func(e Event) {
			switch e := e.(type) {
			case Features:
				seen = append(seen, e)
			case FeaturesDone:
				computing++
			}
		}
		stored := run(t, c)
		if computing == 0 {
			t.Errorf("freeze %s: no features were computed", freeze)
		}
		computing = 0
		found := run(t, c)
		if computing > 0 {
			t.Errorf("freeze %s: features were computed again", freeze)
		}
		sameBytes(t, trained(t, found.Model), trained(t, stored.Model))
		if math.Abs(stored.Eval.Loss-computed.Eval.Loss) > 1e-3 {
			t.Errorf("freeze %s: loss %v on stored features, %v on computed", freeze, stored.Eval.Loss, computed.Eval.Loss)
		}
		if len(seen) != 4 || seen[0].Reused || !seen[2].Reused || !seen[3].Reused || !seen[0].Cached || seen[0].Bytes != seen[2].Bytes {
			t.Errorf("freeze %s: %+v", freeze, seen)
		}
		for _, f := range seen {
			if st, err := os.Stat(f.Path); err != nil || st.Size() < f.Bytes || st.Size() > f.Bytes+1<<13 {
				t.Errorf("%d bytes announced, file %v, %v", f.Bytes, st, err)
			}
		}
		// Only the head trains: one pooled vector (128 bytes) per example.
		if freeze == "backbone" && seen[0].Bytes != 300*4*32 {
			t.Errorf("features of the head take %d bytes", seen[0].Bytes)
		}
	}
}

// A damaged file is noticed and made anew; the run ends as ever.
func TestDamagedFeatures(t *testing.T) {
	needsRuntime(t)
	c := tinyConfig(t)
	c.Freeze, c.Epochs = "1", 1
	c.Workspace = tinyWorkspace(t)
	want := run(t, c)
	files, _ := filepath.Glob(filepath.Join(c.Workspace.CacheDir(), "*.features"))
	if len(files) != 2 {
		t.Fatalf("cache has %v", files)
	}
	for name, damage := range map[string]func(data []byte) []byte{
		"header":    func(d []byte) []byte { d[20] ^= 1; return d },
		"magic":     func(d []byte) []byte { d[0] ^= 1; return d },
		"truncated": func(d []byte) []byte { return d[:len(d)-100] },
		"empty":     func(d []byte) []byte { return nil },
		"data":      func(d []byte) []byte { d[len(d)-2000] ^= 1; return d },
	} {
		for _, f := range files {
			data, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(f, damage(data), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		warned := 0
		c.Progress = func(e Event) {
			if _, ok := e.(Warning); ok {
				warned++
			}
		}
		got := run(t, c)
		if warned != 2 {
			t.Errorf("%s: %d warnings", name, warned)
		}
		if math.Abs(got.Eval.Loss-want.Eval.Loss) > 1e-4 {
			t.Errorf("%s: loss %v, want %v", name, got.Eval.Loss, want.Eval.Loss)
		}
		run(t, c) // makes what is missing
	}
}

// A file that is cut short while it is read, mapped or not, is noticed: its
// features are computed again, and nothing dies of it.
func TestFeaturesCutShort(t *testing.T) {
	needsRuntime(t)
	for _, unmapped := range []bool{false, true} {
		c := tinyConfig(t)
		c.Freeze, c.Epochs = "1", 1
		c.Workspace = tinyWorkspace(t)
		set, n, f := frozenPart(t, c)
		fd, err := newFeeder(context.Background(), n, set, f, &c)
		if err != nil {
			t.Fatal(err)
		}
		defer fd.close()
		var warnings []string
		fd.features.config.Progress = func(e Event) {
			if w, ok := e.(Warning); ok {
				warnings = append(warnings, w.Text)
			}
		}
		logits := func() (all [][]float32) {
			t.Helper()
			err := fd.forward(context.Background(), set.All(), 16, func(_ *batch, logits []float32) error {
				all = append(all, slices.Clone(logits))
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			return all
		}
		want := logits()
		file := fd.features.file
		if file == nil || fd.features.chunks != nil || len(warnings) > 0 {
			t.Fatalf("features are not kept: %v", warnings)
		}
		if (runtime.GOOS == "linux" || runtime.GOOS == "darwin") && file.mapped == nil {
			t.Fatal("features are not mapped")
		}
		if unmapped && file.mapped != nil {
			file.mapped.unmap()
			file.mapped = nil
		}
		if err := os.Truncate(file.path, 0); err != nil {
			t.Fatal(err)
		}
		got := logits()
		if len(warnings) != 1 || !strings.Contains(warnings[0], "computed again") {
			t.Errorf("unmapped %v: warnings %q", unmapped, warnings)
		}
		for i := range want {
			if err := closeTo(got[i], want[i], 1e-5); err != nil {
				t.Errorf("unmapped %v, batch %d: %v", unmapped, i, err)
			}
		}
	}
}

// Features are computed when they are first wanted: the file is made by the
// first epoch, and the first step does not wait for all of them.
func TestFeaturesAreComputedOnDemand(t *testing.T) {
	c := tinyConfig(t)
	c.Freeze, c.Workspace = "backbone", tinyWorkspace(t)
	var order []string
	c.Progress = func(e Event) {
		switch e := e.(type) {
		case FeaturesDone:
			if e.Done == e.Total {
				order = append(order, fmt.Sprintf("all %d", e.Total))
			}
		case Step:
			if e.Step == 1 {
				order = append(order, "step 1")
			}
		case Evaluated:
			order = append(order, fmt.Sprintf("epoch %d", e.Epoch))
		}
	}
	run(t, c)
	if got := strings.Join(order, ", "); got != "all 300, step 1, all 90, epoch 1, epoch 2" && got != "step 1, all 300, all 90, epoch 1, epoch 2" {
		t.Error(got)
	}
	files, _ := filepath.Glob(filepath.Join(c.Workspace.CacheDir(), "*"))
	if len(files) != 2 {
		t.Errorf("the cache has %v", files)
	}
}

// What a run had computed when it was stopped is there for the next.
func TestFeaturesGoOn(t *testing.T) {
	c := tinyConfig(t)
	c.Freeze, c.BatchSize, c.Epochs = "1", 8, 1
	c.Workspace = tinyWorkspace(t)
	want := run(t, c)

	c.Workspace = tinyWorkspace(t)
	ctx, cancel := context.WithCancel(context.Background())
	stopped := c
	stopped.Progress = func(e Event) {
		if _, ok := e.(FeaturesDone); ok {
			cancel() // after the first chunk
		}
	}
	if _, err := Run(ctx, stopped); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	left := func() []string {
		files, _ := filepath.Glob(filepath.Join(c.Workspace.CacheDir(), "*"))
		hidden, _ := filepath.Glob(filepath.Join(c.Workspace.CacheDir(), ".*"))
		return append(files, hidden...)
	}
	if files := left(); len(files) != 1 || !strings.HasSuffix(files[0], ".partial"+featureSuffix) {
		t.Fatalf("the cache has %v", files)
	}
	var counts []FeaturesDone
	c.Progress = func(e Event) {
		if f, ok := e.(FeaturesDone); ok && f.Total == 300 {
			counts = append(counts, f)
		}
	}
	got := run(t, c)
	if len(counts) < 3 || counts[0].Done == 0 || counts[0].Done == 300 || counts[len(counts)-1].Done != 300 {
		t.Errorf("features go on as %v", counts)
	}
	sameBytes(t, trained(t, got.Model), trained(t, want.Model))
	if files := left(); len(files) != 2 {
		t.Errorf("the cache has %v", files)
	}

	// A damaged one is made anew.
	for name, damage := range map[string]func([]byte) []byte{
		"bits":      func(d []byte) []byte { d[len(d)-6] ^= 1; return d },
		"truncated": func(d []byte) []byte { return d[:len(d)-9] },
		"header":    func(d []byte) []byte { d[30] ^= 1; return d },
	} {
		c.Workspace = tinyWorkspace(t)
		ctx, cancel = context.WithCancel(context.Background())
		defer cancel()
		stopped.Workspace = c.Workspace
		if _, err := Run(ctx, stopped); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		data, err := os.ReadFile(left()[0])
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(left()[0], damage(data), 0o644); err != nil {
			t.Fatal(err)
		}
		warned := 0
		c.Progress = func(e Event) {
			if _, ok := e.(Warning); ok {
				warned++
			}
		}
		sameBytes(t, trained(t, run(t, c).Model), trained(t, want.Model))
		if warned != 1 {
			t.Errorf("%s: %d warnings", name, warned)
		}
	}
}

func TestChunks(t *testing.T) {
	for _, masked := range []bool{true, false} {
		t.Run(fmt.Sprintf("masked %v", masked), func(t *testing.T) { testChunks(t, masked) })
	}
}

func testChunks(t *testing.T, masked bool) {
	const n = (recentBlocks+1)*blockExamples + 1000 // more blocks than are in memory
	set := setOfLengths(t, n, func(i int) int { return 3 + i*i%61 })
	a, b := newChunks(set, masked, nil), newChunks(set, masked, nil)
	of := func(c *chunks, e int) []dataset.Example {
		t.Helper()
		examples, err := c.of(e)
		if err != nil {
			t.Fatal(err)
		}
		return examples
	}
	seen := make([]bool, n)
	first := make([]int, n) // of each example's chunk
	slots, tokens := 0, 0
	for i := range n {
		e := (i * 7919) % n // in any order
		got := slices.Clone(of(a, e))
		if again := of(b, n-1-i); len(again) > 0 {
			b.finish(again)
		}
		if got == nil {
			if !seen[e] {
				t.Fatalf("example %d is left out", e)
			}
			continue
		}
		if rows := len(got); masked && rows != forwardTokens/got[0].Length && rows&(rows-1) != 0 {
			t.Errorf("a chunk of %d × %d tokens, a shape of its own", rows, got[0].Length)
		}
		if size := len(got) * got[0].Length; size > forwardTokens {
			t.Errorf("a chunk of %d tokens", size)
		}
		for _, x := range got {
			if seen[x.Number] {
				t.Fatalf("example %d twice", x.Number)
			}
			seen[x.Number], first[x.Number] = true, got[0].Number
			slots, tokens = slots+got[0].Length, tokens+x.Length
		}
		a.finish(got)
	}
	if a.left != 0 || b.left != 0 || slices.Contains(seen, false) {
		t.Errorf("%d and %d examples are left", a.left, b.left)
	}
	if float64(slots) > 1.05*float64(tokens) || !masked && slots > tokens {
		t.Errorf("%d tokens are padded to %d", tokens, slots)
	}
	if len(a.recent) != recentBlocks {
		t.Errorf("%d blocks are in memory", len(a.recent))
	}
	c := newChunks(set, masked, nil)
	for e := range n {
		if got := of(c, e); got[0].Number != first[e] || !slices.ContainsFunc(got, func(x dataset.Example) bool { return x.Number == e }) {
			t.Fatalf("the chunk of example %d depends on the order", e)
		}
	}
}

// The cache keeps within its limit: the files that were not used for longest
// go, those of the run under way stay, and what a killed process left goes.
func TestFeatureCacheMakesRoom(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, age int) {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, make([]byte, 100), 0o644); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-time.Duration(age) * time.Hour)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	names := func() string {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, e := range entries {
			all = append(all, e.Name())
		}
		return strings.Join(all, " ")
	}
	write("a.features", 3)
	write("b.features", 1)
	write("c.features", 2)
	write(".features.123", 0)
	write(".features.456", 9)
	write("other", 9)
	c := &featureCache{}
	c.uses(filepath.Join(dir, "a.features"))
	c.uses(filepath.Join(dir, ".features.456"))
	for _, step := range []struct {
		size, limit int64
		fits        bool
		left        string
	}{
		{100, 500, true, ".features.456 a.features b.features c.features other"},
		{150, 300, false, ".features.456 a.features b.features c.features other"}, // nothing goes for nothing
		{100, 450, true, ".features.456 a.features b.features other"},
		{100, 300, true, ".features.456 a.features other"},
		{100, 299, false, ".features.456 a.features other"},
	} {
		fits, err := c.makeRoom(dir, step.size, step.limit)
		if err != nil || fits != step.fits || names() != step.left {
			t.Errorf("%+v: %v, %v; left: %s", step, fits, err, names())
		}
	}
}

// A cache that cannot be tidied is done without.
func TestFeatureCacheFails(t *testing.T) {
	c := tinyConfig(t)
	c.Freeze, c.Workspace = "backbone", tinyWorkspace(t)
	want := run(t, c)
	c.Workspace = tinyWorkspace(t)
	stuck := filepath.Join(c.Workspace.CacheDir(), ".features.123", "x") // no file, so it stays
	if err := os.MkdirAll(stuck, 0o755); err != nil {
		t.Fatal(err)
	}
	var warnings []string
	c.Progress = func(e Event) {
		if w, ok := e.(Warning); ok {
			warnings = append(warnings, w.Text)
		}
	}
	got := run(t, c)
	if len(warnings) != 2 || !strings.Contains(warnings[0], "features cannot be kept") {
		t.Errorf("warnings %q", warnings)
	}
	if math.Abs(got.Eval.Loss-want.Eval.Loss) > 1e-3 {
		t.Errorf("loss %v, want %v", got.Eval.Loss, want.Eval.Loss)
	}
}

// Wherever the model is cut, the passes know the shape of what crosses and fuse
// the trainable layers.
func TestAttentionIsFusedBehindTheBoundary(t *testing.T) {
	for freeze, want := range map[string]int{"none": 2, "embeddings": 2, "1": 1} {
		c := tinyConfig(t)
		c.Freeze = freeze
		n, err := newNetwork(c.Model, &c.Settings, []string{"a", "b"})
		if err != nil {
			t.Fatal(err)
		}
		got := 0
		for _, node := range n.suffix.Nodes {
			if node.OpType == "Attention" {
				got++
			}
		}
		if got != want {
			t.Errorf("freeze %s: %d attention nodes, want %d", freeze, got, want)
		}
	}
}

// What the trained graph gives is what onnxruntime gives on the model.
func TestSamplesMatchRuntime(t *testing.T) {
	needsRuntime(t)
	for _, freeze := range []string{"none", "backbone"} {
		c := tinyConfig(t)
		c.Freeze, c.Workspace = freeze, tinyWorkspace(t)
		r := run(t, c)
		latest, err := c.Workspace.LatestRun()
		if err != nil {
			t.Fatal(err)
		}
		tr, err := Load(c.Model, c.Tokenizer, latest, 2)
		if err != nil {
			t.Fatal(err)
		}
		m, err := tr.Evaluate(context.Background(), c.Eval, dataset.Columns{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(m.Loss-r.Eval.Loss) > 1e-5 || m.Accuracy != r.Eval.Accuracy {
			t.Errorf("freeze %s: evaluation %+v, of the run %+v", freeze, m, r.Eval)
		}
		samples, err := tr.Samples(context.Background(), []dataset.Record{
			{Text: "the apple"}, {Text: ""}, {Text: "near the old iron with some zinc"}, {Text: "words unheard of"}, {Text: "some", Pair: "old horse"}})
		if err != nil {
			t.Fatal(err)
		}
		rows := 0
		model, err := exporter.Marshal(tr.Model())
		if err != nil {
			t.Fatal(err)
		}
		session, err := ort.NewSession(model, ort.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range samples {
			out, err := session.Run(context.Background(), s.Inputs)
			if err != nil {
				t.Fatal(err)
			}
			logits := out[tr.Head().Logits.Name]
			if err := closeTo(logits.F32, s.Logits, 1e-5); err != nil {
				t.Errorf("freeze %s: %v", freeze, err)
			}
			rows += int(logits.Shape[0])
		}
		if rows != 5 {
			t.Errorf("%d samples", rows)
		}
		session.Close()
		tr.Close()
	}
}
