package vm_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/ftk-go/ftk/internal/gradcheck"
	"github.com/ftk-go/ftk/internal/op"
	"github.com/ftk-go/ftk/internal/vm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func run(t testing.TB, m G.VM) {
	t.Helper()
	if err := m.RunAll(); err != nil {
		t.Fatal(err)
	}
	m.Reset()
}

// result copies loss and gradients, the loss first.
func (t *encoderGraph) result() [][]float32 {
	var r [][]float32
	for _, n := range append(G.Nodes{t.loss}, t.grads...) {
		d, err := op.Dense(n.Value())
		if err != nil {
			panic(err)
		}
		r = append(r, slices.Clone(d.Float32s()))
	}
	return r
}

func (t *encoderGraph) keep() G.Nodes { return append(G.Nodes{t.loss}, t.grads...) }

func compare(t testing.TB, e *encoder, got, want [][]float32, tol float64) {
	t.Helper()
	for i := range want {
		name := "loss"
		if i > 0 {
			name = "gradient of " + e.names[i-1]
		}
		// What cancels out in theory (the bias of k) is compared on the scale of the others.
		scale := 1.0
		if strings.HasSuffix(name, "k.b") {
			scale = 1e-2
		}
		if d := gradcheck.Distance(got[i], want[i]); !(d*scale <= tol) {
			t.Errorf("%s: off by %.2g", name, d)
		}
	}
}

func TestEncoderAgainstTapeMachine(t *testing.T) {
	e := newEncoder(50, 32, 4, 64, 2, 3)
	reference := e.graph(3, 7)
	reference.fill(e, 1)
	tape := G.NewTapeMachine(reference.g)
	defer tape.Close()
	run(t, tape)
	want := reference.result()

	planned := e.graph(3, 7)
	planned.fill(e, 1)
	m, err := vm.New(planned.g, vm.Options{Keep: planned.keep(), Poison: true})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for range 2 {
		run(t, m)
		compare(t, e, planned.result(), want, 2e-5)
	}
	t.Logf("%d steps, planned %d bytes, unplanned %d", m.Steps(), m.PlannedBytes(), m.UnplannedBytes())
	if m.PlannedBytes()*2 > m.UnplannedBytes() {
		t.Errorf("planned %d bytes of %d: memory is hardly used again", m.PlannedBytes(), m.UnplannedBytes())
	}
}

func TestRecompute(t *testing.T) {
	e := newEncoder(50, 32, 4, 128, 4, 3)
	var results [2][][]float32
	var bytes [2]int
	for i, again := range []bool{false, true} {
		tr := e.graph(3, 7)
		tr.fill(e, 1)
		m, err := vm.New(tr.g, vm.Options{Keep: tr.keep(), Poison: true, Recompute: again})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		run(t, m)
		results[i], bytes[i] = tr.result(), m.PlannedBytes()
	}
	compare(t, e, results[1], results[0], 0)
	t.Logf("%d bytes, %d with recomputation", bytes[0], bytes[1])
	if bytes[1]*10 > bytes[0]*8 {
		t.Errorf("recomputation needs %d bytes of %d", bytes[1], bytes[0])
	}
}

// A step's memory grows with the sequence, not with its square: no scores of attention are kept.
func TestMemoryIsLinearInTheSequence(t *testing.T) {
	e := newEncoder(50, 32, 4, 64, 2, 3)
	planned := func(seq int) float64 {
		g := e.graph(2, seq)
		m, err := vm.New(g.g, vm.Options{Keep: g.keep()})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		return float64(m.PlannedBytes())
	}
	short, long := planned(128), planned(1024)
	t.Logf("%.0f bytes for 128 tokens, %.0f for 1024", short, long)
	if long > 8.1*short {
		t.Errorf("eight times the tokens take %.1f times the memory", long/short)
	}
}

