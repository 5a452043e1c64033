package serde

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/onnxpb"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// filler makes random models that are valid: any field may be absent, hold its
// zero value or something else, and any message may have unknown fields; but
// names resolve and tensors have as much data as their shapes say.
type filler struct {
	*rand.Rand
	depth int
	names int
}

func (f *filler) name() string {
	f.names++
	return fmt.Sprintf("v%d", f.names)
}

func (f *filler) often() bool { return f.IntN(4) > 0 }

// fill sets fields at random, those excepted that the caller sets itself.
func (f *filler) fill(m proto.Message, except ...protoreflect.Name) {
	r := m.ProtoReflect()
	skip := make(map[protoreflect.Name]bool)
	for _, name := range except {
		skip[name] = true
	}
	f.depth++
	defer func() { f.depth-- }()
	fields := r.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		if skip[field.Name()] || !f.often() || field.Message() != nil && f.depth > 6 {
			continue
		}
		if field.IsList() {
			list := r.Mutable(field).List()
			for range f.IntN(3) {
				list.Append(f.value(field, list.NewElement))
			}
			continue
		}
		r.Set(field, f.value(field, func() protoreflect.Value { return r.NewField(field) }))
	}
	if f.IntN(3) == 0 {
		r.SetUnknown(f.unknown())
	}
}

// unknown is two fields that no schema has.
func (f *filler) unknown() []byte {
	b := protowire.AppendTag(nil, 1000, protowire.VarintType)
	b = protowire.AppendVarint(b, f.Uint64())
	b = protowire.AppendTag(b, 1001, protowire.BytesType)
	return protowire.AppendString(b, f.text())
}

func (f *filler) text() string {
	return []string{"", "text", "batch", "ünïcode", "not \xff UTF-8\x00"}[f.IntN(5)]
}

func (f *filler) value(field protoreflect.FieldDescriptor, empty func() protoreflect.Value) protoreflect.Value {
	zero := f.IntN(3) == 0
	switch field.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(f.text())
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte(f.text()))
	case protoreflect.Int32Kind:
		if zero {
			return protoreflect.ValueOfInt32(0)
		}
		return protoreflect.ValueOfInt32(int32(f.IntN(40) - 2))
	case protoreflect.Int64Kind:
		if zero {
			return protoreflect.ValueOfInt64(0)
		}
		return protoreflect.ValueOfInt64(f.Int64() >> f.IntN(60))
	case protoreflect.FloatKind:
		v := []float32{0, float32(math.Copysign(0, -1)), 1.5, float32(math.Inf(1))}[f.IntN(4)]
		return protoreflect.ValueOfFloat32(v)
	case protoreflect.MessageKind:
		v := empty()
		f.message(v.Message().Interface())
		return v
	}
	panic("no random value for " + field.Kind().String())
}

// message fills a message, minding what must hold of it.
func (f *filler) message(m proto.Message) {
	switch m := m.(type) {
	case *onnxpb.Tensor:
		f.tensor(m)
	case *onnxpb.SparseTensor:
		f.sparse(m)
	case *onnxpb.Graph:
		f.graph(m, nil)
	case *onnxpb.Function:
		f.function(m)
	default:
		f.fill(m)
	}
}

func (f *filler) model() *onnxpb.Model {
	m := &onnxpb.Model{}
	f.fill(m, "graph", "training_info", "functions", "ir_version")
	m.IrVersion = proto.Int64(int64(3 + f.IntN(12)))
	m.OpsetImport = append(m.OpsetImport, &onnxpb.OperatorSetId{Version: proto.Int64(21)})
	m.Graph = &onnxpb.Graph{}
	visible := f.graph(m.Graph, nil)
	for range f.IntN(3) {
		t := &onnxpb.TrainingInfo{}
		f.fill(t, "initialization", "algorithm")
		if f.often() {
			t.Initialization = &onnxpb.Graph{}
			f.graph(t.Initialization, nil)
		}
		if f.often() {
			t.Algorithm = &onnxpb.Graph{}
			f.graph(t.Algorithm, visible)
		}
		m.TrainingInfo = append(m.TrainingInfo, t)
	}
	for range f.IntN(3) {
		fn := &onnxpb.Function{}
		f.function(fn)
		m.Functions = append(m.Functions, fn)
	}
	return m
}

