package finetune

import (
	"math"
	"testing"
	"time"
)

// A part counts in the speed as long as it took, and the first step is done
// when its last part is and the weights are updated.
func TestStopwatch(t *testing.T) {
	var s stopwatch
	s.begin()
	for range 200 {
		for _, part := range []struct {
			samples int
			took    time.Duration
		}{{8, 800 * time.Second}, {24, 240 * time.Second}} {
			s.start()
			s.skip(-part.took)
			s.stop(part.samples)
		}
	}
	if got, want := s.speed(), 32.0/1040; math.Abs(got-want) > 0.02*want {
		t.Errorf("speed %v, want %v", got, want)
	}
	if !s.first.IsZero() {
		t.Error("no step is done yet")
	}
	s.stepped()
	first := s.first
	if s.stepped(); first.IsZero() || s.first != first {
		t.Errorf("first step at %v, then at %v", first, s.first)
	}
}
