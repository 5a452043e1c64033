package exporter

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// card writes the README.md of a served directory: what the model is, how well
// it does, and how to call it.
func (s Served) card(d Difference) string {
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
		fmt.Fprintf(&b, " `%s`", set.Inputs[role])
	}
	fmt.Fprintf(&b, " (int64, [batch, sequence]) and gives `%s` (float32, [batch, %d]). Texts are cut to %d tokens.\n\n",
		set.Logits, len(set.Labels), set.MaxLength)
	fmt.Fprintf(&b, "Checked at export: onnxruntime's logits and the trained graph's differ by at most %.2g over %d examples.\n", d.Max, d.Rows)
	return b.String()
}
