package heads

import (
	"fmt"

	"github.com/ftk-go/ftk/internal/compose"
	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/models"
)

// pool makes one vector per example, [batch width] float32, of what the
// backbone gives, and says how.
func (a *attachment) pool() (pooled *graph.Value, width int64, how string, err error) {
	info, how := a.info, a.pooling()
	b := a.In("pooling")
	if how == None {
		v, width := features(info)
		if v == nil {
			return nil, 0, "", fmt.Errorf("the model has neither a hidden state nor an output [batch features] to build on")
		}
		return inFloat32(b, v), width, how, nil
	}
	hidden, width := info.HiddenState, info.HiddenSize
	if hidden == nil {
		return nil, 0, "", fmt.Errorf("pooling %q: no hidden state [batch sequence hidden] was found in the model", how)
	}
	if width <= 0 {
		return nil, 0, "", fmt.Errorf("the size of the hidden state %q is not known", hidden.Name)
	}
	switch how {
	case CLS:
		return b.Pick(inFloat32(b, hidden), 1, 0), width, how, nil
	case Mean:
		return mean(b, inFloat32(b, hidden), info.InputOf(models.AttentionMask)), width, how, nil
	case Pooler:
		if info.Pooled == nil {
			return nil, 0, "", fmt.Errorf("pooling %q: the model has no pooler output; choose cls or mean", how)
		}
		return inFloat32(b, info.Pooled), width, how, nil
	}
	return nil, 0, "", fmt.Errorf("pooling %q: it is auto, cls, mean or pooler", how)
}

// pooling resolves Auto.
func (a *attachment) pooling() string {
	p := a.config.Pooling
	switch {
	case p != "" && p != Auto:
		return p
	case a.info.HiddenState == nil:
		return None
	case a.config.SourcePooling != "":
		return a.config.SourcePooling
	}
	switch a.info.Family {
	case "bert", "albert", "roberta", "distilbert", "vit":
		return CLS
	}
	return Mean
}

// mean averages x [batch sequence hidden] over the tokens whose mask
// [batch sequence] is 1; over all of them where there is no mask. An example
// without any token gives zero.
func mean(b *compose.Builder, x, mask *graph.Value) *graph.Value {
	if mask == nil {
		return b.ReduceMean(x, false, 1)
	}
	open := b.Unsqueeze(b.Cast(mask, graph.Float32), 2) // [batch sequence 1]
	sum := b.ReduceSum(b.Op("Mul", x, open), false, 1)
	count := b.AtLeast(b.ReduceSum(open, false, 1), 1e-9) // [batch 1]
	return b.Op("Div", sum, count)
}

// features is the first graph output that is a vector per example.
func features(info *models.Info) (*graph.Value, int64) {
	for _, v := range info.Outputs {
		dims, known := v.Dims()
		if known && len(dims) == 2 && dims[1].Known() && v.DType().IsFloat() {
			return v, dims[1].Size
		}
	}
	return nil, 0
}

// inFloat32 casts what is not float32, or may be something else for all that is
// known of it.
func inFloat32(b *compose.Builder, v *graph.Value) *graph.Value {
	if models.ElemType(v) == graph.Float32 {
		return v
	}
	return b.Cast(v, graph.Float32)
}
