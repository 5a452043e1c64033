package finetune

import (
	"slices"
	"testing"

	"github.com/ftk-go/ftk/models"
)

func newTinyStepper(t *testing.T, o StepperOptions) *Stepper {
	t.Helper()
	m, err := models.TinyBERT(models.Tiny{NoPooler: true}, 1)
	if err != nil {
		t.Fatal(err)
	}
	s := Defaults()
	s.LearningRate, s.Dropout = 1e-3, 0
	st, err := NewStepper(m, s, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(st.Close)
	return st
}

func TestStepperLearnsItsBatch(t *testing.T) {
	st := newTinyStepper(t, StepperOptions{Rows: 4, Tokens: 8, Labels: 2})
	before := slices.Clone(st.batch.inputs["input_ids"].I64)
	if st.redraw(); slices.Equal(before, st.batch.inputs["input_ids"].I64) {
		t.Error("the tokens stay the same")
	}
	st.rng = nil // from here on
	first, err := st.Step()
	if err != nil {
		t.Fatal(err)
	}
	var last float32
	for range 60 {
		if last, err = st.Step(); err != nil {
			t.Fatal(err)
		}
	}
	if !(last < first/4) {
		t.Errorf("loss %v after 60 steps on one batch, %v at first", last, first)
	}
}

// A layer of the tiny model has 4·32² + 2·32·64 weights; there are two.
func TestStepperFLOP(t *testing.T) {
	const forward = 2 * (2*(4*32*32+2*32*64)*4*8 + 4*4*8*8*32)
	for _, c := range []struct {
		forward bool
		want    float64
	}{{true, forward}, {false, 3 * forward}} {
		st := newTinyStepper(t, StepperOptions{Rows: 4, Tokens: 8, Labels: 2, Forward: c.forward})
		if got := st.FLOP(); got != c.want {
			t.Errorf("forward only %v: %v FLOP, want %v", c.forward, got, c.want)
		}
		if _, err := st.Step(); err != nil {
			t.Error(err)
		}
	}
}

// A step allocates nothing at all: forward, backward, update.
func TestStepAllocations(t *testing.T) {
	st := newTinyStepper(t, StepperOptions{Rows: 4, Tokens: 8, Labels: 2})
	step := func() {
		if _, err := st.Step(); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		step()
	}
	if n := testing.AllocsPerRun(20, step); n > 0 {
		t.Errorf("%v allocations in a step", n)
	}
}

func TestStepperWantsAllTrained(t *testing.T) {
	m, err := models.TinyBERT(models.Tiny{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	s := Defaults()
	s.Freeze = "1"
	if _, err := NewStepper(m, s, StepperOptions{Rows: 2, Tokens: 8, Labels: 2}); err == nil {
		t.Error("a stepper was made of a model with a frozen layer")
	}
}
