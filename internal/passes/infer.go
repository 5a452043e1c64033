package passes

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ftk-go/ftk/internal/graph"
)

// dim is the size of an axis, or an element of an integer tensor: a number, or a symbol for one not known. Equal symbols
// are equal numbers. Symbols are the dimension names of graph inputs, products of symbols, and fresh ones: "?1", "?2", ….
// "*" in a name stands for a product, "#2" in a product for a number: names that Dims gives mean the same when they are
// read again.
type dim struct {
	n   int64
	sym string
}

func fixed(n int64) dim     { return dim{n: n} }
func (d dim) known() bool   { return d.sym == "" }
func (d dim) is(n int) bool { return d.sym == "" && d.n == int64(n) }

// inference holds what is known of shapes, and of the elements of small integer tensors (rank 0 or 1), which is where
// exporters compute shapes. A value without an entry is not known.
type inference struct {
	shape    map[*graph.Value][]dim
	contents map[*graph.Value][]dim
	declared map[string]bool // symbols in the names of axes that the file gives, to inner values too
	fresh    int
}

func (s *state) infer() *inference {
	if s.dims == nil {
		f := &inference{shape: map[*graph.Value][]dim{}, contents: map[*graph.Value][]dim{}, declared: map[string]bool{}}
		for _, v := range s.g.Values() {
			f.reserve(v)
		}
		for _, v := range s.g.Inputs {
			f.declare(v)
		}
		for _, n := range s.g.Nodes {
			f.node(n, s.opset)
		}
		s.dims = f
	}
	return s.dims
}

// Dims infers the shapes of a graph's values from those of its inputs; opset is the version of the standard operators.
// The function it returns gives nil for a value of which not even the rank is known. Equal names of axes are equal sizes,
// in a graph that takes such values as inputs too.
//
// Constants are folded first, or the axes and sizes that Constant nodes give would not be known. That is done on a copy
// that shares the tensors' data: g stays as it is.
func Dims(g *graph.Graph, opset int64) func(*graph.Value) []graph.Dim {
	copied, to := g.Clone()
	s := newState(copied, opset)
	s.foldAll()
	return func(v *graph.Value) []graph.Dim {
		dims := s.shapeOf(to[v])
		if dims == nil {
			return nil
		}
		out := make([]graph.Dim, len(dims))
		for i, d := range dims {
			out[i] = graph.NamedDim(d.sym)
			if d.known() {
				out[i] = graph.FixedDims(d.n)[0]
			}
		}
		return out
	}
}

// shapeOf is a value's shape, nil if even the rank is not known.
func (s *state) shapeOf(v *graph.Value) []dim { return s.infer().of(v) }

// unknown is a symbol that nothing else has.
func (f *inference) unknown() dim {
	for {
		f.fresh++
		if sym := fmt.Sprintf("?%d", f.fresh); !f.declared[sym] {
			return dim{sym: sym}
		}
	}
}

// reserve keeps the names that the file gives to axes from being made again for sizes that are not known.
func (f *inference) reserve(v *graph.Value) {
	dims, _ := v.Dims()
	for _, d := range dims {
		_, syms := dim{sym: d.Name}.factors()
		for _, sym := range syms {
			f.declared[sym] = true
		}
	}
}

// declare takes the shape that the file gives for an input.
func (f *inference) declare(v *graph.Value) {
	dims, ok := v.Dims()
	if !ok {
		return
	}
	out := make([]dim, len(dims))
	for i, d := range dims {
		_, syms := dim{sym: d.Name}.factors()
		switch {
		case d.Known():
			out[i] = fixed(d.Size)
		case len(syms) > 0:
			out[i] = dim{sym: d.Name}
		default:
			out[i] = f.unknown()
		}
	}
	f.shape[v] = out
}

func (f *inference) of(v *graph.Value) []dim {
	if v == nil {
		return nil
	}
	if v.Init != nil {
		out := make([]dim, len(v.Init.Dims))
		for i, n := range v.Init.Dims {
			out[i] = fixed(n)
		}
		return out
	}
	return f.shape[v]
}

// elements are the elements of an int64 tensor of rank 0 or 1.
func (f *inference) elements(v *graph.Value) []dim {
	if v == nil {
		return nil
	}
	if v.Init != nil {
		if len(v.Init.Dims) > 1 || v.Init.Len() > 64 || v.Init.DType != graph.Int64 {
			return nil
		}
		ints, ok := integers(v)
		if !ok {
			return nil
		}
		out := make([]dim, len(ints))
		for i, n := range ints {
			out[i] = fixed(n)
		}
		return out
	}
	return f.contents[v]
}

