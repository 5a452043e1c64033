// Package metrics counts how often a classifier is right.
package metrics

import "math"

// Classification is what an evaluation of a classifier gives.
type Classification struct {
	Accuracy float64 `json:"accuracy"`
	F1Macro  float64 `json:"f1_macro"`
	Loss     float64 `json:"loss"` // mean over the examples
}

// Confusion counts predictions: Count(truth, predicted).
type Confusion struct {
	classes int
	counts  []int64 // [classes classes], row: truth
	total   int64
	loss    float64
}

// NewConfusion returns an empty count of so many classes.
func NewConfusion(classes int) *Confusion {
	return &Confusion{classes: classes, counts: make([]int64, classes*classes)}
}

// Add counts a batch: logits [rows classes] and the true class of each row.
// The predicted class is the first with the largest logit.
func (c *Confusion) Add(logits []float32, truth []int64) {
	for r, t := range truth {
		c.counts[int(t)*c.classes+Argmax(logits[r*c.classes:(r+1)*c.classes])]++
	}
	c.total += int64(len(truth))
}

// AddLoss adds the mean loss of a batch of so many examples.
func (c *Confusion) AddLoss(mean float64, examples int) { c.loss += mean * float64(examples) }

// Count returns how many examples of class truth were given class predicted.
func (c *Confusion) Count(truth, predicted int) int64 { return c.counts[truth*c.classes+predicted] }

// Result gives the metrics. Macro F1 is the mean over the classes that occur
// as truth or as prediction (as scikit-learn's f1_score has it); a class that
// is never right has F1 0.
func (c *Confusion) Result() Classification {
	var right int64
	var sum float64
	var seen int
	for k := range c.classes {
		var truth, predicted int64
		for j := range c.classes {
			truth += c.Count(k, j)
			predicted += c.Count(j, k)
		}
		right += c.Count(k, k)
		if truth+predicted > 0 {
			seen++
			sum += 2 * float64(c.Count(k, k)) / float64(truth+predicted)
		}
	}
	if c.total == 0 {
		return Classification{Loss: math.NaN()}
	}
	return Classification{
		Accuracy: float64(right) / float64(c.total),
		F1Macro:  sum / float64(seen),
		Loss:     c.loss / float64(c.total),
	}
}

// Argmax returns the index of the largest value, the first of equals.
func Argmax(x []float32) int {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return best
}
