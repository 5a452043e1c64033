// Command gen writes docs/operators.md, the list of operators that ftk computes and trains natively, from the operator
// table. Run it with go generate ./internal/lower.
package main

import (
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/ftk-go/ftk/internal/lower"
)

func main() {
	if err := os.WriteFile("../../docs/operators.md", []byte(page()), 0o644); err != nil {
		log.Fatal(err)
	}
}

func page() string {
	var b strings.Builder
	rows, trainable := 0, 0
	for _, r := range lower.Table {
		if r.Domain == "" {
			rows++
			if r.Differentiable {
				trainable++
			}
		}
	}
	fmt.Fprintf(&b, `# Operators

<!-- Made by go generate ./internal/lower from the operator table; do not edit. -->

ftk computes %d standard ONNX operators natively, and %d of them pass gradients on. A frozen part of a model may use any
operator that onnxruntime knows: it never comes here. "Since" is the first version of the standard operator set that is
understood; all later ones up to %d are too. An input that "must be constant" is one that has a value once input shapes are
known: an initializer, or something computed from sizes. Inputs are counted from 0.

Besides these, fused operators of onnxruntime (com.microsoft: BiasGelu, FastGelu, FusedMatMul, Gelu, QuickGelu,
SkipLayerNormalization) and the usual decompositions of LayerNormalization, Gelu and Attention are brought into standard
form before (package passes).

| operator | since | trainable | inputs that must be constant |
|---|---|---|---|
`, rows, trainable, lower.Newest)
	for _, r := range lower.Table {
		if r.Domain != "" {
			continue
		}
		yes := ""
		if r.Differentiable {
			yes = "yes"
		}
		var inputs []string
		for _, i := range r.ConstInputs {
			inputs = append(inputs, fmt.Sprint(i))
		}
		fmt.Fprintf(&b, "| %s | %d | %s | %s |\n", r.Op, r.Since, yes, strings.Join(inputs, ", "))
	}
	return b.String()
}
