// Package ort runs ONNX models in onnxruntime: it finds the shared library,
// loads it, and gives sessions that check what they are asked before they ask
// onnxruntime.
//
// It wraps github.com/yalue/onnxruntime_go and closes that binding's gaps:
// wrong names are refused before a run, Go memory is pinned while C sees it,
// what C allocates is released on every path, a cancelled context ends the
// run, rank-0 outputs work, and nothing is printed to stderr.
package ort

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	yort "github.com/yalue/onnxruntime_go"
)

// Optimization says how far onnxruntime rewrites the graph when it loads it.
type Optimization int

// The levels; the zero value is onnxruntime's own default.
const (
	OptimizeAll      Optimization = iota // everything, layouts included
	OptimizeExtended                     // fusions that use onnxruntime's own operators
	OptimizeBasic                        // what keeps the graph standard ONNX
	OptimizeNone                         // the graph as it is
)

// Options of a session. The zero value is good for serving a whole model.
type Options struct {
	// Threads is how many threads one operator may use: 0 for as many as
	// GOMAXPROCS.
	Threads int
	// Optimization of the graph at load.
	Optimization Optimization
	// Outputs names the outputs to compute, nil for all of the model's.
	Outputs []string
}

// Session is a model loaded into onnxruntime. Its methods may be called from
// several goroutines at once.
type Session struct {
	inputs  []Value
	outputs []Value // those that are computed
	fed     []int   // indices into inputs that the binding's session expects

	mu      sync.RWMutex // held for reading by runs, for writing by Close
	session *yort.DynamicAdvancedSession

	scalarMu sync.Mutex
	scalar   map[string]bool // outputs seen to be of rank 0 though not declared so
}

// Open loads the model in a file; its external data is found beside it.
func Open(path string, options Options) (*Session, error) {
	model, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s, err := open(model, options, func(_ []byte, inputs, outputs []string, o *yort.SessionOptions) (*yort.DynamicAdvancedSession, error) {
		return yort.NewDynamicAdvancedSession(path, inputs, outputs, o)
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	return s, nil
}

// NewSession loads a serialised model, which may be discarded afterwards.
// External data cannot be found from bytes alone: use Open for such a model.
func NewSession(model []byte, options Options) (*Session, error) {
	return open(model, options, fromBytes)
}

type creator func(model []byte, inputs, outputs []string, o *yort.SessionOptions) (*yort.DynamicAdvancedSession, error)

func fromBytes(model []byte, inputs, outputs []string, o *yort.SessionOptions) (*yort.DynamicAdvancedSession, error) {
	return yort.NewDynamicAdvancedSessionWithONNXData(model, inputs, outputs, o)
}

func open(model []byte, options Options, create creator) (*Session, error) {
	if err := Init(); err != nil {
		return nil, err
	}
	if len(model) == 0 {
		return nil, errors.New("the model is empty")
	}
	sig, err := readSignature(model)
	if err != nil {
		return nil, err
	}
	s := &Session{inputs: sig.inputs, outputs: sig.outputs, scalar: map[string]bool{}}
	if options.Outputs != nil {
		s.outputs = nil
		for _, name := range options.Outputs {
			i := slices.IndexFunc(sig.outputs, func(v Value) bool { return v.Name == name })
			if i < 0 {
				return nil, fmt.Errorf("the model has no output %q; it has %s", name, names(sig.outputs))
			}
			s.outputs = append(s.outputs, sig.outputs[i])
		}
	}
	if len(s.outputs) == 0 {
		return nil, errors.New("the model has no outputs")
	}
	var inputNames []string
	for i, v := range s.inputs {
		if !v.Default {
			s.fed = append(s.fed, i)
			inputNames = append(inputNames, v.Name)
		}
	}
	if len(inputNames) == 0 {
		model, create, inputNames = withFiller(model), fromBytes, []string{fillerInput}
	}
	outputNames := make([]string, len(s.outputs))
	for i, v := range s.outputs {
		outputNames[i] = v.Name
	}
	o, err := sessionOptions(options)
	if err != nil {
		return nil, err
	}
	defer o.Destroy()
	s.session, err = create(model, inputNames, outputNames, o)
	if err != nil {
		return nil, fmt.Errorf("onnxruntime does not load it: %w", oneLine(err))
	}
	return s, nil
}

func sessionOptions(options Options) (*yort.SessionOptions, error) {
	o, err := yort.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	threads := options.Threads
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	levels := [...]yort.GraphOptimizationLevel{
		OptimizeAll:      yort.GraphOptimizationLevelEnableAll,
		OptimizeExtended: yort.GraphOptimizationLevelEnableExtended,
		OptimizeBasic:    yort.GraphOptimizationLevelEnableBasic,
		OptimizeNone:     yort.GraphOptimizationLevelDisableAll,
	}
	level := options.Optimization
	if level < 0 || int(level) >= len(levels) {
		level = OptimizeAll
	}
	if err := errors.Join(
		o.SetLogSeverityLevel(yort.LoggingLevelFatal),
		o.SetIntraOpNumThreads(threads),
		o.SetInterOpNumThreads(1),
		o.SetGraphOptimizationLevel(levels[level]),
	); err != nil {
		_ = o.Destroy()
		return nil, err
	}
	return o, nil
}

// Inputs returns what the model takes, in the order of the file.
func (s *Session) Inputs() []Value { return slices.Clone(s.inputs) }

// Outputs returns what a run gives.
func (s *Session) Outputs() []Value { return slices.Clone(s.outputs) }

// Close releases the session, after the runs that are under way. A second
// Close does nothing.
func (s *Session) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.session == nil {
		return nil
	}
	err := s.session.Destroy()
	s.session = nil
	return err
}

// names lists values for an error message.
func names(values []Value) string {
	if len(values) == 0 {
		return "none"
	}
	var list []string
	for _, v := range values {
		list = append(list, v.Name)
	}
	return strings.Join(list, ", ")
}

// oneLine keeps an error of onnxruntime, which may span lines, on one.
func oneLine(err error) error {
	text := strings.Join(strings.Fields(err.Error()), " ")
	for _, prefix := range []string{"Error creating C session: ", "Error creating C session from file: ", "Error running network: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	if strings.HasPrefix(text, "Load model from ") { // "… from PATH failed:REASON"; the caller names the file
		if _, reason, ok := strings.Cut(text, " failed:"); ok {
			text = strings.TrimSpace(reason)
		}
	}
	return errors.New(text)
}