func TestShapesShareAnArena(t *testing.T) {
	e := newEncoder(50, 32, 4, 64, 2, 3)
	arena := &vm.Arena{}
	shapes := [][2]int{{2, 5}, {4, 9}, {1, 3}}
	var graphs []*encoderGraph
	var machines []*vm.Machine
	var want [][][]float32
	for i, s := range shapes {
		alone := e.graph(s[0], s[1])
		alone.fill(e, uint64(i))
		m, err := vm.New(alone.g, vm.Options{Keep: alone.keep()})
		if err != nil {
			t.Fatal(err)
		}
		run(t, m)
		want = append(want, alone.result())
		m.Close()

		shared := e.graph(s[0], s[1])
		shared.fill(e, uint64(i))
		m, err = vm.New(shared.g, vm.Options{Keep: shared.keep(), Arena: arena, Poison: true})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		graphs, machines = append(graphs, shared), append(machines, m)
	}
	for range 3 {
		for i, m := range machines {
			run(t, m)
			compare(t, e, graphs[i].result(), want[i], 0)
		}
	}
	if arena.Bytes() != machines[1].PlannedBytes() {
		t.Errorf("arena has %d bytes, the largest machine needs %d", arena.Bytes(), machines[1].PlannedBytes())
	}
}

func TestOutputsAndRows(t *testing.T) {
	e := newEncoder(50, 16, 2, 32, 1, 3)
	want := e.graph(2, 4)
	m, err := vm.New(want.g, vm.Options{Keep: want.keep()})
	if err != nil {
		t.Fatal(err)
	}
	buffers := map[string][]float32{}
	rows := &op.Rows{}
	shared := e.graph(2, 4)
	o := vm.Options{Keep: G.Nodes{shared.loss}, Outputs: map[*G.Node][]float32{}, Rows: map[*G.Node]*op.Rows{shared.grads[0]: rows}, Poison: true}
	for i, n := range shared.grads {
		buffers[e.names[i]] = make([]float32, n.Shape().TotalSize())
		o.Outputs[n] = buffers[e.names[i]]
	}
	m2, err := vm.New(shared.g, o)
	if err != nil {
		t.Fatal(err)
	}
	defer m2.Close()
	for seed := range uint64(3) {
		want.fill(e, seed)
		shared.fill(e, seed)
		run(t, m)
		run(t, m2)
		compare(t, e, shared.result(), want.result(), 0)
		for i, n := range want.grads {
			if d := gradcheck.Distance(buffers[e.names[i]], n.Value().(*tensor.Dense).Float32s()); d != 0 {
				t.Errorf("seed %d: buffer of %s is off by %g", seed, e.names[i], d)
			}
		}
		seen := map[int32]bool{}
		for _, id := range shared.ids.Value().(*tensor.Dense).Int64s() {
			seen[int32(id)] = true
		}
		if len(rows.Index) != len(seen) {
			t.Errorf("%d rows named, %d ids in the batch", len(rows.Index), len(seen))
		}
	}
}

// TestAccumulate runs two batches into the same gradient buffers, with tied weights and a table that is used twice among
// what is summed.
func TestAccumulate(t *testing.T) {
	e := newEncoder(20, 16, 2, 32, 2, 3)
	e.tied = true
	want := map[string][]float32{}
	var first *encoderGraph
	for seed := range uint64(2) {
		tr := e.graph(2, 4)
		tr.fill(e, seed)
		m, err := vm.New(tr.g, vm.Options{Keep: tr.keep()})
		if err != nil {
			t.Fatal(err)
		}
		run(t, m)
		for i, g := range tr.result()[1:] {
			sum := want[e.names[i]]
			if sum == nil {
				sum = make([]float32, len(g))
				want[e.names[i]] = sum
			}
			for j := range g {
				sum[j] += g[j]
			}
		}
		first = tr
	}
	rows := &op.Rows{}
	o := vm.Options{Outputs: map[*G.Node][]float32{}, Rows: map[*G.Node]*op.Rows{first.grads[0]: rows}, Accumulate: true, Poison: true}
	for _, n := range first.grads {
		o.Outputs[n] = make([]float32, n.Shape().TotalSize())
	}
	m, err := vm.New(first.g, o)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for range 2 {
		for seed := range uint64(2) {
			if err := m.SetAccumulate(seed > 0); err != nil {
				t.Fatal(err)
			}
			first.fill(e, seed)
			run(t, m)
		}
		for i, n := range first.grads {
			if d := gradcheck.Distance(o.Outputs[n], want[e.names[i]]); d > 1e-5 && !strings.HasSuffix(e.names[i], "k.b") {
				t.Errorf("sum of gradients of %s is off by %.2g", e.names[i], d)
			}
		}
	}
}

