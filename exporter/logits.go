package exporter

import "github.com/ftk-go/ftk/internal/graph"

const (
	logitsName = "logits"
	// baseLogits is what a base model's own "logits" are called in an export.
	baseLogits = "base_logits"
)

// NameLogits calls a head's output "logits", by which name Hugging Face's tools
// take the scores of a classifier. A base model that is a classifier itself has
// an output of that name already, so that the head's has got another; left so,
// a tool would read the old head's scores under the new labels. The base
// model's is renamed then, to "base_logits", and stays what it was besides: the
// new name is returned, "" where nothing had to be renamed. An input keeps its
// name: who serves the model knows it by that.
func NameLogits(g *graph.Graph, head *graph.Value) (moved string) {
	old := g.Value(logitsName)
	if old == nil || old == head {
		return ""
	}
	for _, v := range g.Inputs {
		if v == old {
			return ""
		}
	}
	if inSubgraphs(g, logitsName) { // would hide the head's
		return ""
	}
	moved = g.NewName(baseLogits)
	rename := func(v *graph.Value, name string) {
		for i, a := range g.Quantization {
			if a.Tensor == v.Name {
				g.Quantization[i].Tensor = name
			}
		}
		for m, said := range g.Restated {
			if m.Value == v {
				said.Name = name
			}
		}
		v.Name = name
	}
	rename(old, moved)
	rename(head, logitsName)
	return moved
}

// inSubgraphs tells whether a graph within g defines a value of that name.
func inSubgraphs(g *graph.Graph, name string) bool {
	for _, n := range g.Nodes {
		for _, sub := range n.Subgraphs() {
			if sub.Value(name) != nil || inSubgraphs(sub, name) {
				return true
			}
		}
	}
	return false
}
