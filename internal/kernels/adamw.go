package kernels

import (
	"math"

	"github.com/ftk-go/ftk/internal/parallel"
)

// AdamWStep holds the settings of one step of AdamW: Loshchilov & Hutter, arXiv:1711.05101, with the arithmetic of
// torch.optim.AdamW.
type AdamWStep struct {
	LR           float64
	Beta1, Beta2 float64
	Eps          float64
	WeightDecay  float64 // decoupled: the parameter is multiplied by 1 - LR·WeightDecay
	BiasCorr1    float64 // 1 - Beta1ᵗ, where t counts steps from 1
	BiasCorr2    float64 // 1 - Beta2ᵗ
	GradScale    float32 // factor of the gradient (clipping, mean of accumulated batches); 1 for none
}

// adamWScalars are the factors of the innermost loop; assembly knows their order.
type adamWScalars = [8]float32

const (
	gradScale = iota
	oneMinusBeta1
	beta2
	oneMinusBeta2
	rsqrtBiasCorr2 // 1/√(1-β2ᵗ)
	epsilon
	stepSize // LR/(1-β1ᵗ)
	decay    // 1 - LR·WeightDecay
)

// AdamW updates param and its moments m and v in place; grad is left as it is. All slices are equally long.
func AdamW(param, grad, m, v []float32, s AdamWStep) {
	same("AdamW", len(param), len(grad), len(m), len(v))
	t := adamWTasks.Get()
	*t = adamWTask{param, grad, m, v, adamWScalars{
		gradScale:      s.GradScale,
		oneMinusBeta1:  float32(1 - s.Beta1),
		beta2:          float32(s.Beta2),
		oneMinusBeta2:  float32(1 - s.Beta2),
		rsqrtBiasCorr2: float32(1 / math.Sqrt(s.BiasCorr2)),
		epsilon:        float32(s.Eps),
		stepSize:       float32(s.LR / s.BiasCorr1),
		decay:          float32(1 - s.LR*s.WeightDecay),
	}}
	parallel.Run(len(param), cheapGrain/2, t)
	*t = adamWTask{}
	adamWTasks.Put(t)
}

type adamWTask struct {
	param, grad, m, v []float32
	scalars           adamWScalars
}

var adamWTasks parallel.Free[adamWTask]

func (t *adamWTask) Chunk(_, lo, hi int) {
	vec.adamW(t.param[lo:hi], t.grad[lo:hi], t.m[lo:hi], t.v[lo:hi], &t.scalars)
}
