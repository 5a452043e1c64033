package lower

import (
	"fmt"
	"math"
	"slices"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ftk-go/ftk/internal/op"
	"github.com/ftk-go/ftk/internal/tensorop"
)

// unary is an operator of tensorop.Functions, named by its own name.
func unary(c *Call) ([]*value, error) { return one(tensorop.Apply(c.Node.OpType, c.N(0))) }

// function is an elementwise function whose parameters are attributes.
func function(f func(c *Call) tensorop.Function) Func {
	return func(c *Call) ([]*value, error) { return one(tensorop.Map(f(c), c.N(0))) }
}

// binary is an arithmetic operator with broadcasting, named by its own name.
func binary(c *Call) ([]*value, error) { return one(arithmetic(c.Node.OpType, c.N(0), c.N(1))) }

// arithmetic prefers the vectorised operators where no broadcasting is needed.
// (To Shape.Eq a row or column is equal to a vector.)
func arithmetic(name string, a, b *G.Node) (*G.Node, error) {
	if a.Dtype() == tensor.Float32 && a.Dims() > 0 && slices.Equal(a.Shape(), b.Shape()) && b.Dtype() == tensor.Float32 {
		switch name {
		case "Add":
			return op.Add(a, b)
		case "Mul":
			return op.Mul(a, b)
		}
	}
	return tensorop.Binary(name, a, b)
}

// variadic folds all inputs with an arithmetic operator.
func variadic(name string) Func {
	return func(c *Call) ([]*value, error) {
		ns := c.All()
		y := ns[0]
		for _, n := range ns[1:] {
			var err error
			if y, err = arithmetic(name, y, n); err != nil {
				return nil, err
			}
		}
		return one(y, nil)
	}
}

func mean(c *Call) ([]*value, error) {
	sum, err := variadic("Add")(c)
	if err != nil {
		return nil, err
	}
	return one(tensorop.Affine(sum[0].node, 1/float64(len(c.All())), 0))
}

func compare(c *Call) ([]*value, error) {
	return one(tensorop.Compare(c.Node.OpType, c.N(0), c.N(1)))
}

func logic(c *Call) ([]*value, error) { return one(tensorop.Logic(c.Node.OpType, c.N(0), c.N(1))) }

func not(c *Call) ([]*value, error) { return one(tensorop.Not(c.N(0))) }

func where(c *Call) ([]*value, error) { return one(tensorop.Where(c.N(0), c.N(1), c.N(2))) }

func pow(c *Call) ([]*value, error) {
	exponent := c.N(1)
	if exponent.Dtype() != c.DType(0) { // the exponent may be of another type since opset 12
		if !isFloat(c.DType(0)) && isFloat(exponent.Dtype()) {
			base, err := tensorop.Cast(c.N(0), exponent.Dtype())
			if err != nil {
				return nil, err
			}
			y, err := tensorop.Binary("Pow", base, exponent)
			if err != nil {
				return nil, err
			}
			return one(tensorop.Cast(y, c.DType(0)))
		}
		var err error
		if exponent, err = tensorop.Cast(exponent, c.DType(0)); err != nil {
			return nil, err
		}
	}
	return one(tensorop.Binary("Pow", c.N(0), exponent))
}

func isFloat(dt tensor.Dtype) bool { return dt == tensor.Float32 || dt == tensor.Float64 }

func mod(c *Call) ([]*value, error) {
	name := "Mod"
	if c.AttrInt("fmod", 0) == 1 {
		name = "Fmod"
	}
	return one(tensorop.Binary(name, c.N(0), c.N(1)))
}

func bitShift(c *Call) ([]*value, error) {
	direction := c.Node.Str("direction", "")
	if direction != "LEFT" && direction != "RIGHT" {
		return nil, fmt.Errorf("direction is %q, want LEFT or RIGHT", direction)
	}
	return one(tensorop.Binary("BitShift"+direction, c.N(0), c.N(1)))
}

