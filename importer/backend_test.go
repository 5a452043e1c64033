package importer_test

import (
	"os"
	"slices"
	"testing"

	"github.com/owulveryck/onnx-go"
	"github.com/owulveryck/onnx-go/backend/testbackend"
	_ "github.com/owulveryck/onnx-go/backend/testbackend/onnx" // registers the suite
	"gorgonia.org/tensor"

	"github.com/ftk-go/ftk/importer"
	"github.com/ftk-go/ftk/internal/testenv"
)

// conformanceSkips is why cases of onnx-go's suite are not run, by title.
var conformanceSkips = map[string]string{
	"TestModBroadcast":                      "the suite gives the operands different element types, which Mod does not allow",
	"TestPow":                               "the suite wants 1357.5033 to an absolute 1e-6, less than float32 has there",
	"TestReduceL1DefaultAxesKeepdimsRandom": "the suite wants 39.8 to an absolute 1e-6, less than float32 has there",
	"TestSize":                              "the suite expects shape [1] where the operator is defined to give a scalar",
	"TestSizeExample":                       "the suite expects shape [1] where the operator is defined to give a scalar",
}

// TestConformance runs the suite of onnx-go against the backend. onnx-go's own Gorgonia backend passes 96 of its 348
// cases.
func TestConformance(t *testing.T) {
	var cases []*testbackend.TestCase
	for _, construct := range testbackend.GetAllRegisteredTests() {
		cases = append(cases, construct())
	}
	slices.SortFunc(cases, func(a, b *testbackend.TestCase) int { return slices.Compare([]byte(a.Title), []byte(b.Title)) })
	passed, absent := 0, 0
	for _, c := range cases {
		ok := t.Run(c.Title, func(t *testing.T) {
			if why := conformanceSkips[c.Title]; why != "" {
				t.Skip(why)
			}
			c.RunTest(importer.NewBackend(), false)(t)
		})
		switch {
		case c.Skipped:
			absent++
		case ok && c.Tested && !c.Failed:
			passed++
		}
	}
	t.Logf("%d of %d cases of onnx-go's conformance suite pass; %d use operators that ftk has not", passed, len(cases), absent)
	if passed < 260 {
		t.Errorf("only %d cases pass", passed)
	}
}

// TestBackendModel runs a real model as a program that uses onnx-go would.
func TestBackendModel(t *testing.T) {
	data, err := os.ReadFile(testenv.Shared(t, "models/mnist-autoencoder/autoencoder2.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	b := importer.NewBackend()
	m := onnx.NewModel(b)
	if err := m.UnmarshalBinary(data); err != nil {
		t.Fatal(err)
	}
	for _, batch := range []int{1, 2} { // a second shape makes a second plan
		in := m.GetInputTensors()[0].Shape()
		x := tensor.New(tensor.WithShape(batch, in[len(in)-1]), tensor.Of(tensor.Float32))
		if err := m.SetInput(0, x); err != nil {
			t.Fatal(err)
		}
		if err := b.Run(); err != nil {
			t.Fatal(err)
		}
		out, err := m.GetOutputTensors()
		if err != nil {
			t.Fatal(err)
		}
		if got := out[0].Shape(); got[0] != batch {
			t.Errorf("batch of %d: output shape %v", batch, got)
		}
	}
}
