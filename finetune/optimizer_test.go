package finetune

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/ftk-go/ftk/internal/ort"
	"github.com/ftk-go/ftk/internal/parallel"
)

func testWeights(t *testing.T, params []*parameter, initial map[string][]float32) *weights {
	t.Helper()
	w, err := newWeights(params, func(p *parameter, dst []float32) error {
		copy(dst, initial[p.name])
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func param(w *weights, name string) *parameter {
	for _, p := range w.params {
		if p.name == name {
			return p
		}
	}
	return nil
}

func closeTo(got, want []float32, tolerance float64) error {
	for i := range want {
		if d := math.Abs(float64(got[i]) - float64(want[i])); !(d <= tolerance*max(1, math.Abs(float64(want[i])))) || math.IsInf(d, 0) {
			return fmt.Errorf("element %d is %v, want %v", i, got[i], want[i])
		}
	}
	return nil
}

// testdata/adamw.json: parameters after steps of torch.optim.AdamW with
// clip_grad_norm_, made by testdata/adamw.py.
func TestAdamWGolden(t *testing.T) {
	var golden struct {
		LR, Beta1, Beta2, Eps float64
		WeightDecay           float64 `json:"weight_decay"`
		MaxNorm               float64 `json:"max_norm"`
		Initial               [][]float32
		Steps                 []struct {
			Grads, Params [][]float32
			Norm          float64
		}
	}
	readJSON(t, "testdata/adamw.json", &golden)
	w := testWeights(t, []*parameter{
		{name: "decayed", shape: []int64{4, 6}},
		{name: "plain", shape: []int64{24}, head: true},
	}, map[string][]float32{"decayed": golden.Initial[0], "plain": golden.Initial[1]})
	o := newOptimizer(w, Schedule{"constant", 0, len(golden.Steps)}, &Config{Settings: Settings{
		LearningRate: golden.LR, HeadLearningRate: 0.03, WeightDecay: golden.WeightDecay, GradClip: golden.MaxNorm}})
	decayed, plain := param(w, "decayed"), param(w, "plain")
	for k, step := range golden.Steps {
		copy(decayed.grad, step.Grads[0])
		copy(plain.grad, step.Grads[1])
		norm := o.norm()
		if math.Abs(norm-step.Norm) > 1e-5*step.Norm {
			t.Errorf("step %d: norm %v, want %v", k, norm, step.Norm)
		}
		o.step(norm)
		if err := closeTo(decayed.value, step.Params[0], 1e-6); err != nil {
			t.Errorf("step %d, decayed: %v", k, err)
		}
		if err := closeTo(plain.value, step.Params[1], 1e-6); err != nil {
			t.Errorf("step %d, plain: %v", k, err)
		}
	}
}

// A table whose rows are updated as they are read must end as the same matrix
// under dense AdamW, rows never read and rows not read for long included.
func TestTableIsDenseAdamW(t *testing.T) {
	const rows, width, steps = 600, 8, 400
	rng := rand.New(rand.NewPCG(1, 2))
	initial := make([]float32, rows*width)
	for i := range initial {
		initial[i] = float32(rng.NormFloat64())
	}
	for _, accum := range []int{1, 2} {
		t.Run(fmt.Sprintf("accumulation %d", accum), func(t *testing.T) {
			config := &Config{Settings: Settings{LearningRate: 1e-2, WeightDecay: 0.1, GradClip: 1}}
			schedule := Schedule{"linear", 40, steps + 10}
			make1 := func(table string) (*weights, *optimizer) {
				w := testWeights(t, []*parameter{
					{name: "table", shape: []int64{rows, width}, table: table},
					{name: "other", shape: []int64{3}},
				}, map[string][]float32{"table": initial, "other": {1, 2, 3}})
				return w, newOptimizer(w, schedule, config)
			}
			denseW, dense := make1("")
			tableW, lazy := make1("input_ids")
			if len(lazy.tables) != 1 || len(dense.tables) != 0 {
				t.Fatal("the table is not treated as one")
			}
			grad := lazy.gradientRows()["table"]
			for range steps {
				for k := range accum {
					ids := make([]int64, 6)
					for i := range ids {
						ids[i] = int64(math.Abs(rng.NormFloat64()) * 60) // some often, some hardly, some never
					}
					lazy.fetch(&batch{inputs: map[string]ort.Array{"input_ids": {I64: ids}}})
					dg, lg := param(denseW, "table").grad, param(tableW, "table").grad
					if k == 0 { // else the machine adds to what is there
						clear(dg)
						clear(lg)
						clear(param(denseW, "other").grad)
						clear(param(tableW, "other").grad)
						grad.Reset()
					}
					for _, id := range ids {
						grad.Add(int(id), rows)
						for j := range width {
							g := float32(rng.NormFloat64())
							dg[int(id)*width+j] += g
							lg[int(id)*width+j] += g
						}
						// A row that is read has the value that dense AdamW gives it.
						at := int(id) * width
						if err := closeTo(param(tableW, "table").value[at:at+width], param(denseW, "table").value[at:at+width], 1e-5); err != nil {
							t.Fatalf("after %d steps, row %d: %v", lazy.steps, id, err)
						}
					}
					for i := range 3 {
						g := float32(rng.NormFloat64())
						param(denseW, "other").grad[i] += g
						param(tableW, "other").grad[i] += g
					}
				}
				dn, ln := dense.norm(), lazy.norm()
				if math.Abs(dn-ln) > 1e-5*dn {
					t.Fatalf("norm %v, dense %v", ln, dn)
				}
				dense.step(dn)
				lazy.step(ln)
			}
			lazy.flush()
			for _, name := range []string{"table", "other"} {
				if err := closeTo(param(tableW, name).value, param(denseW, name).value, 1e-5); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			if err := closeTo(param(tableW, "table").m, param(denseW, "table").m, 1e-5); err != nil {
				t.Errorf("first moment: %v", err)
			}
			if err := closeTo(param(tableW, "table").v, param(denseW, "table").v, 1e-5); err != nil {
				t.Errorf("second moment: %v", err)
			}
		})
	}
}

func TestDecayAndOrder(t *testing.T) {
	w := testWeights(t, []*parameter{
		{name: "head.bias", shape: []int64{2}, head: true},
		{name: "table", shape: []int64{600, 4}, table: "input_ids"},
		{name: "norm", shape: []int64{1, 4}},
		{name: "kernel", shape: []int64{4, 4}},
		{name: "scalar", shape: nil},
		{name: "head.kernel", shape: []int64{4, 2}, head: true},
	}, nil)
	for name, want := range map[string]bool{"head.bias": false, "table": true, "norm": false, "kernel": true, "scalar": false, "head.kernel": true} {
		if got := param(w, name).decays(); got != want {
			t.Errorf("%s decays: %v", name, got)
		}
	}
	o := newOptimizer(w, Schedule{"constant", 0, 1}, &Config{})
	if len(o.spans) != 4 || len(o.tables) != 1 {
		t.Errorf("%d spans, %d tables", len(o.spans), len(o.tables))
	}
	if w.count() != 2+2400+4+16+1+8 {
		t.Errorf("%d values", w.count())
	}
}

// The norm of the gradient is the same to the bit on any number of threads.
func TestNormDoesNotDependOnThreads(t *testing.T) {
	const rows, width = 3000, 48
	w := testWeights(t, []*parameter{
		{name: "table", shape: []int64{rows, width}, table: "input_ids"},
		{name: "kernel", shape: []int64{400, 301}},
		{name: "bias", shape: []int64{301}},
	}, nil)
	o := newOptimizer(w, Schedule{"constant", 0, 1}, &Config{})
	rng := rand.New(rand.NewPCG(3, 4))
	var want float64
	fill := func(x []float32) {
		for i := range x {
			x[i] = float32(rng.NormFloat64())
			want += float64(x[i]) * float64(x[i])
		}
	}
	table := o.tables[0]
	for i := range 1100 {
		r := i * 7919 % rows
		table.rows.Add(r, rows)
		fill(table.row(table.param.grad, int32(r)))
	}
	fill(param(w, "kernel").grad)
	fill(param(w, "bias").grad)
	want = math.Sqrt(want)

	defer parallel.SetThreads(parallel.Threads())
	parallel.SetThreads(1)
	one := o.norm()
	if math.Abs(one-want) > 1e-9*want {
		t.Errorf("norm %v, want %v", one, want)
	}
	for n := 2; n <= 8; n++ {
		parallel.SetThreads(n)
		if got := o.norm(); got != one {
			t.Errorf("norm %v on %d threads, %v on one", got, n, one)
		}
	}
}
