package ort

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// Value describes an input or output as the model declares it.
type Value struct {
	Name  string
	DType DType   // 0 where the model does not say, or it is not a tensor
	Shape []int64 // -1 for a size not known before the run; nil where even the rank is unknown
	Dims  []string
	// Dims holds, for every axis, the name of a size that is not fixed
	// ("batch"), or "".

	// Default is set for an input that an initializer of the same name gives
	// its value: it is not fed.
	Default bool
}

// signature is what a model file says of its inputs and outputs.
type signature struct {
	inputs, outputs []Value
}

// readSignature takes inputs and outputs from a serialised ModelProto without
// decoding the rest of it. The binding can list them only by creating a second
// session. Field numbers are those of onnx.proto.
func readSignature(model []byte) (signature, error) {
	var sig signature
	initialised := map[string]bool{}
	seen := false
	err := eachField(model, func(number protowire.Number, graph []byte, _ uint64) error {
		if number != 7 { // ModelProto.graph
			return nil
		}
		seen = true
		return eachField(graph, func(number protowire.Number, body []byte, _ uint64) error {
			switch number {
			case 5: // GraphProto.initializer, TensorProto.name
				initialised[stringField(body, 8)] = true
			case 15: // GraphProto.sparse_initializer, SparseTensorProto.values
				if values := bytesField(body, 1); values != nil {
					initialised[stringField(values, 8)] = true
				}
			case 11, 12: // GraphProto.input, output
				v, err := readValueInfo(body)
				if err != nil {
					return err
				}
				if number == 11 {
					sig.inputs = append(sig.inputs, v)
				} else {
					sig.outputs = append(sig.outputs, v)
				}
			}
			return nil
		})
	})
	if err != nil {
		return signature{}, err
	}
	if !seen {
		return signature{}, fmt.Errorf("it has no graph")
	}
	for i := range sig.inputs {
		sig.inputs[i].Default = initialised[sig.inputs[i].Name]
	}
	return sig, nil
}

// fillerInput names the input that withFiller adds.
const fillerInput = "ftk_no_input"

// withFiller adds an input that nothing uses to a serialised model that has
// none, because the binding cannot run one without inputs. A second graph
// field is merged into the first one by whoever reads the file (protobuf
// encoding, "Last One Wins").
func withFiller(model []byte) []byte {
	dim := appendBytes(nil, 1, protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 1))
	tensor := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(Float32))
	tensor = appendBytes(tensor, 2, dim)
	info := appendBytes(nil, 1, []byte(fillerInput))
	info = appendBytes(info, 2, appendBytes(nil, 1, tensor))
	return appendBytes(slices.Clip(model), 7, appendBytes(nil, 11, info))
}

func appendBytes(message []byte, number protowire.Number, body []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(message, number, protowire.BytesType), body)
}

// readValueInfo reads a ValueInfoProto: name, type.tensor_type.
func readValueInfo(body []byte) (Value, error) {
	v := Value{Name: stringField(body, 1)}
	tensor := bytesField(bytesField(body, 2), 1)
	err := eachField(tensor, func(number protowire.Number, field []byte, scalar uint64) error {
		switch number {
		case 1: // elem_type
			v.DType = DType(scalar)
		case 2: // shape
			v.Shape, v.Dims = []int64{}, []string{}
			return eachField(field, func(number protowire.Number, dim []byte, _ uint64) error {
				if number != 1 { // TensorShapeProto.dim
					return nil
				}
				size, name := int64(-1), ""
				err := eachField(dim, func(number protowire.Number, text []byte, scalar uint64) error {
					switch number {
					case 1: // dim_value
						size = int64(scalar)
					case 2: // dim_param
						name = string(text)
					}
					return nil
				})
				v.Shape = append(v.Shape, size)
				v.Dims = append(v.Dims, name)
				return err
			})
		}
		return nil
	})
	return v, err
}

// eachField calls visit for every field of a message: with the bytes of a
// length-delimited one, or the value of a varint.
func eachField(message []byte, visit func(number protowire.Number, bytes []byte, scalar uint64) error) error {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return fmt.Errorf("it is not ONNX, or truncated: %w", protowire.ParseError(n))
		}
		message = message[n:]
		var body []byte
		var scalar uint64
		switch kind {
		case protowire.BytesType:
			body, n = protowire.ConsumeBytes(message)
		case protowire.VarintType:
			scalar, n = protowire.ConsumeVarint(message)
		default:
			n = protowire.ConsumeFieldValue(number, kind, message)
		}
		if n < 0 {
			return fmt.Errorf("it is not ONNX, or truncated: %w", protowire.ParseError(n))
		}
		message = message[n:]
		if err := visit(number, body, scalar); err != nil {
			return err
		}
	}
	return nil
}

// bytesField returns the last length-delimited field of that number, or nil.
func bytesField(message []byte, want protowire.Number) []byte {
	var found []byte
	_ = eachField(message, func(number protowire.Number, body []byte, _ uint64) error {
		if number == want && body != nil {
			found = body
		}
		return nil
	})
	return found
}

func stringField(message []byte, want protowire.Number) string {
	return string(bytesField(message, want))
}
