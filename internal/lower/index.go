package lower

import (
	"fmt"

	"gorgonia.org/tensor"

	"github.com/ftk-go/ftk/internal/op"
	"github.com/ftk-go/ftk/internal/tensorop"
)

// gather along the first axis of a matrix is an embedding.
func gather(c *Call) ([]*value, error) {
	axis := c.AttrInt("axis", 0)
	if at, err := tensorop.Axis(axis, c.Rank(0)); err != nil {
		return nil, err
	} else if err := c.inRange(1, c.Shape(0)[at]); err != nil {
		return nil, err
	}
	if axis == 0 && c.Rank(0) == 2 && c.DType(0) == tensor.Float32 && c.DType(1) == tensor.Int64 && c.Rank(1) > 0 && c.Const(1) == nil {
		return one(op.Embedding(c.N(0), c.N(1)))
	}
	return one(tensorop.Gather(c.N(0), c.N(1), axis))
}

// inRange checks constant indices when a graph is lowered rather than when it runs.
func (c *Call) inRange(i, size int) error {
	if c.Const(i) == nil {
		return nil
	}
	ids, err := c.Ints(i)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if id < -size || id >= size {
			return fmt.Errorf("index %d is out of range for an axis of %d", id, size)
		}
	}
	return nil
}

func gatherElements(c *Call) ([]*value, error) {
	return one(tensorop.GatherElements(c.N(0), c.N(1), c.AttrInt("axis", 0)))
}

func gatherND(c *Call) ([]*value, error) {
	return one(tensorop.GatherND(c.N(0), c.N(1), c.AttrInt("batch_dims", 0)))
}

func scatterElements(c *Call) ([]*value, error) {
	return one(tensorop.ScatterElements(c.N(0), c.N(1), c.N(2), c.AttrInt("axis", 0), c.Node.Str("reduction", "none")))
}

func scatterND(c *Call) ([]*value, error) {
	return one(tensorop.ScatterND(c.N(0), c.N(1), c.N(2), c.Node.Str("reduction", "none")))
}

func argExtreme(c *Call) ([]*value, error) {
	return one(tensorop.ArgExtreme(c.N(0), c.AttrInt("axis", 0), c.Node.OpType == "ArgMax",
		c.AttrInt("select_last_index", 0) == 1, c.AttrInt("keepdims", 1) == 1))
}

// topK takes k as input since opset 10, as attribute before.
func topK(c *Call) ([]*value, error) {
	k, err := c.Number(1, float64(c.AttrInt("k", 0)))
	if err != nil {
		return nil, err
	}
	vals, idx, err := tensorop.TopK(c.N(0), int(k), c.AttrInt("axis", -1), c.AttrInt("largest", 1) == 1)
	if err != nil {
		return nil, err
	}
	return []*value{{node: vals}, {node: idx}}, nil
}

func oneHot(c *Call) ([]*value, error) {
	depth, err := c.Int(1)
	if err != nil {
		return nil, err
	}
	return one(tensorop.OneHot(c.N(0), c.N(2), depth, c.AttrInt("axis", -1)))
}

func cumSum(c *Call) ([]*value, error) {
	axis, err := c.Int(1)
	if err != nil {
		return nil, err
	}
	return one(tensorop.CumSum(c.N(0), axis, c.AttrInt("exclusive", 0) == 1, c.AttrInt("reverse", 0) == 1))
}
