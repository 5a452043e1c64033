package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"
)

// describe says when and where the tables were made.
func (o *options) describe(w io.Writer) {
	fmt.Fprintf(w, "%s, %s/%s, %s, %d cores, %d threads; batch %d, %d rounds; %s\n", time.Now().Format("2006-01-02 15:04"),
		runtime.GOOS, runtime.GOARCH, cpuModel(), runtime.NumCPU(), o.threads, o.batch, o.rounds, runtime.Version())
}

// cpuModel is the processor's name where the system tells.
func cpuModel() string {
	data, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "CPU not known"
	}
	for line := range strings.Lines(string(data)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "CPU not known"
}
