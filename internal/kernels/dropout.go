package kernels

import "github.com/ftk-go/ftk/internal/parallel"

// DropoutMask fills dst with 0 (with probability rate) and 1/(1-rate), to be multiplied onto activations. Element i
// depends on seed and first+i alone, not on threads: a stream of masks continues with first advanced by len(dst).
func DropoutMask(dst []float32, rate float32, seed, first uint64) {
	t := dropoutTasks.Get()
	*t = dropoutTask{dst: dst, seed: seed, first: first, keep: 1 / (1 - rate), threshold: uint64(float64(rate) * (1 << 32))}
	parallel.Run(len(dst), cheapGrain, t)
	*t = dropoutTask{}
	dropoutTasks.Put(t)
}

type dropoutTask struct {
	dst         []float32
	seed, first uint64
	keep        float32
	threshold   uint64
}

var dropoutTasks parallel.Free[dropoutTask]

func (t *dropoutTask) Chunk(_, lo, hi int) {
	for i := lo; i < hi; i++ {
		if mix(t.seed, t.first+uint64(i))>>32 < t.threshold {
			t.dst[i] = 0
		} else {
			t.dst[i] = t.keep
		}
	}
}

// mix is the output function of SplitMix64 (Steele, Lea & Flood, OOPSLA 2014) at position i of the stream seed.
func mix(seed, i uint64) uint64 {
	z := seed + (i+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
