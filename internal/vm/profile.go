package vm

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// OpProfile is what one operator cost since the machine was made, or ResetProfile called.
type OpProfile struct {
	Op    string
	Calls int
	Time  time.Duration
	Bytes int // read and written, over all calls
}

// Profile lists operators by time, longest first. Options.Profile must have been set.
func (m *Machine) Profile() []OpProfile {
	byOp := map[string]*OpProfile{}
	for _, s := range m.program.steps {
		name := s.name
		if s.add {
			name += "+"
		}
		if s.then != nil {
			name += ", " + s.then.name
		}
		p := byOp[name]
		if p == nil {
			p = &OpProfile{Op: name}
			byOp[name] = p
		}
		bytes := s.value.bytes
		for _, in := range s.in {
			bytes += in.bytes
		}
		if s.then != nil {
			bytes += s.then.value.bytes // its operand is in the caches
			for _, in := range s.then.in {
				if in != s.value {
					bytes += in.bytes
				}
			}
		}
		p.Calls += s.calls
		p.Time += time.Duration(s.nanos)
		p.Bytes += bytes * s.calls
	}
	list := make([]OpProfile, 0, len(byOp))
	for _, p := range byOp {
		list = append(list, *p)
	}
	slices.SortFunc(list, func(a, b OpProfile) int {
		return cmp.Or(cmp.Compare(b.Time, a.Time), cmp.Compare(a.Op, b.Op))
	})
	return list
}

// ResetProfile begins the profile anew.
func (m *Machine) ResetProfile() {
	for _, s := range m.program.steps {
		s.calls, s.nanos = 0, 0
	}
}

// FormatProfile renders a profile as a table.
func FormatProfile(list []OpProfile) string {
	var b strings.Builder
	var total time.Duration
	for _, p := range list {
		total += p.Time
	}
	fmt.Fprintf(&b, "%-28s %8s %12s %6s %9s\n", "operator", "calls", "time", "share", "GB/s")
	for _, p := range list {
		if p.Calls == 0 {
			continue
		}
		rate := ""
		if p.Bytes > 0 {
			rate = fmt.Sprintf("%9.1f", float64(p.Bytes)/max(float64(p.Time), 1))
		}
		fmt.Fprintf(&b, "%-28s %8d %12v %5.1f%% %s\n", p.Op, p.Calls, p.Time.Round(time.Microsecond),
			100*float64(p.Time)/float64(max(total, 1)), rate)
	}
	return b.String()
}
