package lower_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/lower"
)

// TestTable: lookups are by binary search, so the order matters.
func TestTable(t *testing.T) {
	if !slices.IsSortedFunc(lower.Table, func(a, b lower.Row) int {
		return strings.Compare(a.Op+"\x00"+a.Domain, b.Op+"\x00"+b.Domain)
	}) {
		t.Error("the table is not in alphabetical order")
	}
	for _, r := range lower.Table {
		if !lower.Supported(&graph.Node{OpType: r.Op, Domain: r.Domain}, r.Since) {
			t.Errorf("%s is not found", r.Op)
		}
		if r.Since < 1 || r.Lower == nil {
			t.Errorf("%s: the row is incomplete", r.Op)
		}
	}
}

// chain makes a graph of one node after another.
func chain(ops ...string) *graph.Graph {
	g := &graph.Graph{}
	v := g.AddInput("x", graph.TensorOf(graph.Float32, graph.FixedDims(2, 3)...))
	for _, op := range ops {
		v = g.AddNode(op, "node/"+op, []*graph.Value{v}).Output()
	}
	g.Outputs = []*graph.Value{v}
	return g
}

// TestUnsupported: operators that are not there are all named at once.
func TestUnsupported(t *testing.T) {
	_, err := lower.Lower(chain("Relu", "LSTM", "Tanh", "QLinearConv"), lower.Options{Opset: 17})
	var u *graph.UnsupportedError
	if !errors.As(err, &u) || len(u.Nodes) != 2 || u.Nodes[0].Node.OpType != "LSTM" || u.Nodes[1].Node.OpType != "QLinearConv" {
		t.Fatalf("error %v", err)
	}
}

// TestOldOpsets: before version 7 Add has its own rules for broadcasting.
func TestOldOpsets(t *testing.T) {
	g := chain("Relu")
	y := g.AddNode("Add", "sum", []*graph.Value{g.Outputs[0], g.Outputs[0]}).Output()
	g.Outputs = []*graph.Value{y}
	for opset, want := range map[int64]bool{0: true, 6: false, 7: true, 21: true} {
		err := lower.Unsupported(g, opset)
		if (err == nil) != want || err != nil && !strings.Contains(err.Error(), "opset 7 on") {
			t.Errorf("opset %d: %v", opset, err)
		}
	}
}

// TestErrors: an error says which node, which operator, which opset and which shapes.
func TestErrors(t *testing.T) {
	shape := map[string]lower.Shape{"x": {DType: graph.Float32, Dims: []int{2, 3}}}
	g := chain("Relu", "MatMul")
	matmul := g.Nodes[1]
	w := g.AddInitializer("w", graph.NewFloat32("w", []int64{4, 5}, make([]float32, 20)))
	matmul.Inputs = append(matmul.Inputs, w)
	for _, c := range []struct {
		name    string
		g       *graph.Graph
		options lower.Options
		want    []string
	}{
		{"shapes", g, lower.Options{Opset: 17, Inputs: shape}, []string{`node "node/MatMul" (MatMul, opset 17), inputs [2 3] [4 5]`, "differ"}},
		{"no shape", chain("Relu"), lower.Options{Opset: 17}, []string{`no shape given for input "x"`}},
		{"no input", chain("Reshape"), lower.Options{Opset: 17, Inputs: shape}, []string{"input 1 is missing"}},
		{"attribute", chain("Transpose"), lower.Options{Opset: 17, Inputs: shape}, nil},
		{"type", chain("Not"), lower.Options{Opset: 17, Inputs: shape}, []string{`(Not, opset 17)`, "unsupported element type"}},
		{"dtype", chain("Relu"), lower.Options{Opset: 17, Inputs: map[string]lower.Shape{"x": {DType: graph.String, Dims: []int{1}}}},
			[]string{`input "x"`, "string"}},
	} {
		_, err := lower.Lower(c.g, c.options)
		if (err == nil) != (c.want == nil) {
			t.Errorf("%s: error %v", c.name, err)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %q, want %q in it", c.name, err, want)
			}
		}
	}
}
