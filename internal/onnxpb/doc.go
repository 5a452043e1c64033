// Package onnxpb has the protobuf messages of an ONNX file, generated from
// onnx.proto. Only package serde uses it; the rest of ftk knows package graph.
package onnxpb

//go:generate go run ./gen onnx.proto
