package importer

import (
	"context"
	"fmt"
	"math"

	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/ort"
)

// OutputDifference says how far the native result of one output is from
// onnxruntime's.
type OutputDifference struct {
	Output string  `json:"output"`
	Max    float64 `json:"max_difference"` // largest absolute difference
	Scale  float64 `json:"scale"`          // largest absolute value, 1 at least
}

// Compare runs a model on the same inputs natively and in onnxruntime, and
// returns the difference for each floating-point output. model is the file
// that holds m, where onnxruntime finds it.
//
// An operator that ftk does not compute natively is a *graph.UnsupportedError;
// onnxruntime has run the model by then, so it can still be a frozen backbone.
func Compare(ctx context.Context, m *graph.Model, model string, inputs map[string]*graph.Tensor) ([]OutputDifference, error) {
	session, err := ort.Open(model, ort.Options{})
	if err != nil {
		return nil, err
	}
	defer session.Close()
	feed := map[string]ort.Array{}
	for name, t := range inputs {
		a := ort.Array{Shape: t.Dims}
		if t.DType == graph.Float32 {
			a.F32, err = t.Float32s()
		} else {
			a.I64, err = t.Int64s()
		}
		if err != nil {
			return nil, err
		}
		feed[name] = a
	}
	reference, err := session.Run(ctx, feed)
	if err != nil {
		return nil, err
	}
	native, err := Forward(ctx, m, inputs)
	if err != nil {
		return nil, err
	}
	var differences []OutputDifference
	for _, out := range m.Graph.Outputs {
		if out.DType() != graph.Float32 {
			continue
		}
		got, err := native[out.Name].Float32s()
		if err != nil {
			return nil, err
		}
		want := reference[out.Name].F32
		if len(got) != len(want) {
			return nil, fmt.Errorf("output %q: %d values natively, %d in onnxruntime", out.Name, len(got), len(want))
		}
		d := OutputDifference{Output: out.Name, Scale: 1}
		for i, w := range want {
			diff := math.Abs(float64(got[i]) - float64(w))
			if math.IsNaN(diff) && !math.IsNaN(float64(w)) {
				return nil, fmt.Errorf("output %q: value %d is %v natively, %v in onnxruntime", out.Name, i, got[i], w)
			}
			d.Max = max(d.Max, diff)
			d.Scale = max(d.Scale, math.Abs(float64(w)))
		}
		differences = append(differences, d)
	}
	return differences, nil
}
