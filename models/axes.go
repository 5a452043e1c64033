package models

import (
	"slices"

	"github.com/ftk-go/ftk/internal/graph"
)

// axisTracer finds the axis of a value that runs along the sequence, by
// following the operators that leave it where it is.
type axisTracer struct {
	*dataflow
	fixed    bool                  // images and vectors: no input has a sequence
	sequence map[*graph.Value]bool // known to be [batch sequence …]
	memo     map[*graph.Value]int
}

func newAxisTracer(info *Info, f *dataflow) *axisTracer {
	t := &axisTracer{f, info.VocabSize == 0, map[*graph.Value]bool{}, map[*graph.Value]int{}}
	for _, in := range info.Inputs {
		if dims, known := in.Dims(); known && len(dims) == 2 {
			t.sequence[in.Value] = true
		}
	}
	for _, l := range info.Layers {
		t.sequence[l.Output] = true
	}
	t.sequence[info.HiddenState] = true
	delete(t.sequence, nil)
	return t
}

// sameAxes: one output whose axes are those of the data that goes in.
var sameAxes = map[string]bool{
	"Abs": true, "Add": true, "BiasGelu": true, "Cast": true, "Clip": true, "Div": true, "Dropout": true, "Elu": true,
	"Erf": true, "Exp": true, "FastGelu": true, "Gelu": true, "Identity": true, "LayerNormalization": true,
	"LeakyRelu": true, "Log": true, "Max": true, "Min": true, "Mul": true, "Neg": true, "Pow": true, "Reciprocal": true,
	"Relu": true, "Sigmoid": true, "SkipLayerNormalization": true, "Softmax": true, "Sqrt": true, "Sub": true,
	"Sum": true, "Tanh": true, "Where": true,
}

// of gives the sequence axis of a value, PerExample or UnknownAxis.
func (t *axisTracer) of(v *graph.Value) int {
	switch {
	case t.fixed:
		return PerExample
	case t.sequence[v]:
		return 1
	}
	if axis, ok := t.memo[v]; ok {
		return axis
	}
	axis := UnknownAxis
	if v != nil && v.Producer != nil {
		axis = t.through(v.Producer)
	}
	t.memo[v] = axis
	return axis
}

func (t *axisTracer) through(n *graph.Node) int {
	switch op := n.OpType; {
	case sameAxes[op]:
		return t.common(n)
	case op == "MatMul" && t.data[n.Input(0)] && !t.data[n.Input(1)]:
		return t.of(n.Input(0)) // [batch sequence in]·[in out]; the last axis is never the sequence
	case op == "Gemm" && t.data[n.Input(0)] && t.of(n.Input(0)) == PerExample:
		return PerExample
	case op == "Gather" && t.data[n.Input(0)]:
		return t.picked(n)
	case op == "Gather" && n.Int("axis", 0) == 0:
		return t.of(n.Input(1)) // rows of a table
	case op == "ReduceMean" || op == "ReduceSum" || op == "ReduceMax" || op == "ReduceMin":
		return t.reduced(n)
	case op == "Unsqueeze" || op == "Squeeze":
		return t.moved(n)
	case op == "Flatten" || op == "Reshape" || op == "Transpose" || op == "Concat" || op == "Slice":
		if t.common(n) == PerExample {
			return PerExample
		}
	}
	return UnknownAxis
}

// common is the axis that all of a node's data agree on. An operand per token
// beside one per example is [batch … sequence …] broadcast: unknown.
func (t *axisTracer) common(n *graph.Node) int {
	axis, first := UnknownAxis, true
	for _, v := range n.Inputs {
		if v == nil || !t.data[v] {
			continue
		}
		a := t.of(v)
		if !first && a != axis {
			return UnknownAxis
		}
		axis, first = a, false
	}
	return axis
}

// picked is the axis after Gather took one element, of rank 0, along another.
func (t *axisTracer) picked(n *graph.Node) int {
	axis, along := t.of(n.Input(0)), int(n.Int("axis", 0))
	index := t.sources[n.Input(1)]
	if axis < 0 || len(index) != 1 || along < 1 {
		return axis
	}
	dims := tensorOf(index[0])
	switch {
	case dims == nil:
		return UnknownAxis
	case along == axis:
		return PerExample
	case along > axis:
		return axis
	case len(dims.Dims) == 0:
		return axis - 1
	}
	return UnknownAxis
}

// reduced is the axis after a reduction, which may take it away.
func (t *axisTracer) reduced(n *graph.Node) int {
	axis, along := t.of(n.Input(0)), t.axes(n)
	switch {
	case axis < 0:
		return axis
	case slices.Contains(along, int64(axis)):
		return PerExample
	case len(along) == 0 || slices.ContainsFunc(along, func(a int64) bool { return a < -1 }):
		return UnknownAxis // all, or counted from the end of an unknown rank
	case n.Int("keepdims", 1) == 0 && slices.ContainsFunc(along, func(a int64) bool { return a >= 0 && a < int64(axis) }):
		return UnknownAxis
	}
	return axis
}

// moved is the axis after others of size 1 were inserted or taken away.
func (t *axisTracer) moved(n *graph.Node) int {
	axis, along := t.of(n.Input(0)), t.axes(n)
	if axis < 0 {
		return axis
	}
	along = slices.Sorted(slices.Values(along))
	step := 1
	if n.OpType == "Squeeze" {
		step = -1
		slices.Reverse(along)
	}
	for _, a := range along {
		switch {
		case a < -1 || a == -1 && len(along) > 1:
			return UnknownAxis
		case a >= 0 && a <= int64(axis):
			axis += step
		}
	}
	if len(along) == 0 {
		return UnknownAxis
	}
	return axis
}

// axes is the attribute or the constant input of that name, nil if absent.
func (t *axisTracer) axes(n *graph.Node) []int64 {
	if in := n.Input(1); in != nil {
		if c := t.sources[in]; len(c) == 1 && tensorOf(c[0]) != nil {
			axes, _ := tensorOf(c[0]).Int64s()
			return axes
		}
	}
	return n.Ints("axes")
}
