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
	Max    float64 `json:"max_difference"` // largest absolute difference; of a finite value and an infinite one the largest number
	Scale  float64 `json:"scale"`          // largest absolute value that is finite, 1 at least
}

// Alike tells whether the difference is one of rounding.
func (d OutputDifference) Alike() bool { return d.Max <= 1e-3*d.Scale }

// NativeError says why ftk does not compute a model that onnxruntime takes: it
// can still be a frozen backbone.
type NativeError struct{ Err error }

// Error is the reason alone.
func (e *NativeError) Error() string { return e.Err.Error() }

// Unwrap gives the reason: a *graph.UnsupportedError for operators that are not
// native, other errors for those that are but not in the way they are used.
func (e *NativeError) Unwrap() error { return e.Err }

// Compare runs a model on the same inputs natively and in onnxruntime, and
// returns the difference for each float32 output. Of other outputs nothing is
// asked; a model that has no others is but loaded into onnxruntime. model is
// the file that holds m, where onnxruntime finds it.
//
// What the model cannot be computed natively for is a *NativeError;
// onnxruntime has taken the model by then. All other errors are onnxruntime's,
// or ctx's, or say that the results are not alike at all.
func Compare(ctx context.Context, m *graph.Model, model string, inputs map[string]*graph.Tensor) ([]OutputDifference, error) {
	var outputs []string // nil: all; the session is not run then
	for _, out := range m.Graph.Outputs {
		if out.DType() == graph.Float32 {
			outputs = append(outputs, out.Name)
		}
	}
	session, err := ort.Open(model, ort.Options{Outputs: outputs})
	if err != nil {
		return nil, err
	}
	defer session.Close()
	reference := map[string]ort.Array{}
	if len(outputs) > 0 {
		if reference, err = runSession(ctx, session, inputs); err != nil {
			return nil, err
		}
	}
	native, err := Forward(ctx, m, inputs)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, &NativeError{err}
	}
	var differences []OutputDifference
	for _, name := range outputs {
		d, err := difference(name, native[name], reference[name])
		if err != nil {
			return nil, err
		}
		differences = append(differences, d)
	}
	return differences, nil
}

func runSession(ctx context.Context, session *ort.Session, inputs map[string]*graph.Tensor) (map[string]ort.Array, error) {
	feed := map[string]ort.Array{}
	for name, t := range inputs {
		a := ort.Array{Shape: t.Dims}
		var err error
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
	return session.Run(ctx, feed)
}

func difference(output string, native *graph.Tensor, reference ort.Array) (OutputDifference, error) {
	d := OutputDifference{Output: output, Scale: 1}
	got, err := native.Float32s()
	if err != nil {
		return d, err
	}
	want := reference.F32
	if len(got) != len(want) {
		return d, fmt.Errorf("output %q: %d values natively, %d in onnxruntime", output, len(got), len(want))
	}
	for i, w := range want {
		if got[i] == w || got[i] != got[i] && w != w { // infinities and NaN included
			continue
		}
		diff := math.Abs(float64(got[i]) - float64(w))
		if math.IsNaN(diff) {
			return d, fmt.Errorf("output %q: value %d is %v natively, %v in onnxruntime", output, i, got[i], w)
		}
		d.Max = min(max(d.Max, diff), math.MaxFloat64)
	}
	for _, w := range want {
		if v := math.Abs(float64(w)); !math.IsNaN(v) && !math.IsInf(v, 0) {
			d.Scale = max(d.Scale, v)
		}
	}
	return d, nil
}
