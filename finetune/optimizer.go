package finetune

import (
	"math"

	"github.com/ftk-go/ftk/internal/kernels"
	"github.com/ftk-go/ftk/internal/op"
)

// optimizer is AdamW with decoupled weight decay (Loshchilov and Hutter,
// arXiv:1711.05101, as torch.optim.AdamW computes it), gradient clipping by
// global norm, and a learning rate of its own for the head.
//
// Of embedding tables only the rows that a batch uses are read and written;
// see table.
type optimizer struct {
	weights      *weights
	schedule     Schedule
	lr, headLR   float64
	beta1, beta2 float64
	eps          float64
	decay        float64
	clip         float64 // largest norm of the gradient; 0: any

	steps  int // done
	spans  []span
	tables []*table
	// Sums over steps, for rows of tables that were not read for long.
	decaySums, headDecaySums []float64
}

// span is a part of the flat buffers that is updated in one call.
type span struct {
	lo, hi       int
	head, decays bool
}

func newOptimizer(w *weights, s Schedule, c *Config) *optimizer {
	o := &optimizer{weights: w, schedule: s, lr: c.LearningRate, headLR: c.HeadLearningRate,
		beta1: 0.9, beta2: 0.999, eps: 1e-8, decay: c.WeightDecay, clip: c.GradClip}
	at := 0
	for _, p := range w.params {
		end := at + alignedSize(p)
		switch last := len(o.spans) - 1; {
		case p.table != "":
			o.tables = append(o.tables, newTable(p))
		case last >= 0 && o.spans[last].head == p.head && o.spans[last].decays == p.decays():
			o.spans[last].hi = end
		default:
			o.spans = append(o.spans, span{at, end, p.head, p.decays()})
		}
		at = end
	}
	if len(o.tables) > 0 {
		o.decaySums, o.headDecaySums = o.sumDecay(false), o.sumDecay(true)
	}
	return o
}

// kernelStep gives the settings of optimiser step number n, from 0.
func (o *optimizer) kernelStep(n int, head, decays bool, gradScale float32) kernels.AdamWStep {
	s := kernels.AdamWStep{
		LR: o.lr * o.schedule.Factor(n), Beta1: o.beta1, Beta2: o.beta2, Eps: o.eps,
		BiasCorr1: 1 - math.Pow(o.beta1, float64(n+1)),
		BiasCorr2: 1 - math.Pow(o.beta2, float64(n+1)),
		GradScale: gradScale,
	}
	if head {
		s.LR = o.headLR * o.schedule.Factor(n)
	}
	if decays {
		s.WeightDecay = o.decay
	}
	return s
}

// rate returns the learning rate of the next step.
func (o *optimizer) rate() float64 { return o.lr * o.schedule.Factor(o.steps) }

// gradientRows gives, for each table by name, the rows of its gradient that
// backward passes write; see vm.Options.Rows.
func (o *optimizer) gradientRows() map[string]*op.Rows {
	rows := map[string]*op.Rows{}
	for _, t := range o.tables {
		rows[t.param.name] = &t.rows
	}
	return rows
}

// norm returns the L2 norm of the gradient. It does not depend on the number
// of threads.
func (o *optimizer) norm() float64 {
	var sum float64
	for _, s := range o.spans {
		sum += kernels.SumSquares(o.weights.grad[s.lo:s.hi])
	}
	for _, t := range o.tables {
		sum += kernels.SumSquaresRows(t.param.grad, t.rows.Index, t.width)
	}
	return math.Sqrt(sum)
}

// step updates the weights by the gradient, whose norm is given, and counts.
func (o *optimizer) step(norm float64) {
	scale := float32(1)
	if o.clip > 0 {
		scale = float32(min(1, o.clip/(norm+1e-6)))
	}
	w := o.weights
	for _, s := range o.spans {
		kernels.AdamW(w.value[s.lo:s.hi], w.grad[s.lo:s.hi], w.m[s.lo:s.hi], w.v[s.lo:s.hi],
			o.kernelStep(o.steps, s.head, s.decays, scale))
	}
	for _, t := range o.tables {
		t.step(o, o.kernelStep(o.steps, t.param.head, t.param.decays(), scale))
	}
	o.steps++
}

// fetch brings the rows that the batch will read up to date.
func (o *optimizer) fetch(b *batch) {
	for _, t := range o.tables {
		t.collect(b.inputs[t.param.table].I64)
		o.catchUp(t, t.stale)
	}
}

// flush brings all rows of all tables up to date, so that values can be saved.
func (o *optimizer) flush() {
	for _, t := range o.tables {
		o.catchUp(t, t.allStale(o.steps))
	}
}
