package op

import (
	"fmt"

	"github.com/ftk-go/ftk/internal/kernels"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Embedding takes rows of table [v, d] by ids (int64, any shape of rank ≥ 1): [ids..., d]. Negative ids count from
// the end, as in ONNX Gather; an id outside the table is an error at run time.
//
// Its gradient has the table's shape; only the rows that occur in ids are not zero. See RowWriter for how that is not
// paid for.
func Embedding(table, ids *G.Node) (*G.Node, error) {
	if err := sameGraph("Embedding", table, ids); err != nil {
		return nil, err
	}
	if err := wantType("Embedding", tensor.Float32, table); err != nil {
		return nil, err
	}
	if err := wantType("Embedding", tensor.Int64, ids); err != nil {
		return nil, err
	}
	return Apply(&embedding{Base: NewBase("Embedding", "", G.Nodes{table, ids}, ids.Dims()+1)}, table, ids)
}

// RowWriter is a Kernel whose output is zero except in a few rows. A machine that writes it into a buffer of its own
// lifetime (a gradient buffer) passes the rows written the time before: only they are cleared (none if add, which is for
// the result to be added to what out holds), and afterwards rows names the ones that may not be zero, for an optimiser
// that wants to touch no others.
type RowWriter interface {
	RunRows(out *tensor.Dense, in []*tensor.Dense, rows *Rows, add bool) error
}

// Rows is the set of rows of a buffer that may differ from zero. The zero value stands for a buffer of zeros.
type Rows struct {
	Index []int32 // each row once, in order of first occurrence
	seen  []bool
}

// Add puts a row into the set; n is the number of rows that the buffer has.
func (r *Rows) Add(row, n int) {
	if len(r.seen) < n {
		r.seen = append(r.seen, make([]bool, n-len(r.seen))...)
	}
	if !r.seen[row] {
		r.seen[row] = true
		r.Index = append(r.Index, int32(row))
	}
}

// AddAll puts the first n rows into the set.
func (r *Rows) AddAll(n int) {
	for i := range n {
		r.Add(i, n)
	}
}

// Reset empties the set.
func (r *Rows) Reset() {
	for _, i := range r.Index {
		r.seen[i] = false
	}
	r.Index = r.Index[:0]
}

type embedding struct{ Base }

func (k *embedding) InferShape(ds ...G.DimSizer) (tensor.Shape, error) {
	s, err := Shapes(k, ds)
	if err != nil {
		return nil, err
	}
	if len(s[0]) != 2 || len(s[1]) == 0 {
		return nil, fmt.Errorf("Embedding: table %v, ids %v: want a table [rows, width] and ids of rank ≥ 1", s[0], s[1])
	}
	return append(s[1].Clone(), s[0][1]), nil
}

func (k *embedding) Run(out *tensor.Dense, in []*tensor.Dense) error {
	return kernels.GatherRows(out.Float32s(), in[0].Float32s(), in[1].Int64s(), in[0].Shape()[1])
}

func (k *embedding) DiffWRT(int) []bool { return []bool{true, false} }

func (k *embedding) SymDiff(in G.Nodes, out, dy *G.Node) (G.Nodes, error) {
	shape := in[0].Shape()
	g := &embeddingGrad{Base: NewBase("EmbeddingGrad", fmt.Sprint(shape), G.Nodes{in[1], dy}, 2), shape: shape}
	dt, err := Apply(g, in[1], dy)
	// Gorgonia indexes the gradients by input; that of the ids is never used.
	return G.Nodes{dt, nil}, err
}

func (k *embedding) Do(in ...G.Value) (G.Value, error) { return Do(k, in...) }
func (k *embedding) UsePreallocDo(p G.Value, in ...G.Value) (G.Value, error) {
	return PreallocDo(k, p, in...)
}

// embeddingGrad adds the rows of dy [ids..., d] into zeros [v, d].
type embeddingGrad struct {
	Base
	noGrad
	shape tensor.Shape
}

func (k *embeddingGrad) InferShape(ds ...G.DimSizer) (tensor.Shape, error) {
	s, err := Shapes(k, ds)
	if err != nil {
		return nil, err
	}
	if len(s[1]) == 0 || lastDim(s[1]) != k.shape[1] || rowsOf(s[1]) != count(s[0]) {
		return nil, fmt.Errorf("EmbeddingGrad: ids %v and dy %v do not fit table %v", s[0], s[1], k.shape)
	}
	return k.shape.Clone(), nil
}

func (k *embeddingGrad) Run(out *tensor.Dense, in []*tensor.Dense) error {
	kernels.Fill(out.Float32s(), 0)
	return k.add(out, in)
}

func (k *embeddingGrad) RunAdd(out, base *tensor.Dense, in []*tensor.Dense) error {
	startFrom(out, base)
	return k.add(out, in)
}

func (k *embeddingGrad) add(out *tensor.Dense, in []*tensor.Dense) error {
	return kernels.ScatterAddRows(out.Float32s(), in[1].Float32s(), in[0].Int64s(), k.shape[1])
}

func (k *embeddingGrad) RunRows(out *tensor.Dense, in []*tensor.Dense, rows *Rows, add bool) error {
	dst, width := out.Float32s(), k.shape[1]
	if !add {
		for _, r := range rows.Index {
			clear(dst[int(r)*width : (int(r)+1)*width])
		}
		rows.Reset()
	}
	if err := k.add(out, in); err != nil {
		return err
	}
	for _, id := range in[0].Int64s() {
		if id < 0 {
			id += int64(k.shape[0])
		}
		rows.Add(int(id), k.shape[0])
	}
	return nil
}

func (k *embeddingGrad) Do(in ...G.Value) (G.Value, error) { return Do(k, in...) }
func (k *embeddingGrad) UsePreallocDo(p G.Value, in ...G.Value) (G.Value, error) {
	return PreallocDo(k, p, in...)
}
