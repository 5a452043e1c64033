package lower

import (
	"fmt"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ftk-go/ftk/internal/op"
	"github.com/ftk-go/ftk/internal/tensorop"
)

func matMul(c *Call) ([]*value, error) { return one(product2(c.N(0), c.N(1))) }

// product2 is the matrix product of ONNX MatMul, with numpy's rules for vectors and broadcasting.
func product2(a, b *G.Node) (*G.Node, error) {
	if a.Dims() == 0 || b.Dims() == 0 {
		return nil, fmt.Errorf("a scalar is not a matrix")
	}
	if a.Dtype() != tensor.Float32 || b.Dtype() != tensor.Float32 || a.Dims() == 1 && b.Dims() == 1 {
		return productBySums(a, b)
	}
	if a.Dims() >= 2 && b.Dims() == 2 {
		return op.Linear(a, b, nil, op.LinearOptions{})
	}
	return op.MatMul(a, b, false, false)
}

// productBySums multiplies what op.MatMul does not take: vectors with each other, integers, float64. It builds all
// products [… m k n] and sums them; such operands are small in practice.
func productBySums(a, b *G.Node) (*G.Node, error) {
	as, bs := append([]int{}, a.Shape()...), append([]int{}, b.Shape()...)
	rowA, colB := len(as) == 1, len(bs) == 1
	if rowA {
		as = []int{1, as[0]}
	}
	if colB {
		bs = []int{bs[0], 1}
	}
	if as[len(as)-1] != bs[len(bs)-2] {
		return nil, fmt.Errorf("inner dimensions %d and %d differ", as[len(as)-1], bs[len(bs)-2])
	}
	left, err := tensorop.Reshape(a, append(append([]int{}, as...), 1)...)
	if err != nil {
		return nil, err
	}
	spread := append(append([]int{}, bs[:len(bs)-2]...), 1, bs[len(bs)-2], bs[len(bs)-1])
	right, err := tensorop.Reshape(b, spread...)
	if err != nil {
		return nil, err
	}
	all, err := tensorop.Binary("Mul", left, right)
	if err != nil {
		return nil, err
	}
	y, err := tensorop.Reduce("ReduceSum", all, []int{all.Dims() - 2}, false)
	if err != nil {
		return nil, err
	}
	shape := append([]int{}, y.Shape()...)
	if colB {
		shape = shape[:len(shape)-1]
	}
	if rowA {
		at := len(shape) - 1
		if colB {
			at = len(shape)
		}
		shape = append(shape[:at-1], shape[at:]...)
		if colB {
			shape = shape[:len(y.Shape())-2]
		}
	}
	return tensorop.Reshape(y, shape...)
}

// gemm is α·A'·B' + β·C.
func gemm(c *Call) ([]*value, error) {
	a, b := c.N(0), c.N(1)
	transA, transB := c.AttrInt("transA", 0) == 1, c.AttrInt("transB", 0) == 1
	alpha, beta := c.AttrFloat("alpha", 1), c.AttrFloat("beta", 1)
	if a.Dims() != 2 || b.Dims() != 2 {
		return nil, fmt.Errorf("want two matrices")
	}
	if alpha == 1 && beta == 1 && !transA && a.Dtype() == tensor.Float32 && (!c.Has(2) || c.Rank(2) == 1 && c.Shape(2)[0] == columns(b, transB)) {
		return one(op.Linear(a, b, c.Optional(2), op.LinearOptions{TransW: transB}))
	}
	y, err := gemmProduct(a, b, transA, transB)
	if err != nil {
		return nil, err
	}
	if y, err = scaled(y, alpha); err != nil || !c.Has(2) {
		return one(y, err)
	}
	bias, err := scaled(c.N(2), beta)
	if err != nil {
		return nil, err
	}
	return one(tensorop.Binary("Add", y, bias))
}

func scaled(x *G.Node, factor float64) (*G.Node, error) {
	if factor == 1 {
		return x, nil
	}
	if !isFloat(x.Dtype()) {
		if factor != float64(int64(factor)) {
			return nil, fmt.Errorf("factor %v for integers", factor)
		}
		return tensorop.MapInt(fmt.Sprintf("Scale[%v]", factor), func(v int64) int64 { return v * int64(factor) }, x)
	}
	return tensorop.Affine(x, factor, 0)
}

func columns(b *G.Node, trans bool) int {
	if trans {
		return b.Shape()[0]
	}
	return b.Shape()[1]
}

func gemmProduct(a, b *G.Node, transA, transB bool) (*G.Node, error) {
	if a.Dtype() == tensor.Float32 {
		return op.MatMul(a, b, transA, transB)
	}
	var err error
	if transA {
		if a, err = tensorop.Transpose(a, nil); err != nil {
			return nil, err
		}
	}
	if transB {
		if b, err = tensorop.Transpose(b, nil); err != nil {
			return nil, err
		}
	}
	return productBySums(a, b)
}

// linear is the canonical form of a fully connected layer: inputs x [… in], w [in out] (or [out in] with transB), bias
// [out] or none.
func linear(c *Call) ([]*value, error) {
	return one(op.Linear(c.N(0), c.N(1), c.Optional(2), op.LinearOptions{TransW: c.AttrInt("transB", 0) == 1}))
}

// projections are linear layers of one input, as many as there are outputs: inputs x [… in], a weight for each, then a
// bias for each or none; attribute transB as linear's.
func projections(c *Call) ([]*value, error) {
	in := c.All()
	weights := in[1:min(1+c.Outputs(), len(in))]
	return many(op.Projections(in[0], weights, in[1+len(weights):], c.AttrInt("transB", 0) == 1))
}
