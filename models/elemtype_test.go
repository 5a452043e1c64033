package models_test

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/ftk-go/ftk/importer"
	"github.com/ftk-go/ftk/internal/compose"
	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/testenv"
	"github.com/ftk-go/ftk/models"
)

// Types are found through operators that keep them, and not beyond those that
// do not say.
func TestElemType(t *testing.T) {
	g := &graph.Graph{}
	b := compose.New(g, 17)
	x, ids := b.Input("x", graph.Float16), b.Input("ids", graph.Int64)
	op := func(domain string, n *graph.Value) *graph.Value { n.Producer.Domain = domain; return n }
	second := func(v *graph.Value) *graph.Value {
		out := &graph.Value{Name: v.Name + "_1", Producer: v.Producer}
		v.Producer.Outputs = append(v.Producer.Outputs, out)
		return out
	}
	for _, c := range []struct {
		v    *graph.Value
		want graph.DType
	}{
		{b.Op("Relu", b.Op("Add", x, x)), graph.Float16},
		{b.Op("Gather", x, ids), graph.Float16},
		{b.Op("Where", b.Op("Equal", ids, ids), b.Op("Neg", x), x), graph.Float16},
		{b.Op("Not", b.Op("IsNaN", x)), graph.Bool},
		{b.Op("Unsqueeze", b.Op("Shape", x), ids), graph.Int64},
		{b.Op("Neg", b.Cast(x, graph.Float32)), graph.Float32},
		{b.Op("ConstantOfShape", ids), graph.Float32},
		{second(b.Op("Split", x)), graph.Float16},
		{second(b.Op("TopK", x, ids)), graph.Int64},
		{second(b.Op("Pow", x, ids)), graph.Undefined},
		{op("com.microsoft", b.Op("FastGelu", x)), graph.Float16},
		{op("com.microsoft", b.Op("Whatever", x)), graph.Undefined},
		{op("another.domain", b.Op("Add", x, x)), graph.Undefined},
		{b.Op("Add", op("another.domain", b.Op("Add", x, x)), x), graph.Undefined},
		{b.Op("Loop", ids), graph.Undefined},
	} {
		if got := models.ElemType(c.v); got != c.want {
			t.Errorf("%s: %v, want %v", c.v.Name, got, c.want)
		}
	}
}

// The operators' own tests say of every output what it is: none is taken for
// something else.
func TestElemTypeOfEveryOperator(t *testing.T) {
	f, err := os.Open(testenv.Shared(t, "onnx-node-tests/onnx-v1.22.0-node.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z := must(gzip.NewReader(f))(t)
	known := 0
	for archive := tar.NewReader(z); ; {
		entry, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(entry.Name, "model.onnx") {
			continue
		}
		m := must(importer.Parse(must(io.ReadAll(archive))(t), ""))(t)
		for _, v := range m.Graph.Outputs {
			declared := v.Type
			if v.Producer == nil || declared.Kind != graph.TensorType {
				continue
			}
			v.Type = nil
			got := models.ElemType(v)
			v.Type = declared
			if got != graph.Undefined {
				known++
			}
			if got != graph.Undefined && got != declared.Elem {
				t.Errorf("%s: %s gives %v, found %v", entry.Name, v.Producer.OpType, declared.Elem, got)
			}
		}
	}
	t.Logf("%d outputs known", known)
	if known < 1000 {
		t.Errorf("%d outputs known", known)
	}
}
