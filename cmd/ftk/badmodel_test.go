package main

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/ftk-go/ftk/finetune"
	"github.com/ftk-go/ftk/importer"
	"github.com/ftk-go/ftk/internal/compose"
	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/onnxpb"
)

// reONNX changes the protobuf of a directory's model.
func reONNX(t *testing.T, dir string, change func(*onnxpb.Model)) string {
	t.Helper()
	path := filepath.Join(dir, "model.onnx")
	m := readONNX(t, path)
	change(m)
	data, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, string(data))
	return dir
}

// TestImportBad imports what cannot be imported, over a workspace that has a
// model already: that one stays.
func TestImportBad(t *testing.T) {
	ws := workspaceOf(t, saved(t, fused(t)))
	good := saved(t, decomposed(t))
	whole := readFile(t, filepath.Join(good, "model.onnx"))
	safetensors := func(change func(dir string)) string {
		dir := huggingFace(t)
		change(dir)
		return dir
	}
	tooMany := vocabulary()
	for i := range 100 {
		tooMany += "word" + string(rune('a'+i%26)) + string(rune('a'+i/26)) + "\n"
	}
	in := func(name, content string) string { return writeFile(t, filepath.Join(t.TempDir(), name), content) }
	for name, c := range map[string]struct {
		source string
		flags  []string
		words  []string
	}{
		"absent":         {"nowhere/model.onnx", nil, []string{"ftk: nowhere/model.onnx: no such file"}},
		"text":           {in("model.onnx", "this is no model\n"), nil, []string{"model.onnx", "ONNX"}},
		"empty":          {in("model.onnx", ""), nil, []string{"model.onnx", "empty"}},
		"zip":            {in("model.onnx", "PK\x03\x04\x14\x00\x00\x00\x08\x00"), nil, []string{"model.onnx", "ONNX"}},
		"data":           {writeTask(t, "train.csv", 30, 1), nil, []string{"train.csv", "ONNX"}},
		"half":           {in("model.onnx", string(whole[:len(whole)/2])), nil, []string{"model.onnx", "cut short"}},
		"all but a byte": {in("model.onnx", string(whole[:len(whole)-1])), nil, []string{"model.onnx", "cut short"}},
		"initializer": {reONNX(t, saved(t, fused(t)), func(m *onnxpb.Model) {
			for _, w := range m.Graph.Initializer {
				if w.GetName() == "embeddings.LayerNorm.weight" {
					w.RawData = w.RawData[:len(w.RawData)-4]
				}
			}
		}), nil, []string{"model.onnx", "embeddings.LayerNorm.weight", "124 bytes", "128"}},
		"dangling input": {reONNX(t, saved(t, fused(t)), func(m *onnxpb.Model) { m.Graph.Node[7].Input[0] = "nobody" }),
			nil, []string{"model.onnx", `"nobody"`}},
		"unknown operator": {reONNX(t, saved(t, fused(t)), func(m *onnxpb.Model) { m.Graph.Node[9].OpType = proto.String("Frobnicate") }),
			nil, []string{"Frobnicate"}},
		"input without type": {reONNX(t, saved(t, fused(t)), func(m *onnxpb.Model) {
			m.Graph.Input[0].Type = nil
		}), nil, []string{"input_ids", "type information"}},
		"nodes out of order": {reONNX(t, saved(t, fused(t)), func(m *onnxpb.Model) {
			n := m.Graph.Node
			n[0], n[5] = n[5], n[0]
		}), nil, []string{"model.onnx", "topological order"}},
		"no operator set":     {reONNX(t, saved(t, fused(t)), func(m *onnxpb.Model) { m.OpsetImport = nil }), nil, []string{"opset_import"}},
		"no outputs":          {reONNX(t, saved(t, fused(t)), func(m *onnxpb.Model) { m.Graph.Output = nil }), nil, []string{"no outputs"}},
		"a node without":      {reONNX(t, saved(t, fused(t)), func(m *onnxpb.Model) { m.Graph.Node[20].Input = nil }), nil, []string{"/encoder/layer.0/attention/self/Transpose_1"}},
		"shapes that differ":  {reONNX(t, saved(t, fused(t)), func(m *onnxpb.Model) { m.Graph.Initializer[0].Dims = []int64{200, 16} }), nil, []string{"/embeddings/Add"}},
		"empty directory":     {t.TempDir(), nil, []string{"model.onnx", "config.json", "model.safetensors"}},
		"no config":           {safetensors(func(d string) { os.Remove(filepath.Join(d, "config.json")) }), nil, []string{"config.json"}},
		"config is not JSON":  {safetensors(func(d string) { writeFile(t, filepath.Join(d, "config.json"), "{") }), nil, []string{"config.json"}},
		"another family":      {safetensors(func(d string) { writeFile(t, filepath.Join(d, "config.json"), `{"model_type":"t5"}`) }), nil, []string{"config.json", "t5"}},
		"weights cut":         {safetensors(func(d string) { os.Truncate(filepath.Join(d, "model.safetensors"), 50000) }), nil, []string{"model.safetensors"}},
		"weights are a page":  {safetensors(func(d string) { writeFile(t, filepath.Join(d, "model.safetensors"), "<html>") }), nil, []string{"model.safetensors"}},
		"large vocabulary":    {good, []string{"--tokenizer", in("vocab.txt", tooMany)}, []string{"does not fit", "100 rows", "--tokenizer"}},
		"no such tokenizer":   {good, []string{"--tokenizer", "nowhere.json"}, []string{"nowhere.json"}},
		"tokenizer is broken": {good, []string{"--tokenizer", in("tokenizer.json", `{"model":{"type":"WordPiece","vocab":[]}}`)}, []string{"tokenizer.json", "vocab"}},
		"tokenizer is empty":  {good, []string{"--tokenizer", in("vocab.txt", "")}, []string{"vocab.txt"}},
		"no workspace":        {good, []string{"-C", "nowhere/at/all"}, []string{"nowhere/at/all"}},
	} {
		t.Run(name, func(t *testing.T) {
			unchanged(t, ws, func() { fails(t, exitFailed, c.words, append([]string{"import", c.source, "-C", ws}, c.flags...)...) })
		})
	}
}

