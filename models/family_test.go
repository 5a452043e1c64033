package models_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/ftk-go/ftk/internal/compose"
	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/models"
)

// addEmbedding adds to the embeddings of a tiny encoder, behind all others,
// rows of a table, by the index that index makes of the word ids.
func addEmbedding(t *testing.T, m *graph.Model, rows int64, index func(b *compose.Builder, ids *graph.Value) *graph.Value) {
	t.Helper()
	g := m.Graph
	at := slices.IndexFunc(g.Nodes, func(n *graph.Node) bool { return strings.HasPrefix(n.Name, "/embeddings/LayerNorm/") })
	sum := g.Nodes[at].Inputs[0]
	before := len(g.Nodes)
	b := compose.New(g, m.Opset("")).In("embeddings").In("added")
	table := b.Initializer("embeddings.added.weight", []int64{rows, 32}, make([]float32, rows*32))
	with := b.Op("Add", sum, b.Op("Gather", table, index(b, g.Inputs[0])))
	for _, n := range g.Nodes[at:before] {
		for i, v := range n.Inputs {
			if v == sum {
				n.Inputs[i] = with
			}
		}
	}
	g.Nodes = slices.Concat(g.Nodes[:at], g.Nodes[before:], g.Nodes[at:before])
}

// zeros is what exporters make where no token types are given: as many as ids.
func zeros(b *compose.Builder, ids *graph.Value) *graph.Value {
	return b.OpWith("ConstantOfShape", []compose.Attr{{Name: "value", Value: graph.NewInt64("", []int64{1}, []int64{0})}}, b.Op("Shape", ids))
}

// What is not a table of positions does not say how many there are, wherever it
// stands.
func TestDescribePositions(t *testing.T) {
	asDouble := func(b *compose.Builder, ids *graph.Value) *graph.Value { return b.Op("Add", ids, ids) }
	timesZero := func(b *compose.Builder, ids *graph.Value) *graph.Value { return b.Op("Mul", ids, b.Int(0)) }
	for _, c := range []struct {
		name  string
		rows  int64
		index func(b *compose.Builder, ids *graph.Value) *graph.Value
	}{
		{"types of the ids' shape", 2, zeros}, // MobileBERT and others
		{"one type", 1, zeros},
		{"three types", 3, zeros},
		{"types of the ids", 2, timesZero},
		{"one type of the ids", 1, timesZero},
		{"words by other ids", 200, asDouble},
	} {
		for _, opset := range []int64{14, 17} {
			m := must(models.TinyBERT(models.Tiny{NoTokenTypes: true, Opset: opset}, 1))(t)
			addEmbedding(t, m, c.rows, c.index)
			if info := must(models.Describe(m))(t); info.MaxPositions != 64 || info.VocabSize != 100 {
				t.Errorf("%s, opset %d: %d positions and %d words, want 64 and 100", c.name, opset, info.MaxPositions, info.VocabSize)
			}
		}
	}
}

// Nor is it known how many there are where there is a table of token types but
// none of positions.
func TestDescribeNoPositions(t *testing.T) {
	m := must(models.TinyBERT(models.Tiny{NoTokenTypes: true}, 1))(t)
	addEmbedding(t, m, 2, zeros)
	g := m.Graph
	g.ReplaceUses(g.Node("/embeddings/Add").Output(), g.Node("/embeddings/word_embeddings/Gather").Output())
	g.Nodes = slices.DeleteFunc(g.Nodes, func(n *graph.Node) bool {
		return n.Name == "/embeddings/Add" || n.Name == "/embeddings/position_embeddings/Gather"
	})
	if info := must(models.Describe(m))(t); info.MaxPositions != 0 || len(info.Layers) != 2 {
		t.Errorf("%d positions, %d layers", info.MaxPositions, len(info.Layers))
	}
}

// Positions counted from the ids, as RoBERTa has them, leave two rows unused.
func TestDescribeCountedPositions(t *testing.T) {
	m := must(models.TinyBERT(models.Tiny{NoTokenTypes: true}, 1))(t)
	counted := func(b *compose.Builder, ids *graph.Value) *graph.Value { return b.Op("CumSum", ids, b.Int(1)) }
	addEmbedding(t, m, 40, counted)
	for _, n := range m.Graph.Nodes { // the table of the encoder's own positions is gone
		if n.Name == "/embeddings/position_embeddings/Gather" {
			n.Inputs[0] = m.Graph.Value("embeddings.added.weight")
			n.Inputs[1] = m.Graph.Node("/embeddings/added/CumSum").Output()
			m.Graph.Nodes = moveUp(m.Graph.Nodes, m.Graph.Node("/embeddings/added/CumSum"))
			break
		}
	}
	if info := must(models.Describe(m))(t); info.MaxPositions != 38 {
		t.Errorf("%d positions, want 38", info.MaxPositions)
	}
}

