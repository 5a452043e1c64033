package gradcheck

import (
	"fmt"
	"math"

	"github.com/ftk-go/ftk/internal/vm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// probes is how many elements of an input are moved; larger inputs are sampled evenly.
const probes = 48

// differences compares the gradients of r with central differences of Σ value·Weights. The value is computed in float32
// and summed in float64, so a step of 1e-2 leaves an error of some 1e-4 from rounding and as much from curvature.
func (c Case) differences(r Result) error {
	g, nodes, value, err := c.graph()
	if err != nil {
		return err
	}
	m, err := vm.New(g, vm.Options{Keep: G.Nodes{value}})
	if err != nil {
		return err
	}
	defer m.Close()
	loss := func() (float64, error) {
		if err := m.RunAll(); err != nil {
			return 0, err
		}
		v, err := floats(value)
		sum := 0.0
		for i, x := range v {
			sum += float64(x) * float64(c.Weights[i])
		}
		return sum, err
	}
	step, tol := c.Step, c.Tol
	if step == 0 {
		step = 1e-2
	}
	if tol == 0 {
		tol = 5e-3
	}
	for i, in := range c.Inputs {
		if !in.differentiable() || len(in.Shape) == 0 {
			continue
		}
		x := nodes[i].Value().(*tensor.Dense).Float32s()
		scale := 1e-2
		for _, d := range r.Grads[in.Name] {
			scale = max(scale, math.Abs(float64(d)))
		}
		for j := 0; j < len(x); j += max(1, (len(x)+probes-1)/probes) {
			old := x[j]
			up, down := old+float32(step), old-float32(step)
			x[j] = up
			a, err := loss()
			if err != nil {
				return err
			}
			x[j] = down
			b, err := loss()
			if err != nil {
				return err
			}
			x[j] = old
			want, got := (a-b)/(float64(up)-float64(down)), float64(r.Grads[in.Name][j])
			if d := math.Abs(got-want) / scale; !(d <= tol) {
				return fmt.Errorf("gradient of %s[%d] is %v, by finite differences %v (off by %.2g of the largest, %.3g)",
					in.Name, j, got, want, d, scale)
			}
		}
	}
	return nil
}