// withOperators inserts nodes between the encoder's layers that onnxruntime knows
// and ftk does not: a quantisation and two products in Einstein's notation. All
// leave the values (nearly) as they are.
func withOperators(t *testing.T) *graph.Model {
	m := decomposed(t)
	var last *onnxpb.Node
	dir := reONNX(t, saved(t, m), func(p *onnxpb.Model) {
		for _, n := range p.Graph.Node {
			if strings.HasPrefix(n.GetName(), "/encoder/layer.0/") {
				last = n
			}
		}
		odd := func(op, name string, inputs []string, outputs ...string) *onnxpb.Node {
			return &onnxpb.Node{OpType: proto.String(op), Name: proto.String(name), Input: inputs, Output: outputs}
		}
		einsum := func(name, in, out string) *onnxpb.Node {
			n := odd("Einsum", name, []string{in}, out)
			n.Attribute = []*onnxpb.Attribute{{Name: proto.String("equation"), Type: proto.Int32(3), S: []byte("ijk->ijk")}}
			return n
		}
		out := last.Output[0]
		last.Output[0] = "plain"
		added := []*onnxpb.Node{
			einsum("/odd/Einsum", "plain", "odd_1"), einsum("/odd/Einsum_1", "odd_1", "odd_2"),
			odd("DynamicQuantizeLinear", "/odd/Quantize", []string{"odd_2"}, "q", "scale", "zero"),
			odd("DequantizeLinear", "/odd/Dequantize", []string{"q", "scale", "zero"}, out),
		}
		var nodes []*onnxpb.Node
		for _, n := range p.Graph.Node {
			nodes = append(nodes, n)
			if n == last {
				nodes = append(nodes, added...)
			}
		}
		p.Graph.Node = nodes
	})
	return loadModel(t, filepath.Join(dir, "model.onnx"))
}

// TestUnknownOperators trains a model with operators that only onnxruntime
// knows: not through them, but above them.
func TestUnknownOperators(t *testing.T) {
	source := saved(t, withOperators(t))
	ws := t.TempDir()
	needsORT(t)
	o := must(t, "import", source, "-C", ws)
	for _, want := range []string{"only in a frozen part: DequantizeLinear, DynamicQuantizeLinear, Einsum", "--freeze backbone works"} {
		if !strings.Contains(o.stdout, want) {
			t.Errorf("import does not say %q: %v", want, o)
		}
	}
	train, dev := writeTask(t, "train.csv", 600, 1), writeTask(t, "dev.csv", 90, 2)
	for _, freeze := range []string{"none", "embeddings"} {
		unchanged(t, ws, func() {
			fails(t, exitFailed, []string{
				`Einsum (opset 14)`, `"/odd/Einsum", "/odd/Einsum_1"`, `DynamicQuantizeLinear`, `"/odd/Quantize"`, `DequantizeLinear`, `"/odd/Dequantize"`, "--freeze backbone",
			}, tuned(ws, train, dev, "--freeze", freeze)...)
		})
	}
	must(t, tuned(ws, train, dev, "--freeze", "1", "--epochs", "1")...) // they are in the frozen part then, too
	var r finetune.Result
	mustJSON(t, &r, tuned(ws, train, dev, "--freeze", "backbone", "--pooling", "mean")...)
	out := filepath.Join(t.TempDir(), "export")
	must(t, "export", "--out", out, "-C", ws)
	checkExport(t, filepath.Join(source, "model.onnx"), filepath.Join(out, "model.onnx"), func(string) bool { return false })
	// Quantised in other batches than in training: what is on the border may cross it.
	checkPredictions(t, must(t, "predict", "--model", out, "--data", dev, "--json"), r.Eval.Accuracy, 2)
}

