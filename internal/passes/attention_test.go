package passes_test

import (
	"strings"
	"testing"

	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/passes"
)

// TestBlindQueries: a query that sees no key attends to all alike, and where a Where masks the keys its scores are numbers:
// no gradient goes through them. Values and gradients are those of the graph as it is written.
func TestBlindQueries(t *testing.T) {
	const sees = `
mx = ReduceMean x axes=-1
my = Unsqueeze mx #i1
sees = Greater my #0
keys = And c sees
s = MatMul q k
n = Where keys s #-10000
p = Softmax n axis=3`
	apart := strings.Replace(split, "kw = MatMul x", "u = Relu x\nkw = MatMul u", 1) // q, k and v are no Projections
	for _, c := range []struct{ name, text string }{
		{"by example and query", split + sees},
		{"apart", apart + sees},
		{"by head and query", split + `
ones = Reshape #i1,0,0,1,0,0,0,1,1,0 #i2,5,1
hides = Equal ones #s1
s = MatMul q k
n = Where hides #-1e9 s
p = Softmax n axis=3`},
		{"by example", split + `
mx = ReduceMean m axes=-1
hides = Less mx #-3000
s = MatMul q k
n = Where hides #-3.4e38 s
p = Softmax n axis=3`},
		{"all", apart + `
mx = ReduceMax m axes=0,1,2,3
one = Less mx #1
s = MatMul q k
n = Where one #-10000 s
p = Softmax n axis=3`},
		{"added", split + `
mx = ReduceMean m axes=-1
my = Mul mx #1e30
s = MatMul q k
n = Add s my
p = Softmax n axis=3`},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := parse(t, c.text+join+"\nzm = Add m #1\nzc = Not c") // every input is used
			before.Outputs = []*graph.Value{before.Value("y")}
			after, err := passes.Canonical(&graph.Model{Graph: before, Opsets: []graph.Opset{{Version: 17}}})
			if err != nil {
				t.Fatal(err)
			}
			if n := count(after); n["Attention"] != 1 || n["Softmax"] != 0 {
				t.Fatalf("left are %v", n)
			}
			before.Outputs = append(before.Outputs, before.Value("zm"), before.Value("zc"))
			want, got := gradients(t, before), gradients(t, after)
			if want["wq"] == nil || len(got) != len(want) {
				t.Fatalf("%d and %d gradients", len(want), len(got))
			}
			for name, w := range want {
				sameValues(t, "gradient of "+name, got[name], w)
			}
		})
	}
}
