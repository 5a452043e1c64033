package doctor

import (
	"bufio"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/cpu"

	"github.com/ftk-go/ftk/internal/kernels"
)

// CPU is what the processor can do, as far as kernels and BLAS care.
type CPU struct {
	Model    string   `json:"model,omitempty"`
	Logical  int      `json:"logical"`
	Features []string `json:"features"`
}

func (c CPU) String() string {
	model := c.Model
	if model == "" {
		model = runtime.GOARCH
	}
	if len(c.Features) == 0 {
		return model
	}
	return model + " (" + strings.Join(c.Features, " ") + ")"
}

func processor() CPU {
	c := CPU{Model: cpuModel(), Logical: runtime.NumCPU(), Features: []string{}}
	for _, f := range []struct {
		name string
		has  bool
	}{
		{"AVX", cpu.X86.HasAVX}, {"AVX2", cpu.X86.HasAVX2}, {"FMA", cpu.X86.HasFMA},
		{"AVX512F", cpu.X86.HasAVX512F}, {"AVX512BW", cpu.X86.HasAVX512BW}, {"AVX512VL", cpu.X86.HasAVX512VL},
		{"AVX512VNNI", cpu.X86.HasAVX512VNNI}, {"AVX512BF16", cpu.X86.HasAVX512BF16},
		{"AMX", cpu.X86.HasAMXTile}, {"ASIMD", cpu.ARM64.HasASIMD}, {"SVE", cpu.ARM64.HasSVE},
	} {
		if f.has {
			c.Features = append(c.Features, f.name)
		}
	}
	return c
}

// vectorised tells which version of the kernels' innermost loops runs.
func vectorised() Finding {
	f := Finding{Name: "kernels", Status: OK}
	switch v := kernels.Version(); v {
	case "avx512":
		f.Found = "assembly for AVX-512 and AVX2"
	case "avx2":
		f.Found = "assembly for AVX2"
	default:
		f.Status, f.Found = Slow, "portable Go ("+v+"): no assembly for this processor"
	}
	return f
}

// cpuModel is the processor's name on Linux, "" elsewhere.
func cpuModel() string {
	file, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		key, value, ok := strings.Cut(lines.Text(), ":")
		if ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