// TestTwoMasks trains a model with a second mask, which text does not give: it is
// not fed what the first is.
func TestTwoMasks(t *testing.T) {
	m := fused(t)
	g := m.Graph
	at := slices.IndexFunc(g.Nodes, func(n *graph.Node) bool { return n.OpType == "Softmax" })
	before := len(g.Nodes)
	b := compose.New(g, m.Opset("")).In("global")
	mask := b.Input("global_attention_mask", graph.Int64, g.Inputs[1].Type.Shape...)
	g.Nodes[at].Inputs[0] = b.Op("Add", g.Nodes[at].Inputs[0], b.Cast(b.Unsqueeze(mask, 1, 2), graph.Float32))
	g.Nodes = slices.Concat(g.Nodes[:at], g.Nodes[before:], g.Nodes[at:before])

	ws := workspaceOf(t, saved(t, m))
	train, dev := writeTask(t, "train.csv", 60, 1), writeTask(t, "dev.csv", 30, 2)
	for _, freeze := range []string{"none", "backbone"} {
		unchanged(t, ws, func() {
			fails(t, exitFailed, []string{`"global_attention_mask"`, "none that text gives"}, tuned(ws, train, dev, "--freeze", freeze)...)
		})
	}
}

// TestDiverged trains until the loss is not a number.
func TestDiverged(t *testing.T) {
	train, dev := writeTask(t, "train.csv", 240, 1), writeTask(t, "dev.csv", 60, 2)

	ws := workspaceOf(t, saved(t, decomposed(t)))
	unchanged(t, ws, func() {
		fails(t, exitFailed, []string{"diverged in epoch 1 at step", "loss is", "first at node", "--lr"},
			tuned(ws, train, dev, "--lr", "1e30", "--warmup", "0", "--weight-decay", "0")...)
	})
	fails(t, exitFailed, []string{"no finished run", "ftk finetune"}, "export", "--out", filepath.Join(ws, "export"), "-C", ws)

	// Weights that are not numbers are known before the first step.
	ws = workspaceOf(t, reONNX(t, saved(t, decomposed(t)), func(m *onnxpb.Model) {
		for _, w := range m.Graph.Initializer {
			if w.GetName() == "encoder.layer.1.intermediate.dense.bias" {
				binary.LittleEndian.PutUint32(w.RawData[8:], math.Float32bits(float32(math.NaN())))
			}
		}
	}))
	fails(t, exitFailed, []string{"epoch 1 at step 1", "loss is NaN", "first at node", "encoder.layer.1.intermediate.dense.bias", "import"}, tuned(ws, train, dev)...)
}