// node infers the outputs of a node. What is not handled stays unknown, and so is what lacks inputs.
func (f *inference) node(n *graph.Node, opset int64) {
	if n.Domain != "" && n.Domain != "ai.onnx" && n.Domain != Domain || len(n.Outputs) == 0 || n.Outputs[0] == nil {
		return
	}
	out := n.Outputs[0]
	set := func(s []dim) {
		if s != nil {
			f.shape[out] = s
		}
	}
	x := f.of(n.Input(0))
	switch n.OpType {
	case "Shape":
		if x != nil && n.Attr("start") == nil && n.Attr("end") == nil {
			f.contents[out] = x
			set([]dim{fixed(int64(len(x)))})
		}
	case "Gather":
		f.gather(n, set)
	case "Concat":
		f.concat(n, set)
	case "Slice":
		f.slice(n, set)
	case "Unsqueeze", "Squeeze":
		f.unsqueeze(n, set)
	case "Cast", "Identity", "Dropout":
		if e := f.elements(n.Input(0)); e != nil && n.Int("to", int64(graph.Int64)) == int64(graph.Int64) {
			f.contents[out] = e
		}
		set(x)
	case "Reshape":
		set(f.reshaped(x, f.elements(n.Input(1)), n.Int("allowzero", 0) == 1))
	case "Expand":
		if e := f.elements(n.Input(1)); e != nil && x != nil {
			set(f.broadcast(x, e))
		}
	case "ConstantOfShape":
		set(f.elements(n.Input(0)))
	case "Range":
		set([]dim{f.unknown()})
		if e := f.elements(n.Input(1)); len(e) == 1 && isNumber(n.Input(0), 0) && isNumber(n.Input(2), 1) {
			set(e)
		}
	case "Transpose":
		set(transposed(x, n.Ints("perm")))
	case "MatMul":
		set(f.matMul(x, f.of(n.Input(1))))
	case "Linear", "Projections":
		if w := f.of(n.Input(1)); len(w) == 2 && len(x) > 0 {
			for _, out = range n.Outputs {
				set(append(slices.Clone(x[:len(x)-1]), w[1-n.Int("transB", 0)]))
			}
		}
	case "Gemm":
		if w := f.of(n.Input(1)); len(w) == 2 && len(x) == 2 {
			set([]dim{x[n.Int("transA", 0)], w[1-n.Int("transB", 0)]})
		}
	case "Attention":
		set(f.attention(n, x, f.of(n.Input(2))))
	case "ReduceMean", "ReduceSum", "ReduceMax":
		f.reduce(n, x, set)
	case "Flatten":
		if len(x) > 0 && n.Int("axis", 1) == int64(len(x)-1) {
			set([]dim{f.product(x[:len(x)-1]), x[len(x)-1]})
		} else if x != nil {
			set([]dim{f.unknown(), f.unknown()})
		}
	default:
		f.elementwise(n, x, set)
	}
}

func isNumber(v *graph.Value, want float64) bool {
	c, ok := number(v)
	return ok && c == want
}

// sameShape lists operators whose first output has the shape of the first input.
var sameShape = map[string]bool{
	"Softmax": true, "LogSoftmax": true, "LayerNormalization": true, "Gelu": true, "Erf": true, "Tanh": true, "Sqrt": true,
	"Relu": true, "Sigmoid": true, "Exp": true, "Log": true, "Neg": true, "Abs": true, "Not": true,
	"RMSNormalization": true, "BatchNormalization": true, "Elu": true, "LeakyRelu": true, "Swish": true, "Softplus": true,
	"Clip": true, "Floor": true, "Ceil": true, "Reciprocal": true, "CumSum": true, "Trilu": true, "Sign": true, "Cos": true, "Sin": true,
}

func (f *inference) elementwise(n *graph.Node, x []dim, set func([]dim)) {
	switch n.OpType {
	case "Add", "Sub", "Mul", "Div", "Pow", "Min", "Max", "Where", "Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual", "And", "Or", "Mod":
		y := x
		for _, v := range n.Inputs[min(1, len(n.Inputs)):] {
			other := f.of(v)
			if y == nil || other == nil {
				return
			}
			y = f.broadcast(y, other)
		}
		set(y)
		f.arithmetic(n)
	default:
		if sameShape[n.OpType] {
			set(x)
		}
	}
}

// arithmetic follows the elements of integer tensors through sums and products.
func (f *inference) arithmetic(n *graph.Node) {
	if len(n.Inputs) != 2 {
		return
	}
	a, b := f.elements(n.Input(0)), f.elements(n.Input(1))
	if len(a) == 0 || len(b) == 0 || len(a) != len(b) && len(a) != 1 && len(b) != 1 {
		return
	}
	out := make([]dim, max(len(a), len(b)))
	for i := range out {
		p, q := a[min(i, len(a)-1)], b[min(i, len(b)-1)]
		out[i] = f.unknown()
		switch {
		case n.OpType == "Mul":
			out[i] = f.product([]dim{p, q})
		case p.known() && q.known() && n.OpType == "Add":
			out[i] = fixed(p.n + q.n)
		case p.known() && q.known() && n.OpType == "Sub":
			out[i] = fixed(p.n - q.n)
		case p.known() && q.known() && n.OpType == "Div" && q.n > 0 && p.n >= 0:
			out[i] = fixed(p.n / q.n)
		case q.is(1) && n.OpType == "Div", q.is(0) && (n.OpType == "Add" || n.OpType == "Sub"):
			out[i] = p
		}
	}
	f.contents[n.Outputs[0]] = out
}

