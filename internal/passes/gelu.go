package passes

import (
	"math"

	"github.com/ftk-go/ftk/internal/graph"
)

// gelu gathers the nodes that spell a GELU: ½·x·(1 + erf(x/√2)), or with tanh(√(2/π)·(x + 0.044715·x³)) for the error
// function. The product may be taken in any order and the polynomial be written in any way.
//
// Before: constants are initializers. After: such nodes are one Gelu.
func gelu(s *state) error {
	for _, n := range append([]*graph.Node{}, s.g.Nodes...) {
		switch n.OpType {
		case "Erf":
			s.matchGelu(n, polynomial{1: 1 / math.Sqrt2}, "none")
		case "Tanh":
			c := math.Sqrt(2 / math.Pi)
			s.matchGelu(n, polynomial{1: c, 3: c * 0.044715}, "tanh")
		}
	}
	return nil
}

// matchGelu climbs from f(p(x)) through the addition of 1 and the products, until what was multiplied is ½·x.
func (s *state) matchGelu(f *graph.Node, want polynomial, approximate string) {
	plus := s.soleUser(f.Outputs[0], "Add")
	if plus == nil {
		return
	}
	if _, one, ok := split(plus); !ok || one != 1 {
		return
	}
	nodes := []*graph.Node{f, plus}
	var factors []*graph.Value
	for top := plus; len(factors) < 3; {
		product := s.soleUser(top.Outputs[0], "Mul", "Div")
		if product == nil {
			return
		}
		other := product.Inputs[0]
		if other == top.Outputs[0] {
			other = product.Inputs[1]
		} else if product.OpType == "Div" {
			return
		}
		if product.OpType == "Div" { // by 2
			if two, ok := number(other); !ok || two != 2 {
				return
			}
			other = nil // stands for ½
		}
		factors = append(factors, other)
		nodes = append(nodes, product)
		top = product
		x, inner := s.baseOf(factors)
		if x == nil {
			continue
		}
		argument, path, ok := expand(f.Inputs[0], x, 6)
		if !ok || !argument.near(want) {
			return
		}
		all := append(append(path, inner...), nodes...)
		if s.enclosed(all...) {
			s.replace(top, "Gelu", "", x).SetStr("approximate", approximate)
		}
		return
	}
}

// baseOf finds x such that the product of the factors is ½·x.
func (s *state) baseOf(factors []*graph.Value) (*graph.Value, []*graph.Node) {
	for _, v := range factors {
		for _, x := range bases(v) {
			product := polynomial{0: 1}
			var nodes []*graph.Node
			ok := true
			for _, f := range factors {
				p := polynomial{0: 0.5}
				if f != nil {
					var path []*graph.Node
					p, path, ok = expand(f, x, 3)
					nodes = append(nodes, path...)
				}
				if !ok {
					break
				}
				product = product.times(p)
			}
			if ok && product.near(polynomial{1: 0.5}) {
				return x, nodes
			}
		}
	}
	return nil, nil
}

// bases lists what v may be a multiple of: itself, and, where it is a product with a number, the other factor.
func bases(v *graph.Value) []*graph.Value {
	if _, ok := number(v); ok || v == nil {
		return nil
	}
	out := []*graph.Value{v}
	if x, _, ok := split(op(v, "Mul", "Div")); ok && x != nil {
		out = append(out, x)
	}
	return out
}

// soleUser is the only node that uses v, if it is one of the given standard operators and v need not be kept.
func (s *state) soleUser(v *graph.Value, types ...string) *graph.Node {
	uses := s.usesOf(v)
	if len(uses) == 0 || s.keep[v] || uses[0].Node == nil {
		return nil
	}
	n := uses[0].Node
	for _, u := range uses {
		if u.Node != n {
			return nil
		}
	}
	if n.Outputs[0] == nil || op(n.Outputs[0], types...) == nil {
		return nil
	}
	return n
}

// polynomial maps exponents to coefficients.
type polynomial map[int]float64

func (p polynomial) times(q polynomial) polynomial {
	r := polynomial{}
	for i, a := range p {
		for j, b := range q {
			r[i+j] += a * b
		}
	}
	return r
}

// near allows for constants rounded to six digits.
func (p polynomial) near(q polynomial) bool {
	for i := range 8 {
		if math.Abs(p[i]-q[i]) > 2e-6+2e-5*math.Abs(q[i]) {
			return false
		}
	}
	return len(p) <= 8
}

// expand writes v as a polynomial in x, if it is one, and lists the nodes on the way. depth limits the search.
func expand(v, x *graph.Value, depth int) (polynomial, []*graph.Node, bool) {
	if v == x {
		return polynomial{1: 1}, nil, true
	}
	if c, ok := number(v); ok {
		return polynomial{0: c}, nil, true
	}
	n := op(v, "Add", "Sub", "Mul", "Div", "Pow")
	if n == nil || depth == 0 || len(n.Inputs) != 2 {
		return nil, nil, false
	}
	a, left, ok := expand(n.Inputs[0], x, depth-1)
	if !ok {
		return nil, nil, false
	}
	b, right, ok := expand(n.Inputs[1], x, depth-1)
	if !ok {
		return nil, nil, false
	}
	nodes := append(append(left, right...), n)
	switch n.OpType {
	case "Add", "Sub":
		sign := 1.0
		if n.OpType == "Sub" {
			sign = -1
		}
		sum := polynomial{}
		for i, c := range a {
			sum[i] += c
		}
		for i, c := range b {
			sum[i] += sign * c
		}
		return sum, nodes, true
	case "Mul":
		return a.times(b), nodes, true
	case "Div":
		if len(b) != 1 || b[0] == 0 {
			return nil, nil, false
		}
		return a.times(polynomial{0: 1 / b[0]}), nodes, true
	default:
		e := b[0]
		if len(b) != 1 || e != math.Trunc(e) || e < 1 || e > 4 {
			return nil, nil, false
		}
		p := polynomial{0: 1}
		for range int(e) {
			p = p.times(a)
		}
		return p, nodes, true
	}
}
