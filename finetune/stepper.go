package finetune

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"github.com/ftk-go/ftk/finetune/dataset"
	"github.com/ftk-go/ftk/internal/blas"
	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/kernels"
	"github.com/ftk-go/ftk/internal/ort"
	"github.com/ftk-go/ftk/internal/parallel"
	"github.com/ftk-go/ftk/internal/vm"
	"github.com/ftk-go/ftk/models"
)

// StepperOptions say what batch a Stepper trains on.
type StepperOptions struct {
	Rows, Tokens int // examples, and tokens of each, all of them real
	Labels       int // number of classes
	Forward      bool
	Profile      bool
}

// Stepper repeats the training step of Run on batches that it makes up:
// forward, backward, clipping, AdamW. With StepperOptions.Forward it computes
// the logits of one batch only. It is for benchmarks and profiles.
type Stepper struct {
	gcPercent int // as it was
	net       *network
	opt       *optimizer // nil: forward only
	plan      *plan
	batch     *batch
	rng       *rand.Rand // draws tokens; nil: they stay
	drawn     uint64
	profile   bool
	outside   [2]vm.OpProfile // the gradient's norm, AdamW
}

// NewStepper prepares steps on a model of which nothing is frozen
// (Settings.Freeze "none"); the settings of data are not read.
func NewStepper(m *graph.Model, s Settings, o StepperOptions) (*Stepper, error) {
	if s.HeadLearningRate == 0 {
		s.HeadLearningRate = s.LearningRate
	}
	parallel.SetThreads(s.Threads)
	blas.Init()
	labels := make([]string, o.Labels)
	for i := range labels {
		labels[i] = strconv.Itoa(i)
	}
	net, err := newNetwork(m, &s, labels)
	if err != nil {
		return nil, err
	}
	if net.parts.Prefix != nil {
		return nil, fmt.Errorf("stepper: with --freeze %s a part of the model is frozen; it takes one of which all is trained", s.Freeze)
	}
	st := &Stepper{net: net, rng: rand.New(rand.NewPCG(s.Seed, 0x73746570)), gcPercent: debug.SetGCPercent(gcPercent)}
	if st.batch, err = net.sampleBatch(o, st.rng); err != nil {
		st.Close()
		return nil, err
	}
	if !o.Forward {
		// Long enough for the decay sums of any benchmark.
		st.opt = newOptimizer(net.weights, Schedule{Kind: "constant", Total: 1 << 16}, &Config{Settings: s})
		net.plans.rows = st.opt.gradientRows()
	}
	net.plans.profile, st.profile = o.Profile, o.Profile
	st.outside = outsideOperators
	debug.FreeOSMemory() // what reading the model left behind, as in Run
	if st.plan, err = net.plans.get(st.batch, !o.Forward); err != nil {
		st.Close()
		return nil, err
	}
	return st, nil
}

// sampleBatch makes a batch of random tokens, without padding.
func (n *network) sampleBatch(o StepperOptions, rng *rand.Rand) (*batch, error) {
	b := &batch{batchPlan: batchPlan{examples: make([]dataset.Example, o.Rows), seq: o.Tokens}, inputs: map[string]ort.Array{}}
	for range o.Rows {
		b.labels = append(b.labels, rng.Int64N(int64(o.Labels)))
	}
	for _, in := range n.suffix.Inputs {
		if err := n.canFeed(in); err != nil {
			return nil, err
		}
		if in.Type != nil && in.Type.Elem != graph.Int64 {
			return nil, fmt.Errorf("stepper: input %q is %v, not int64", in.Name, in.Type.Elem)
		}
		ids := make([]int64, o.Rows*o.Tokens)
		for i := range ids {
			switch n.roles[in.Name] {
			case models.InputIDs:
				ids[i] = rng.Int64N(max(n.info.VocabSize, 1))
			case models.AttentionMask:
				ids[i] = 1
			case models.PositionIDs:
				ids[i] = int64(i % o.Tokens)
			}
		}
		b.inputs[in.Name] = ort.Array{Shape: []int64{int64(o.Rows), int64(o.Tokens)}, I64: ids}
	}
	return b, nil
}

// redraw makes other tokens: each step reads other rows of the embeddings, as in
// training.
func (s *Stepper) redraw() {
	if s.rng == nil {
		return
	}
	for name, in := range s.batch.inputs {
		if s.net.roles[name] == models.InputIDs {
			for i := range in.I64 {
				in.I64[i] = s.rng.Int64N(max(s.net.info.VocabSize, 1))
			}
		}
	}
}

// Step does one step, on new tokens, and returns its loss; or a forward pass of
// the same tokens, and 0.
func (s *Stepper) Step() (float32, error) {
	if s.opt == nil {
		return 0, s.plan.run(s.batch)
	}
	s.redraw()
	s.opt.fetch(s.batch)
	if s.plan.dropout != nil {
		s.drawn++
		kernels.DropoutMask(s.plan.dropout, s.net.dropout, s.drawn, 0)
	}
	if err := s.plan.run(s.batch); err != nil {
		return 0, err
	}
	loss, err := s.plan.lossValue()
	if err != nil {
		return 0, err
	}
	if !s.profile {
		s.opt.step(s.opt.norm())
		return loss, nil
	}
	begin := time.Now()
	norm := s.opt.norm()
	between := time.Now()
	s.opt.step(norm)
	for i, d := range []time.Duration{between.Sub(begin), time.Since(between)} {
		s.outside[i].Calls++
		s.outside[i].Time += d
	}
	return loss, nil
}

var outsideOperators = [2]vm.OpProfile{{Op: "norm of the gradient"}, {Op: "AdamW"}}

// FLOP counts the multiplications and additions in the matrix products of one
// step of the model as it is written: with B examples of S tokens, L layers of
// width H whose weight matrices have P elements in all, forward takes 2·P·B·S
// for them and 4·L·B·S²·H for attention's two products; backward twice that.
// Embeddings, head and what is recomputed are not counted.
func (s *Stepper) FLOP() float64 {
	rows, tokens := float64(len(s.batch.examples)), float64(s.batch.seq)
	var forward float64
	for _, l := range s.net.info.Layers {
		for _, v := range l.Initializers {
			if v.Init != nil && len(v.Init.Dims) == 2 {
				forward += 2 * float64(v.Init.Dims[0]*v.Init.Dims[1]) * rows * tokens
			}
		}
		forward += 4 * rows * tokens * tokens * float64(s.net.info.HiddenSize)
	}
	if s.opt == nil {
		return forward
	}
	return 3 * forward
}

// Profile tells what the operators of forward and backward cost since the last
// call, the gradient's norm and the optimiser, longest first;
// StepperOptions.Profile must have been set.
func (s *Stepper) Profile() []vm.OpProfile {
	p := append(s.plan.machine.Profile(), s.outside[:]...)
	slices.SortStableFunc(p, func(a, b vm.OpProfile) int { return cmp.Compare(b.Time, a.Time) })
	s.plan.machine.ResetProfile()
	s.outside = outsideOperators
	return p
}

// Close lets go of the memory.
func (s *Stepper) Close() {
	s.net.close()
	debug.SetGCPercent(s.gcPercent)
}
