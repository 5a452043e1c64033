package finetune

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/ftk-go/ftk/exporter"
	"github.com/ftk-go/ftk/internal/blas"
	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/kernels"
	"github.com/ftk-go/ftk/internal/lower"
	"github.com/ftk-go/ftk/internal/ort"
	"github.com/ftk-go/ftk/internal/passes"
	"github.com/ftk-go/ftk/internal/version"
)

// frozen is the part of the network that nothing trainable feeds. Where all
// its operators are native and the kernels here are assembly (or onnxruntime
// is missing), it runs natively, which is faster and takes less memory than a
// second copy of the weights in onnxruntime; else onnxruntime runs it, whatever
// its operators.
type frozen struct {
	net    *network
	hash   string // of what it computes
	inputs []*graph.Value
	engine engine
	cache  featureCache
}

// engine computes the boundary values of a batch.
type engine interface {
	// run computes the outputs for a batch whose inputs are filled; they are
	// valid until the next run.
	run(ctx context.Context, b *batch, inputs []*graph.Value) (map[string]ort.Array, error)
	// name tells engines apart whose results may differ in rounding.
	name() string
	close()
}

// newFrozen returns nil where nothing is frozen.
func newFrozen(n *network, s *Settings, modelHash string) (*frozen, error) {
	prefix := n.parts.Prefix
	if prefix == nil {
		return nil, nil
	}
	f := &frozen{net: n, hash: modelHash}
	for _, v := range prefix.Graph.Inputs {
		if v.Init != nil {
			continue
		}
		if err := n.canFeed(v); err != nil {
			return nil, err
		}
		f.inputs = append(f.inputs, v)
	}
	for _, c := range n.parts.Boundary {
		f.hash += " " + strconv.Quote(c.Value.Name)
	}
	f.engine = &runtimeEngine{model: prefix, threads: s.Threads}
	if s.FrozenEngine == EngineOnnxruntime || s.FrozenEngine != EngineFtk && !nativeIsFaster() {
		return f, nil
	}
	e, err := newNativeEngine(n, f.inputs)
	switch {
	case err == nil:
		f.engine = e
	case s.FrozenEngine == EngineFtk:
		return nil, fmt.Errorf("--frozen-engine %s: %w", EngineFtk, err)
	}
	return f, nil
}

// nativeIsFaster tells whether the kernels are assembly here, or onnxruntime
// is not to be had.
func nativeIsFaster() bool {
	if kernels.Vectorised() && blas.Info().Native {
		return true
	}
	_, err := ort.Find()
	return err != nil
}

// inFloat32 tells whether a model computes in float32 throughout, so that
// native results, which are float32, differ from onnxruntime's by rounding only.
func inFloat32(m *graph.Model) bool {
	for _, v := range m.Graph.Initializers {
		if v.Init != nil && v.Init.DType.IsFloat() && v.Init.DType != graph.Float32 {
			return false
		}
	}
	return true
}

func (f *frozen) close() {
	if f != nil {
		f.engine.close()
	}
}

// run computes the boundary values of a batch, whose token inputs it fills.
// They are valid until the next run.
func (f *frozen) run(ctx context.Context, fd *feeder, b *batch) (map[string]ort.Array, error) {
	for _, v := range f.inputs {
		if err := fd.tokens(b, v); err != nil {
			return nil, err
		}
	}
	out, err := f.engine.run(ctx, b, f.inputs)
	if err != nil {
		return nil, fmt.Errorf("frozen part, %d × %d tokens: %w", len(b.examples), b.seq, err)
	}
	return out, nil
}

// nativeEngine runs the frozen part on the operators that train.
type nativeEngine struct {
	plans *plans
	out   map[string]ort.Array // of the last run
}

func (e *nativeEngine) name() string {
	return fmt.Sprintf("ftk %s, %s, %s, %d of %d", version.String(), blas.Info().Name, kernels.Version(), forwardTokens, blockExamples)
}

// newNativeEngine fails where not all operators are native, in the way they
// are used here.
func newNativeEngine(n *network, inputs []*graph.Value) (*nativeEngine, error) {
	prefix := n.parts.Prefix
	if !inFloat32(prefix) {
		return nil, errors.New("not all of the frozen part's weights are float32")
	}
	g, err := passes.Canonical(prefix)
	if err != nil {
		return nil, err
	}
	e := &nativeEngine{newPlans(g, prefix.Opset(""), nil, &n.arena), map[string]ort.Array{}}
	o := lower.Options{Opset: e.plans.opset, Inputs: map[string]lower.Shape{}, Consts: e.plans.consts, ShareConsts: true}
	for _, v := range inputs {
		s := lower.Shape{DType: graph.Int64, Dims: []int{2, 8}}
		if v.Type != nil && v.Type.Elem != graph.Undefined {
			s.DType = v.Type.Elem
		}
		o.Inputs[v.Name] = s
	}
	if _, err := lower.Lower(e.plans.graph, o); err != nil {
		e.close()
		return nil, err
	}
	return e, nil
}

func (e *nativeEngine) run(ctx context.Context, b *batch, _ []*graph.Value) (map[string]ort.Array, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p, err := e.plans.get(b, false)
	if err != nil {
		return nil, err
	}
	if err := p.run(b); err != nil {
		return nil, err
	}
	for _, v := range e.plans.graph.Outputs {
		if e.out[v.Name], err = p.output(v.Name, e.out[v.Name].Shape); err != nil {
			return nil, err
		}
	}
	return e.out, nil
}

func (e *nativeEngine) close() { e.plans.close() }

// runtimeEngine runs the frozen part in onnxruntime, opened when it is first
// needed.
type runtimeEngine struct {
	model   *graph.Model
	threads int
	session *ort.Session
	dir     string // of a model with external data
}

func (e *runtimeEngine) name() string {
	if lib, err := ort.Find(); err == nil {
		return "onnxruntime " + lib.Version
	}
	return "onnxruntime"
}

func (e *runtimeEngine) run(ctx context.Context, b *batch, inputs []*graph.Value) (map[string]ort.Array, error) {
	if e.session == nil {
		var err error
		if e.session, err = e.open(); err != nil {
			return nil, err
		}
	}
	given := make(map[string]ort.Array, len(inputs))
	for _, v := range inputs {
		given[v.Name] = b.inputs[v.Name]
	}
	return e.session.Run(ctx, given)
}

// open loads the frozen part: as bytes, but with external data, which
// onnxruntime looks for beside a file, from a temporary directory. That is
// removed at once where a file that is in use can be, else by close.
func (e *runtimeEngine) open() (*ort.Session, error) {
	o := ort.Options{Threads: e.threads}
	if !exporter.HasExternalData(e.model) {
		model, err := exporter.Marshal(e.model)
		if err != nil {
			return nil, err
		}
		return ort.NewSession(model, o)
	}
	var err error
	if e.dir, err = os.MkdirTemp("", "ftk-frozen-*"); err != nil {
		return nil, err
	}
	defer os.RemoveAll(e.dir)
	path := filepath.Join(e.dir, "model.onnx")
	if err := exporter.Save(e.model, path, exporter.Options{ExternalData: true}); err != nil {
		return nil, err
	}
	return ort.Open(path, o)
}

func (e *runtimeEngine) close() {
	if e.session != nil {
		e.session.Close()
		e.session = nil
	}
	if e.dir != "" {
		os.RemoveAll(e.dir)
	}
}
