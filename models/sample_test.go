package models

import (
	"strings"
	"testing"

	"github.com/ftk-go/ftk/internal/graph"
)

// Sizes that a file claims are not believed.
func TestRandomInputsOfHugeShapes(t *testing.T) {
	for _, dims := range [][]int64{{1 << 20, 1 << 20}, {1 << 32, 1 << 32}, {1 << 62, 8}, {1 << 27}} {
		g := &graph.Graph{Name: "huge"}
		var shape []graph.Dim
		for _, d := range dims {
			shape = append(shape, graph.Dim{Size: d})
		}
		x := g.AddInput("x", graph.TensorOf(graph.Float32, shape...))
		info, err := Describe(&graph.Model{IRVersion: 8, Opsets: []graph.Opset{{Version: 17}}, Graph: g})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := RandomInputs(info, 2, 16, 1); err == nil || !strings.Contains(err.Error(), `"x"`) || !strings.Contains(err.Error(), "too large") {
			t.Errorf("%v: error %v", x.Type, err)
		}
	}
}
