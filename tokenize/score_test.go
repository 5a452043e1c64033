package tokenize

import (
	"math"
	"strconv"
	"testing"
)

func TestParseScore(t *testing.T) {
	for text, want := range map[string]float64{
		"0": 0, "-0.0": 0, "12": 12, "-1.5": -1.5, "-8.25e-1": -0.825, "1E2": 100, "-3.1415926535897931": -math.Pi,
		"123456789012345678901234567890": 123456789012345678901234567890, "1e-320": 1e-320, "2.5e+1": 25,
		"0.00000000000000000000001": 1e-23,
	} {
		got, err := parseScore(text)
		if err != nil || math.Abs(got-want) > 4e-16*math.Abs(want) {
			t.Errorf("%s: %g, error %v, want %g", text, got, err, want)
		}
	}
	for _, text := range []string{"x", "", "1e400", "true", "1e99999999999999999999"} {
		if got, err := parseScore(text); err == nil {
			t.Errorf("%s: taken, as %g", text, got)
		}
	}
	// digits beyond what a float64 holds: one integer, then one division
	const text = "-12.345678901234567891"
	got, err := parseScore(text)
	exact, _ := strconv.ParseFloat(text, 64)
	if err != nil || got != -float64(uint64(12345678901234567891))/1e18 {
		t.Errorf("%s: %b, error %v, correctly rounded %b", text, got, err, exact)
	}
}
