package op

import (
	"math"

	"github.com/ftk-go/ftk/internal/kernels"
)

// Masked is what a mask adds to the score of a key that must not be attended to. It is so low that the score is lost in it,
// and finite: a query with no key at all attends to all alike instead of becoming NaN.
const Masked = -math.MaxFloat32 / 2

// blindQueries lists the queries that see no key, as places in q where a head of such a one begins.
func blindQueries(mask []float32, s kernels.AttentionShape) []int {
	var blind []int
	at := queryStrides(s)
	for b := range s.Batch {
		for h := range s.Heads {
			none := false
			for i := range s.SeqQ {
				if i == 0 || s.Mask.Query != 0 { // or they all have the same mask
					none = seesNone(mask[b*s.Mask.Batch+h*s.Mask.Head+i*s.Mask.Query:], s)
				}
				if none {
					blind = append(blind, b*at.Batch+h*at.Head+i*at.Seq)
				}
			}
		}
	}
	return blind
}

// seesNone reports whether a mask that begins with one query's keys masks them all.
func seesNone(mask []float32, s kernels.AttentionShape) bool {
	for j := range s.SeqK {
		if mask[j*s.Mask.Key] > Masked {
			return false
		}
	}
	return true
}

func clearQueries(q []float32, at []int, s kernels.AttentionShape) {
	for _, i := range at {
		clear(q[i : i+s.HeadDim])
	}
}

// queryStrides is where the queries lie: one after another unless s says otherwise.
func queryStrides(s kernels.AttentionShape) kernels.Strides {
	if s.Q != (kernels.Strides{}) {
		return s.Q
	}
	width := s.Heads * s.HeadDim
	return kernels.Strides{Batch: s.SeqQ * width, Seq: width, Head: s.HeadDim}
}
