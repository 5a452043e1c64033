package importer

import (
	"math"
	"strings"
	"testing"

	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/ort"
)

func TestDifference(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for name, c := range map[string]struct {
		native, reference []float32
		max, scale        float64
		alike             bool
		err               string
	}{
		"same":             {[]float32{1, -3}, []float32{1, -3}, 0, 3, true, ""},
		"small":            {[]float32{0.5, 0}, []float32{0.25, 0}, 0.25, 1, false, ""},
		"rounding":         {[]float32{100.0625, 2}, []float32{100, 2}, 0.0625, 100, true, ""},
		"infinities":       {[]float32{-inf, inf, 2}, []float32{-inf, inf, 2}, 0, 2, true, ""},
		"no numbers":       {[]float32{nan, 1}, []float32{nan, 1}, 0, 1, true, ""},
		"NaN natively":     {[]float32{1, nan}, []float32{1, 2}, 0, 0, false, "value 1 is NaN natively, 2 in onnxruntime"},
		"NaN there":        {[]float32{1, 5}, []float32{1, nan}, 0, 0, false, "value 1 is 5 natively, NaN in onnxruntime"},
		"infinite there":   {[]float32{7}, []float32{inf}, math.MaxFloat64, 1, false, ""},
		"other infinity":   {[]float32{-inf}, []float32{inf}, math.MaxFloat64, 1, false, ""},
		"of other lengths": {[]float32{1}, []float32{1, 2}, 0, 0, false, "1 values natively, 2 in onnxruntime"},
	} {
		d, err := difference("y", graph.NewFloat32("y", []int64{int64(len(c.native))}, c.native), ort.Array{F32: c.reference})
		switch {
		case c.err != "":
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: error %v", name, err)
			}
		case err != nil || d.Max != c.max || d.Scale != c.scale || d.Alike() != c.alike:
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
}
