package models

import (
	"slices"

	"github.com/ftk-go/ftk/internal/graph"
)

// ElemType is the element type of a value: as the file says, else, since
// exporters leave out the types of inner values, what the operators before it
// give. It is Undefined where that is not known.
func ElemType(v *graph.Value) graph.DType {
	for v != nil {
		if t := v.DType(); t != graph.Undefined || v.Producer == nil {
			return t
		}
		t, same := outputType(v.Producer, slices.Index(v.Producer.Outputs, v))
		if same == nil {
			return t
		}
		v = same
	}
	return graph.Undefined
}

// outputType is the element type of output i of a node, or a value that has the
// same; Undefined and nil where it is not known.
func outputType(n *graph.Node, i int) (t graph.DType, same *graph.Value) {
	if n.Domain == "com.microsoft" {
		if slices.Contains(contribAsFirst, n.OpType) && i == 0 {
			same = n.Input(0)
		}
		return graph.Undefined, same
	}
	if n.Domain != "" && n.Domain != "ai.onnx" {
		return graph.Undefined, nil
	}
	switch n.OpType {
	case "Cast", "BitCast":
		return graph.DType(n.Int("to", 0)), nil
	case "Constant":
		return constantType(n), nil
	case "ConstantOfShape":
		if value := n.Tensor("value"); value != nil {
			return value.DType, nil
		}
		return graph.Float32, nil
	case "If":
		if sub := n.Subgraphs(); len(sub) > 0 && i < len(sub[0].Outputs) {
			same = sub[0].Outputs[i]
		}
		return graph.Undefined, same
	case "Split", "LSTM", "GRU", "RNN":
		return graph.Undefined, n.Input(0)
	case "DynamicQuantizeLinear": // values, scale, zero point
		if i == 1 {
			return graph.Float32, nil
		}
		return graph.Uint8, nil
	}
	if i > 0 {
		return laterOutputs[n.OpType], nil
	}
	if t, ok := firstOutputs[n.OpType]; ok {
		return t, nil
	}
	return graph.Undefined, n.Input(typedBy[n.OpType])
}

// firstOutputs are the element types of first outputs that no input decides;
// Undefined where that is not followed up.
var firstOutputs = map[string]graph.DType{
	"And": graph.Bool, "ArgMax": graph.Int64, "ArgMin": graph.Int64, "Bernoulli": graph.Undefined,
	"BlackmanWindow": graph.Undefined, "ConcatFromSequence": graph.Undefined, "ConvInteger": graph.Int32,
	"Equal": graph.Bool, "EyeLike": graph.Undefined, "Greater": graph.Bool, "GreaterOrEqual": graph.Bool,
	"HammingWindow": graph.Undefined, "HannWindow": graph.Undefined, "ImageDecoder": graph.Uint8, "IsInf": graph.Bool,
	"IsNaN": graph.Bool, "Less": graph.Bool, "LessOrEqual": graph.Bool, "Loop": graph.Undefined,
	"MatMulInteger": graph.Int32, "MelWeightMatrix": graph.Undefined, "Multinomial": graph.Undefined,
	"NonMaxSuppression": graph.Int64, "NonZero": graph.Int64, "Not": graph.Bool, "Optional": graph.Undefined,
	"OptionalGetElement": graph.Undefined, "OptionalHasElement": graph.Bool, "Or": graph.Bool,
	"RandomNormal": graph.Undefined, "RandomNormalLike": graph.Undefined, "RandomUniform": graph.Undefined,
	"RandomUniformLike": graph.Undefined, "RegexFullMatch": graph.Bool, "Scan": graph.Undefined,
	"SequenceAt": graph.Undefined, "SequenceLength": graph.Int64, "Shape": graph.Int64, "Size": graph.Int64,
	"TfIdfVectorizer": graph.Float32, "Xor": graph.Bool,
}

// laterOutputs are the element types of the outputs behind the first.
var laterOutputs = map[string]graph.DType{
	"Dropout": graph.Bool, "LayerNormalization": graph.Float32, "MaxPool": graph.Int64, "StringSplit": graph.Int64,
	"TopK": graph.Int64, "Unique": graph.Int64,
}

// typedBy is the input that the first output has the element type of, where
// that is not the first.
var typedBy = map[string]int{
	"CastLike": 1, "DequantizeLinear": 1, "OneHot": 2, "QLinearConv": 7, "QLinearMatMul": 7, "QuantizeLinear": 2, "Where": 1,
}

// contribAsFirst are onnxruntime's own operators whose first output has the
// element type of the first input.
var contribAsFirst = []string{
	"Attention", "BiasAdd", "BiasGelu", "BiasSoftmax", "FastGelu", "FusedGemm", "FusedMatMul", "Gelu",
	"GroupQueryAttention", "MultiHeadAttention", "QuickGelu", "RotaryEmbedding", "SimplifiedLayerNormalization",
	"SkipLayerNormalization", "SkipSimplifiedLayerNormalization",
}

func constantType(n *graph.Node) graph.DType {
	for _, a := range n.Attrs {
		switch a.Name {
		case "value":
			if a.T != nil {
				return a.T.DType
			}
		case "value_float", "value_floats":
			return graph.Float32
		case "value_int", "value_ints":
			return graph.Int64
		case "value_string", "value_strings":
			return graph.String
		}
	}
	return graph.Undefined
}
