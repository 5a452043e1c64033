package serde

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/onnxpb"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// small is y = Relu(x + w), which the cases below break.
func small() *onnxpb.Model {
	value := func(name string) *onnxpb.ValueInfo {
		return &onnxpb.ValueInfo{Name: proto.String(name), Type: &onnxpb.Type{Value: &onnxpb.Type_TensorType_{
			TensorType: &onnxpb.Type_TensorType{ElemType: proto.Int32(1), Shape: &onnxpb.TensorShape{}},
		}}}
	}
	return &onnxpb.Model{
		IrVersion:   proto.Int64(8),
		OpsetImport: []*onnxpb.OperatorSetId{{Domain: proto.String(""), Version: proto.Int64(17)}},
		Graph: &onnxpb.Graph{
			Name:        proto.String("small"),
			Input:       []*onnxpb.ValueInfo{value("x")},
			Output:      []*onnxpb.ValueInfo{value("y")},
			Initializer: []*onnxpb.Tensor{{Name: proto.String("w"), DataType: proto.Int32(1), Dims: []int64{2, 3}, RawData: make([]byte, 24)}},
			Node: []*onnxpb.Node{
				{Name: proto.String("add"), OpType: proto.String("Add"), Input: []string{"x", "w"}, Output: []string{"sum"}},
				{OpType: proto.String("Relu"), Input: []string{"sum"}, Output: []string{"y"}},
			},
		},
	}
}

func TestBrokenModels(t *testing.T) {
	deep := func(m *onnxpb.Model) {
		for range 300 {
			m.Graph = &onnxpb.Graph{Node: []*onnxpb.Node{{
				OpType: proto.String("If"), Attribute: []*onnxpb.Attribute{{Name: proto.String("then_branch"), G: m.Graph}},
			}}}
		}
	}
	external := func(pairs ...string) func(*onnxpb.Model) {
		return func(m *onnxpb.Model) {
			w := m.Graph.Initializer[0]
			w.RawData, w.DataLocation = nil, proto.Int32(1)
			for i := 0; i < len(pairs); i += 2 {
				w.ExternalData = append(w.ExternalData, &onnxpb.Property{Key: &pairs[i], Value: &pairs[i+1]})
			}
		}
	}
	inSubgraph := func(m *onnxpb.Model) {
		body := &onnxpb.Graph{Node: []*onnxpb.Node{{OpType: proto.String("Neg"), Input: []string{"nowhere"}, Output: []string{"n"}}}}
		m.Graph.Node = append(m.Graph.Node, &onnxpb.Node{
			Name: proto.String("if"), OpType: proto.String("If"), Input: []string{"x"}, Output: []string{"z"},
			Attribute: []*onnxpb.Attribute{{Name: proto.String("then_branch"), G: body}},
		})
	}
	weight := func(f func(*onnxpb.Tensor)) func(*onnxpb.Model) {
		return func(m *onnxpb.Model) { f(m.Graph.Initializer[0]) }
	}
	tests := []struct {
		name  string
		spoil func(*onnxpb.Model)
		want  []string // all of them in the error
	}{
		{"no graph", func(m *onnxpb.Model) { m.Graph = nil }, []string{"no graph"}},
		{"no opset", func(m *onnxpb.Model) { m.OpsetImport = nil }, []string{"opset_import"}},
		{"too little data", weight(func(w *onnxpb.Tensor) { w.RawData = w.RawData[:20] }), []string{`initializer "w"`, "20 bytes", "float32[2 3]", "24"}},
		{"too much typed data", weight(func(w *onnxpb.Tensor) { w.RawData, w.FloatData = nil, make([]float32, 7) }), []string{`"w"`, "float_data", "7 elements", "6"}},
		{"no data", weight(func(w *onnxpb.Tensor) { w.RawData = nil }), []string{`"w"`, "no data"}},
		{"data in the wrong field", weight(func(w *onnxpb.Tensor) { w.RawData, w.Int64Data = nil, make([]int64, 6) }), []string{"int64_data", "float_data"}},
		{"data twice", weight(func(w *onnxpb.Tensor) { w.FloatData = make([]float32, 6) }), []string{"both", "raw_data", "float_data"}},
		{"negative dimension", weight(func(w *onnxpb.Tensor) { w.Dims[0] = -2 }), []string{`"w"`, "negative"}},
		{"overflowing dimensions", weight(func(w *onnxpb.Tensor) { w.Dims = []int64{1 << 40, 1 << 40} }), []string{`"w"`, "memory"}},
		{"huge dimensions", weight(func(w *onnxpb.Tensor) { w.Dims = []int64{1 << 40} }), []string{`"w"`, "24 bytes", "4398046511104"}},
		{"element type", weight(func(w *onnxpb.Tensor) { w.DataType = proto.Int32(99) }), []string{`"w"`, "99"}},
		{"nameless initializer", weight(func(w *onnxpb.Tensor) { w.Name = nil }), []string{"initializer 0", "no name"}},
		{"initializer twice", func(m *onnxpb.Model) { m.Graph.Initializer = append(m.Graph.Initializer, m.Graph.Initializer[0]) }, []string{`"w"`, "more than once"}},
		{"input twice", func(m *onnxpb.Model) { m.Graph.Input = append(m.Graph.Input, m.Graph.Input[0]) }, []string{`"x"`, "more than once"}},
		{"output defined twice", func(m *onnxpb.Model) { m.Graph.Node[1].Output[0] = "sum" }, []string{"node 1 (Relu)", `"sum"`, "more than once"}},
		{"undefined input", func(m *onnxpb.Model) { m.Graph.Node[0].Input[1] = "v" }, []string{`node "add" (Add)`, `"v"`, "not defined"}},
		{"undefined output", func(m *onnxpb.Model) { m.Graph.Output[0].Name = proto.String("q") }, []string{`output "q"`}},
		{"wrong order", func(m *onnxpb.Model) { n := m.Graph.Node; n[0], n[1] = n[1], n[0] }, []string{"node 0 (Relu)", `"sum"`, "later", "order"}},
		{"circle", func(m *onnxpb.Model) { m.Graph.Node[0].Input[0] = "y" }, []string{`node "add"`, "circle"}},
		{"no operator", func(m *onnxpb.Model) { m.Graph.Node[0].OpType = nil }, []string{`node "add"`, "no operator"}},
		{"undefined in a subgraph", inSubgraph, []string{`node "if" (If): attribute "then_branch": node 0 (Neg)`, `"nowhere"`}},
		{"depth", deep, []string{"nested"}},
		{"external without location", external("offset", "0"), []string{`"w"`, "location"}},
		{"external absolute", external("location", "/etc/passwd"), []string{`"w"`, "/etc/passwd", "out of"}},
		{"external upwards", external("location", "a/../../b"), []string{`"w"`, "out of"}},
		{"external offset", external("location", "b", "offset", "-1"), []string{`"w"`, "offset"}},
		{"external length", external("location", "b", "length", "23"), []string{`"w"`, "23 bytes", "24"}},
		{"external missing", external("location", "nothere"), []string{`"w"`, "nothere", "does not exist"}},
		{"external too small", external("location", "weights", "offset", "8"), []string{`"w"`, "30 bytes", "24 at offset 8"}},
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "weights"), make([]byte, 30), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := small()
			test.spoil(m)
			data, err := proto.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			refused(t, data, dir, test.want...)
		})
	}
}

