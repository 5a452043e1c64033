package finetune

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"
)

// testdata/schedule.json: factors by transformers, made by testdata/schedule.py.
func TestScheduleGolden(t *testing.T) {
	var cases []struct {
		Kind          string
		Warmup, Total int
		Factors       []float64
	}
	readJSON(t, "testdata/schedule.json", &cases)
	for _, c := range cases {
		t.Run(fmt.Sprintf("%s %d of %d", c.Kind, c.Warmup, c.Total), func(t *testing.T) {
			s := Schedule{c.Kind, c.Warmup, c.Total}
			for step, want := range c.Factors {
				if c.Kind == "cosine" && step > c.Total {
					continue // past the end transformers rises again; there is no such step
				}
				if got := s.Factor(step); math.Abs(got-want) > 1e-12 {
					t.Errorf("step %d: %v, want %v", step, got, want)
				}
			}
		})
	}
}

func TestNewSchedule(t *testing.T) {
	for _, c := range []struct {
		kind   string
		warmup float64
		want   int // -1: error
	}{{"linear", 0.1, 11}, {"cosine", 0, 0}, {"constant", 7, 7}, {"linear", 1.5, -1}, {"linear", -1, -1}, {"linear", math.NaN(), -1}, {"step", 0, -1}} {
		s, err := NewSchedule(c.kind, c.warmup, 101)
		if (err != nil) != (c.want < 0) || (err == nil && s.Warmup != c.want) {
			t.Errorf("%s %v: %+v, %v; want %d", c.kind, c.warmup, s, err, c.want)
		}
	}
}

func readJSON(t *testing.T, path string, v any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, v); err != nil {
		t.Fatal(err)
	}
}
