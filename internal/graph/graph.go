// Package graph holds an ONNX model in memory.
//
// It knows nothing of protobuf (package serde reads and writes the file) and
// nothing of Gorgonia (package lower turns a Graph into an ExprGraph). Values
// are object references: a node's input is the very *Value that another node
// lists among its outputs, so nothing is looked up by name twice. A body of
// If, Loop or Scan refers to values of the enclosing graph in the same way.
//
// What must hold of a Graph outside of a pass that is rewriting it:
//   - Nodes stand in topological order.
//   - A value is produced by one node at most; a value without a producer is a
//     graph input, an initializer, or captured from an enclosing graph.
//   - No two values of one graph have the same name.
//
// Tensor data is immutable and may be shared between models and with the bytes
// of the file: SetFloat32s and its like put new data in place of the old.
//
// Everything a file says has a place here, so that what is not touched is
// written back as it was; see Wire for the few things that have no field.
package graph

// Model is an ONNX model: a graph, the operator sets it is written in, and
// what its makers said of it. Fields follow ModelProto (onnx.proto, IR 3–14).
type Model struct {
	IRVersion       int64
	ProducerName    string
	ProducerVersion string
	Domain          string
	ModelVersion    int64
	DocString       string
	Opsets          []Opset
	Metadata        []Property
	Graph           *Graph
	Functions       []*Function     // model-local functions
	Training        []*TrainingInfo // training_info
	Devices         []*DeviceConfig // configuration
	Wire
}

// Opset names the version of one operator domain that a model is written in.
// The standard domain is "" ("ai.onnx" means the same).
type Opset struct {
	Domain  string
	Version int64
	Wire
}

// Property is one key and value of metadata_props.
type Property struct {
	Key, Value string
	Wire
}

// Graph is a computation: nodes in topological order between inputs and
// outputs. Initializers are the values whose Init is not nil, in file order;
// one that is also listed in Inputs is a default that the caller may override
// (before IR 4 every initializer had to be listed there).
type Graph struct {
	Name         string
	DocString    string
	Nodes        []*Node
	Inputs       []*Value
	Outputs      []*Value
	Initializers []*Value
	Sparse       []*Value // sparse_initializer: values whose Sparse is not nil
	Infos        []*Value // value_info: whose type the file states, in file order
	Quantization []Annotation
	Metadata     []Property
	// Restated holds what a second mention of a value in the lists of inputs,
	// outputs and value_info says where it says something else than the first.
	Restated map[Mention]*Value
	Wire
}

// Mention is one place in a graph's lists of value infos.
type Mention struct {
	List  MentionList
	Value *Value
	Nth   int // 0 for the value's first occurrence in that list
}

// MentionList is one of the three lists of ValueInfoProto in a graph.
type MentionList int

// The lists in which a graph mentions values, in order of precedence.
const (
	InInputs MentionList = iota
	InOutputs
	InInfos
)

// Value is one named tensor of a graph.
type Value struct {
	Name      string
	Type      *Type         // nil where the file does not say
	Producer  *Node         // nil for inputs, initializers and captured values
	Init      *Tensor       // the initializer's data, nil for all other values
	Sparse    *SparseTensor // the sparse initializer's data, nil for all other values
	DocString string
	Metadata  []Property
	Wire
}

// DType is the value's element type, from its type or its initializer;
// Undefined where neither is known.
func (v *Value) DType() DType {
	switch {
	case v.Type != nil && v.Type.Kind == TensorType && v.Type.Elem != Undefined:
		return v.Type.Elem
	case v.Init != nil:
		return v.Init.DType
	case v.Sparse != nil && v.Sparse.Values != nil:
		return v.Sparse.Values.DType
	}
	return Undefined
}

// Dims is the value's shape, from its initializer or its type. known is false
// when not even the rank is known.
func (v *Value) Dims() (dims []Dim, known bool) {
	if v.Init != nil {
		return FixedDims(v.Init.Dims...), true
	}
	if v.Sparse != nil {
		return FixedDims(v.Sparse.Dims...), true
	}
	if v.Type == nil || v.Type.Shape == nil {
		return nil, false
	}
	return v.Type.Shape, true
}

// Node is one application of an operator. A nil input or output is an
// optional one left out (the empty name in the file).
type Node struct {
	Name      string
	OpType    string
	Domain    string
	Overload  string
	DocString string
	Inputs    []*Value
	Outputs   []*Value
	Attrs     []*Attribute
	Metadata  []Property
	Devices   []*NodeDevice // device_configurations
	Wire
}

// Function is a model-local function: an operator defined by nodes. The
// body's inputs and outputs have names only.
type Function struct {
	Domain     string
	Name       string
	Overload   string
	DocString  string
	Attributes []string     // attributes without a default
	Defaults   []*Attribute // attributes with their defaults (attribute_proto)
	Opsets     []Opset
	Metadata   []Property
	Body       *Graph // Nodes, Inputs, Outputs and Infos only
	Wire
}

// TrainingInfo is what a model says of its own training (TrainingInfoProto).
// ftk keeps it and does not use it.
type TrainingInfo struct {
	Initialization        *Graph
	Algorithm             *Graph
	InitializationBinding []Property
	UpdateBinding         []Property
	Wire
}

// Annotation names the tensors that hold a value's quantization parameters
// (TensorAnnotation).
type Annotation struct {
	Tensor     string
	Parameters []Property
	Wire
}

// Wire is what a message in a file says beyond the fields above.
type Wire struct {
	// Zero has bit n set when field number n holds its zero value and the file
	// says so, or leaves it out, contrary to what the serialiser would do by
	// itself. It is of no effect once the field has another value.
	Zero uint32
	// Unknown holds the fields that our schema does not know, encoded. It is a
	// string for being immutable and comparable.
	Unknown string
}

// Opset is the version of a domain's operators that the model is written in,
// 0 if it does not import the domain. "" and "ai.onnx" are the same domain.
func (m *Model) Opset(domain string) int64 {
	for _, o := range m.Opsets {
		if sameDomain(o.Domain, domain) {
			return o.Version
		}
	}
	return 0
}

// SetMetadata sets a key of the model's metadata_props.
func (m *Model) SetMetadata(key, value string) {
	for i := range m.Metadata {
		if m.Metadata[i].Key == key {
			m.Metadata[i].Value = value
			return
		}
	}
	m.Metadata = append(m.Metadata, Property{Key: key, Value: value})
}

// Function finds the model-local function that a node calls, nil if there is
// none.
func (m *Model) Function(n *Node) *Function {
	for _, f := range m.Functions {
		if f.Name == n.OpType && f.Overload == n.Overload && sameDomain(f.Domain, n.Domain) {
			return f
		}
	}
	return nil
}

func sameDomain(a, b string) bool { return standardDomain(a) == standardDomain(b) }

func standardDomain(d string) string {
	if d == "ai.onnx" {
		return ""
	}
	return d
}
