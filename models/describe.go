package models

import (
	"fmt"
	"slices"

	"github.com/ftk-go/ftk/internal/graph"
)

// Info is what is known of a model, found from its topology.
type Info struct {
	Model      *graph.Model
	Family     string // see family
	Opset      int64  // of the standard domain
	Parameters int64  // elements of Weights and Anonymous; what is shared counts once
	Inputs     []Input
	Outputs    []*graph.Value

	// HiddenState is the output of the last layer, with the norm that may follow
	// it: [batch sequence HiddenSize]. Nil where the model has no such thing: a
	// network of convolutions.
	HiddenState *graph.Value
	HiddenSize  int64
	// Pooled is the graph output that a dense layer and tanh make of the hidden
	// state of the first token, [batch HiddenSize]: BERT's pooler_output. Nil
	// where there is none.
	Pooled *graph.Value

	Layers []Layer
	// SharedLayers: all layers have the same weights (ALBERT).
	SharedLayers bool
	// Embeddings are the weights before the first layer, and those that every
	// layer uses though the layers are different (a table of relative
	// positions).
	Embeddings []*graph.Value
	// Weights are all initializers that can be trained, in file order. Scalars,
	// integers, masks and other constants are not among them.
	Weights []*graph.Value
	// Anonymous are the outputs of Constant nodes that hold weights. They are
	// frozen always: only initializers are trained.
	Anonymous []*graph.Value

	VocabSize    int64 // rows of the table that input_ids index, 0 where there is none
	MaxPositions int64 // the longest sequence that position embeddings allow, 0 where not known
}

// Input is one input of a model and what it stands for.
type Input struct {
	*graph.Value
	Role Role
}

// InputOf is the input with a role, nil if there is none.
func (info *Info) InputOf(r Role) *graph.Value {
	for _, in := range info.Inputs {
		if in.Role == r {
			return in.Value
		}
	}
	return nil
}

// Describe finds family, layers, embeddings and hidden state of a model from
// its topology: exporters rename weights and values, so names decide nothing
// but what a layer is called and which input is which where that is not plain.
//
// It fails only for a graph that is not in topological order.
func Describe(m *graph.Model) (*Info, error) {
	if err := checkOrder(m.Graph); err != nil {
		return nil, err
	}
	f := analyse(m.Graph)
	info := &Info{Model: m, Opset: m.Opset(""), Outputs: m.Graph.Outputs}
	info.findWeights(f)
	segments := f.trunk(mainOutput(f))
	info.findLayers(f, segments)
	info.findInputs(f)
	info.Family = family(f, info)
	return info, nil
}

func checkOrder(g *graph.Graph) error {
	seen := map[*graph.Node]bool{}
	for _, n := range g.Nodes {
		for _, v := range n.Inputs {
			if v != nil && v.Producer != nil && !seen[v.Producer] {
				return &graph.FormatError{
					Where: fmt.Sprintf("node %q (%s)", n.Name, n.OpType),
					What:  fmt.Sprintf("uses %q before it is computed", v.Name),
				}
			}
		}
		seen[n] = true
	}
	return nil
}

func (info *Info) findWeights(f *dataflow) {
	used := map[*graph.Value]bool{}
	for _, n := range f.g.Nodes {
		for _, w := range f.weights(n) {
			if !used[w] && w.Init == nil {
				info.Anonymous = append(info.Anonymous, w)
			}
			used[w] = true
		}
	}
	for _, v := range f.g.Initializers {
		if used[v] {
			info.Weights = append(info.Weights, v)
		}
	}
	for _, w := range slices.Concat(info.Weights, info.Anonymous) {
		info.Parameters += tensorOf(w).Len()
	}
}

// mainOutput is the graph output that the most nodes with weights lead to; of
// several the first. Nil if none is an activation.
func mainOutput(f *dataflow) *graph.Value {
	var main *graph.Value
	most := -1
	for _, v := range f.g.Outputs {
		if !f.activation[v] {
			continue
		}
		count := 0
		for _, n := range f.leadingTo(v) {
			count += len(f.weights(n))
		}
		if count > most {
			main, most = v, count
		}
	}
	return main
}

func (info *Info) findLayers(f *dataflow, segments []segment) {
	r := findRepetition(segments, true)
	if r.count == 0 {
		r = singleLayer(f, segments)
	}
	if r.share < 0.5 { // layers of different widths, as convolutions and autoencoders have them
		if loose := findRepetition(segments, false); loose.share > r.share {
			r = loose
		}
	}
	if r.count == 0 {
		info.Embeddings = tables(f)
		return
	}
	info.Layers = layersOf(segments, r)
	for _, s := range segments[:r.start()] {
		info.addEmbeddings(s.weights...)
	}
	info.findShared()
	if !isSequenceModel(f, segments) {
		return
	}
	end := closingNorm(segments, r.end)
	info.HiddenState = segments[end-1].output
	info.HiddenSize = lastSize(info.HiddenState, segments[:end])
	info.Pooled = pooled(f, info.HiddenState)
}

