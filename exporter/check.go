package exporter

import (
	"context"
	"fmt"
	"math"

	"github.com/ftk-go/ftk/internal/ort"
)

// Sample is one batch of inputs with the logits that the trained graph gave
// for it: what onnxruntime must give too.
type Sample struct {
	Inputs map[string]ort.Array
	Logits []float32 // [batch labels]
}

// Difference says how far onnxruntime's logits are from the trained graph's.
type Difference struct {
	Max   float64 `json:"max_difference"` // largest absolute difference
	Scale float64 `json:"scale"`          // largest absolute logit, 1 at least
	Rows  int     `json:"rows"`           // how many examples were compared
}

// Relative is the largest difference relative to the scale of the logits.
func (d Difference) Relative() float64 { return d.Max / d.Scale }

// compare runs the model in the file on the samples, having checked that a
// Predictor could serve it by these settings.
func compare(ctx context.Context, path string, set Settings, samples []Sample, threads int) (Difference, error) {
	d, logits := Difference{Scale: 1}, set.Logits
	session, err := ort.Open(path, ort.Options{Threads: threads, Outputs: []string{logits}})
	if err != nil {
		return d, err
	}
	defer session.Close()
	if err := set.fit(session); err != nil {
		return d, err
	}
	for _, s := range samples {
		out, err := session.Run(ctx, s.Inputs)
		if err != nil {
			return d, err
		}
		got := out[logits].F32
		if len(got) != len(s.Logits) {
			return d, fmt.Errorf("onnxruntime gives %d logits where the trained graph gives %d", len(got), len(s.Logits))
		}
		for i, want := range s.Logits {
			diff := math.Abs(float64(got[i]) - float64(want))
			if math.IsNaN(diff) {
				return d, fmt.Errorf("logit %d of the exported model is not a number", i)
			}
			d.Max = max(d.Max, diff)
			d.Scale = max(d.Scale, math.Abs(float64(want)))
		}
		if shape := out[logits].Shape; len(shape) > 0 {
			d.Rows += int(shape[0])
		}
	}
	return d, nil
}
