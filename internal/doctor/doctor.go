// Package doctor looks at what ftk found on this machine: libraries, their
// versions and speed, the processor, installed models. Each thing missing
// comes with the one command that mends it.
package doctor

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/ftk-go/ftk/internal/blas"
	"github.com/ftk-go/ftk/internal/home"
	"github.com/ftk-go/ftk/internal/ort"
	"github.com/ftk-go/ftk/internal/parallel"
	"github.com/ftk-go/ftk/internal/setup"
	"github.com/ftk-go/ftk/internal/version"
)

// Status of a finding.
const (
	OK      = "ok"
	Slow    = "slow"    // works without, slower or less
	Missing = "missing" // ftk cannot do its work without it
)

// Finding is one thing that was looked for.
type Finding struct {
	Name    string `json:"name"`
	Status  string `json:"status"`
	Found   string `json:"found"`             // what is there, in a line; or why it is not
	Path    string `json:"path,omitempty"`    // where
	Version string `json:"version,omitempty"` // of a library
	Mend    string `json:"mend,omitempty"`    // the command that mends it
}

// Report is everything that was found.
type Report struct {
	OK       bool      `json:"ok"` // nothing needed is missing
	Version  string    `json:"version"`
	Go       string    `json:"go"`
	Platform string    `json:"platform"`
	CPU      CPU       `json:"cpu"`
	Threads  int       `json:"threads"`
	Sgemm    float64   `json:"sgemm_gflops"` // measured, all threads
	Findings []Finding `json:"findings"`
}

// Examine looks at the machine. It takes about half a second, most of it to
// measure matrix products.
func Examine() Report {
	r := Report{
		OK: true, Version: version.String(), Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		CPU: processor(), Threads: parallel.Threads(),
	}
	r.Sgemm = blas.MeasureSgemm()
	r.Findings = []Finding{onnxruntime(), matrixProducts(r.Sgemm), vectorised(), cacheDirectory(), miniLM()}
	for _, f := range r.Findings {
		if f.Status == Missing {
			r.OK = false
		}
	}
	return r
}

// Err names what is missing and how to mend it, in one line; nil if nothing
// needed is.
func (r Report) Err() error {
	var missing []string
	for _, f := range r.Findings {
		if f.Status == Missing {
			missing = append(missing, fmt.Sprintf("%s is missing; run: %s", f.Name, f.Mend))
		}
	}
	if missing == nil {
		return nil
	}
	return fmt.Errorf("%s", strings.Join(missing, "; "))
}

// Print writes the report for people.
func (r Report) Print(w io.Writer) {
	fmt.Fprintf(w, "ftk %s, %s, %s\n", r.Version, r.Go, r.Platform)
	fmt.Fprintf(w, "processor: %s; %d in use of %d logical CPUs\n", r.CPU, r.Threads, r.CPU.Logical)
	for _, f := range r.Findings {
		fmt.Fprintf(w, "%-8s %-12s %s", "["+f.Status+"]", f.Name, f.Found)
		if f.Path != "" {
			fmt.Fprintf(w, " (%s)", f.Path)
		}
		fmt.Fprintln(w)
		if f.Mend != "" {
			fmt.Fprintf(w, "%21s mend it with: %s\n", "", f.Mend)
		}
	}
}

func onnxruntime() Finding {
	f := Finding{Name: "onnxruntime", Status: Missing, Mend: "make deps"}
	if err := ort.Init(); err != nil {
		if os.Getenv(ort.EnvLibrary) != "" {
			f.Mend = "unset " + ort.EnvLibrary
		}
		f.Found = err.Error()
		return f
	}
	lib, _ := ort.Loaded()
	return Finding{Name: f.Name, Status: OK, Found: lib.Version + ", " + lib.How, Path: lib.Path, Version: lib.Version}
}

func matrixProducts(rate float64) Finding {
	info := blas.Info()
	f := Finding{Name: "BLAS", Status: OK, Path: info.Path, Version: info.Name,
		Found: fmt.Sprintf("%s, sgemm %.0f GFLOP/s on %d threads", info.Name, rate, info.Threads)}
	if info.Reason != "" {
		f.Status, f.Mend = Slow, "make deps"
		if os.Getenv("FTK_BLAS") != "" {
			f.Mend = "unset FTK_BLAS"
		}
		f.Found += "; " + info.Reason
	}
	return f
}

// cacheDirectory tells where the set-up puts things, and whether it can.
func cacheDirectory() Finding {
	dir := home.Dir()
	if dir == "" {
		return Finding{Name: "home", Status: Slow, Found: "the user's cache directory is not known", Mend: "export FTK_HOME=DIRECTORY"}
	}
	f := Finding{Name: "home", Status: OK, Found: "what make deps installs", Path: dir}
	if _, err := os.Stat(dir); err != nil {
		f.Found = "empty: nothing has been installed yet"
	}
	return f
}

func miniLM() Finding {
	dir := home.Model(setup.MiniLM)
	if info, err := os.Stat(filepath.Join(dir, "model.safetensors")); dir != "" && err == nil {
		return Finding{Name: "MiniLM", Status: OK, Found: fmt.Sprintf("%s, %d MB", setup.MiniLM, info.Size()/1e6), Path: dir}
	}
	return Finding{Name: "MiniLM", Status: Slow, Mend: "make deps",
		Found: "the demo's model is not installed; its tests are skipped, any other model works"}
}
