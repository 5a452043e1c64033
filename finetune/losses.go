package finetune

import "math"

// lossOf is the mean loss of logits [rows classes], computed in float64:
// cross-entropy, or the multi-class hinge of Crammer and Singer. (Training
// computes it in the graph, where it has a gradient.)
func lossOf(kind string, logits []float32, labels []int64, classes int) float64 {
	if len(labels) == 0 {
		return 0
	}
	var sum float64
	for r, label := range labels {
		row := logits[r*classes : (r+1)*classes]
		if kind == LossHinge {
			sum += hinge(row, label)
		} else {
			sum += crossEntropy(row, label)
		}
	}
	return sum / float64(len(labels))
}

func crossEntropy(row []float32, label int64) float64 {
	top := math.Inf(-1)
	for _, v := range row {
		top = max(top, float64(v))
	}
	var sum float64
	for _, v := range row {
		sum += math.Exp(float64(v) - top)
	}
	return top + math.Log(sum) - float64(row[label])
}

func hinge(row []float32, label int64) float64 {
	worst := math.Inf(-1)
	for j, v := range row {
		if int64(j) != label {
			worst = max(worst, float64(v))
		}
	}
	return max(0, 1+worst-float64(row[label]))
}
