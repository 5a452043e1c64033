package gradcheck

import (
	"math"
	"strings"
	"testing"

	"github.com/ftk-go/ftk/internal/op"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// TestWrongGradientIsFound moves one gradient of a right result a little.
func TestWrongGradientIsFound(t *testing.T) {
	c := Case{
		Inputs: []Input{{Name: "x", Shape: tensor.Shape{3, 4}}, {Name: "w", Shape: tensor.Shape{4, 2}}, {Name: "m", Shape: tensor.Shape{3, 2}, Const: true}},
		Build: func(in G.Nodes) (*G.Node, error) {
			y, err := op.Linear(in[0], in[1], nil, op.LinearOptions{Act: op.GeluErf})
			if err != nil {
				return nil, err
			}
			return op.Mul(y, in[2])
		},
	}.filled()
	r, err := c.Eval(Planned)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.differences(r); err != nil {
		t.Errorf("right gradients: %v", err)
	}
	if _, ok := r.Grads["m"]; ok {
		t.Error("a constant has a gradient")
	}
	r.Grads["w"][5] += 0.1
	if err := c.differences(r); err == nil || !strings.Contains(err.Error(), "w[5]") {
		t.Errorf("wrong gradient: %v", err)
	}
}

func TestDistance(t *testing.T) {
	nan := float32(math.NaN())
	for _, c := range []struct {
		got, want []float32
		d         float64
	}{
		{[]float32{1, 2}, []float32{1, 2}, 0},
		{[]float32{1, 3}, []float32{1, 4}, 0.25},
		{[]float32{1}, []float32{1, 2}, math.Inf(1)},
		{[]float32{nan}, []float32{1}, math.Inf(1)},
		{[]float32{1}, []float32{nan}, math.Inf(1)},
	} {
		if d := Distance(c.got, c.want); d != c.d {
			t.Errorf("Distance(%v, %v) = %v, want %v", c.got, c.want, d, c.d)
		}
	}
}