// TestTiedWeightsAccumulateInPlace: one set of weights in all layers, as in ALBERT; its gradients sum without a buffer or
// a pass per layer.
func TestTiedWeightsAccumulateInPlace(t *testing.T) {
	e := newEncoder(20, 16, 2, 64, 6, 3)
	e.tied = true
	reference := e.graph(2, 4)
	reference.fill(e, 1)
	tape := G.NewTapeMachine(reference.g)
	defer tape.Close()
	run(t, tape)
	tr := e.graph(2, 4)
	tr.fill(e, 1)
	m, err := vm.New(tr.g, vm.Options{Keep: tr.keep(), Profile: true, Poison: true})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	run(t, m)
	compare(t, e, tr.result(), reference.result(), 2e-5)
	calls := map[string]int{}
	for _, p := range m.Profile() {
		calls[p.Op] = p.Calls
	}
	if calls["LinearGradW"] != 6+2 || calls["LinearGradW+"] != 6*5 {
		t.Errorf("calls %v: want the gradients of 6 tied matrices to be begun once and added to 5 times", calls)
	}
}

func TestNoAllocationInSteadyState(t *testing.T) {
	e := newEncoder(50, 32, 4, 64, 2, 3)
	tr := e.graph(4, 16)
	tr.fill(e, 1)
	m, err := vm.New(tr.g, vm.Options{Keep: tr.keep(), Profile: true})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	run(t, m)
	if n := testing.AllocsPerRun(20, func() { run(t, m) }); n > 0 {
		t.Errorf("%v allocations in a run", n)
	}
	if p := m.Profile(); len(p) == 0 || p[0].Calls == 0 || p[0].Bytes == 0 {
		t.Errorf("profile %v", p)
	}
}

// TestForeignOperators mixes gorgonia's own operators with ours.
func TestForeignOperators(t *testing.T) {
	build := func() (*G.ExprGraph, *G.Node, G.Nodes) {
		g := G.NewGraph()
		x := input(g, "x", []float32{1, 2, 3, 4, 5, 6}, 2, 3)
		w := input(g, "w", []float32{.1, .2, .3, -.4, .5, .6}, 3, 2)
		y := must(op.Linear(x, w, nil, op.LinearOptions{Act: op.Tanh}))
		z := must(G.Mul(must(G.Transpose(y, 1, 0)), must(G.Square(y))))
		two := G.NewConstant(float32(2))
		cost := must(G.Mul(must(G.Sum(must(op.Gelu(z, false)))), two))
		grads, err := G.Grad(cost, x, w)
		if err != nil {
			t.Fatal(err)
		}
		return g, cost, grads
	}
	g, cost, grads := build()
	tape := G.NewTapeMachine(g)
	defer tape.Close()
	run(t, tape)
	g2, cost2, grads2 := build()
	m, err := vm.New(g2, vm.Options{Keep: append(G.Nodes{cost2}, grads2...), Poison: true})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for range 2 {
		run(t, m)
		for i, n := range append(G.Nodes{cost}, grads...) {
			want, _ := op.Dense(n.Value())
			got, err := op.Dense(append(G.Nodes{cost2}, grads2...)[i].Value())
			if err != nil {
				t.Fatal(err)
			}
			if d := gradcheck.Distance(got.Float32s(), want.Float32s()); d > 1e-6 {
				t.Errorf("node %d is off by %g: %v, want %v", i, d, got, want)
			}
		}
	}
}

func TestInputsMayBeExchanged(t *testing.T) {
	g := G.NewGraph()
	x := input(g, "x", []float32{1, 2, 3, 4}, 2, 2)
	v := must(op.View(x, 2, 2)) // an alias of an input
	y := must(op.Add(v, v))
	m, err := vm.New(g, vm.Options{Keep: G.Nodes{y}})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for _, c := range []struct{ x, y []float32 }{{[]float32{1, 2, 3, 4}, []float32{6, 8}}, {[]float32{0, 0, -1, 5}, []float32{-2, 10}}} {
		if err := G.Let(x, tensor.New(tensor.WithShape(2, 2), tensor.WithBacking(c.x))); err != nil {
			t.Fatal(err)
		}
		run(t, m)
		if got := y.Value().Data().([]float32); !slices.Equal(got, c.y) {
			t.Errorf("got %v, want %v", got, c.y)
		}
	}
	if err := G.Let(x, tensor.New(tensor.WithShape(4, 1), tensor.WithBacking([]float32{1, 2, 3, 4}))); err == nil {
		if err := m.RunAll(); err == nil {
			t.Error("a value of another shape was accepted")
		}
	}
}

