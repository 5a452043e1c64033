package op

import (
	"fmt"

	"github.com/ftk-go/ftk/internal/kernels"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// AddRow adds row [n] to every row of x [..., n]: a bias. Gradients: dy, and its column sums.
func AddRow(x, row *G.Node) (*G.Node, error) {
	if err := sameGraph("AddRow", x, row); err != nil {
		return nil, err
	}
	if err := wantType("AddRow", tensor.Float32, x, row); err != nil {
		return nil, err
	}
	return Apply(&addRow{Base: NewBase("AddRow", "", G.Nodes{x, row}, x.Dims())}, x, row)
}

type addRow struct{ Base }

func (k *addRow) InferShape(ds ...G.DimSizer) (tensor.Shape, error) {
	s, err := Shapes(k, ds)
	if err != nil {
		return nil, err
	}
	if len(s[0]) == 0 || len(s[1]) != 1 || lastDim(s[0]) != s[1][0] {
		return nil, fmt.Errorf("AddRow: x %v and row %v do not fit", s[0], s[1])
	}
	return s[0].Clone(), nil
}

func (k *addRow) InPlace() []int { return []int{0} }

func (k *addRow) Run(out *tensor.Dense, in []*tensor.Dense) error {
	kernels.AddRow(out.Float32s(), in[0].Float32s(), in[1].Float32s())
	return nil
}

func (k *addRow) DiffWRT(int) []bool { return []bool{true, true} }

func (k *addRow) SymDiff(in G.Nodes, out, dy *G.Node) (G.Nodes, error) {
	db, err := SumRows(dy)
	return G.Nodes{dy, db}, err
}

func (k *addRow) Do(in ...G.Value) (G.Value, error) { return Do(k, in...) }
func (k *addRow) UsePreallocDo(p G.Value, in ...G.Value) (G.Value, error) {
	return PreallocDo(k, p, in...)
}

// spreadRow repeats row [n] to a shape [..., n].
func spreadRow(row *G.Node, shape tensor.Shape) (*G.Node, error) {
	k := &rowSpread{Base: NewBase("SpreadRow", fmt.Sprint(shape), G.Nodes{row}, len(shape)), shape: shape.Clone()}
	return Apply(k, row)
}

type rowSpread struct {
	Base
	noGrad
	shape tensor.Shape
}

func (k *rowSpread) InferShape(ds ...G.DimSizer) (tensor.Shape, error) {
	s, err := Shapes(k, ds)
	if err != nil {
		return nil, err
	}
	if len(s[0]) != 1 || s[0][0] != lastDim(k.shape) {
		return nil, fmt.Errorf("SpreadRow: row %v does not fit %v", s[0], k.shape)
	}
	return k.shape.Clone(), nil
}

func (k *rowSpread) Run(out *tensor.Dense, in []*tensor.Dense) error {
	dst, row := out.Float32s(), in[0].Float32s()
	for len(dst) > 0 {
		copy(dst, row)
		dst = dst[len(row):]
	}
	return nil
}

func (k *rowSpread) Do(in ...G.Value) (G.Value, error) { return Do(k, in...) }
func (k *rowSpread) UsePreallocDo(p G.Value, in ...G.Value) (G.Value, error) {
	return PreallocDo(k, p, in...)
}
