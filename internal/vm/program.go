package vm

import (
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/ftk-go/ftk/internal/op"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// program is a graph made ready to run: values in order of definition, and the steps that define them.
type program struct {
	values []*value
	steps  []*step
	byNode map[*G.Node]*value
}

// value is the result of a node.
type value struct {
	node   *G.Node
	shape  tensor.Shape
	dtype  tensor.Dtype
	bytes  int
	uses   []*step // steps that read it, in order, once each; those that read an alias of it not included
	source *value  // of an alias: the value it is a part of
	offset int     // of an alias: where in source, in bytes
	store  *store  // where it lives; nil for inputs, constants and their aliases
	at     int     // where in store, in bytes
	def    int     // step that defines it; -1 for inputs and constants
	last   int     // last step that reads it or an alias of it; def if none does

	external bool // an input or a constant: lives outside
	pinned   bool // kept: lives in memory of its own

	dense  *tensor.Dense
	bound  G.Value // of an input: the node's value that dense stands for
	copied bool    // of an input: dense is a contiguous copy of it
}

// step executes one node.
type step struct {
	index int
	value *value
	in    []*value
	node  *G.Node
	op    G.Op
	name  string // the operator's, for profiles

	sum      bool           // adds its two inputs, see isSum
	kernel   op.Kernel      // nil: a foreign operator, run by its Do
	add      bool           // the last input is the base that the result is added to (op.Accumulator)
	rows     *op.Rows       // rows of the output that may not be zero
	output   bool           // writes to memory that Machine.SetAccumulate has added to; kernel is an op.Accumulator
	base     *tensor.Dense  // with add
	then     *step          // the step after, which this one's kernel (an op.Producer) has done part by part, see follow
	within   *step          // the step before, whose then this one is
	done     []atomic.Int32 // of an op.Rowwise within another: for the first row of each part, how many columns are done
	complete atomic.Int32   // of it: rows that are done

	args []*tensor.Dense
	vals []G.Value // arguments of a foreign operator

	calls int
	nanos int64
}

// build walks back from the kept nodes and lists what they need. Everything else in the graph is ignored.
//
// The order is that of creation (operands before results; the forward pass, then its gradient from the loss back), but
// for sums and views, which come as soon as their operands exist: a sum of gradients then frees one of two buffers, or
// becomes an accumulation (see fuse), long before the point at which gorgonia created it.
func build(g *G.ExprGraph, keep G.Nodes) (*program, error) {
	p := &program{byNode: map[*G.Node]*value{}}
	needed, err := reachable(g, keep)
	if err != nil {
		return nil, err
	}
	consumers := map[*G.Node][]*G.Node{}
	for _, n := range needed {
		for _, c := range children(g, n) {
			consumers[c] = append(consumers[c], n)
		}
	}
	var emit func(n *G.Node) error
	emit = func(n *G.Node) error {
		if p.byNode[n] != nil {
			return nil
		}
		for _, c := range children(g, n) {
			if err := emit(c); err != nil {
				return err
			}
		}
		if err := p.define(n, children(g, n)); err != nil {
			return fmt.Errorf("vm: node %s: %w", n.Name(), err)
		}
		for _, c := range consumers[n] {
			if eager(c) && !slices.ContainsFunc(children(g, c), func(o *G.Node) bool { return p.byNode[o] == nil }) {
				if err := emit(c); err != nil {
					return err
				}
			}
		}
		return nil
	}
	for _, n := range needed {
		if err := emit(n); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// reachable lists the nodes that keep needs, itself included, in order of creation.
func reachable(g *G.ExprGraph, keep G.Nodes) (G.Nodes, error) {
	seen := map[*G.Node]bool{}
	var todo, needed G.Nodes
	push := func(n *G.Node) {
		if !seen[n] {
			seen[n] = true
			todo = append(todo, n)
		}
	}
	for i, n := range keep {
		if n == nil {
			return nil, fmt.Errorf("vm: kept node %d is nil", i)
		}
		push(n)
	}
	for len(todo) > 0 {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		// Gorgonia finds nodes by an index that a removal leaves stale; then it would hand out another node's operands.
		if n.Graph() != g || g.Node(n.ID()) != n {
			return nil, fmt.Errorf("vm: node %s is not in the graph", n.Name())
		}
		needed = append(needed, n)
		for _, c := range children(g, n) {
			push(c)
		}
	}
	slices.SortFunc(needed, func(a, b *G.Node) int { return int(a.ID() - b.ID()) })
	return needed, nil
}

func children(g *G.ExprGraph, n *G.Node) []*G.Node {
	it := g.From(n.ID())
	nodes := make([]*G.Node, 0, it.Len())
	for it.Next() {
		nodes = append(nodes, it.Node().(*G.Node))
	}
	return nodes
}

// eager says whether a node is executed as soon as it can be.
func eager(n *G.Node) bool {
	if n.Op() == nil {
		return false
	}
	if _, ok := n.Op().(op.Aliaser); ok {
		return true
	}
	return isSum(n)
}

func (p *program) define(n *G.Node, operands []*G.Node) error {
	v := &value{node: n, shape: n.Shape(), def: -1, last: -1}
	var err error
	if v.dtype, err = dtypeOf(n); err != nil {
		return err
	}
	v.bytes = int(v.dtype.Size())
	for _, d := range v.shape {
		v.bytes *= d
	}
	p.byNode[n] = v
	p.values = append(p.values, v)
	if n.Op() == nil || len(operands) == 0 {
		v.external = true
		return nil
	}
	s := &step{value: v, node: n, op: n.Op(), name: opName(n)}
	for _, c := range operands {
		s.in = append(s.in, p.byNode[c])
	}
	if s.sum = isSum(n); s.sum {
		s.kernel, s.name = sum{n.Op()}, "Add"
	} else if k, ok := n.Op().(op.Kernel); ok {
		s.kernel = k
	}
	p.steps = append(p.steps, s)
	return nil
}

func dtypeOf(n *G.Node) (dt tensor.Dtype, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("no dtype: %v", r)
		}
	}()
	return n.Dtype(), nil
}

func opName(n *G.Node) string {
	if k, ok := n.Op().(interface{ Name() string }); ok {
		return k.Name()
	}
	return n.Op().String()
}

// alias makes values that are Views of others aliases of them, unless they are kept (those are copied out), and drops
// their steps.
func (p *program) alias() {
	p.steps = slices.DeleteFunc(p.steps, func(s *step) bool {
		a, ok := s.op.(op.Aliaser)
		if !ok || s.value.pinned {
			return false
		}
		i, offset := a.Alias()
		v, src := s.value, s.in[i]
		offset *= int(v.dtype.Size())
		for src.source != nil {
			offset += src.offset
			src = src.source
		}
		v.source, v.offset = src, offset
		return true
	})
}

// number gives steps their index and values their uses.
func (p *program) number() {
	for _, v := range p.values {
		v.uses, v.def, v.last = v.uses[:0], -1, -1
	}
	for i, s := range p.steps {
		s.index = i
		s.value.def = i
		s.value.last = max(s.value.last, i)
		for _, in := range s.in {
			if !slices.Contains(in.uses, s) {
				in.uses = append(in.uses, s)
			}
			in.last = max(in.last, i)
		}
	}
	for _, v := range p.values {
		if v.source != nil {
			v.def = v.source.def
			v.last = max(v.last, v.def)
		}
	}
}