// TestBadExport looks at directories that predict cannot serve.
func TestBadExport(t *testing.T) {
	ws := workspaceOf(t, saved(t, fused(t)))
	train, dev := writeTask(t, "train.csv", 120, 1), writeTask(t, "dev.csv", 30, 2)
	must(t, tuned(ws, train, dev, "--epochs", "1")...)
	export := filepath.Join(t.TempDir(), "export")
	must(t, "export", "--out", export, "-C", ws)

	change := func(f func(dir string)) string {
		dir := copyDir(t, export)
		f(dir)
		return dir
	}
	remove := func(name string) string { return change(func(dir string) { os.Remove(filepath.Join(dir, name)) }) }
	config := func(f func(config map[string]any)) string {
		return change(func(dir string) {
			path := filepath.Join(dir, "config.json")
			var c map[string]any
			if err := json.Unmarshal(readFile(t, path), &c); err != nil {
				t.Fatal(err)
			}
			f(c["ftk"].(map[string]any))
			text, err := json.Marshal(c)
			if err != nil {
				t.Fatal(err)
			}
			writeFile(t, path, string(text))
		})
	}
	for name, c := range map[string]struct {
		dir   string
		words []string
	}{
		"absent":             {"nowhere", []string{"nowhere", "ftk export"}},
		"a file":             {train, []string{"train.csv", "not a directory"}},
		"the workspace":      {ws, []string{ws, "ftk export"}},
		"the imported model": {filepath.Join(ws, ".ftk", "model"), []string{"ftk export"}},
		"another's config":   {change(func(d string) { writeFile(t, filepath.Join(d, "config.json"), `{"model_type":"bert"}`) }), []string{"config.json", "ftk export"}},
		"config cut":         {change(func(d string) { os.Truncate(filepath.Join(d, "config.json"), 40) }), []string{"config.json", "export the model again"}},
		"config without":     {config(func(c map[string]any) { delete(c, "labels") }), []string{"config.json", "labels"}},
		"a label less":       {config(func(c map[string]any) { c["labels"] = []string{"a", "b"} }), []string{"3 logits", "2 labels"}},
		"no such output":     {config(func(c map[string]any) { c["logits"] = "scores" }), []string{"model.onnx", `"scores"`, "logits"}},
		"no such input":      {config(func(c map[string]any) { c["inputs"] = map[string]string{"input_ids": "ids"} }), []string{`"input_ids"`, "export the model again"}},
		"an unknown input": {config(func(c map[string]any) {
			c["inputs"] = map[string]string{"input_ids": "input_ids", "pixels": "attention_mask"}
		}), []string{`"pixels"`}},
		"no length":     {config(func(c map[string]any) { c["max_length"] = -3 }), []string{"max_length"}},
		"no model":      {remove("model.onnx"), []string{"model.onnx", "no such file"}},
		"model cut":     {change(func(d string) { os.Truncate(filepath.Join(d, "model.onnx"), 9000) }), []string{"model.onnx"}},
		"model empty":   {change(func(d string) { os.Truncate(filepath.Join(d, "model.onnx"), 0) }), []string{"model.onnx", "empty"}},
		"model is text": {change(func(d string) { writeFile(t, filepath.Join(d, "model.onnx"), "hello\n") }), []string{"model.onnx"}},
		"no tokenizer": {change(func(d string) {
			os.Remove(filepath.Join(d, "vocab.txt"))
			os.Remove(filepath.Join(d, "tokenizer.json"))
		}), []string{"tokenizer"}},
		"tokenizer cut": {change(func(d string) { damageTokenizer(t, d, func(b []byte) []byte { return b[:len(b)/2] }) }), []string{}},
		"another's tokenizer": {change(func(d string) {
			damageTokenizer(t, d, func(b []byte) []byte { return []byte(strings.Replace(string(b), "horse", "hoarse", 1)) })
		}), []string{"tokenizer", "export the model again"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := fails(t, exitFailed, c.words, "predict", "--model", c.dir, "--text", "a horse")
			if o.stdout != "" {
				t.Errorf("stdout: %v", o)
			}
		})
	}
}

// TestBadTexts predicts what is no text.
func TestBadTexts(t *testing.T) {
	ws := workspaceOf(t, saved(t, fused(t)))
	data := writeTask(t, "train.csv", 60, 1)
	must(t, tuned(ws, data, data, "--epochs", "1")...)
	out := filepath.Join(ws, "export")
	must(t, "export", "--out", out, "-C", ws)
	in := func(content string) string { return writeFile(t, filepath.Join(t.TempDir(), "in.csv"), content) }
	for name, c := range map[string]struct {
		args  []string
		words []string
	}{
		"UTF-8":         {[]string{"--text", "a horse", "--text", "caf\xe9"}, []string{"--text", `"caf\xe9"`, "UTF-8"}},
		"UTF-8 in file": {[]string{"--data", in("text\nok\ncaf\xe9\n")}, []string{"in.csv:3", "UTF-8"}},
		"empty":         {[]string{"--data", in("")}, []string{"in.csv", "empty"}},
		"header only":   {[]string{"--data", in("text\n")}, []string{"in.csv", "no records"}},
		"column":        {[]string{"--data", in("question,n\na,1\n"), "--text-column", "text"}, []string{"in.csv", `"question", "n"`}},
		"absent":        {[]string{"--data", "nowhere.csv"}, []string{"nowhere.csv: no such file"}},
		"ending":        {[]string{"--data", ws + "/x.txt"}, []string{"x.txt"}},
	} {
		t.Run(name, func(t *testing.T) {
			if o := fails(t, exitFailed, c.words, append([]string{"predict", "--model", out}, c.args...)...); o.stdout != "" {
				t.Errorf("stdout: %v", o)
			}
		})
	}
	if o := must(t, "predict", "--model", out, "--text", "", "--text", strings.Repeat("horse ", 5000)); strings.Count(o.stdout, "\n") != 2 {
		t.Errorf("an empty text and a long one: %v", o)
	}
}

// damageTokenizer changes whatever file holds the tokenizer.
func damageTokenizer(t *testing.T, dir string, change func([]byte) []byte) {
	t.Helper()
	for _, name := range []string{"tokenizer.json", "vocab.txt"} {
		path := filepath.Join(dir, name)
		if data, err := os.ReadFile(path); err == nil {
			writeFile(t, path, string(change(data)))
		}
	}
}

func loadModel(t *testing.T, path string) *graph.Model {
	t.Helper()
	m, err := importer.Load(path)
	return built(t, m, err)
}
