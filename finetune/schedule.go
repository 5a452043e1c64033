package finetune

import (
	"fmt"
	"math"
	"strings"
)

// Schedule gives the learning rate of each optimiser step as a factor of the
// peak. Source: transformers.get_linear_schedule_with_warmup,
// get_cosine_schedule_with_warmup, get_constant_schedule_with_warmup.
type Schedule struct {
	Kind   string // "linear", "cosine" or "constant"
	Warmup int    // steps over which the factor rises from 0 to 1
	Total  int    // steps of the run
}

// ScheduleKinds are the kinds of Schedule there are.
var ScheduleKinds = []string{"linear", "cosine", "constant"}

// NewSchedule checks its arguments. A warmup below 1 is a share of all steps
// (rounded up), otherwise a number of steps.
func NewSchedule(kind string, warmup float64, total int) (Schedule, error) {
	known := false
	for _, k := range ScheduleKinds {
		known = known || k == kind
	}
	if !known {
		return Schedule{}, fmt.Errorf("--schedule %q: there are %s", kind, strings.Join(ScheduleKinds, ", "))
	}
	if !(warmup >= 0 && warmup < 1<<40) || (warmup >= 1 && warmup != math.Trunc(warmup)) {
		return Schedule{}, fmt.Errorf("--warmup %v: it is a share below 1 or a number of steps", warmup)
	}
	steps := int(warmup)
	if warmup < 1 {
		steps = int(math.Ceil(warmup * float64(total)))
	}
	return Schedule{kind, steps, total}, nil
}

// Factor returns the factor of optimiser step number step, from 0.
func (s Schedule) Factor(step int) float64 {
	if step < s.Warmup {
		return float64(step) / float64(max(1, s.Warmup))
	}
	switch s.Kind {
	case "linear":
		return max(0, float64(s.Total-step)/float64(max(1, s.Total-s.Warmup)))
	case "cosine":
		progress := float64(step-s.Warmup) / float64(max(1, s.Total-s.Warmup))
		return max(0, 0.5*(1+math.Cos(math.Pi*progress)))
	}
	return 1
}
