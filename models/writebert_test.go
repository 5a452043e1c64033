package models

import (
	"path/filepath"
	"slices"
	"testing"
)

// A model that is written as Hugging Face lays weights out and built of them
// again has the same weights.
func TestWriteBERT(t *testing.T) {
	want, err := TinyBERT(Tiny{}, 3)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "model.safetensors")
	if err := WriteBERT(want, path); err != nil {
		t.Fatal(err)
	}
	got, err := BuildBERT(Tiny{}.filled().BERTConfig, path)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Graph.Initializers) != len(want.Graph.Initializers) {
		t.Fatalf("%d initializers, want %d", len(got.Graph.Initializers), len(want.Graph.Initializers))
	}
	for _, v := range want.Graph.Initializers {
		same := got.Graph.Value(v.Name)
		if same == nil || !slices.Equal(same.Init.Dims, v.Init.Dims) {
			t.Fatalf("%s is %v", v.Name, same)
		}
		w, err := v.Init.Raw()
		if err != nil {
			t.Fatal(err)
		}
		if g, err := same.Init.Raw(); err != nil || !slices.Equal(g, w) {
			t.Errorf("%s differs, %v", v.Name, err)
		}
	}
}
