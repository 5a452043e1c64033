package kernels

import (
	"math"

	"github.com/ftk-go/ftk/internal/parallel"
)

// LayerNorm normalises each row of x[rows, width]: dst = (x - mean)/√(var + eps)·gamma + beta, with the biased variance
// (ONNX LayerNormalization over the last axis). gamma and beta have width elements; beta may be nil.
func LayerNorm(dst, x, gamma, beta []float32, rows, width int, eps float32) {
	matrix("LayerNorm", rows, width, len(dst), len(x))
	same("LayerNorm", width, len(gamma))
	if beta == nil {
		beta = zeros(width)
	}
	same("LayerNorm", width, len(beta))
	if width == 0 {
		return
	}
	t := layerNormTasks.Get()
	*t = layerNormTask{dst: dst, x: x, gamma: gamma, beta: beta, width: width, eps: eps}
	parallel.Run(rows, rowGrain(width, costlyGrain), t)
	*t = layerNormTask{}
	layerNormTasks.Put(t)
}

type layerNormTask struct {
	dst, x, gamma, beta []float32
	width               int
	eps                 float32
}

var layerNormTasks parallel.Free[layerNormTask]

func (t *layerNormTask) Chunk(_, lo, hi int) {
	for r := lo; r < hi; r++ {
		i, j := r*t.width, (r+1)*t.width
		x := t.x[i:j]
		mean, rstd := moments(x, t.eps)
		vec.normalize(t.dst[i:j], x, t.gamma, t.beta, mean, rstd)
	}
}

// moments gives the mean of a row and 1/√(var + eps).
func moments(x []float32, eps float32) (mean, rstd float32) {
	n := float64(len(x))
	mean = float32(float64(vec.sum(x)) / n)
	rstd = float32(1 / math.Sqrt(float64(vec.squaresAround(x, mean))/n+float64(eps)))
	return mean, rstd
}

// LayerNormGrad is the gradient of LayerNorm: dx[rows, width], and dgamma, dbeta[width], each of which may be nil if not
// wanted. Mean and variance are computed anew from x. dx may be dy.
func LayerNormGrad(dx, dgamma, dbeta, x, gamma, dy []float32, rows, width int, eps float32) {
	matrix("LayerNormGrad", rows, width, len(x), len(dy))
	same("LayerNormGrad", width, len(gamma))
	if dx != nil {
		same("LayerNormGrad", len(x), len(dx))
	}
	for _, d := range [][]float32{dgamma, dbeta} {
		if d != nil {
			same("LayerNormGrad", width, len(d))
		}
	}
	if width == 0 {
		return
	}
	t := layerNormGradTasks.Get()
	t.dx, t.x, t.gamma, t.dy, t.width, t.eps = dx, x, gamma, dy, width, eps
	t.params = dgamma != nil || dbeta != nil
	chunks := parallel.Chunks(rows, rowGrain(width, costlyGrain))
	t.partial = resized(t.partial, chunks*2*width)
	clear(t.partial)
	parallel.RunChunks(rows, chunks, t)
	t.reduce(dgamma, 0, chunks)
	t.reduce(dbeta, 1, chunks)
	t.dx, t.x, t.gamma, t.dy = nil, nil, nil, nil
	layerNormGradTasks.Put(t)
}

type layerNormGradTask struct {
	dx, x, gamma, dy []float32
	width            int
	eps              float32
	params           bool
	partial          []float32 // [chunk, 2, width]: dgamma, dbeta of each chunk
}

var layerNormGradTasks parallel.Free[layerNormGradTask]

func (t *layerNormGradTask) Chunk(c, lo, hi int) {
	w := t.width
	dgamma, dbeta := t.partial[2*c*w:(2*c+1)*w], t.partial[(2*c+1)*w:(2*c+2)*w]
	for r := lo; r < hi; r++ {
		x, dy := t.x[r*w:(r+1)*w], t.dy[r*w:(r+1)*w]
		mean, rstd := moments(x, t.eps)
		if t.params {
			vec.normGradParam(dgamma, dbeta, x, dy, mean, rstd)
		}
		if t.dx != nil {
			g, gx := vec.normGradSums(x, t.gamma, dy, mean, rstd)
			vec.normGrad(t.dx[r*w:(r+1)*w], x, t.gamma, dy, mean, rstd, g/float32(w), gx/float32(w))
		}
	}
}

// reduce adds up the partial sums of all chunks, in their order.
func (t *layerNormGradTask) reduce(dst []float32, which, chunks int) {
	if dst == nil {
		return
	}
	clear(dst)
	for c := range chunks {
		vec.add(dst, dst, t.partial[(2*c+which)*t.width:(2*c+which+1)*t.width])
	}
}
