package lower

import (
	"errors"
	"fmt"
	"math"

	"gorgonia.org/tensor"

	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/tensorop"
)

// castType is the native type that Cast's attribute names.
func castType(to int) (tensor.Dtype, error) { return DType(graph.DType(to)) }

// constant is the Constant operator: its value is an attribute.
func constant(c *Call) ([]*value, error) {
	n := c.Node
	for _, a := range n.Attrs {
		switch a.Name {
		case "value":
			if a.T == nil {
				return nil, errors.New("attribute value is not a tensor")
			}
			d, err := Tensor(a.T)
			if err != nil {
				return nil, err
			}
			return constants(d)
		case "value_float":
			return constants(FromSlice([]float32{a.F}))
		case "value_floats":
			return constants(FromSlice(append([]float32{}, a.Floats...), len(a.Floats)))
		case "value_int":
			return constants(FromSlice([]int64{a.I}))
		case "value_ints":
			return constants(FromSlice(append([]int64{}, a.Ints...), len(a.Ints)))
		}
	}
	return nil, errors.New("the constant is of a kind that is not supported (sparse or strings)")
}

func shapeOf(c *Call) ([]*value, error) {
	s := c.Shape(0)
	start, end := clampAxis(c.AttrInt("start", 0), len(s)), clampAxis(c.AttrInt("end", len(s)), len(s))
	s = s[min(start, end):end]
	return constants(FromInts(s, len(s)))
}

func clampAxis(a, rank int) int {
	if a < 0 {
		a += rank
	}
	return min(max(a, 0), rank)
}

func sizeOf(c *Call) ([]*value, error) {
	n := 1
	for _, d := range c.Shape(0) {
		n *= d
	}
	return constants(FromSlice([]int64{int64(n)}))
}

func constantOfShape(c *Call) ([]*value, error) {
	shape, err := c.Ints(0)
	if err != nil {
		return nil, err
	}
	n, err := elements(shape)
	if err != nil {
		return nil, err
	}
	if t := c.Node.Tensor("value"); t != nil {
		v, err := Tensor(t)
		if err != nil {
			return nil, err
		}
		d := tensorop.NewDense(v.Dtype(), shape)
		if n > 0 {
			dst, src := d.Uint8s(), v.Uint8s()
			for i := 0; i < len(dst); i += len(src) {
				copy(dst[i:], src)
			}
		}
		return constants(d)
	}
	return constants(tensorop.NewDense(tensor.Float32, shape))
}

// elements checks a computed shape before memory is allocated for it.
func elements(shape []int) (int, error) {
	n := 1
	for _, d := range shape {
		if d < 0 || d > 0 && n > math.MaxInt32/d {
			return 0, fmt.Errorf("shape %v is not one a tensor can have", shape)
		}
		n *= d
	}
	return n, nil
}

func rangeOf(c *Call) ([]*value, error) {
	start, err := c.Number(0, 0)
	if err != nil {
		return nil, err
	}
	limit, err := c.Number(1, 0)
	if err != nil {
		return nil, err
	}
	delta, err := c.Number(2, 1)
	if err != nil {
		return nil, err
	}
	n := math.Ceil((limit - start) / delta)
	if delta == 0 || n > math.MaxInt32 {
		return nil, fmt.Errorf("a range from %v to %v by %v has no end", start, limit, delta)
	}
	d := tensorop.NewDense(c.DType(0), tensor.Shape{int(max(n, 0))})
	if d.Size() == 0 {
		return constants(d)
	}
	switch d.Dtype() {
	case tensor.Float32:
		for i := range d.Float32s() {
			d.Float32s()[i] = float32(start + float64(i)*delta)
		}
	case tensor.Float64:
		for i := range d.Float64s() {
			d.Float64s()[i] = start + float64(i)*delta
		}
	case tensor.Int64:
		for i := range d.Int64s() {
			d.Int64s()[i] = int64(start) + int64(i)*int64(delta)
		}
	case tensor.Int32:
		for i := range d.Int32s() {
			d.Int32s()[i] = int32(start) + int32(i)*int32(delta)
		}
	default:
		return nil, fmt.Errorf("elements of type %v are not supported", d.Dtype())
	}
	return constants(d)
}

func eyeLike(c *Call) ([]*value, error) {
	dt := c.DType(0)
	if c.Node.Attr("dtype") != nil {
		var err error
		if dt, err = castType(c.AttrInt("dtype", 0)); err != nil {
			return nil, err
		}
	}
	s := c.Shape(0)
	if len(s) != 2 {
		return nil, errors.New("want a matrix")
	}
	f := tensorop.NewDense(tensor.Float32, s)
	for r := range s[0] {
		if k := r + c.AttrInt("k", 0); k >= 0 && k < s[1] {
			f.Float32s()[r*s[1]+k] = 1
		}
	}
	fc := *c
	fc.in = []*value{{name: c.Node.Name + ".eye", tensor: f}}
	fc.row = &Row{Lower: func(c *Call) ([]*value, error) { return castTo(c, dt) }}
	return fc.fold()
}

// nonZero lists the indices of elements that are not zero: [rank, count].
func nonZero(c *Call) ([]*value, error) {
	d := c.Const(0)
	s := d.Shape()
	var found []int
	for i := range d.Size() {
		if !isZero(d, i) {
			found = append(found, i)
		}
	}
	rank := max(len(s), 1)
	out := tensorop.NewDense(tensor.Int64, tensor.Shape{rank, len(found)})
	for k, i := range found {
		for a := len(s) - 1; a >= 0; a-- {
			out.Int64s()[a*len(found)+k] = int64(i % s[a])
			i /= s[a]
		}
	}
	return constants(out)
}

func isZero(d *tensor.Dense, i int) bool {
	w := int(d.Dtype().Size())
	for _, b := range d.Uint8s()[i*w : (i+1)*w] {
		if b != 0 {
			return isFloat(d.Dtype()) && negativeZero(d.Uint8s()[i*w:(i+1)*w])
		}
	}
	return true
}

func negativeZero(b []byte) bool {
	for i, x := range b {
		if i < len(b)-1 && x != 0 || i == len(b)-1 && x != 0x80 {
			return false
		}
	}
	return true
}
