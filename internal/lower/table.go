package lower

import (
	"fmt"
	"slices"
	"sort"

	"github.com/ftk-go/ftk/internal/graph"
)

// Func lowers one node.
type Func func(c *Call) ([]*value, error)

// Row is one operator that can be computed natively.
type Row struct {
	Op     string
	Domain string // "" is the standard one
	// Since is the first version of the operator's domain that the lowering understands; later versions up to Newest are
	// understood too.
	Since int64
	// Min is the number of inputs that must be given.
	Min   int
	Lower Func
	// Differentiable says that gradients flow through the operator to at least one input.
	Differentiable bool
	// ConstInputs have to be constants once input shapes are known.
	ConstInputs []int
}

// Newest is the newest standard operator set that the table was written for.
const Newest = 26

// find is the row of a node's operator, nil if there is none.
func find(n *graph.Node) *Row {
	domain := n.Domain
	if domain == "ai.onnx" {
		domain = ""
	}
	i := sort.Search(len(Table), func(i int) bool { return key(Table[i].Op, Table[i].Domain) >= key(n.OpType, domain) })
	if i < len(Table) && Table[i].Op == n.OpType && Table[i].Domain == domain {
		return &Table[i]
	}
	return nil
}

func key(op, domain string) string { return op + "\x00" + domain }

// Supported reports whether a node's operator is in the table.
func Supported(n *graph.Node, opset int64) bool { return refusal(n, opset) == "" }

// Differentiable reports whether gradients flow through a node's operator.
func Differentiable(n *graph.Node) bool {
	r := find(n)
	return r != nil && r.Differentiable
}

// Unsupported checks all nodes that the graph's outputs depend on, and reports those whose operators are not in the table
// as a *graph.UnsupportedError.
func Unsupported(g *graph.Graph, opset int64) error { return supported(needed(g), opset) }

// lastNew is the last opset whose operators no pass puts into graphs of earlier
// ones.
const lastNew = 9

// refusal is why a node's operator is not in the table for this version of the
// standard operators (0: any), or "".
func refusal(n *graph.Node, opset int64) string {
	switch r := find(n); {
	case r == nil:
		return "no such operator"
	case standard(n) && 0 < opset && opset < r.Since && r.Since <= lastNew:
		return fmt.Sprintf("it is understood from opset %d on", r.Since)
	}
	return ""
}

func standard(n *graph.Node) bool { return n.Domain == "" || n.Domain == "ai.onnx" }

func supported(nodes []*graph.Node, opset int64) error {
	e := &graph.UnsupportedError{Doing: "native training"}
	for _, n := range nodes {
		if reason := refusal(n, opset); reason != "" {
			version := opset
			if !standard(n) {
				version = 0
			}
			e.Nodes = append(e.Nodes, graph.UnsupportedNode{Node: n, Opset: version, Reason: reason})
		}
	}
	if len(e.Nodes) == 0 {
		return nil
	}
	return e
}

// Operators lists the operators of a domain, in order.
func Operators(domain string) []string {
	var ops []string
	for _, r := range Table {
		if r.Domain == domain {
			ops = append(ops, r.Op)
		}
	}
	slices.Sort(ops)
	return ops
}

// ConstInputs lists the inputs of a node that have to be constants when it is lowered.
func ConstInputs(n *graph.Node) []int {
	if r := find(n); r != nil {
		return r.ConstInputs
	}
	return nil
}
