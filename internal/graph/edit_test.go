package graph_test

import (
	"slices"
	"testing"

	"github.com/ftk-go/ftk/internal/graph"
)

// diamond is out = Add(Relu(x), Mul(Relu(x), w)), with an If that captures the
// Relu's output in front of the Add, and a node that nobody uses.
func diamond() (*graph.Graph, map[string]*graph.Value) {
	g := &graph.Graph{Name: "diamond"}
	x := g.AddInput("x", graph.TensorOf(graph.Float32, graph.NamedDim("batch"), graph.Dim{Size: 2}))
	c := g.AddInput("c", graph.TensorOf(graph.Bool))
	w := g.AddInitializer("w", graph.NewFloat32("w", []int64{2}, []float32{1, 2}))
	unused := g.AddInitializer("unused", graph.NewFloat32("unused", []int64{1}, []float32{1}))
	relu := g.AddNode("Relu", "relu", []*graph.Value{x}).Output()
	mul := g.AddNode("Mul", "mul", []*graph.Value{relu, w}).Output()
	g.AddNode("Neg", "dead", []*graph.Value{mul, unused})

	then, other := &graph.Graph{Name: "then"}, &graph.Graph{Name: "else"}
	then.Outputs = []*graph.Value{then.AddNode("Abs", "abs", []*graph.Value{relu}).Output()}
	other.Outputs = []*graph.Value{other.AddNode("Mul", "twice", []*graph.Value{mul, w}).Output()}
	branch := g.AddNode("If", "if", []*graph.Value{c})
	branch.Attrs = []*graph.Attribute{
		{Name: "then_branch", Type: graph.AttrGraph, G: then},
		{Name: "else_branch", Type: graph.AttrGraph, G: other},
	}
	add := g.AddNode("Add", "add", []*graph.Value{relu, branch.Output()}).Output()
	add.Name = "out"
	g.Outputs = []*graph.Value{add}
	return g, map[string]*graph.Value{"x": x, "c": c, "w": w, "relu": relu, "mul": mul, "out": add}
}

func nodeNames(g *graph.Graph) []string {
	var names []string
	for _, n := range g.Nodes {
		names = append(names, n.Name)
	}
	return names
}

func valueNames(vs []*graph.Value) []string {
	var names []string
	for _, v := range vs {
		names = append(names, v.Name)
	}
	return names
}

