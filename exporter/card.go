package exporter

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ftk-go/ftk/internal/graph"
)

// card writes the README.md of a served directory: what the model is, how well
// it does, and how to call it. External says that the weights are in a file of
// their own.
func (s Served) card(d Difference, external bool) string {
	var b strings.Builder
	set := s.Settings
	fmt.Fprintf(&b, "# A text classifier for onnxruntime\n\nFine-tuned and exported by ftk %s.\n\n", set.Version)
	fmt.Fprintf(&b, "## Labels\n\n%d: %s\n\n", len(set.Labels), strings.Join(set.Labels, ", "))
	if len(set.Metrics) > 0 {
		b.WriteString("## Evaluation\n\n| metric | value |\n|---|---|\n")
		for _, k := range slices.Sorted(maps.Keys(set.Metrics)) {
			fmt.Fprintf(&b, "| %s | %.4f |\n", k, set.Metrics[k])
		}
		b.WriteString("\n")
	}
	b.WriteString("## Use\n\n    ftk predict --model . --text \"…\"\n\n")
	fmt.Fprintf(&b, "Or in any onnxruntime: `%s` takes", modelFile)
	for _, role := range slices.Sorted(maps.Keys(set.Inputs)) {
		fmt.Fprintf(&b, " `%s` (%v),", set.Inputs[role], s.inputType(set.Inputs[role]))
	}
	fmt.Fprintf(&b, " each [batch, sequence], and gives `%s` (float32, [batch, %d]). Texts are cut to %d tokens.\n\n",
		set.Logits, len(set.Labels), set.MaxLength)
	var others []string
	for _, v := range s.Model.Graph.Outputs {
		if v.Name != set.Logits {
			others = append(others, "`"+v.Name+"`")
		}
	}
	if len(others) > 0 {
		fmt.Fprintf(&b, "Its other outputs are the base model's own: %s.\n\n", strings.Join(others, ", "))
	}
	if external {
		fmt.Fprintf(&b, "The weights are in `%s`, which belongs beside `%s`.\n\n", modelFile+dataSuffix, modelFile)
	}
	fmt.Fprintf(&b, "Checked at export: onnxruntime's logits and the trained graph's differ by at most %.2g over %d examples.\n", d.Max, d.Rows)
	return b.String()
}

// inputType is the element type of the model's input of that name, int64 where
// the model does not say.
func (s Served) inputType(name string) graph.DType {
	for _, v := range s.Model.Graph.Inputs {
		if v.Name == name && v.DType() != graph.Undefined {
			return v.DType()
		}
	}
	return graph.Int64
}
