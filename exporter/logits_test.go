package exporter

import (
	"testing"

	"github.com/ftk-go/ftk/internal/graph"
)

func TestNameLogits(t *testing.T) {
	for name, c := range map[string]struct {
		change       func(m *graph.Model)
		moved, after string // the base model's name, that of the head
	}{
		"free":       {func(m *graph.Model) {}, "", "logits_1"},
		"an output":  {func(m *graph.Model) { m.Graph.Nodes[0].Output().Name = "logits" }, "base_logits", "logits"},
		"a weight":   {func(m *graph.Model) { m.Graph.Value("bias").Name = "logits" }, "base_logits", "logits"},
		"an input":   {func(m *graph.Model) { m.Graph.Inputs[0].Name = "logits" }, "", "logits_1"},
		"both taken": {func(m *graph.Model) { m.Graph.Nodes[0].Output().Name, m.Graph.Inputs[0].Name = "logits", "base_logits" }, "base_logits_1", "logits"},
		"the head's": {func(m *graph.Model) { m.Graph.Outputs[0].Name = "logits" }, "", "logits"},
	} {
		t.Run(name, func(t *testing.T) {
			m := tiny()
			head := m.Graph.Outputs[0]
			head.Name = "logits_1"
			c.change(m)
			if moved := NameLogits(m.Graph, head); moved != c.moved || head.Name != c.after {
				t.Errorf("moved to %q, the head's is %q; want %q, %q", moved, head.Name, c.moved, c.after)
			}
			if err := m.Check(); err != nil {
				t.Error(err)
			}
		})
	}
}
