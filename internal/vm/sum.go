package vm

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ftk-go/ftk/internal/kernels"
	"github.com/ftk-go/ftk/internal/op"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// isSum recognises a node that adds two float32 operands of its own shape: op.Add, and gorgonia's own addition, with
// which it sums gradients.
func isSum(n *G.Node) bool {
	k, ok := n.Op().(interface{ Name() string })
	ours := ok && k.Name() == "Add"
	theirs := fmt.Sprintf("%T", n.Op()) == "gorgonia.elemBinOp" && strings.HasPrefix(n.Op().String(), "+ ")
	if !ours && !theirs || n.Dtype() != tensor.Float32 {
		return false
	}
	operands := children(n.Graph(), n)
	return len(operands) == 2 && !slices.ContainsFunc(operands, func(c *G.Node) bool {
		return c.Dtype() != tensor.Float32 || !slices.Equal(c.Shape(), n.Shape())
	})
}

// sum executes an addition recognised by isSum.
type sum struct{ G.Op }

func (sum) Run(out *tensor.Dense, in []*tensor.Dense) error {
	kernels.Add(out.Float32s(), in[0].Float32s(), in[1].Float32s())
	return nil
}

func (sum) InPlace() []int { return []int{0, 1} }

func (sum) DiffWRT(n int) []bool { return make([]bool, n) }

func (sum) SymDiff(G.Nodes, *G.Node, *G.Node) (G.Nodes, error) {
	return nil, fmt.Errorf("vm: a program is not differentiable")
}

// transfer copies a value to memory outside.
type transfer struct{ sum }

func (transfer) Run(out *tensor.Dense, in []*tensor.Dense) error {
	kernels.Copy(out.Float32s(), in[0].Float32s())
	return nil
}

func (transfer) RunAdd(out, base *tensor.Dense, in []*tensor.Dense) error {
	kernels.Add(out.Float32s(), base.Float32s(), in[0].Float32s())
	return nil
}

func (transfer) InPlace() []int { return nil }

// inPlace lists the inputs of a step that its output may overwrite.
func (s *step) inPlace() []int {
	switch k := s.kernel.(type) {
	case op.InPlacer:
		return k.InPlace()
	case op.InPlace:
		if i := k.InPlace(); i >= 0 {
			return []int{i}
		}
	}
	return nil
}
