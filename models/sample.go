package models

import (
	"fmt"
	"math/rand/v2"

	"github.com/ftk-go/ftk/internal/graph"
)

// maxSample is how many elements of an input are made up at most.
const maxSample = 1 << 26

// RandomInputs makes a batch of random inputs for a model, the same for the
// same seed: token ids over the whole vocabulary, one more example padded in
// each row of the attention mask, standard normal floats. Axes that the model
// leaves open get batch (the first) and sequence (all others).
//
// An input of a role that is not known and of an integer type cannot be made
// up, nor one of very many elements; the error names it.
func RandomInputs(info *Info, batch, sequence int64, seed uint64) (map[string]*graph.Tensor, error) {
	rng := rand.New(rand.NewPCG(seed, 0x66746b))
	inputs := map[string]*graph.Tensor{}
	for _, in := range info.Inputs {
		dims, known := in.Dims()
		if !known {
			return nil, fmt.Errorf("input %q: the file does not say its rank", in.Name)
		}
		shape := make([]int64, len(dims))
		size := int64(1)
		for i, d := range dims {
			switch {
			case d.Known():
				shape[i] = d.Size
			case i == 0:
				shape[i] = batch
			default:
				shape[i] = sequence
			}
			if d := shape[i]; d > 0 && size > maxSample/d {
				return nil, fmt.Errorf("input %q (%s): too large to be tried", in.Name, in.Type)
			}
			size *= shape[i]
		}
		width := int64(1)
		if len(shape) > 1 {
			width = shape[len(shape)-1]
		}
		switch t := in.DType(); {
		case t == graph.Float32:
			data := make([]float32, size)
			for i := range data {
				data[i] = float32(rng.NormFloat64())
			}
			inputs[in.Name] = graph.NewFloat32(in.Name, shape, data)
		case t == graph.Int64 && in.Role != "":
			data := make([]int64, size)
			for i := range data {
				row, column := int64(i)/width, int64(i)%width
				switch in.Role {
				case InputIDs:
					data[i] = rng.Int64N(max(info.VocabSize, 1))
				case AttentionMask:
					// Row r has its last r tokens padded, one is always left.
					if column < max(width-row, 1) {
						data[i] = 1
					}
				case PositionIDs:
					data[i] = column
				}
			}
			inputs[in.Name] = graph.NewInt64(in.Name, shape, data)
		default:
			return nil, fmt.Errorf("input %q (%s): what it stands for is not known", in.Name, in.Type)
		}
	}
	return inputs, nil
}
