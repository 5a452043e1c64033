// Package models knows the families of pretrained models: how to open one from
// disk, how to build one from a Hugging Face directory or at random, where the
// layers of an imported graph are, which initializers a freeze specification
// leaves trainable, and how to split the graph at the freeze boundary.
//
//	Open      path            → Source     an ONNX file, or a directory, with its tokenizer files
//	Describe  graph.Model     → Info       family, inputs, layers, embeddings, hidden state: by topology
//	Freeze    Info, spec      → weights    the trainable initializers
//	Split     model, weights  → Parts      what is computed once │ what is trained
//	TinyBERT, TinyALBERT, …   → Model      small random models, for tests
package models