// graph fills a graph that may name the values of outer, and returns all
// values that its nodes may name.
func (f *filler) graph(g *onnxpb.Graph, outer []string) []string {
	f.fill(g, "node", "initializer", "sparse_initializer", "input", "output", "value_info")
	f.depth++
	defer func() { f.depth-- }()
	visible := append([]string{}, outer...)
	for range f.IntN(3) {
		name := f.name()
		visible = append(visible, name)
		g.Input = append(g.Input, f.info(name))
	}
	for range f.IntN(4) {
		t := &onnxpb.Tensor{}
		f.tensor(t)
		t.Name = proto.String(f.name())
		visible = append(visible, *t.Name)
		g.Initializer = append(g.Initializer, t)
		if f.IntN(3) == 0 { // as before IR 4
			g.Input = append(g.Input, f.info(*t.Name))
		}
	}
	if f.IntN(3) == 0 {
		s := &onnxpb.SparseTensor{}
		f.sparse(s)
		s.Values.Name = proto.String(f.name())
		visible = append(visible, *s.Values.Name)
		g.SparseInitializer = append(g.SparseInitializer, s)
	}
	g.Node, visible = f.nodes(visible)
	for range f.IntN(4) { // the same one twice, inputs and captured ones too
		if len(visible) > 0 {
			g.Output = append(g.Output, f.info(visible[f.IntN(len(visible))]))
		}
	}
	for range f.IntN(6) { // described before, or gone from the graph, or twice
		name := fmt.Sprintf("gone%d", f.IntN(2))
		if len(visible) > 0 && f.often() {
			name = visible[f.IntN(len(visible))]
		}
		g.ValueInfo = append(g.ValueInfo, f.info(name))
	}
	return visible
}

func (f *filler) info(name string) *onnxpb.ValueInfo {
	v := &onnxpb.ValueInfo{}
	f.fill(v)
	v.Name = proto.String(name)
	return v
}

func (f *filler) nodes(visible []string) ([]*onnxpb.Node, []string) {
	var nodes []*onnxpb.Node
	for range f.IntN(4) {
		n := &onnxpb.Node{}
		f.fill(n, "input", "output", "op_type", "attribute")
		n.OpType = proto.String("Op")
		for range f.IntN(4) {
			name := ""
			if len(visible) > 0 && f.often() {
				name = visible[f.IntN(len(visible))]
			}
			n.Input = append(n.Input, name)
		}
		for i := range f.IntN(5) {
			a := &onnxpb.Attribute{}
			f.fill(a, "g", "graphs")
			a.Name = proto.String(fmt.Sprint("a", i))
			if f.depth < 4 && f.IntN(4) == 0 {
				a.G = &onnxpb.Graph{}
				f.graph(a.G, visible)
			}
			if f.depth < 4 && f.IntN(6) == 0 {
				a.Graphs = []*onnxpb.Graph{{}, {}}
				f.graph(a.Graphs[1], visible)
			}
			n.Attribute = append(n.Attribute, a)
		}
		for range f.IntN(3) {
			name := ""
			if f.often() {
				name = f.name()
				visible = append(visible, name)
			}
			n.Output = append(n.Output, name)
		}
		nodes = append(nodes, n)
	}
	return nodes, visible
}

