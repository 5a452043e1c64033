package models

import (
	"slices"

	"github.com/ftk-go/ftk/internal/graph"
)

// Role says what a model input stands for, in the names of Hugging Face.
type Role string

// The roles of inputs. A model input that is none of these has the empty role.
const (
	InputIDs      Role = "input_ids"
	AttentionMask Role = "attention_mask"
	TokenTypeIDs  Role = "token_type_ids"
	PositionIDs   Role = "position_ids"
	PixelValues   Role = "pixel_values"
)

// lookup is a table of weights and what its rows are picked by.
type lookup struct {
	table *graph.Value
	index *graph.Value // graph input that is the index itself; nil where it is computed
	data  bool         // the index depends on data: words rather than places
}

// lookups lists the tables that Gather reads by whole rows.
func lookups(f *dataflow) []lookup {
	var found []lookup
	for _, n := range f.g.Nodes {
		index := n.Input(1)
		if n.OpType != "Gather" || index == nil || n.Int("axis", 0) != 0 {
			continue
		}
		for _, w := range f.weights(n) {
			if len(tensorOf(w).Dims) == 2 {
				found = append(found, lookup{w, behindViews(index), f.data[index]})
			}
		}
	}
	return found
}

// behindViews is the graph input that v is a cast or reshape of, else nil. An
// initializer is none: the index of positions where the sequence is fixed.
func behindViews(v *graph.Value) *graph.Value {
	for v != nil && v.Producer != nil {
		switch v.Producer.OpType {
		case "Cast", "Identity", "Reshape", "Squeeze", "Flatten":
			v = v.Producer.Input(0)
		default:
			return nil
		}
	}
	if v == nil || v.Init != nil {
		return nil
	}
	return v
}

// tables lists the embedding tables of a model without layers.
func tables(f *dataflow) []*graph.Value {
	var ts []*graph.Value
	for _, l := range lookups(f) {
		if !slices.Contains(ts, l.table) {
			ts = append(ts, l.table)
		}
	}
	return ts
}

// mostTokenTypes: a table of no more rows holds token types; one of more rows
// holds positions or words.
const mostTokenTypes = 16

// findInputs gives the inputs their roles: by the table that an input indexes
// (of several the largest, unless an input is called input_ids: a small
// vocabulary may have fewer words than there are positions), else by name where
// the name is one of Hugging Face's; and the mask as what reaches the
// activations past all weights. Positions are the rows of the largest table
// that is read at them.
func (info *Info) findInputs(f *dataflow) {
	var words lookup
	rows := func(l lookup) int64 { return tensorOf(l.table).Dims[0] }
	found := lookups(f)
	for _, l := range found {
		if l.index == nil || words.index != nil && Role(words.index.Name) == InputIDs {
			continue
		}
		if words.table == nil || rows(l) > rows(words) || Role(l.index.Name) == InputIDs {
			words = l
		}
	}
	roles := map[*graph.Value]Role{}
	var counted int64 // positions of tables whose index is made of the ids
	for _, l := range found {
		switch {
		case l.table == words.table:
			if l.index != nil {
				roles[l.index] = InputIDs
				info.VocabSize = rows(l)
			}
		case rows(l) <= mostTokenTypes: // without an index of their own all tokens are of one type: MobileBERT
			if l.index != nil {
				roles[l.index] = TokenTypeIDs
			}
		case l.index != nil:
			roles[l.index] = PositionIDs
			info.MaxPositions = max(info.MaxPositions, rows(l))
		case l.data: // counted from the ids, the first two rows unused: RoBERTa, MPNet
			counted = max(counted, rows(l)-2)
		case slices.Contains(info.Embeddings, l.table) && !info.relative(f, l.table):
			info.MaxPositions = max(info.MaxPositions, rows(l))
		}
	}
	if info.MaxPositions == 0 {
		info.MaxPositions = counted
	}
	for _, v := range f.g.Inputs {
		if v.Init != nil {
			continue
		}
		role, known := roles[v]
		if !known {
			role = info.roleOf(f, v)
		}
		info.Inputs = append(info.Inputs, Input{v, role})
	}
	info.oneOfEach()
	if info.MaxPositions == 0 && info.VocabSize > 0 {
		info.MaxPositions = slicedPositions(f, info)
	}
}

