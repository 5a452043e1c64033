package finetune

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/ftk-go/ftk/finetune/dataset"
	"github.com/ftk-go/ftk/models"
)

// A model without an attention mask must not see padding: without dropout it
// trains to the weights of the same model with a mask, whatever the batches
// are, and what it gives for a text does not depend on the others.
func TestWithoutMaskThereIsNoPadding(t *testing.T) {
	withTables(t)
	for _, c := range []struct {
		freeze, pooling string
		accum           int
		cache           int64
	}{{"none", "mean", 1, 0}, {"none", "cls", 3, 0}, {"1", "mean", 1, 0}, {"1", "cls", 2, 1 << 30}, {"backbone", "mean", 1, 1 << 30}} {
		t.Run(fmt.Sprintf("freeze %s, %s", c.freeze, c.pooling), func(t *testing.T) {
			base := tinyConfig(t)
			base.Freeze, base.Pooling, base.GradAccum, base.CacheLimit, base.Dropout = c.freeze, c.pooling, c.accum, c.cache, 0
			masked, unmasked := base, base
			unmasked.Workspace = tinyWorkspace(t)
			var err error
			if unmasked.Model, err = models.TinyBERT(models.Tiny{NoMask: true}, 1); err != nil {
				t.Fatal(err)
			}
			want, got := run(t, masked), run(t, unmasked)
			if d := math.Abs(want.Eval.Loss - got.Eval.Loss); !(d < 1e-3) || want.Train.Steps != got.Train.Steps {
				t.Errorf("evaluation loss %v after %d steps, with a mask %v after %d", got.Eval.Loss, got.Train.Steps, want.Eval.Loss, want.Train.Steps)
			}
			compared := 0
			for _, v := range want.Model.Graph.Initializers {
				same := got.Model.Graph.Value(v.Name)
				if !v.Init.DType.IsFloat() || same == nil { // a constant of the mask's
					continue
				}
				compared++
				w, err := v.Init.Float32s()
				if err != nil {
					t.Fatal(err)
				}
				g, err := same.Init.Float32s()
				if err != nil {
					t.Fatal(err)
				}
				for i := range w {
					if math.Abs(float64(w[i]-g[i])) > 2e-3 {
						t.Fatalf("%s[%d] is %v, with a mask %v", v.Name, i, g[i], w[i])
					}
				}
			}
			if compared < 39 { // weights and biases of the backbone and the head
				t.Errorf("%d initializers compared", compared)
			}
		})
	}
}

func TestWithoutMaskTextsAreAlone(t *testing.T) {
	m, err := models.TinyBERT(models.Tiny{NoMask: true}, 1)
	if err != nil {
		t.Fatal(err)
	}
	c := tinyConfig(t)
	c.Model, c.Pooling = m, "mean"
	n, err := newNetwork(m, &c.Settings, []string{"a", "b", "c"})
	if err != nil {
		t.Fatal(err)
	}
	defer n.close()
	logits := func(texts ...string) [][]float32 {
		records := make([]dataset.Record, len(texts))
		for i, text := range texts {
			records[i].Text = text
		}
		set, err := dataset.FromRecords(records, encoder(c.Tokenizer, 64, 0))
		if err != nil {
			t.Fatal(err)
		}
		defer set.Close()
		fd, err := newFeeder(context.Background(), n, set, nil, &c)
		if err != nil {
			t.Fatal(err)
		}
		return forwardAll(t, fd, set)
	}
	texts := []string{"the apple", "there is the old horse with a new one by far", "one pear", "iron"}
	for i, got := range logits(texts...) {
		for j, x := range logits(texts[i])[0] {
			if math.Abs(float64(got[j]-x)) > 1e-5 {
				t.Errorf("%q among others gives %v, alone %v", texts[i], got[j], x)
			}
		}
	}
}