func (f *filler) function(fn *onnxpb.Function) {
	f.fill(fn, "input", "output", "node", "attribute_proto", "value_info")
	for range f.IntN(3) {
		fn.Input = append(fn.Input, f.name())
	}
	var visible []string
	fn.Node, visible = f.nodes(fn.Input)
	for _, name := range visible {
		if f.often() {
			fn.ValueInfo = append(fn.ValueInfo, f.info(name))
		}
		if f.IntN(2) == 0 {
			fn.Output = append(fn.Output, name)
		}
	}
	if f.often() {
		a := &onnxpb.Attribute{}
		f.fill(a, "g", "graphs")
		fn.AttributeProto = append(fn.AttributeProto, a)
	}
}

// tensor fills a tensor of a random type and shape, in any of the forms that
// the specification allows for the type.
func (f *filler) tensor(t *onnxpb.Tensor) {
	f.fill(t, "dims", "data_type", "segment", "float_data", "int32_data", "string_data", "int64_data",
		"raw_data", "double_data", "uint64_data", "external_data", "data_location")
	g := graph.Tensor{DType: graph.DType(1 + f.IntN(int(graph.Float6E3M2)))}
	for range f.IntN(3) {
		g.Dims = append(g.Dims, int64(f.IntN(4)))
	}
	t.Dims, t.DataType = g.Dims, proto.Int32(int32(g.DType))
	if f.IntN(3) == 0 {
		t.DataLocation = proto.Int32(0)
	}
	if f.IntN(8) == 0 {
		t.Segment = &onnxpb.Tensor_Segment{}
		f.fill(t.Segment)
	}
	size := int(g.ByteLen())
	switch {
	case g.DType != graph.String && f.IntN(2) == 0:
		t.RawData = make([]byte, size)
		for i := range t.RawData {
			t.RawData[i] = byte(f.Uint32())
		}
		return
	case g.DType != graph.String && f.IntN(4) == 0:
		t.DataLocation = proto.Int32(1)
		t.ExternalData = []*onnxpb.Property{
			{Key: proto.String("location"), Value: proto.String("weights.bin")},
			{Key: proto.String("length"), Value: proto.String(fmt.Sprint(size))},
			{Key: proto.String("checksum"), Value: proto.String("abc")},
		}
		return
	}
	n := int(g.Len())
	switch g.DType {
	case graph.Float32, graph.Complex64:
		if g.DType == graph.Complex64 {
			n *= 2
		}
		for range n {
			t.FloatData = append(t.FloatData, f.Float32())
		}
	case graph.Float64, graph.Complex128:
		if g.DType == graph.Complex128 {
			n *= 2
		}
		for range n {
			t.DoubleData = append(t.DoubleData, f.Float64())
		}
	case graph.Int64:
		for range n {
			t.Int64Data = append(t.Int64Data, f.Int64())
		}
	case graph.Uint32, graph.Uint64:
		for range n {
			t.Uint64Data = append(t.Uint64Data, f.Uint64())
		}
	case graph.String:
		for range n {
			t.StringData = append(t.StringData, []byte(f.text()))
		}
	default:
		if g.DType.Bits() < 8 {
			n = size
		}
		for range n {
			t.Int32Data = append(t.Int32Data, f.Int32())
		}
	}
}

func (f *filler) sparse(s *onnxpb.SparseTensor) {
	f.fill(s, "values", "indices", "dims")
	s.Dims = []int64{5, 7}
	s.Values, s.Indices = &onnxpb.Tensor{}, &onnxpb.Tensor{}
	for _, t := range []*onnxpb.Tensor{s.Values, s.Indices} {
		f.fill(t, "dims", "data_type", "segment", "float_data", "int32_data", "string_data", "int64_data",
			"raw_data", "double_data", "uint64_data", "external_data", "data_location")
	}
	s.Values.Dims, s.Values.DataType, s.Values.FloatData = []int64{2}, proto.Int32(1), []float32{1, 2}
	s.Indices.Dims, s.Indices.DataType, s.Indices.Int64Data = []int64{2, 2}, proto.Int32(7), []int64{0, 1, 3, 4}
}