func (f *inference) broadcast(a, b []dim) []dim {
	if len(a) < len(b) {
		a, b = b, a
	}
	out := slices.Clone(a)
	for i, q := range b {
		at := len(a) - len(b) + i
		p := out[at]
		switch {
		case p == q || q.is(1):
		case p.is(1):
			out[at] = q
		case p.known(): // not 1: q is the same or 1
		case q.known():
			out[at] = q
		default:
			out[at] = f.unknown()
		}
	}
	return out
}

// product multiplies sizes; symbols in order, so that equal products are equal symbols.
func (f *inference) product(ds []dim) dim {
	n := int64(1)
	var syms []string
	for _, d := range ds {
		if d.known() {
			n *= d.n
			continue
		}
		k, names := d.factors()
		n *= k
		syms = append(syms, names...)
	}
	if len(syms) == 0 {
		return fixed(n)
	}
	if n != 1 {
		syms = append(syms, fmt.Sprintf("#%d", n))
	}
	if n == 0 {
		return fixed(0)
	}
	slices.Sort(syms)
	return dim{sym: strings.Join(syms, "*")}
}

// factors takes a product apart: its number, and its symbols.
func (d dim) factors() (n int64, syms []string) {
	if d.known() {
		return d.n, nil
	}
	n = 1
	for _, s := range strings.Split(d.sym, "*") {
		number, ok := strings.CutPrefix(s, "#")
		if k, err := strconv.ParseInt(number, 10, 64); ok && err == nil {
			n *= k
		} else {
			syms = append(syms, s)
		}
	}
	return n, syms
}

// reshaped is the shape that a Reshape to target gives; −1 is resolved where the sizes cancel.
func (f *inference) reshaped(x, target []dim, allowZero bool) []dim {
	if target == nil {
		return nil
	}
	out := slices.Clone(target)
	rest := -1
	for i, d := range target {
		switch {
		case d.is(-1):
			rest = i
		case d.is(0) && !allowZero:
			if i >= len(x) {
				return nil
			}
			out[i] = x[i]
		}
	}
	if rest >= 0 {
		others := append(slices.Clone(out[:rest]), out[rest+1:]...)
		out[rest] = f.quotient(x, others)
	}
	return out
}

// quotient divides the product of a by the product of b, as far as that can be known.
func (f *inference) quotient(a, b []dim) dim {
	if a == nil {
		return f.unknown()
	}
	n, top := f.product(a).factors()
	d, bottom := f.product(b).factors()
	for _, s := range bottom {
		i := slices.Index(top, s)
		if i < 0 {
			return f.unknown()
		}
		top = slices.Delete(top, i, i+1)
	}
	if d == 0 || n%d != 0 {
		return f.unknown()
	}
	ds := []dim{fixed(n / d)}
	for _, s := range top {
		ds = append(ds, dim{sym: s})
	}
	return f.product(ds)
}

// transposed has the axes of x, of known rank, in the order of perm, reversed where there is none.
func transposed(x []dim, perm []int64) []dim {
	if x == nil || perm != nil && len(perm) != len(x) {
		return nil
	}
	y := slices.Clone(x)
	if perm == nil {
		slices.Reverse(y)
	}
	for i, p := range perm {
		if p < 0 || p >= int64(len(x)) {
			return nil
		}
		y[i] = x[p]
	}
	return y
}

func (f *inference) matMul(a, b []dim) []dim {
	if len(a) < 2 || len(b) < 2 {
		return nil
	}
	lead := f.broadcast(a[:len(a)-2], b[:len(b)-2])
	return append(lead, a[len(a)-2], b[len(b)-1])
}

// attention is q's shape but for the width, which is v's: of a head in rank 4, of q's number of heads in rank 3.
func (f *inference) attention(n *graph.Node, q, v []dim) []dim {
	if len(q) != 3 && len(q) != 4 {
		return nil
	}
	out := slices.Clone(q)
	last := len(q) - 1
	out[last] = f.unknown()
	if len(v) != len(q) {
		return out
	}
	heads, of := n.Int("q_num_heads", 0), n.Int("kv_num_heads", 0)
	switch {
	case last == 3 || heads == of:
		out[last] = v[last]
	case v[last].known() && of > 0 && v[last].n%of == 0:
		out[last] = fixed(v[last].n / of * heads)
	}
	return out
}

func (f *inference) reduce(n *graph.Node, x []dim, set func([]dim)) {
	axes, ok := axesOf(n)
	if x == nil || !ok || len(axes) == 0 { // none are all, or, if the node says so, none
		return
	}
	at := map[int]bool{}
	for _, a := range axes {
		if a < 0 {
			a += int64(len(x))
		}
		at[int(a)] = true
	}
	out := []dim{}
	for i, d := range x {
		switch {
		case !at[i]:
			out = append(out, d)
		case n.Int("keepdims", 1) == 1:
			out = append(out, fixed(1))
		}
	}
	set(out)
}