func (info *Info) addEmbeddings(ws ...*graph.Value) {
	for _, w := range ws {
		if !slices.Contains(info.Embeddings, w) {
			info.Embeddings = append(info.Embeddings, w)
		}
	}
}

// findShared tells layers that are the same from layers that merely read a
// table in common; that table goes to the embeddings.
func (info *Info) findShared() {
	inLayers := map[*graph.Value]int{}
	for _, l := range info.Layers {
		for _, w := range l.Initializers {
			inLayers[w]++
		}
	}
	inAll := func(w *graph.Value) bool { return inLayers[w] == len(info.Layers) }
	first := info.Layers[0].Initializers
	info.SharedLayers = len(info.Layers) > 1 && !slices.ContainsFunc(first, func(w *graph.Value) bool { return !inAll(w) })
	if info.SharedLayers || len(info.Layers) < 2 {
		return
	}
	for _, w := range first {
		if inAll(w) {
			info.addEmbeddings(w)
		}
	}
	for i, l := range info.Layers {
		info.Layers[i].Initializers = slices.DeleteFunc(l.Initializers, inAll)
	}
}

// singleLayer finds the layer of an encoder that has only one: from the
// segment with the attention to the first graph output on the trunk.
func singleLayer(f *dataflow, segments []segment) repetition {
	for i, s := range segments {
		if attentions(f, s.nodes) == 0 {
			continue
		}
		for j := i; j < len(segments); j++ {
			if slices.Contains(f.g.Outputs, segments[j].output) {
				return repetition{end: j + 1, period: j + 1 - i, count: 1, share: 1}
			}
		}
	}
	return repetition{}
}

// normOps are what a norm at the end of the last layer may consist of.
var normOps = map[string]bool{
	"LayerNormalization": true, "SimplifiedLayerNormalization": true, "RMSNormalization": true, "BatchNormalization": true,
	"ReduceMean": true, "Sub": true, "Pow": true, "Mul": true, "Add": true, "Sqrt": true, "Div": true,
	"Cast": true, "Identity": true, "Transpose": true,
}

// closingNorm is the end of the norm that follows segment end, or end: models
// that normalise before each block (GPT-2, ViT) have one behind the last.
func closingNorm(segments []segment, end int) int {
	closed, transposes := end, 0
	for i := end; i < len(segments); i++ {
		if len(segments[i].nodes) == 1 && segments[i].nodes[0].OpType == "ReduceMean" {
			return closed // pooling; a norm subtracts the mean
		}
		for _, n := range segments[i].nodes {
			if !normOps[n.OpType] {
				return closed
			}
			if n.OpType == "Transpose" {
				transposes++
			}
		}
		for _, w := range segments[i].weights {
			if len(tensorOf(w).Dims) != 1 {
				return closed
			}
		}
		if transposes%2 == 0 && (len(segments[i].weights) > 0 || closed > end || transposes > 0) {
			closed = i + 1
		}
	}
	return closed
}

// lastSize is the size of a hidden state's last axis: as its type says, else
// that of the last vector of weights before it.
func lastSize(v *graph.Value, before []segment) int64 {
	if dims, known := v.Dims(); known && len(dims) > 0 && dims[len(dims)-1].Known() {
		return dims[len(dims)-1].Size
	}
	for _, s := range slices.Backward(before) {
		for _, w := range slices.Backward(s.weights) {
			if t := tensorOf(w); len(t.Dims) == 1 {
				return t.Dims[0]
			}
		}
	}
	return 0
}

// pooled finds BERT's pooler behind a hidden state: one token picked, a dense
// layer, tanh, a graph output.
func pooled(f *dataflow, hidden *graph.Value) *graph.Value {
	users := map[*graph.Value][]*graph.Node{}
	for _, n := range f.g.Nodes {
		for _, v := range n.Inputs {
			users[v] = append(users[v], n)
		}
	}
	dense := map[string]bool{"Gemm": true, "MatMul": true, "Add": true, "Identity": true, "Squeeze": true, "Reshape": true}
	for _, pick := range users[hidden] {
		if pick.OpType != "Gather" && pick.OpType != "Slice" {
			continue
		}
		for v := pick.Output(); v != nil && len(users[v]) == 1; {
			n := users[v][0]
			v = n.Output()
			if n.OpType == "Tanh" && slices.Contains(f.g.Outputs, v) {
				return v
			}
			if !dense[n.OpType] {
				break
			}
		}
	}
	return nil
}
