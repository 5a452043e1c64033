package finetune

import (
	"math"

	"github.com/ftk-go/ftk/internal/kernels"
	"github.com/ftk-go/ftk/internal/op"
	"github.com/ftk-go/ftk/internal/parallel"
)

// table is an embedding table, of which a batch touches few rows. Dense AdamW
// would still change every row at every step: moments decay, and so do the
// weights. A table does that work when a row is next read: the steps that the
// row missed are replayed then, with a gradient of zero, each at its own
// learning rate. After replaySteps of them the first moment is below 10⁻⁵ of
// what it was, and what is left of its effect below the rounding of the
// weights, so the rest of a long absence is done in one go.
type table struct {
	param *parameter
	width int
	last  []int32   // step up to which each row is done
	rows  op.Rows   // rows whose gradient may differ from zero
	stale []int32   // reused list of rows to bring up to date
	seen  op.Rows   // rows of the batch
	zero  []float32 // a row's gradient where there is none

	update updateTask
	replay replayTask
}

const replaySteps = 128

// tableRows is the number of rows from which a table is worth treating so. It
// is a variable for tests with small models.
var tableRows int64 = 512

func newTable(p *parameter) *table {
	return &table{param: p, width: int(p.shape[1]), last: make([]int32, p.shape[0]), zero: make([]float32, p.shape[1])}
}

func (t *table) row(x []float32, r int32) []float32 {
	return x[int(r)*t.width : (int(r)+1)*t.width]
}

// collect lists the rows that a batch reads, each once.
func (t *table) collect(ids []int64) {
	t.seen.Reset()
	for _, id := range ids {
		if id >= 0 && id < int64(len(t.last)) { // the embedding itself reports others
			t.seen.Add(int(id), len(t.last))
		}
	}
	t.stale = append(t.stale[:0], t.seen.Index...)
}

func (t *table) allStale(steps int) []int32 {
	t.stale = t.stale[:0]
	for r, done := range t.last {
		if int(done) < steps {
			t.stale = append(t.stale, int32(r))
		}
	}
	return t.stale
}

// step updates the rows that have a gradient; they are up to date, since the
// batch read them.
func (t *table) step(o *optimizer, s kernels.AdamWStep) {
	t.update = updateTask{t, t.rows.Index, s, int32(o.steps + 1)}
	parallel.Run(len(t.update.rows), 16, &t.update)
}

// updateTask is one step of some rows.
type updateTask struct {
	*table
	rows []int32
	step kernels.AdamWStep
	done int32
}

// Chunk updates rows lo to hi of the list.
func (u *updateTask) Chunk(_, lo, hi int) {
	p := u.param
	for _, r := range u.rows[lo:hi] {
		kernels.AdamW(u.row(p.value, r), u.row(p.grad, r), u.row(p.m, r), u.row(p.v, r), u.step)
		u.last[r] = u.done
	}
}

// catchUp replays the steps that rows have missed.
func (o *optimizer) catchUp(t *table, rows []int32) {
	t.replay = replayTask{t, rows, o}
	parallel.Run(len(rows), 4, &t.replay)
}

// replayTask brings some rows up to date.
type replayTask struct {
	*table
	rows []int32
	o    *optimizer
}

// Chunk brings rows lo to hi of the list up to date.
func (p *replayTask) Chunk(_, lo, hi int) {
	for _, r := range p.rows[lo:hi] {
		p.o.replay(p.table, r)
	}
}

// replay makes up for the steps that a row has missed.
func (o *optimizer) replay(t *table, r int32) {
	from := int(t.last[r])
	if from == o.steps {
		return
	}
	t.last[r] = int32(o.steps)
	p := t.param
	value, m, v := t.row(p.value, r), t.row(p.m, r), t.row(p.v, r)
	touched := !isZero(m) || !isZero(v) // else there is nothing but weight decay
	if touched {
		replayed := min(o.steps, from+replaySteps)
		for ; from < replayed; from++ {
			kernels.AdamW(value, t.zero, m, v, o.kernelStep(from, p.head, p.decays(), 1))
		}
	}
	skipped := o.steps - from
	if skipped == 0 {
		return
	}
	if decay := o.decayOver(from, o.steps, p); decay != 1 {
		kernels.Scale(value, value, float32(decay))
	}
	if touched {
		kernels.Scale(m, m, float32(math.Pow(o.beta1, float64(skipped))))
		kernels.Scale(v, v, float32(math.Pow(o.beta2, float64(skipped))))
	}
}

// decayOver is the product of the weight decay's factors over some steps.
func (o *optimizer) decayOver(from, to int, p *parameter) float64 {
	if o.decay == 0 || !p.decays() {
		return 1
	}
	sums := o.decaySums
	if p.head {
		sums = o.headDecaySums
	}
	return math.Exp(sums[to] - sums[from])
}

// sumDecay gives, for each number of steps, the sum of the logarithms of their
// decay factors.
func (o *optimizer) sumDecay(head bool) []float64 {
	sums := make([]float64, o.schedule.Total+1)
	for n := range o.schedule.Total {
		s := o.kernelStep(n, head, true, 1)
		sums[n+1] = sums[n] + math.Log1p(-s.LR*s.WeightDecay)
	}
	return sums
}

func isZero(x []float32) bool {
	for _, v := range x {
		if v != 0 {
			return false
		}
	}
	return true
}