func same(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func TestUses(t *testing.T) {
	g, v := diamond()
	var got []string
	for _, u := range g.Uses()[v["relu"]] {
		got = append(got, u.Node.Name+"@"+u.Graph.Name)
	}
	same(t, "uses of relu", got, "mul@diamond", "abs@then", "add@diamond")
	if u := g.Uses()[v["out"]]; len(u) != 1 || u[0].Node != nil || u[0].Index != 0 {
		t.Errorf("uses of the output: %+v", u)
	}
}

func TestRemoveDead(t *testing.T) {
	g, _ := diamond()
	dead := g.Node("dead").Output()
	g.Infos = append(g.Infos, dead, g.Value("out"))
	g.RemoveDead()
	same(t, "nodes", nodeNames(g), "relu", "mul", "if", "add")
	same(t, "initializers", valueNames(g.Initializers), "w")
	same(t, "infos", valueNames(g.Infos), "out")
}

func TestSort(t *testing.T) {
	g, v := diamond()
	slices.Reverse(g.Nodes)
	if err := g.Sort(); err != nil {
		t.Fatal(err)
	}
	at := func(name string) int { return slices.Index(nodeNames(g), name) }
	for _, pair := range [][2]string{{"relu", "mul"}, {"mul", "if"}, {"if", "add"}, {"mul", "dead"}} {
		if at(pair[0]) > at(pair[1]) {
			t.Errorf("%s after %s in %q", pair[0], pair[1], nodeNames(g))
		}
	}
	before := nodeNames(g)
	g.Node("relu").Inputs[0] = v["mul"]
	if err := g.Sort(); err == nil {
		t.Error("a circle was sorted")
	}
	same(t, "nodes after a failed sort", nodeNames(g), before...)
}

func TestExtract(t *testing.T) {
	tests := []struct {
		name                          string
		in, out                       []string
		nodes, initializers, missings []string
	}{
		{"everything", []string{"x", "c"}, []string{"out"}, []string{"relu", "mul", "if", "add"}, []string{"w"}, nil},
		{"prefix", []string{"x"}, []string{"relu", "mul"}, []string{"relu", "mul"}, []string{"w"}, nil},
		{"suffix", []string{"relu", "c"}, []string{"out"}, []string{"mul", "if", "add"}, []string{"w"}, nil},
		{"captured is missing", []string{"mul", "c"}, []string{"out"}, []string{"relu", "if", "add"}, []string{"w"}, []string{"x"}},
		{"initializer given", []string{"x", "w"}, []string{"mul"}, []string{"relu", "mul"}, nil, nil},
		{"input passed through", []string{"x"}, []string{"x"}, nil, nil, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g, v := diamond()
			pick := func(names []string) (vs []*graph.Value) {
				for _, n := range names {
					vs = append(vs, v[n])
				}
				return vs
			}
			part, missing := g.Extract(pick(test.in), pick(test.out))
			same(t, "nodes", nodeNames(part), test.nodes...)
			same(t, "initializers", valueNames(part.Initializers), test.initializers...)
			same(t, "missing", valueNames(missing), test.missings...)
			same(t, "inputs", valueNames(part.Inputs), valueNames(pick(test.in))...)
			if part.Inputs[0] == v[test.in[0]] {
				t.Error("the input is the original's, not a copy")
			}
			for _, n := range part.Nodes {
				for _, out := range n.Outputs {
					if out != nil && out.Producer != n {
						t.Errorf("output %s of %s has another producer", out.Name, n.Name)
					}
				}
			}
			originals := make(map[*graph.Value]bool)
			for _, o := range g.Values() {
				originals[o] = true
			}
			for used := range part.Uses() {
				if originals[used] {
					t.Errorf("%s is used by the part and belongs to the original", used.Name)
				}
			}
		})
	}
}

func TestCloneIsApart(t *testing.T) {
	g, v := diamond()
	c, to := g.Clone()
	for used := range c.Uses() {
		for _, o := range v {
			if used == o {
				t.Errorf("the clone uses %s of the original", o.Name)
			}
		}
	}
	if to[v["w"]] != c.Value("w") || to[v["w"]].Init == v["w"].Init {
		t.Error("w was not cloned")
	}
	if err := to[v["w"]].Init.SetFloat32s([]float32{5, 6}); err != nil {
		t.Fatal(err)
	}
	if w, _ := v["w"].Init.Float32s(); w[0] != 1 {
		t.Error("setting the clone's data changed the original")
	}
}

func TestReplaceUses(t *testing.T) {
	t.Run("interior", func(t *testing.T) {
		g, v := diamond()
		g.ReplaceUses(v["relu"], v["x"])
		if g.Node("add").Inputs[0] != v["x"] || len(g.Uses()[v["relu"]]) != 0 {
			t.Error("relu is still in use")
		}
	})
	t.Run("output keeps its name", func(t *testing.T) {
		g, v := diamond()
		gelu := g.AddNode("Gelu", "gelu", []*graph.Value{v["out"]}).Output()
		g.ReplaceUses(v["out"], gelu)
		if g.Outputs[0] != gelu || gelu.Name != "out" || g.Node("gelu").Inputs[0] != v["out"] {
			t.Errorf("output %q, gelu of %q", g.Outputs[0].Name, g.Node("gelu").Inputs[0].Name)
		}
	})
	t.Run("output by an input", func(t *testing.T) {
		g, v := diamond()
		g.ReplaceUses(v["out"], v["x"])
		if g.Outputs[0] != v["out"] {
			t.Error("the graph's output became an input")
		}
	})
}

func TestNewName(t *testing.T) {
	g, _ := diamond()
	for prefix, want := range map[string]string{"free": "free", "relu": "relu_1", "abs": "abs_1", "": "_1"} {
		if got := g.NewName(prefix); got != want {
			t.Errorf("NewName(%q) = %q, want %q", prefix, got, want)
		}
	}
}
