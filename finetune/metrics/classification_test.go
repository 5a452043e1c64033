package metrics

import (
	"math"
	"testing"
)

func TestClassification(t *testing.T) {
	// scikit-learn: accuracy_score, f1_score(average="macro") of
	// truth 0 0 1 1 2 2 2 0, predicted 0 1 1 1 2 0 2 0, of 4 classes (3 never occurs).
	truth := []int64{0, 0, 1, 1, 2, 2, 2, 0}
	predicted := []int{0, 1, 1, 1, 2, 0, 2, 0}
	logits := make([]float32, 4*len(truth))
	for i, p := range predicted {
		logits[4*i+p] = 1
	}
	c := NewTally(4)
	c.Add(logits[:12], truth[:3])
	c.Add(logits[12:], truth[3:])
	c.AddLoss(1, 3)
	c.AddLoss(2, 5)
	got := c.Result()
	want := Classification{Accuracy: 0.75, F1Macro: (2.0/3 + 0.8 + 0.8) / 3, Loss: 13.0 / 8}
	for _, p := range [][2]float64{{got.Accuracy, want.Accuracy}, {got.F1Macro, want.F1Macro}, {got.Loss, want.Loss}} {
		if math.Abs(p[0]-p[1]) > 1e-12 {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

func TestArgmaxFirstOfEquals(t *testing.T) {
	if i := Argmax([]float32{1, 3, 3}); i != 1 {
		t.Errorf("Argmax = %d", i)
	}
}
