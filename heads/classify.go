package heads

import (
	"fmt"

	"github.com/ftk-go/ftk/internal/compose"
	"github.com/ftk-go/ftk/internal/graph"
)

// initialDeviation of a fresh dense layer, BERT's initializer_range.
const initialDeviation = 0.02

// attachClassify adds one dense layer on the pooled vector:
//
//	logits [batch labels] = pooled [batch hidden] · classifier.weightᵀ + classifier.bias
func attachClassify(a *attachment) (*Head, error) {
	labels := int64(len(a.config.Labels))
	if labels < 2 {
		return nil, fmt.Errorf("%d labels; it takes two or more", labels)
	}
	pooled, width, how, err := a.pool()
	if err != nil {
		return nil, err
	}
	w := a.weight("classifier.weight", initialDeviation, labels, width)
	bias := a.zeros("classifier.bias", labels)
	logits := a.In("classifier").OpWith("Gemm", []compose.Attr{{Name: "transB", Value: 1}}, pooled, w, bias)
	a.Output(logits, "logits", graph.Float32, a.batch(), graph.Dim{Size: labels})
	return &Head{Pooling: how, Logits: logits, DropoutAt: pooled}, nil
}

// batch is the first axis of the model's inputs.
func (a *attachment) batch() graph.Dim {
	for _, in := range a.info.Inputs {
		if dims, known := in.Dims(); known && len(dims) > 0 {
			return dims[0]
		}
	}
	return graph.NamedDim("batch")
}