func TestNotModels(t *testing.T) {
	good, err := proto.Marshal(small())
	if err != nil {
		t.Fatal(err)
	}
	// The graph's field, claiming 1 TiB.
	huge := protowire.AppendVarint(protowire.AppendTag(nil, 7, protowire.BytesType), 1<<40)
	for name, test := range map[string]struct {
		data string
		want string
	}{
		"empty":       {"", "empty"},
		"text":        {"hello, this is a text\n", "not an ONNX model"},
		"lfs":         {"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git lfs pull"},
		"zip":         {"PK\x03\x04....", "PyTorch"},
		"json":        {`{"a": 1}`, "JSON"},
		"zeros":       {strings.Repeat("\x00", 100), "not an ONNX model"},
		"cut short":   {string(good[:len(good)/2]), "cut short"},
		"huge length": {string(huge), "cut short: graph needs 1099511627776 bytes"},
	} {
		t.Run(name, func(t *testing.T) { refused(t, []byte(test.data), "", test.want) })
	}
}

func refused(t *testing.T, data []byte, dir string, want ...string) {
	t.Helper()
	_, err := Deserialize(data, dir)
	var f *graph.FormatError
	if !errors.As(err, &f) {
		t.Fatalf("got %v, want a FormatError", err)
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("error has more than one line: %q", err)
	}
}

// TestMutilated cuts a model short at every byte and changes bytes at random:
// what is read without an error can be written and read again.
func TestMutilated(t *testing.T) {
	for seed := range uint64(2) {
		good, err := proto.Marshal((&filler{Rand: rand.New(rand.NewPCG(seed, 2))}).model())
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(good); i += 1 + len(good)/300 {
			stillSound(t, good[:i])
		}
		r := rand.New(rand.NewPCG(seed, 3))
		for range 300 {
			bad := append([]byte{}, good...)
			for range 1 + r.IntN(4) {
				bad[r.IntN(len(bad))] = byte(r.Uint32())
			}
			stillSound(t, bad)
		}
	}
}

func stillSound(t *testing.T, data []byte) {
	t.Helper()
	m, err := Deserialize(data, "")
	if err != nil {
		var f *graph.FormatError
		if !errors.As(err, &f) {
			t.Errorf("error is not a FormatError: %v", err)
		}
		return
	}
	back, err := Serialize(m)
	if err != nil {
		t.Errorf("read without an error, but cannot be written: %v", err)
		return
	}
	var want, got onnxpb.Model
	if err := proto.Unmarshal(data, &want); err != nil {
		t.Error(err)
	}
	if err := proto.Unmarshal(back, &got); err != nil {
		t.Error(err)
	}
	if !proto.Equal(&want, &got) {
		t.Errorf("written with another %s", difference(want.ProtoReflect(), got.ProtoReflect()))
	}
	for tensor := range m.Tensors() {
		tensor.Float32s()
		tensor.Int64s()
		tensor.Raw()
	}
	m.Graph.RemoveDead()
	if err := m.Graph.Sort(); err != nil {
		t.Errorf("cannot be sorted: %v", err)
	}
}

func FuzzDeserialize(f *testing.F) {
	good, err := proto.Marshal(small())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)-5])
	for seed := range uint64(3) {
		random, err := proto.Marshal((&filler{Rand: rand.New(rand.NewPCG(seed, 5))}).model())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(random)
	}
	f.Fuzz(stillSound)
}

// TestClaimsDoNotAllocate: sizes that a file claims are checked before memory
// is taken for them.
func TestClaimsDoNotAllocate(t *testing.T) {
	m := small()
	m.Graph.Initializer[0].Dims = []int64{1 << 36}
	m.Graph.Initializer[0].RawData = nil
	data, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	refused(t, data, "", "no data")
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
		t.Errorf("%d bytes allocated for a file of %d", got, len(data))
	}
}
