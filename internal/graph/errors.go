package graph

import (
	"fmt"
	"strings"
)

// FormatError says that a model file is broken: not protobuf, cut short, or
// contradicting itself or the ONNX specification.
type FormatError struct {
	File  string // the file's path, "" where the model did not come from a file
	Where string // `initializer "w"`, `node "/attn/MatMul" (MatMul)`; "" for the file as a whole
	What  string // what is wrong
}

// Error is "file: where: what".
func (e *FormatError) Error() string {
	parts := make([]string, 0, 3)
	for _, p := range []string{e.File, e.Where, e.What} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, ": ")
}

// UnsupportedError says that a model is valid, and that ftk cannot do with it
// what was asked. It lists every node concerned.
type UnsupportedError struct {
	Doing string // "training", "lowering"
	Nodes []UnsupportedNode
	Hint  string // what to do; "" where nothing is known to help
}

// UnsupportedNode is one node that an UnsupportedError is about.
type UnsupportedNode struct {
	Node   *Node
	Opset  int64  // the version imported of the node's domain, 0 if unknown
	Reason string // "no such operator", "auto_pad is not supported"
}

// Error lists operators, with the names of the nodes that use them, in one line.
func (e *UnsupportedError) Error() string {
	var order [][2]string // operator, reason
	names := map[[2]string][]string{}
	for _, u := range e.Nodes {
		op := u.Node.OpType
		if d := standardDomain(u.Node.Domain); d != "" {
			op = d + "." + op
		}
		if u.Opset != 0 {
			op = fmt.Sprintf("%s (opset %d)", op, u.Opset)
		}
		group := [2]string{op, u.Reason}
		if names[group] == nil {
			order = append(order, group)
		}
		names[group] = append(names[group], fmt.Sprintf("%q", u.Node.Name))
	}
	var b strings.Builder
	b.WriteString("not supported")
	if e.Doing != "" {
		b.WriteString(" in " + e.Doing)
	}
	for i, group := range order {
		if i == 0 {
			b.WriteString(": ")
		} else {
			b.WriteString("; ")
		}
		b.WriteString(group[0] + " in node")
		if len(names[group]) > 1 {
			b.WriteString("s")
		}
		b.WriteString(" " + strings.Join(names[group], ", "))
		if group[1] != "" {
			b.WriteString(" (" + group[1] + ")")
		}
	}
	if e.Hint != "" {
		b.WriteString("; " + e.Hint)
	}
	return b.String()
}
