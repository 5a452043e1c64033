package lower_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"gorgonia.org/tensor"

	"github.com/ftk-go/ftk/importer"
	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/lower"
	"github.com/ftk-go/ftk/internal/passes"
	"github.com/ftk-go/ftk/internal/serde"
	"github.com/ftk-go/ftk/internal/testenv"
)

// readTensors reads prefix_0.pb, prefix_1.pb … of a directory.
func readTensors(t *testing.T, dir, prefix string) []*tensor.Dense {
	t.Helper()
	var out []*tensor.Dense
	for i := 0; ; i++ {
		raw, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("%s_%d.pb", prefix, i)))
		if os.IsNotExist(err) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		td, err := serde.DeserializeTensor(raw)
		if err != nil {
			t.Fatal(err)
		}
		d, err := lower.Tensor(td)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, d)
	}
}

// bindInputs pairs a graph's inputs with test data.
func bindInputs(g *graph.Graph, o *lower.Options, data []*tensor.Dense) map[string]*tensor.Dense {
	feeds := map[string]*tensor.Dense{}
	o.Inputs = map[string]lower.Shape{}
	i := 0
	for _, v := range g.Inputs {
		if v.Init != nil || i == len(data) {
			continue
		}
		feeds[v.Name] = data[i]
		o.Inputs[v.Name] = lower.Shape{DType: lower.ONNXType(data[i].Dtype()), Dims: data[i].Shape()}
		i++
	}
	return feeds
}

// maxDifference is the largest difference of two tensors, in units of the larger of 1 and want's largest element.
// Elementwise figures would test the expected outputs as much as ours: ALBERT's (largest element 9.0), computed by
// PyTorch in float32, are themselves up to 1.2e-4 away from the same model in float64.
func maxDifference(got, want *tensor.Dense) float64 {
	if !slices.Equal(got.Shape(), want.Shape()) {
		return math.Inf(1)
	}
	d, scale := 0.0, 1.0
	a, b := floats(got), floats(want)
	for i := range a {
		scale = max(scale, math.Abs(b[i]))
		d = max(d, math.Abs(a[i]-b[i])) // NaN stays
	}
	return d / scale
}

// TestRealModels runs exported models as they are and in canonical form, and compares with the outputs of the programs that made them.
func TestRealModels(t *testing.T) {
	for _, c := range []struct {
		model, data string
		tol         float64
	}{
		{"albert-rxnmapper/encoder_opset14.onnx", "albert-rxnmapper/test_data_encoder", 1e-4},
		{"albert-rxnmapper/encoder_opset17.onnx", "albert-rxnmapper/test_data_encoder", 1e-4},
		{"albert-rxnmapper/mlm_opset17.onnx", "albert-rxnmapper/test_data_mlm", 1e-4},
		{"mnist-autoencoder/autoencoder2.onnx", "mnist-autoencoder/autoencoder2.test_data_set_0", 1e-4},
		{"capp-gpt2/model.onnx", "capp-gpt2/model.test_data_set_0", 1e-3},
	} {
		t.Run(c.model, func(t *testing.T) {
			m, err := importer.Load(testenv.Shared(t, "models/"+c.model))
			if err != nil {
				t.Fatal(err)
			}
			canonical, err := passes.Canonical(m)
			if err != nil {
				t.Fatal(err)
			}
			dir := testenv.Shared(t, "models/"+c.data)
			for form, g := range map[string]*graph.Graph{"as exported": m.Graph, "canonical": canonical} {
				o := lower.Options{Opset: m.Opset("")}
				feeds := bindInputs(g, &o, readTensors(t, dir, "input"))
				got, err := run(g, o, feeds)
				if err != nil {
					t.Fatalf("%s: %v", form, err)
				}
				for i, want := range readTensors(t, dir, "output") {
					name := g.Outputs[i].Name
					if d := maxDifference(got[name], want); !(d <= c.tol) {
						t.Errorf("%s: %s differs by %.2g", form, name, d)
					} else {
						t.Logf("%s: %s differs by %.2g", form, name, d)
					}
				}
			}
		})
	}
}
