package op

import "math"

// crossEntropyRow is -Σ target·log softmax(row), target (1-s)·onehot(label) + s/classes.
func crossEntropyRow(row []float32, label int, s float64) float64 {
	top, mean := row[0], 0.0
	for _, x := range row {
		top = max(top, x)
	}
	sum := 0.0
	for _, x := range row {
		sum += math.Exp(float64(x - top))
		mean += float64(x - top)
	}
	mean /= float64(len(row))
	logSum := math.Log(sum)
	return (1-s)*(logSum-float64(row[label]-top)) + s*(logSum-mean)
}

// crossEntropyRowGrad is scale · (softmax(row) - target); d may be row.
func crossEntropyRowGrad(d, row []float32, label int, s, scale float32) {
	top := row[0]
	for _, x := range row {
		top = max(top, x)
	}
	sum := 0.0
	for i, x := range row {
		e := math.Exp(float64(x - top))
		sum += e
		d[i] = float32(e)
	}
	for i := range d {
		d[i] = scale * (d[i]/float32(sum) - s/float32(len(row)))
	}
	d[label] -= scale * (1 - s)
}

// rival is the best class but for the label; the first of equals.
func rival(row []float32, label int) int {
	best := -1
	for i, x := range row {
		if i != label && (best < 0 || x > row[best]) {
			best = i
		}
	}
	return best
}

func hingeRow(row []float32, label int) float64 {
	return max(0, 1+float64(row[rival(row, label)])-float64(row[label]))
}

// hingeRowGrad is scale at the rival and -scale at the label where the margin is violated; d may be row.
func hingeRowGrad(d, row []float32, label int, scale float32) {
	j := rival(row, label)
	violated := 1+row[j]-row[label] > 0
	clear(d)
	if violated {
		d[j], d[label] = scale, -scale
	}
}
