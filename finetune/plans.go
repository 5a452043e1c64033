package finetune

import (
	"fmt"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/lower"
	"github.com/ftk-go/ftk/internal/op"
	"github.com/ftk-go/ftk/internal/ort"
	"github.com/ftk-go/ftk/internal/vm"
)

// maxPlans bounds how many shapes are kept ready: for training and for
// evaluation nearly every length of a model of 512 positions; see lengthStep.
const maxPlans = 320

// keptFor is for how many batches a plan is kept that none of them needs. To
// make one takes milliseconds, so that rare shapes cost next to nothing, and
// memory does not grow with what has been seen.
const keptFor = 1024

// planKey is a shape: examples and padded tokens of a batch.
type planKey struct {
	rows, seq int
	train     bool // with loss, gradient and dropout
	adds      bool // the gradient can be added to that of other batches, or parts of one
}

// plan is a graph lowered for one shape: forward, and for training loss and
// backward. Weights, gradients and arena are those of all plans.
type plan struct {
	machine *vm.Machine
	inputs  map[string]planInput
	outputs map[string]*G.Node
	labels  []int64   // nil in an evaluation plan
	weight  []float32 // of the loss, whose gradient is computed
	dropout []float32 // mask; nil where there is none
	loss    *G.Node
	copies  [][2][]float32 // gradients that are also those of another initializer: to, from
	used    int            // for the choice of what to drop
}

// plans makes plans of a graph when a shape first occurs and keeps them.
type plans struct {
	graph     *graph.Graph // in canonical form
	opset     int64
	objective *objective // nil: the graph is never trained
	made      map[planKey]*plan
	arena     *vm.Arena
	// consts are the frozen initializers, and params the trainable ones, as
	// tensors that all plans share.
	consts, params map[string]*tensor.Dense
	rows           map[string]*op.Rows // of tables, by name
	inputs         map[string][]float32
	groups         bool // several batches make a step
	clock          int
	profile        bool // measure operators; see vm.Options.Profile
}

// objective is what a graph is trained for.
type objective struct {
	weights   *weights
	logits    string // the output that the loss is of
	dropoutAt string // the value before which there is dropout; "": none
	dropout   float64
	loss      string
	smoothing float64
}

// newPlans prepares plans of a graph in canonical form, which compute in the
// given arena.
func newPlans(g *graph.Graph, opset int64, o *objective, arena *vm.Arena) *plans {
	p := &plans{graph: g, opset: opset, objective: o, arena: arena, made: map[planKey]*plan{},
		consts: map[string]*tensor.Dense{}, params: map[string]*tensor.Dense{}, rows: map[string]*op.Rows{}, inputs: map[string][]float32{}}
	if o != nil {
		for _, w := range o.weights.params {
			p.params[w.name] = dense(w.shape, w.value)
		}
	}
	return p
}

// dense makes a tensor on memory; a scalar's shape is empty.
func dense[T float32 | int64 | int32 | bool](shape []int64, data []T) *tensor.Dense {
	dims := make([]int, len(shape))
	for i, d := range shape {
		dims[i] = int(d)
	}
	if len(dims) == 0 {
		return tensor.New(tensor.WithShape(), tensor.WithBacking(data))
	}
	return tensor.New(tensor.WithShape(dims...), tensor.WithBacking(data))
}

// get returns the plan for a batch.
func (p *plans) get(b *batch, train bool) (*plan, error) {
	p.clock++
	key := planKey{len(b.examples), b.seq, train, train && (p.groups || b.before > 0 || b.more)}
	if got, ok := p.made[key]; ok {
		got.used = p.clock
		return got, nil
	}
	p.drop()
	made, err := p.make(b, key)
	if err != nil {
		return nil, fmt.Errorf("plan for %d × %d tokens: %w", key.rows, key.seq, err)
	}
	made.used = p.clock
	p.made[key] = made
	return made, nil
}

// drop closes plans that have not been used for long, and, so that there is
// room for another, the one that has not for longest.
func (p *plans) drop() {
	var oldest planKey
	first := true
	for k, v := range p.made {
		if p.clock-v.used > keptFor {
			p.remove(k)
		} else if first || v.used < p.made[oldest].used {
			oldest, first = k, false
		}
	}
	if len(p.made) >= maxPlans {
		p.remove(oldest)
	}
}

func (p *plans) remove(k planKey) {
	p.made[k].machine.Close()
	delete(p.made, k)
}

func (p *plans) close() {
	for _, v := range p.made {
		v.machine.Close()
	}
	clear(p.made)
}

