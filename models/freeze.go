package models

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/ftk-go/ftk/internal/graph"
)

// Freeze turns a freeze specification into the initializers of the backbone
// that stay trainable, in file order:
//
//	backbone    none of them
//	embeddings  all but the embeddings
//	N           all but the embeddings and the first N layers
//	none        all of them
//
// What is trained on top of the backbone, a head's initializers, is the
// caller's to add. Scalars, integers, masks and constants are never among them
// (see Info.Weights).
//
// Where layers share their weights, as ALBERT's do, only 0 and the number of
// layers make sense for N; others are an error. A weight that is to be trained
// and is not float32 is a *graph.UnsupportedError.
func Freeze(info *Info, spec string) ([]*graph.Value, error) {
	frozen, err := frozenBy(info, spec)
	if err != nil {
		return nil, err
	}
	var trainable []*graph.Value
	for _, w := range info.Weights {
		if frozen[w] {
			continue
		}
		if w.Init.DType != graph.Float32 {
			return nil, &graph.UnsupportedError{
				Doing: fmt.Sprintf("training initializer %q, which is %s", w.Name, w.Init.DType),
				Hint:  "only float32 is trained; --freeze backbone leaves it to onnxruntime",
			}
		}
		trainable = append(trainable, w)
	}
	return trainable, nil
}

func frozenBy(info *Info, spec string) (map[*graph.Value]bool, error) {
	frozen := map[*graph.Value]bool{}
	add := func(ws []*graph.Value) {
		for _, w := range ws {
			frozen[w] = true
		}
	}
	switch spec {
	case "none":
		return frozen, nil
	case "backbone":
		add(info.Weights)
		return frozen, nil
	case "embeddings":
		add(info.Embeddings)
		return frozen, nil
	}
	n, err := strconv.Atoi(spec)
	if err != nil || n < 0 {
		return nil, fmt.Errorf("freeze %q: it is backbone, embeddings, none, or a number of layers", spec)
	}
	if n > len(info.Layers) {
		return nil, fmt.Errorf("freeze %d: the model has %d layers", n, len(info.Layers))
	}
	add(info.Embeddings)
	for _, l := range info.Layers[:n] {
		add(l.Initializers)
	}
	for _, l := range info.Layers[n:] {
		if i := slices.IndexFunc(l.Initializers, func(w *graph.Value) bool { return frozen[w] }); n > 0 && i >= 0 {
			return nil, fmt.Errorf("freeze %d: the %d layers share their weights (%q is in frozen and in trained ones), "+
				"so they are frozen all or none: use embeddings, backbone or none", n, len(info.Layers), l.Initializers[i].Name)
		}
	}
	return frozen, nil
}
