package serde

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/onnxpb"
)

// DeserializeTensor reads a file that holds a single TensorProto, as the inputs and expected outputs beside ONNX test
// models are kept.
func DeserializeTensor(data []byte) (*graph.Tensor, error) {
	var p onnxpb.Tensor
	if err := (proto.UnmarshalOptions{RecursionLimit: maxDepth}).Unmarshal(data, &p); err != nil {
		return nil, broken("is not an ONNX tensor, or is damaged: %s", protobufReason(err))
	}
	t, err := (&decoder{}).readTensor(&p)
	if err != nil {
		return nil, fmt.Errorf("tensor: %w", err)
	}
	return t, nil
}