func moveUp(nodes []*graph.Node, n *graph.Node) []*graph.Node {
	i := slices.Index(nodes, n)
	return slices.Concat([]*graph.Node{n}, nodes[:i], nodes[i+1:])
}

// Of two inputs that look alike one has the role: the one that is called so,
// else the first.
func TestDescribeRolesOnce(t *testing.T) {
	types := func(name string) func(t *testing.T, m *graph.Model) {
		return func(t *testing.T, m *graph.Model) {
			addEmbedding(t, m, 3, func(b *compose.Builder, ids *graph.Value) *graph.Value {
				return b.Input(name, graph.Int64, ids.Type.Shape...)
			})
		}
	}
	mask := func(name string) func(t *testing.T, m *graph.Model) {
		return func(t *testing.T, m *graph.Model) { addMask(t, m, name) }
	}
	first := func(m *graph.Model) { m.Graph.Inputs = slices.Concat(m.Graph.Inputs[3:], m.Graph.Inputs[:3]) }
	for _, c := range []struct {
		name   string
		add    func(t *testing.T, m *graph.Model)
		change func(m *graph.Model)
		roles  map[string]models.Role // of those without the name of their role
	}{
		{"ERNIE", types("task_type_ids"), nil, map[string]models.Role{"task_type_ids": ""}},
		{"ERNIE, in another order", types("task_type_ids"), first, map[string]models.Role{"task_type_ids": ""}},
		{"Longformer", mask("global_attention_mask"), nil, map[string]models.Role{"global_attention_mask": ""}},
		{"Longformer, in another order", mask("global_attention_mask"), first, map[string]models.Role{"global_attention_mask": ""}},
		{"other names", types("b"), func(m *graph.Model) { m.Graph.Inputs[2].Name = "a" }, map[string]models.Role{"a": models.TokenTypeIDs, "b": ""}},
	} {
		m := must(models.TinyBERT(models.Tiny{}, 1))(t)
		c.add(t, m)
		if c.change != nil {
			c.change(m)
		}
		for _, in := range must(models.Describe(m))(t).Inputs {
			want, ok := c.roles[in.Name]
			if !ok {
				want = models.Role(in.Name)
			}
			if in.Role != want {
				t.Errorf("%s: input %q has the role %q, want %q", c.name, in.Name, in.Role, want)
			}
		}
	}
}

// addMask adds a second mask to the scores of a tiny encoder's first layer.
func addMask(t *testing.T, m *graph.Model, name string) {
	t.Helper()
	g := m.Graph
	at := slices.IndexFunc(g.Nodes, func(n *graph.Node) bool { return n.OpType == "Softmax" })
	before := len(g.Nodes)
	b := compose.New(g, m.Opset("")).In("added")
	mask := b.Input(name, graph.Int64, g.Inputs[0].Type.Shape...)
	g.Nodes[at].Inputs[0] = b.Op("Add", g.Nodes[at].Inputs[0], b.Cast(b.Unsqueeze(mask, 1, 2), graph.Float32))
	g.Nodes = slices.Concat(g.Nodes[:at], g.Nodes[before:], g.Nodes[at:before])
}

// A file of a fixed sequence has the index of positions as a constant, which is
// no input: the words are what ids pick, be they fewer than the positions.
func TestDescribeFixedPositions(t *testing.T) {
	for _, ids := range []string{"input_ids", "ids"} {
		m := must(models.TinyBERT(models.Tiny{BERTConfig: models.BERTConfig{VocabSize: 30}}, 1))(t)
		g := m.Graph
		g.Inputs[0].Name = ids
		index := graph.NewInt64("positions", []int64{1, 16}, make([]int64, 16))
		for _, v := range g.Inputs {
			v.Type.Shape[1] = graph.Dim{Size: 16}
		}
		gather := g.Node("/embeddings/position_embeddings/Gather")
		gather.Inputs[1] = g.AddInitializer("positions", index)
		info := must(models.Describe(m))(t)
		if info.VocabSize != 30 || info.MaxPositions != 64 || info.InputOf(models.InputIDs) != g.Inputs[0] || info.Family != "bert" {
			t.Errorf("%s: %s with %d words, %d positions, inputs %v", ids, info.Family, info.VocabSize, info.MaxPositions, info.Inputs)
		}
	}
}
