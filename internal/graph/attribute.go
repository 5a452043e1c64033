package graph

// AttrType says which field of an Attribute is in use, numbered as
// AttributeProto.AttributeType.
type AttrType int32

// The types of attribute.
const (
	AttrUndefined AttrType = 0
	AttrFloat     AttrType = 1
	AttrInt       AttrType = 2
	AttrString    AttrType = 3
	AttrTensor    AttrType = 4
	AttrGraph     AttrType = 5
	AttrFloats    AttrType = 6
	AttrInts      AttrType = 7
	AttrStrings   AttrType = 8
	AttrTensors   AttrType = 9
	AttrGraphs    AttrType = 10
	AttrSparse    AttrType = 11
	AttrSparses   AttrType = 12
	AttrTypeProto AttrType = 13
	AttrTypes     AttrType = 14
)

// Attribute is a named constant of a node. Type says which of the other
// fields holds its value. Within a function's body, RefAttr names the
// function's attribute whose value it takes.
type Attribute struct {
	Name      string
	Type      AttrType
	RefAttr   string
	DocString string

	F       float32
	I       int64
	S       string // bytes; by convention UTF-8
	T       *Tensor
	G       *Graph
	Sparse  *SparseTensor
	TP      *Type
	Floats  []float32
	Ints    []int64
	Strings []string
	Tensors []*Tensor
	Graphs  []*Graph
	Sparses []*SparseTensor
	Types   []*Type
	Wire
}

// Attr finds an attribute by name, nil if the node has none such.
func (n *Node) Attr(name string) *Attribute {
	for _, a := range n.Attrs {
		if a.Name == name {
			return a
		}
	}
	return nil
}

// Int is an integer attribute's value, def where it is absent.
func (n *Node) Int(name string, def int64) int64 {
	if a := n.Attr(name); a.is(AttrInt) {
		return a.I
	}
	return def
}

// Float is a float attribute's value, def where it is absent.
func (n *Node) Float(name string, def float32) float32 {
	if a := n.Attr(name); a.is(AttrFloat) {
		return a.F
	}
	return def
}

// Str is a string attribute's value, def where it is absent.
func (n *Node) Str(name, def string) string {
	if a := n.Attr(name); a.is(AttrString) {
		return a.S
	}
	return def
}

// Ints is an integer list attribute's value, nil where it is absent. It is not
// a copy.
func (n *Node) Ints(name string) []int64 {
	if a := n.Attr(name); a.is(AttrInts) {
		return a.Ints
	}
	return nil
}

// Floats is a float list attribute's value, nil where it is absent. It is not
// a copy.
func (n *Node) Floats(name string) []float32 {
	if a := n.Attr(name); a.is(AttrFloats) {
		return a.Floats
	}
	return nil
}

// Tensor is a tensor attribute's value, nil where it is absent.
func (n *Node) Tensor(name string) *Tensor {
	if a := n.Attr(name); a.is(AttrTensor) {
		return a.T
	}
	return nil
}

// is reports whether the attribute is there and of type t. Files of IR 1 leave
// the type out.
func (a *Attribute) is(t AttrType) bool {
	return a != nil && a.RefAttr == "" && (a.Type == t || a.Type == AttrUndefined)
}

// SetInt sets an integer attribute. It returns the node, as all setters do, so
// that calls can be chained.
func (n *Node) SetInt(name string, v int64) *Node {
	n.setAttr(&Attribute{Name: name, Type: AttrInt, I: v})
	return n
}

// SetFloat sets a float attribute.
func (n *Node) SetFloat(name string, v float32) *Node {
	n.setAttr(&Attribute{Name: name, Type: AttrFloat, F: v})
	return n
}

// SetStr sets a string attribute.
func (n *Node) SetStr(name, v string) *Node {
	n.setAttr(&Attribute{Name: name, Type: AttrString, S: v})
	return n
}

// SetInts sets an integer list attribute.
func (n *Node) SetInts(name string, v ...int64) *Node {
	n.setAttr(&Attribute{Name: name, Type: AttrInts, Ints: v})
	return n
}

// SetFloats sets a float list attribute.
func (n *Node) SetFloats(name string, v ...float32) *Node {
	n.setAttr(&Attribute{Name: name, Type: AttrFloats, Floats: v})
	return n
}

// SetTensor sets a tensor attribute.
func (n *Node) SetTensor(name string, t *Tensor) *Node {
	n.setAttr(&Attribute{Name: name, Type: AttrTensor, T: t})
	return n
}

// RemoveAttr removes an attribute if it is there.
func (n *Node) RemoveAttr(name string) {
	for i, a := range n.Attrs {
		if a.Name == name {
			n.Attrs = append(n.Attrs[:i:i], n.Attrs[i+1:]...)
			return
		}
	}
}

func (n *Node) setAttr(a *Attribute) {
	for i, old := range n.Attrs {
		if old.Name == a.Name {
			n.Attrs[i] = a
			return
		}
	}
	n.Attrs = append(n.Attrs, a)
}

// Subgraphs lists the graphs among the node's attributes: bodies of If, Loop,
// Scan and the like.
func (n *Node) Subgraphs() []*Graph {
	var gs []*Graph
	for _, a := range n.Attrs {
		if a.G != nil {
			gs = append(gs, a.G)
		}
		gs = append(gs, a.Graphs...)
	}
	return gs
}
