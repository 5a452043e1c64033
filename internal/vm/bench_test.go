package vm_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/ftk-go/ftk/internal/blas"
	"github.com/ftk-go/ftk/internal/parallel"
	"github.com/ftk-go/ftk/internal/vm"
	G "gorgonia.org/gorgonia"
)

// BenchmarkEncoderStep is forward and gradient of a training step (without the optimiser) of a MiniLM-sized encoder, 6
// layers of 384, on 32 sequences of 64 tokens. It reports samples per second and the share of the machine's sgemm rate
// that the step's matrix products alone amount to. With -v the profile is logged.
func BenchmarkEncoderStep(b *testing.B) {
	const batch, seq = 32, 64
	e := newEncoder(30522, 384, 12, 1536, 6, 2)
	begin := time.Now()
	t := e.graph(batch, seq)
	t.fill(e, 1)
	o := vm.Options{Keep: G.Nodes{t.loss}, Outputs: map[*G.Node][]float32{}, Profile: testing.Verbose()}
	for _, n := range t.grads {
		o.Outputs[n] = make([]float32, n.Shape().TotalSize())
	}
	m, err := vm.New(t.g, o)
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	compile := time.Since(begin)
	run(b, m)
	rate := blas.MeasureSgemm()
	b.ResetTimer()
	for range b.N {
		run(b, m)
	}
	b.StopTimer()
	perStep := b.Elapsed().Seconds() / float64(b.N)
	gflop := 3 * e.forwardFlop(batch, seq) / 1e9
	b.ReportMetric(batch/perStep, "samples/s")
	b.ReportMetric(gflop/perStep, "GFLOP/s")
	b.ReportMetric(100*gflop/perStep/rate, "%sgemm")
	if testing.Verbose() {
		fmt.Printf("graph and plan %v, %d steps, %d MB planned of %d; sgemm %.0f GFLOP/s on %d threads (%v)\n", compile.Round(time.Millisecond),
			m.Steps(), m.PlannedBytes()>>20, m.UnplannedBytes()>>20, rate, parallel.Threads(), blas.Info())
		fmt.Print(vm.FormatProfile(m.Profile()))
	}
}

// forwardFlop counts the matrix products of a forward pass, attention's included.
func (e *encoder) forwardFlop(batch, seq int) float64 {
	perToken := 2 * float64(4*e.width*e.width+2*e.width*e.inner+2*seq*e.width)
	return float64(e.layers) * float64(batch*seq) * perToken
}
