package serde

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/testenv"
)

// sameModel compares what Read and Deserialize make of a file.
func sameModel(t *testing.T, data []byte) {
	t.Helper()
	want, wantErr := Deserialize(data, "")
	got, err := Read(bytes.NewReader(data), int64(len(data)), "")
	if (err == nil) != (wantErr == nil) || err != nil && err.Error() != wantErr.Error() {
		t.Fatalf("Read: %v, Deserialize: %v", err, wantErr)
	}
	if err != nil {
		return
	}
	a, err := Serialize(got)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Serialize(want)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a, b) {
		t.Fatal("Read gives another model than Deserialize")
	}
}

// largeModel has initializers on both sides of what is separated.
func largeModel(t testing.TB) []byte {
	m := &graph.Model{IRVersion: 8, Opsets: []graph.Opset{{Version: 17}}, Graph: &graph.Graph{Name: "g"}}
	rng := rand.New(rand.NewPCG(1, 2))
	for i, n := range []int{10, largeRaw / 4, largeRaw, 5, 3 * largeRaw, 1} {
		data := make([]float32, n)
		for j := range data {
			data[j] = rng.Float32()
		}
		name := string(rune('a' + i))
		v := &graph.Value{Name: name, Init: graph.NewFloat32(name, []int64{int64(n)}, data)}
		m.Graph.Initializers = append(m.Graph.Initializers, v)
		m.Graph.Outputs = append(m.Graph.Outputs, v)
	}
	data, err := Serialize(m)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestReadIsDeserialize(t *testing.T) {
	data := largeModel(t)
	if m, err := Read(bytes.NewReader(data), int64(len(data)), ""); err != nil || len(m.Graph.Initializers) != 6 {
		t.Fatal(err)
	}
	sameModel(t, data)
	for at := 0; at < len(data); at += 1 + at/7 { // broken anywhere, cut anywhere
		for _, bit := range []byte{1, 0x80} {
			broken := bytes.Clone(data)
			broken[at] ^= bit
			sameModel(t, broken)
		}
		sameModel(t, data[:at])
	}
	// A second graph, a second raw_data, a number spelled longer than need be: all valid, none usual.
	again := protowire.AppendBytes(protowire.AppendTag(bytes.Clone(data), modelGraph, protowire.BytesType), []byte{})
	sameModel(t, again)
	sameModel(t, append(bytes.Clone(data), 0x08, 0x88, 0x00))
}

func TestReadIsDeserializeOnRealModels(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(testenv.Shared(t, "models"), "*", "*.onnx"))
	if err != nil || len(files) == 0 {
		t.Fatal("no models", err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		sameModel(t, data)
	}
}

// Large initializers come without a second copy, aligned for float32.
func TestReadSeparates(t *testing.T) {
	data := largeModel(t)
	s := newSeparator(bytes.NewReader(data))
	rest, err := s.message(int64(len(data)), nil, s.modelField)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.raw) != 3 || len(s.raw[1]) != largeRaw || len(s.raw[4]) != 12*largeRaw || len(rest) > 500 {
		t.Errorf("%d initializers are separated, %d bytes are left", len(s.raw), len(rest))
	}
}