// oneOfEach leaves a role to one input: the one that has its name, else the
// first. Another, as Longformer's global_attention_mask and ERNIE's
// task_type_ids, stands for something else.
func (info *Info) oneOfEach() {
	holder := map[Role]*graph.Value{}
	for _, in := range info.Inputs {
		if holder[in.Role] == nil || in.Role == Role(in.Name) {
			holder[in.Role] = in.Value
		}
	}
	for i, in := range info.Inputs {
		if in.Value != holder[in.Role] {
			info.Inputs[i].Role = ""
		}
	}
}

// relative: the table is read inside layers rather than before them.
func (info *Info) relative(f *dataflow, table *graph.Value) bool {
	for _, l := range info.Layers {
		for _, n := range l.Nodes {
			if slices.Contains(f.weights(n), table) {
				return true
			}
		}
	}
	return false
}

// slicedPositions is the number of rows of the largest table of which the first
// are added to the embeddings, without any Gather. Rows of a table of token
// types, which may be added so as well, are not positions.
func slicedPositions(f *dataflow, info *Info) int64 {
	inLayer := map[*graph.Node]bool{}
	for _, l := range info.Layers {
		for _, n := range l.Nodes {
			inLayer[n] = true
		}
	}
	var positions int64
	for _, n := range f.g.Nodes {
		if n.OpType != "Add" || inLayer[n] {
			continue
		}
		for _, w := range f.weights(n) {
			t := tensorOf(w)
			if r := len(t.Dims); r >= 2 && t.Dims[r-1] > 1 && t.Dims[r-2] > mostTokenTypes && slices.Contains(info.Embeddings, w) {
				positions = max(positions, t.Dims[r-2])
			}
		}
	}
	return positions
}

func (info *Info) roleOf(f *dataflow, v *graph.Value) Role {
	switch r := Role(v.Name); r {
	case InputIDs, AttentionMask, TokenTypeIDs, PositionIDs, PixelValues:
		return r
	}
	dims, known := v.Dims()
	switch {
	case info.VocabSize == 0 && v.DType() == graph.Float32 && known && len(dims) == 4 && dims[1].Known() && dims[1].Size <= 4:
		return PixelValues
	case info.VocabSize > 0 && known && len(dims) == 2 && f.reachesUnweighted(v):
		return AttentionMask
	}
	return ""
}

// reachesUnweighted: v is combined with an activation before any weight is
// applied to it, as a mask is.
func (f *dataflow) reachesUnweighted(v *graph.Value) bool {
	reached := map[*graph.Value]bool{v: true}
	for _, n := range f.g.Nodes {
		if shapeOps[n.OpType] || !slices.ContainsFunc(n.Inputs, func(in *graph.Value) bool { return in != nil && reached[in] }) {
			continue
		}
		if slices.ContainsFunc(n.Inputs, func(in *graph.Value) bool { return in != nil && f.activation[in] }) {
			return true
		}
		for _, out := range n.Outputs {
			if out != nil && !f.activation[out] {
				reached[out] = true
			}
		}
	}
	return false
}

// attentions counts the attention of a list of nodes: fused operators, and
// softmaxes whose result is multiplied with another activation.
func attentions(f *dataflow, nodes []*graph.Node) int {
	probabilities := map[*graph.Value]bool{}
	count := 0
	for _, n := range nodes {
		switch n.OpType {
		case "Attention", "MultiHeadAttention", "GroupQueryAttention":
			count++
		case "Softmax":
			probabilities[n.Output()] = true
		case "Dropout", "Identity", "Cast", "Where", "Mul", "Reshape", "Transpose":
			if slices.ContainsFunc(n.Inputs, func(v *graph.Value) bool { return v != nil && probabilities[v] }) {
				probabilities[n.Output()] = true
			}
		case "MatMul", "Einsum":
			if len(n.Inputs) == 2 && f.activation[n.Inputs[0]] && f.activation[n.Inputs[1]] &&
				(probabilities[n.Inputs[0]] || probabilities[n.Inputs[1]]) {
				count++
			}
		}
	}
	return count
}

