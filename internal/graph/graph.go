// Package graph holds an ONNX model in memory.
//
// It knows nothing of protobuf (package serde reads and writes the file) and
// nothing of Gorgonia (package lower turns a Graph into an ExprGraph). Values
// are object references: a node's input is the very *Value that another node
// lists among its outputs, so nothing is looked up by name twice.
//
// What must hold of a Graph outside of a pass that is rewriting it:
//   - Nodes stand in topological order.
//   - A value is produced by one node at most; a value without a producer is a
//     graph input, an initializer, or captured from an enclosing graph.
//   - No two values of one graph have the same name.
package graph

// Model is an ONNX model: a graph, the operator sets it is written in, and
// what its makers said of it. Fields follow ModelProto (onnx.proto, IR 3–13).
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
}

// Opset names the version of one operator domain that a model is written in.
// The standard domain is "" ("ai.onnx" means the same).
type Opset struct {
	Domain  string
	Version int64
}

// Property is one key and value of metadata_props.
type Property struct{ Key, Value string }

// Graph is a computation: nodes in topological order between inputs and
// outputs. Initializers are the values whose Init is not nil, in file order.
type Graph struct {
	Name         string
	DocString    string
	Nodes        []*Node
	Inputs       []*Value
	Outputs      []*Value
	Initializers []*Value
}

// Value is one named tensor of a graph.
type Value struct {
	Name     string
	Type     *Type   // nil where the file does not say
	Producer *Node   // nil for inputs, initializers and captured values
	Init     *Tensor // the initializer's data, nil for all other values
}

// Type is the element type and shape of a value. Shape is nil when even the
// rank is unknown.
type Type struct {
	Elem  DType
	Shape []Dim
}

// Dim is one axis: a size, or a name for a size not known before run time
// ("batch"), or neither (Size -1, no name).
type Dim struct {
	Size int64 // -1 where not known
	Name string
}

// Node is one application of an operator. A nil input or output is an
// optional one left out (the empty name in the file).
type Node struct {
	Name      string
	OpType    string
	Domain    string
	DocString string
	Inputs    []*Value
	Outputs   []*Value
	Attrs     []*Attribute
}