type faulty struct {
	op.Base
	panics bool
}

func (k *faulty) InferShape(ds ...G.DimSizer) (tensor.Shape, error) { return ds[0].(tensor.Shape), nil }
func (k *faulty) DiffWRT(n int) []bool                              { return make([]bool, n) }
func (k *faulty) SymDiff(G.Nodes, *G.Node, *G.Node) (G.Nodes, error) {
	return nil, errors.New("not differentiable")
}
func (k *faulty) Do(in ...G.Value) (G.Value, error) { return op.Do(k, in...) }
func (k *faulty) Run(out *tensor.Dense, in []*tensor.Dense) error {
	if k.panics {
		var none []float32
		none[3] = 1
	}
	return errors.New("the disk is full")
}

func TestErrorsNameTheNode(t *testing.T) {
	for _, c := range []struct {
		panics bool
		want   string
	}{{false, "the disk is full"}, {true, "index out of range"}} {
		g := G.NewGraph()
		x := input(g, "x", []float32{1, 2}, 2)
		y := must(op.Apply(&faulty{op.NewBase("Faulty", fmt.Sprint(c.panics), G.Nodes{x}, 1), c.panics}, x))
		G.WithName("/layer/3/Faulty")(y)
		m, err := vm.New(g, vm.Options{Keep: G.Nodes{y}})
		if err != nil {
			t.Fatal(err)
		}
		err = m.RunAll()
		if err == nil || !strings.Contains(err.Error(), "/layer/3/Faulty (Faulty)") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v", err)
		}
		m.Close()
		if err := m.RunAll(); err == nil {
			t.Error("a closed machine runs")
		}
	}
}

func TestCompileErrors(t *testing.T) {
	g, other := G.NewGraph(), G.NewGraph()
	x := input(g, "x", []float32{1, 2}, 2)
	y := must(op.Gelu(x, false))
	stranger := input(other, "stranger", []float32{1}, 1)
	for name, o := range map[string]vm.Options{
		"nothing kept":       {},
		"nil node":           {Keep: G.Nodes{nil}},
		"node of elsewhere":  {Keep: G.Nodes{stranger}},
		"output of a length": {Outputs: map[*G.Node][]float32{y: make([]float32, 3)}},
		"output is an input": {Outputs: map[*G.Node][]float32{x: make([]float32, 2)}},
	} {
		if _, err := vm.New(g, o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	n := G.NewVector(g, tensor.Float32, G.WithShape(2), G.WithName("without value"))
	m, err := vm.New(g, vm.Options{Keep: G.Nodes{must(op.Add(n, x))}})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.RunAll(); err == nil || !strings.Contains(err.Error(), "without value") {
		t.Errorf("error %v", err)
	}
}

func TestCancel(t *testing.T) {
	e := newEncoder(10, 8, 2, 8, 1, 2)
	tr := e.graph(1, 2)
	m, err := vm.New(tr.g, vm.Options{Keep: tr.keep()})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	m.Cancel()
	if err := m.RunAll(); !errors.Is(err, vm.ErrCanceled) {
		t.Errorf("error %v", err)
	}
	m.Reset()
	run(t, m)
}

func TestCheckFinite(t *testing.T) {
	e := newEncoder(10, 8, 2, 8, 2, 2)
	tr := e.graph(2, 3)
	tr.fill(e, 1)
	m, err := vm.New(tr.g, vm.Options{Keep: tr.keep()})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if bad, err := m.CheckFinite(); bad != nil || err != nil {
		t.Fatal(bad, err)
	}
	w := e.weights["layer1.inner.w"].Float32s()
	w[0] = 3e38
	w[8] = 3e38
	for _, h := range e.weights["layer1.norm1.g"].Float32s() {
		_ = h
	}
	e.weights["layer1.norm1.g"].Float32s()[0] = 1e5
	bad, err := m.CheckFinite()
	if err != nil || bad == nil || bad.Op != "Linear" {
		t.Errorf("overflow: %v, %v", bad, err)
	}
	w[0] = float32(math.NaN())
	bad, err = m.CheckFinite()
	if err != nil || bad == nil || bad.Node != "layer1.inner.w" || bad.Op != "input" || bad.Index != 0 {
		t.Errorf("NaN weight: %v, %v", bad, err)
	}
}
