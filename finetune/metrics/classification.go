// Package metrics counts how often a classifier is right.
package metrics

import "math"

// Classification is what an evaluation of a classifier gives.
type Classification struct {
	Accuracy float64 `json:"accuracy"`
	F1Macro  float64 `json:"f1_macro"`
	Loss     float64 `json:"loss"` // mean over the examples
}

// Tally counts predictions; its size is linear in the number of classes.
type Tally struct {
	classes []tally
	total   int64
	loss    float64
}

// tally is how many examples have a class, how many were given it, and how
// many of these rightly.
type tally struct{ truth, predicted, right int64 }

// NewTally returns an empty count of so many classes.
func NewTally(classes int) *Tally { return &Tally{classes: make([]tally, classes)} }

// Add counts a batch: logits [rows classes] and the true class of each row.
// The predicted class is the first with the largest logit.
func (c *Tally) Add(logits []float32, truth []int64) {
	n := len(c.classes)
	for r, t := range truth {
		predicted := Argmax(logits[r*n : (r+1)*n])
		c.classes[t].truth++
		c.classes[predicted].predicted++
		if int(t) == predicted {
			c.classes[t].right++
		}
	}
	c.total += int64(len(truth))
}

// AddLoss adds the mean loss of a batch of so many examples.
func (c *Tally) AddLoss(mean float64, examples int) { c.loss += mean * float64(examples) }

// Result gives the metrics. Macro F1 is the mean over the classes that occur
// as truth or as prediction (as scikit-learn's f1_score has it); a class that
// is never right has F1 0.
func (c *Tally) Result() Classification {
	if c.total == 0 {
		return Classification{Loss: math.NaN()}
	}
	var right, seen int64
	var sum float64
	for _, k := range c.classes {
		right += k.right
		if k.truth+k.predicted > 0 {
			seen++
			sum += 2 * float64(k.right) / float64(k.truth+k.predicted)
		}
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