func (p *plans) make(b *batch, key planKey) (pl *plan, err error) {
	defer func() {
		if r := recover(); r != nil { // gorgonia reports some errors by panicking
			pl, err = nil, fmt.Errorf("%v", r)
		}
	}()
	o := lower.Options{Opset: p.opset, Inputs: map[string]lower.Shape{}, Params: p.params, Consts: p.consts, ShareConsts: true}
	pl = &plan{inputs: map[string]planInput{}}
	for _, in := range p.graph.Inputs {
		a, ok := b.inputs[in.Name]
		if !ok {
			return nil, fmt.Errorf("nothing feeds input %q", in.Name)
		}
		s := lower.Shape{DType: graph.DType(a.DType())}
		for _, d := range a.Shape {
			s.Dims = append(s.Dims, int(d))
		}
		o.Inputs[in.Name] = s
	}
	dropoutInput := ""
	if key.train && p.objective.dropout > 0 && p.objective.dropoutAt != "" {
		o.Dropout = map[string]bool{p.objective.dropoutAt: true}
		dropoutInput = lower.DropoutInput(p.objective.dropoutAt)
	}
	low, err := lower.Lower(p.graph, o)
	if err != nil {
		return nil, err
	}
	for name, node := range low.Inputs {
		d, err := p.inputTensor(name, node)
		if err != nil {
			return nil, fmt.Errorf("input %q: %w", name, err)
		}
		if err := G.Let(node, d); err != nil {
			return nil, fmt.Errorf("input %q: %w", name, err)
		}
		if name == dropoutInput {
			pl.dropout = d.Float32s()
		} else {
			pl.inputs[name] = planInputOf(d)
		}
	}
	pl.outputs = low.Outputs
	vo := vm.Options{Arena: p.arena, Profile: p.profile}
	for _, v := range p.graph.Outputs {
		vo.Keep = append(vo.Keep, low.Outputs[v.Name])
	}
	if key.train {
		if err := p.differentiate(pl, low, key, &vo); err != nil {
			return nil, err
		}
	}
	pl.machine, err = vm.New(low.Graph, vo)
	if err == nil && key.train && pl.machine.PlannedBytes() > recomputeFrom {
		pl.machine.Close()
		vo.Recompute = true
		pl.machine, err = vm.New(low.Graph, vo)
	}
	return pl, err
}

// recomputeFrom is the memory, in bytes, from which a training step computes
// activations and layer norms a second time rather than keep them: a third
// less memory for a transformer, for about 1 % of time.
const recomputeFrom = 512 << 20

// differentiate adds loss and gradients to the graph; gradients are written to
// the buffers of the weights.
func (p *plans) differentiate(pl *plan, low *lower.Lowered, key planKey, vo *vm.Options) error {
	o := p.objective
	logits := low.Outputs[o.logits]
	if logits == nil {
		return fmt.Errorf("the trainable part has no output %q", o.logits)
	}
	labels := G.NewTensor(low.Graph, tensor.Int64, 1, G.WithShape(key.rows), G.WithName("labels"))
	pl.labels = make([]int64, key.rows)
	if err := G.Let(labels, dense([]int64{int64(key.rows)}, pl.labels)); err != nil {
		return err
	}
	var err error
	switch o.loss {
	case LossHinge:
		pl.loss, err = op.Hinge(logits, labels)
	default:
		pl.loss, err = op.CrossEntropy(logits, labels, float32(o.smoothing))
	}
	if err != nil {
		return err
	}
	var wrt G.Nodes
	var of []*parameter
	for _, w := range o.weights.params {
		node, ok := low.Params[w.name]
		if !ok {
			return fmt.Errorf("initializer %q does not lead to the output", w.name)
		}
		wrt, of = append(wrt, node), append(of, w)
	}
	weight := G.NewVector(low.Graph, tensor.Float32, G.WithShape(1), G.WithName("weight of the loss"))
	pl.weight = []float32{1}
	if err := G.Let(weight, dense([]int64{1}, pl.weight)); err != nil {
		return err
	}
	grads, err := G.Backpropagate(G.Nodes{pl.loss}, G.Nodes{weight}, wrt)
	if err != nil {
		return fmt.Errorf("gradient: %w", err)
	}
	vo.Keep = append(vo.Keep, pl.loss)
	vo.Accumulate = key.adds
	vo.Outputs = map[*G.Node][]float32{}
	vo.Rows = map[*G.Node]*op.Rows{}
	for i, g := range grads {
		if first, twice := vo.Outputs[g]; twice { // two biases of one sum
			pl.copies = append(pl.copies, [2][]float32{of[i].grad, first})
			continue
		}
		vo.Outputs[g] = of[i].grad
		if rows := p.rows[of[i].name]; rows != nil {
			vo.Rows[g] = rows
		}
	}
	return nil
}

