package finetune

import (
	"context"
	"slices"
	"testing"

	"github.com/ftk-go/ftk/internal/compose"
	"github.com/ftk-go/ftk/models"
)

// A mask that crosses the boundary, since it is made by more than cheap
// operators, is not kept without its padding, which would open it: features with
// a cache are what they are without.
func TestMasksAreNotKept(t *testing.T) {
	c := tinyConfig(t)
	g := c.Model.Graph
	before := len(g.Nodes)
	b := compose.New(g, c.Model.Opset("")).In("mask")
	bias := g.Node("/Mul") // -10000 where the mask is 0
	at := slices.Index(g.Nodes, bias) + 1
	same := b.Op("Neg", b.Op("Relu", b.Op("Neg", bias.Output())))
	for _, n := range g.Nodes[at:before] {
		for i, v := range n.Inputs {
			if v == bias.Output() {
				n.Inputs[i] = same
			}
		}
	}
	g.Nodes = slices.Concat(g.Nodes[:at], g.Nodes[before:], g.Nodes[at:before])

	var logits [][][]float32
	for _, limit := range []int64{0, 1 << 30} {
		c.CacheLimit, c.Freeze, c.Workspace = limit, "1", tinyWorkspace(t)
		set, n, f := frozenPart(t, c)
		if len(n.parts.Boundary) != 2 || n.parts.Boundary[0].SeqAxis != models.UnknownAxis || n.parts.Boundary[1].SeqAxis != 1 {
			t.Errorf("what crosses is %+v", n.parts.Boundary)
		}
		fd, err := newFeeder(context.Background(), n, set, f, &c)
		if err != nil {
			t.Fatal(err)
		}
		defer fd.close()
		var rows [][]float32
		err = fd.forward(context.Background(), set.All(), 64, func(_ *batch, logits []float32) error {
			rows = append(rows, slices.Clone(logits))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		logits = append(logits, rows)
	}
	for i, row := range logits[0] {
		if !slices.Equal(row, logits[1][i]) {
			t.Fatalf("batch %d: logits %v, without a cache %v", i, logits[1][i], row)
		}
	}
}