// isSequenceModel: there are words or attention, so the last layer's output is
// a hidden state [batch sequence hidden].
func isSequenceModel(f *dataflow, segments []segment) bool {
	if len(lookups(f)) > 0 {
		return true
	}
	return slices.ContainsFunc(segments, func(s segment) bool { return attentions(f, s.nodes) > 0 })
}

// family guesses what kind of model this is. It is for people to read; nothing
// is decided by it but the default pooling.
func family(f *dataflow, info *Info) string {
	has := func(ops ...string) bool { return hasOp(f.g, ops) }
	hasAttention := attentions(f, f.g.Nodes) > 0
	switch {
	case hasAttention && info.VocabSize == 0 && has("Conv"):
		return "vit"
	case hasAttention && info.VocabSize > 0:
		return textFamily(f, info)
	case hasAttention:
		return "transformer"
	case has("LSTM", "GRU", "RNN"):
		return "rnn"
	case info.VocabSize > 0:
		return "embedding"
	case has("Conv"):
		return "cnn"
	case has("Gemm", "MatMul"):
		return denseFamily(f)
	}
	return "unknown"
}

// hasOp looks for one of several operators, in subgraphs too.
func hasOp(g *graph.Graph, ops []string) bool {
	return slices.ContainsFunc(g.Nodes, func(n *graph.Node) bool {
		return slices.Contains(ops, n.OpType) ||
			slices.ContainsFunc(n.Subgraphs(), func(sub *graph.Graph) bool { return hasOp(sub, ops) })
	})
}

func textFamily(f *dataflow, info *Info) string {
	if info.SharedLayers {
		return "albert"
	}
	computed, words := false, 0 // positions counted from the ids; lookups by inputs
	for _, l := range lookups(f) {
		computed = computed || l.index == nil && l.data
		if l.index != nil {
			words++
		}
	}
	relative := slices.ContainsFunc(info.Embeddings, func(w *graph.Value) bool { return info.relative(f, w) })
	switch {
	case normsFirst(f, info):
		return "gpt2"
	case relative:
		return "mpnet"
	case computed:
		return "roberta"
	case info.InputOf(TokenTypeIDs) != nil:
		return "bert"
	case words == 1:
		return "distilbert"
	}
	return "transformer"
}

// normsFirst: what the first layer does to its input, apart from keeping it for
// the residual, is to normalise it.
func normsFirst(f *dataflow, info *Info) bool {
	if len(info.Layers) == 0 {
		return false
	}
	for _, n := range info.Layers[0].Nodes {
		switch n.OpType {
		case "LayerNormalization", "SimplifiedLayerNormalization", "RMSNormalization", "ReduceMean":
			return true
		case "MatMul", "Gemm", "Attention":
			return false
		}
	}
	return false
}

// denseFamily tells an autoencoder, whose output is as wide as its input and
// whose middle is narrower, from other stacks of dense layers.
func denseFamily(f *dataflow) string {
	last := func(vs []*graph.Value) int64 {
		for _, v := range vs {
			if dims, known := v.Dims(); v.Init == nil && known && len(dims) > 0 && dims[len(dims)-1].Known() {
				return dims[len(dims)-1].Size
			}
		}
		return -1
	}
	in, out := last(f.g.Inputs), last(f.g.Outputs)
	if in <= 0 || in != out {
		return "mlp"
	}
	for _, n := range f.g.Nodes {
		for _, w := range f.weights(n) {
			if t := tensorOf(w); len(t.Dims) == 2 && min(t.Dims[0], t.Dims[1]) < in {
				return "autoencoder"
			}
		}
	}
	return "mlp"
}