// inputTensor makes the tensor that an input node reads. Plans share the
// memory of inputs of one name, since one runs at a time.
func (p *plans) inputTensor(name string, n *G.Node) (*tensor.Dense, error) {
	shape := make([]int64, len(n.Shape()))
	size := 1
	for i, d := range n.Shape() {
		shape[i] = int64(d)
		size *= d
	}
	switch n.Dtype() {
	case tensor.Float32:
		if len(p.inputs[name]) < size {
			p.inputs[name] = alignedFloats(max(size, 2*len(p.inputs[name])))
		}
		return dense(shape, p.inputs[name][:size]), nil
	case tensor.Int64:
		return dense(shape, make([]int64, size)), nil
	case tensor.Int32:
		return dense(shape, make([]int32, size)), nil
	case tensor.Bool:
		return dense(shape, make([]bool, size)), nil
	}
	return nil, fmt.Errorf("dtype %v cannot be fed", n.Dtype())
}

// run feeds a batch and runs the plan.
func (pl *plan) run(b *batch) error {
	if err := pl.feed(b); err != nil {
		return err
	}
	if err := pl.machine.RunAll(); err != nil {
		return err
	}
	for _, c := range pl.copies {
		copy(c[0], c[1])
	}
	return nil
}

// share makes the runs that follow count with a weight in the gradient of a
// step, and add it to what is there of others or, the first, overwrite it.
func (pl *plan) share(weight float32, first bool) error {
	pl.weight[0] = weight
	return pl.machine.SetAccumulate(!first)
}

// planInput is the memory of one input of a plan; one of the slices is set.
type planInput struct {
	f32  []float32
	i64  []int64
	i32  []int32
	bool []bool
}

// planInputOf gives the memory of a tensor that inputTensor made.
func planInputOf(d *tensor.Dense) (in planInput) {
	switch d.Dtype() { // Data would allocate
	case tensor.Float32:
		in.f32 = d.Float32s()
	case tensor.Int64:
		in.i64 = d.Int64s()
	case tensor.Int32:
		in.i32 = d.Int32s()
	case tensor.Bool:
		in.bool = d.Bools()
	}
	return in
}

func (in planInput) feed(a ort.Array) error {
	if len(in.f32) != len(a.F32) || len(in.i64) != len(a.I64) || len(in.i32) != len(a.I32) || len(in.bool) != len(a.Bool) {
		return fmt.Errorf("%v %v does not fit", a.DType(), a.Shape)
	}
	copy(in.f32, a.F32)
	copy(in.i64, a.I64)
	copy(in.i32, a.I32)
	copy(in.bool, a.Bool)
	return nil
}

// feed copies a batch into the inputs of the plan.
func (pl *plan) feed(b *batch) error {
	for name, in := range pl.inputs {
		if err := in.feed(b.inputs[name]); err != nil {
			return fmt.Errorf("input %q: %w", name, err)
		}
	}
	copy(pl.labels, b.labels)
	return nil
}

// lossValue returns the loss of the last run.
func (pl *plan) lossValue() (float32, error) {
	switch v := pl.loss.Value().(type) {
	case *G.F32:
		return float32(*v), nil
	case *tensor.Dense:
		switch x := v.Data().(type) {
		case float32:
			return x, nil
		case []float32:
			return x[0], nil
		}
	}
	return 0, fmt.Errorf("loss is %T", pl.loss.Value())
}

// output returns an output of the last run; it is overwritten by the next. Its
// shape is put into the memory of the one given.
func (pl *plan) output(name string, shape []int64) (ort.Array, error) {
	node := pl.outputs[name]
	if node == nil {
		return ort.Array{}, fmt.Errorf("there is no output %q", name)
	}
	d, ok := node.Value().(*tensor.Dense)
	if !ok {
		return ort.Array{}, fmt.Errorf("output %q is %T", name, node.Value())
	}
	a := ort.Array{Shape: shape[:0]}
	for _, n := range d.Shape() {
		a.Shape = append(a.Shape, int64(n))
	}
	in := planInputOf(d)
	a.F32, a.I64, a.I32, a.Bool = in.f32, in.i64, in.i32, in.bool
	return a, nil
}
