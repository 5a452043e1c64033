package ort

import (
	"os"
	"path/filepath"
	"testing"
)

// FuzzSignature feeds damaged models to the reader of inputs and outputs.
func FuzzSignature(f *testing.F) {
	files, err := filepath.Glob("testdata/*.onnx")
	if err != nil || len(files) == 0 {
		f.Fatalf("no models in testdata: %v", err)
	}
	for _, file := range files {
		model, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(model)
	}
	f.Fuzz(func(t *testing.T, model []byte) {
		sig, err := readSignature(model)
		if err != nil {
			return
		}
		// What can be read can be read with the filler added, and has one
		// input more.
		filled, err := readSignature(withFiller(model))
		if err != nil {
			t.Fatalf("with the filler: %v", err)
		}
		if len(filled.inputs) != len(sig.inputs)+1 || len(filled.outputs) != len(sig.outputs) {
			t.Errorf("%d inputs, with the filler %d", len(sig.inputs), len(filled.inputs))
		}
	})
}
