package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/ftk-go/ftk/finetune"
	"github.com/ftk-go/ftk/internal/blas"
	"github.com/ftk-go/ftk/internal/version"
	"github.com/ftk-go/ftk/internal/vm"
	"github.com/ftk-go/ftk/models"
)

// serveOptions are the flags of the ftk side of a step.
type serveOptions struct {
	on, forward            bool
	model                  model
	batch, tokens, threads int
	profile                int
	cpu, mem               string
}

// hello is the first line that a process measuring steps prints.
type hello struct {
	Peer    string  `json:"peer"`
	Version string  `json:"version"`
	FLOP    float64 `json:"flop,omitempty"` // of a step; see finetune.Stepper.FLOP
}

// serveStep reads a number of steps from each line of standard input, does them, and answers how many seconds they took;
// to the line "sgemm" it answers the machine's sgemm rate in GFLOP/s.
func serveStep(s serveOptions) error {
	st, err := s.stepper()
	if err != nil {
		return err
	}
	defer st.Close()
	if _, err := st.Step(); err != nil { // warm
		return err
	}
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(hello{Peer: "ftk", Version: version.String() + ", " + blasName(), FLOP: st.FLOP()}); err != nil {
		return err
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		if in.Text() == "sgemm" {
			fmt.Println(blas.MeasureSgemm())
			continue
		}
		var n int
		if _, err := fmt.Sscan(in.Text(), &n); err != nil {
			return fmt.Errorf("%q is neither a number of steps nor sgemm", in.Text())
		}
		begin := time.Now()
		for range n {
			if _, err := st.Step(); err != nil {
				return err
			}
		}
		fmt.Println(time.Since(begin).Seconds())
	}
	return nil
}

func (s serveOptions) stepper() (*finetune.Stepper, error) {
	source, err := models.Open(s.model.dir)
	if err != nil {
		return nil, err
	}
	settings := finetune.Defaults()
	settings.Pooling, settings.Threads, settings.Seed = s.model.pooling, s.threads, 1
	settings.HeadLearningRate = 1e-3
	return finetune.NewStepper(source.Model, settings, finetune.StepperOptions{
		Rows: s.batch, Tokens: s.tokens, Labels: 2, Forward: s.forward, Profile: s.profile > 0,
	})
}

// profiles prints what the operators of a step cost, for each model.
func (o *options) profiles(s serveOptions) error {
	all, err := o.allModels()
	if err != nil {
		return err
	}
	for _, m := range all {
		s.model = m
		if err := s.printProfile(); err != nil {
			return err
		}
	}
	return nil
}

func (s serveOptions) printProfile() error {
	st, err := s.stepper()
	if err != nil {
		return err
	}
	defer st.Close()
	if _, err := st.Step(); err != nil {
		return err
	}
	st.Profile()
	if s.mem != "" {
		runtime.MemProfileRate = 1
	}
	if s.cpu != "" {
		f, err := os.Create(s.cpu)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	rate := blas.MeasureSgemm()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	begin := time.Now()
	for range s.profile {
		if _, err := st.Step(); err != nil {
			return err
		}
	}
	each := time.Since(begin) / time.Duration(s.profile)
	runtime.ReadMemStats(&after)
	list := st.Profile()
	var operators time.Duration
	for _, p := range list {
		operators += p.Time
	}
	fmt.Printf("%s, pooling %s, %d × %d tokens, %d threads, %s: %v a step, %.1f GFLOP/s of %.1f; outside of what follows %v; %d allocations, %d bytes a step\n",
		s.model.name, s.model.pooling, s.batch, s.tokens, s.threads, blasName(), each.Round(time.Microsecond), s.model.done(st.FLOP(), s.batch, s.tokens, s.forward)/each.Seconds()/1e9, rate,
		(each - operators/time.Duration(s.profile)).Round(time.Microsecond),
		(after.Mallocs-before.Mallocs)/uint64(s.profile), (after.TotalAlloc-before.TotalAlloc)/uint64(s.profile))
	fmt.Print(vm.FormatProfile(list))
	if s.mem == "" {
		return nil
	}
	f, err := os.Create(s.mem)
	if err != nil {
		return err
	}
	defer f.Close()
	return pprof.Lookup("allocs").WriteTo(f, 0)
}

// blasName is name and version of the library, without what OpenBLAS says of its build.
func blasName() string {
	words := strings.Fields(blas.Info().Name)
	return strings.Join(words[:min(2, len(words))], " ")
}
