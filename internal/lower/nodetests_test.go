package lower_test

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/lower"
	"github.com/ftk-go/ftk/internal/op"
	"github.com/ftk-go/ftk/internal/serde"
	"github.com/ftk-go/ftk/internal/testenv"
	"github.com/ftk-go/ftk/internal/vm"
)

// nodeTest is one of the official ONNX operator tests: a model, and inputs with expected outputs.
type nodeTest struct {
	model  []byte
	inputs map[string][]byte // by file name, input_0.pb …
}

// readNodeTests unpacks the archive of official tests.
func readNodeTests(t *testing.T) map[string]*nodeTest {
	f, err := os.Open(testenv.Shared(t, "onnx-node-tests/onnx-v1.22.0-node.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]*nodeTest{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return tests
		}
		if err != nil {
			t.Fatal(err)
		}
		parts := strings.Split(path.Clean(h.Name), "/")
		if h.Typeflag != tar.TypeReg || len(parts) < 3 || parts[0] != "node" {
			continue
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		test := tests[parts[1]]
		if test == nil {
			test = &nodeTest{inputs: map[string][]byte{}}
			tests[parts[1]] = test
		}
		switch {
		case parts[2] == "model.onnx":
			test.model = data
		case len(parts) == 4 && parts[2] == "test_data_set_0":
			test.inputs[parts[3]] = data
		}
	}
}

// notApplicable is why a test cannot be run at all, as opposed to failing.
type notApplicable struct{ why string }

func (e notApplicable) Error() string { return e.why }

// TestONNXNodes runs every official test all of whose operators are in the table. What cannot pass is listed in
// nodeTestSkips with a reason; a listed test that passes is an error too.
func TestONNXNodes(t *testing.T) {
	tests := readNodeTests(t)
	var names []string
	for name := range tests {
		names = append(names, name)
	}
	slices.Sort(names)
	passed, skipped, outside := 0, 0, 0
	covered := map[string]bool{}
	for _, name := range names {
		m, err := serde.Deserialize(tests[name].model, "")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if lower.Unsupported(m.Graph, m.Opset("")) != nil {
			outside++
			continue
		}
		err = runNodeTest(m, tests[name])
		why := skipReason(name)
		var na notApplicable
		switch {
		case err == nil && why != "":
			t.Errorf("%s passes but is listed as: %s", name, why)
		case err == nil:
			passed++
			for _, n := range m.Graph.Nodes {
				covered[n.OpType] = true
			}
		case errors.As(err, &na) || why != "":
			skipped++
			if testing.Verbose() {
				t.Logf("skip %s: %s: %v", name, why, err)
			}
		default:
			t.Errorf("%s: %v", name, err)
		}
	}
	t.Logf("%d official operator tests passed, %d skipped with a reason, %d use operators outside the table", passed, skipped, outside)
	for _, op := range lower.Operators("") {
		if !covered[op] && untested[op] == "" {
			t.Errorf("no official test of operator %s passes", op)
		}
	}
}

func runNodeTest(m *graph.Model, test *nodeTest) error {
	o := lower.Options{Opset: m.Opset(""), Inputs: map[string]lower.Shape{}}
	feeds := map[string]*tensor.Dense{}
	var constants []string
	for i, v := range m.Graph.Inputs {
		raw, ok := test.inputs[fmt.Sprintf("input_%d.pb", i)]
		if !ok {
			return notApplicable{"an optional input without data"}
		}
		if v.Type == nil || v.Type.Kind != graph.TensorType {
			return notApplicable{"an input that is not a tensor"}
		}
		td, err := serde.DeserializeTensor(raw)
		if err != nil {
			return err
		}
		if _, err := lower.DType(td.DType); err != nil {
			return notApplicable{fmt.Sprintf("input of type %v", td.DType)}
		}
		d, err := lower.Tensor(td)
		if err != nil {
			return err
		}
		feeds[v.Name] = d
		o.Inputs[v.Name] = lower.Shape{DType: td.DType, Dims: d.Shape()}
		if mustBeConstant(m.Graph, v) || d.Size() == 0 {
			constants = append(constants, v.Name)
		}
	}
	for _, name := range constants { // what training gives as an initializer, the tests give as an input
		v := m.Graph.Value(name)
		t, err := lower.ONNXTensor(name, feeds[name])
		if err != nil {
			return err
		}
		v.Init = t
		delete(feeds, name)
	}
	want := map[string]*tensor.Dense{}
	for i, v := range m.Graph.Outputs {
		t, err := serde.DeserializeTensor(test.inputs[fmt.Sprintf("output_%d.pb", i)])
		if err != nil {
			return err
		}
		if _, err := lower.DType(t.DType); err != nil {
			return notApplicable{fmt.Sprintf("output of type %v", t.DType)}
		}
		if want[v.Name], err = lower.Tensor(t); err != nil {
			return err
		}
	}
	got, err := run(m.Graph, o, feeds)
	if err != nil {
		return err
	}
	for name, d := range want {
		if err := same(got[name], d, 1e-4); err != nil {
			return fmt.Errorf("output %q: %w", name, err)
		}
	}
	return nil
}

// mustBeConstant reports whether a value is used where only a constant will do, at once or after some computation.
func mustBeConstant(g *graph.Graph, v *graph.Value) bool {
	for _, u := range g.Uses()[v] {
		if u.Node == nil {
			continue
		}
		if slices.Contains(lower.ConstInputs(u.Node), u.Index) {
			return true
		}
		if v.DType() == graph.Int64 || v.DType() == graph.Int32 || v.DType() == graph.Undefined {
			for _, out := range u.Node.Outputs {
				if out != nil && u.Node.OpType != "Shape" && mustBeConstant(g, out) {
					return true
				}
			}
		}
	}
	return false
}

// run lowers a graph and runs it on the planned machine.
func run(g *graph.Graph, o lower.Options, feeds map[string]*tensor.Dense) (map[string]*tensor.Dense, error) {
	low, err := lower.Lower(g, o)
	if err != nil {
		return nil, err
	}
	var keep G.Nodes
	for _, n := range low.Outputs {
		keep = append(keep, n)
	}
	for name, n := range low.Inputs {
		if err := G.Let(n, feeds[name]); err != nil {
			return nil, err
		}
	}
	m, err := vm.New(low.Graph, vm.Options{Keep: keep})
	if err != nil {
		return nil, err
	}
	defer m.Close()
	if err := m.RunAll(); err != nil {
		return nil, err
	}
	out := map[string]*tensor.Dense{}
	for name, n := range low.Outputs {
		if out[name], err = op.Dense(n.Value()); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// same compares two tensors: integers exactly, floats to tol, relative above 1.
func same(got, want *tensor.Dense, tol float64) error {
	if !slices.Equal([]int(got.Shape()), []int(want.Shape())) {
		return fmt.Errorf("shape %v, want %v", got.Shape(), want.Shape())
	}
	if got.Dtype() != want.Dtype() {
		return fmt.Errorf("type %v, want %v", got.Dtype(), want.Dtype())
	}
	if want.Size() == 0 {
		return nil
	}
	a, b := floats(got), floats(want)
	for i := range a {
		d := math.Abs(a[i] - b[i])
		if a[i] != b[i] && (!(d <= tol*max(1, math.Abs(b[i]))) || math.IsInf(b[i], 0)) && !(math.IsNaN(a[i]) && math.IsNaN(b[i])) {
			return fmt.Errorf("element %d is %v, want %v", i, a[i], b[i])
		}
	}
	return nil
}

func floats(d *tensor.Dense) []float64 {
	var out []float64
	switch d.Dtype() {
	case tensor.Float32:
		for _, v := range d.Float32s() {
			out = append(out, float64(v))
		}
	case tensor.Float64:
		out = d.Float64s()
	default:
		v, err := lower.Numbers(d)
		if err != nil {
			panic(err)
		}
		for _, x := range v {
			out = append(out, float64(x))
		}
	}
	return out
}