// clip takes its limits as inputs since opset 11, as attributes before.
func clip(c *Call) ([]*value, error) {
	lo, err := c.Number(1, c.AttrFloat("min", -math.MaxFloat32))
	if err != nil {
		return clipNodes(c)
	}
	hi, err := c.Number(2, c.AttrFloat("max", math.MaxFloat32))
	if err != nil {
		return clipNodes(c)
	}
	if !c.Has(1) && c.Node.Attr("min") == nil {
		lo = math.Inf(-1)
	}
	if !c.Has(2) && c.Node.Attr("max") == nil {
		hi = math.Inf(1)
	}
	return one(tensorop.Clip(c.N(0), lo, hi))
}

// clipNodes limits by values that are not constant.
func clipNodes(c *Call) ([]*value, error) {
	y := c.N(0)
	var err error
	if c.Has(1) {
		if y, err = tensorop.Binary("Max", y, c.N(1)); err != nil {
			return nil, err
		}
	}
	if c.Has(2) {
		if y, err = tensorop.Binary("Min", y, c.N(2)); err != nil {
			return nil, err
		}
	}
	return one(y, nil)
}

func gelu(c *Call) ([]*value, error) {
	approximate := c.Node.Str("approximate", "none")
	if approximate != "none" && approximate != "tanh" {
		return nil, fmt.Errorf("approximate is %q, want none or tanh", approximate)
	}
	return one(geluNode(c.N(0), approximate == "tanh"))
}

func geluNode(x *G.Node, approximate bool) (*G.Node, error) {
	if x.Dtype() == tensor.Float32 && x.Dims() > 0 {
		return op.Gelu(x, approximate)
	}
	return tensorop.Map(tensorop.Gelu(approximate), x)
}

func isNaN(c *Call) ([]*value, error) {
	return one(tensorop.Test("IsNaN", func(v float64) bool { return v != v }, c.N(0)))
}

func isInf(c *Call) ([]*value, error) {
	neg, pos := c.AttrInt("detect_negative", 1) == 1, c.AttrInt("detect_positive", 1) == 1
	return one(tensorop.Test(fmt.Sprintf("IsInf[%t %t]", neg, pos), func(v float64) bool {
		return neg && math.IsInf(v, -1) || pos && math.IsInf(v, 1)
	}, c.N(0)))
}

func identity(c *Call) ([]*value, error) {
	in := *c.in[0]
	return []*value{&in}, nil
}

// dropout does nothing outside of training; ftk's own dropout points are added by Options.Dropout.
func dropout(c *Call) ([]*value, error) {
	training, err := c.Number(2, 0)
	if err != nil {
		return nil, err
	}
	ratio, err := c.Number(1, c.AttrFloat("ratio", 0.5))
	if err != nil {
		return nil, err
	}
	if training != 0 && ratio != 0 {
		return nil, fmt.Errorf("training mode with ratio %v is not supported inside a model", ratio)
	}
	outs, err := identity(c)
	if err != nil || c.Outputs() < 2 {
		return outs, err
	}
	kept := tensorop.NewDense(tensor.Bool, c.Shape(0))
	for i := range kept.Bools() {
		kept.Bools()[i] = true
	}
	if c.Opset < 10 { // the mask was of the data's type
		return nil, fmt.Errorf("the mask output is not supported before opset 10")
	}
	return append(outs, &value{tensor: kept}), nil
}

func prelu(c *Call) ([]*value, error) {
	slope := c.N(1)
	// Before opset 9 and in old exports a slope of rank 1 goes with the channel axis.
	if c.Rank(1) == 1 && c.Rank(0) > 2 && c.Shape(1)[0] == c.Shape(0)[1] && c.Shape(1)[0] != c.Shape(0)[c.Rank(0)-1] {
		shape := make([]int, c.Rank(0)-1)
		for i := range shape {
			shape[i] = 1
		}
		shape[0] = c.Shape(1)[0]
		var err error
		if slope, err = tensorop.Reshape(slope, shape...); err != nil {
			return nil, err
		}
	}
	return one(tensorop.Binary("PRelu", c.N(0), slope))
}

func cast(c *Call) ([]*value, error) {
	dt, err := castType(c.AttrInt("to", 0))
	if err != nil {
		return nil, err
	}
	return castTo(c, dt)
}

func castLike(c *Call) ([]*value, error) { return castTo(c, c.DType(1)) }

func castTo(c *Call, dt tensor.Dtype) ([]*value, error) {
	if c.DType(0) == dt {
		return identity(c)
	}
	return one(tensorop.Cast(c.N(0), dt))
}
