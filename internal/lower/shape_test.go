package lower_test

import (
	"fmt"
	"testing"

	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/lower"
)

// TestConcatNothing: parts without elements have lengths all the same.
func TestConcatNothing(t *testing.T) {
	for _, c := range []struct {
		axis int64
		dims [][]int64
		want string // "error" if there is none
	}{
		{0, [][]int64{{2, 0}, {2, 0}}, "[4 0]"},
		{0, [][]int64{{2, 0}, {3, 0}, {1, 0}}, "[6 0]"},
		{1, [][]int64{{2, 0}, {2, 0}}, "[2 0]"},
		{-1, [][]int64{{0, 2}, {0, 3}}, "[0 5]"},
		{0, [][]int64{{0}, {0}}, "[0]"},
		{0, [][]int64{{2, 0}}, "[2 0]"},
		{1, [][]int64{{2, 0}, {2, 3}, {2, 0}}, "[2 3]"},
		{0, [][]int64{{2, 0, 1}, {2, 0}}, "error"},
		{1, [][]int64{{2, 0}, {3, 0}}, "error"},
	} {
		t.Run(fmt.Sprint(c.dims, c.axis), func(t *testing.T) {
			g := &graph.Graph{}
			var parts []*graph.Value
			for i, dims := range c.dims {
				n := int64(1)
				for _, d := range dims {
					n *= d
				}
				name := fmt.Sprintf("part%d", i)
				parts = append(parts, g.AddInitializer(name, graph.NewFloat32(name, dims, make([]float32, n))))
			}
			got := "error"
			if outs, err := lower.Fold(g.AddNode("Concat", "", parts).SetInt("axis", c.axis), 17); err == nil {
				got = fmt.Sprint(outs[0].Dims)
			}
			if got != c.want {
				t.Errorf("shape %s, want %s", got, c.want)
			}
		})
	}
}
