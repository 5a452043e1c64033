package ort

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"

	yort "github.com/yalue/onnxruntime_go"
)

// Run computes the session's outputs, by name, from inputs, by name. Names,
// element types and ranks are checked against the model first. The inputs are
// read, not kept; the outputs are the caller's. When ctx ends, the run ends
// early with ctx's error.
func (s *Session) Run(ctx context.Context, inputs map[string]Array) (map[string]Array, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := s.checkInputs(inputs); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.session == nil {
		return nil, errors.New("onnxruntime: the session is closed")
	}

	var pin runtime.Pinner
	defer pin.Unpin()
	values := make(map[string]yort.Value, len(inputs))
	defer func() {
		for _, v := range values {
			_ = v.Destroy()
		}
	}()
	for name, a := range inputs {
		v, err := a.value(&pin)
		if err != nil {
			return nil, fmt.Errorf("onnxruntime: input %q: %w", name, err)
		}
		values[name] = v
	}
	result, err := s.runValues(ctx, inputs, values)
	runtime.KeepAlive(inputs)
	return result, err
}

// checkInputs compares what is given with what the model declares.
func (s *Session) checkInputs(inputs map[string]Array) error {
	for name, a := range inputs {
		i := slices.IndexFunc(s.inputs, func(v Value) bool { return v.Name == name })
		if i < 0 {
			return fmt.Errorf("onnxruntime: the model has no input %q; it has %s", name, names(s.inputs))
		}
		if err := a.check(); err != nil {
			return fmt.Errorf("onnxruntime: input %q: %w", name, err)
		}
		want := s.inputs[i]
		if want.Default {
			return fmt.Errorf("onnxruntime: input %q has its value in the model and cannot be given another", name)
		}
		if want.DType != 0 && a.DType() != want.DType {
			return fmt.Errorf("onnxruntime: input %q is %v, the model takes %v", name, a.DType(), want.DType)
		}
		if len(want.Shape) == 0 {
			continue // onnxruntime takes any rank where none, or rank 0, is declared
		}
		fits := len(a.Shape) == len(want.Shape)
		for d := 0; fits && d < len(a.Shape); d++ {
			fits = want.Shape[d] < 0 || want.Shape[d] == a.Shape[d]
		}
		if !fits {
			return fmt.Errorf("onnxruntime: input %q has shape %v, the model takes %v", name, a.Shape, want.Shape)
		}
	}
	for _, i := range s.fed {
		if name := s.inputs[i].Name; !hasKey(inputs, name) {
			return fmt.Errorf("onnxruntime: input %q is missing; the model takes %s", name, names(s.inputs))
		}
	}
	return nil
}

// runValues runs the session, again where an output turned out to be of rank 0
// though the model did not declare it so: the binding cannot receive one
// unless it is made beforehand.
func (s *Session) runValues(ctx context.Context, inputs map[string]Array, values map[string]yort.Value) (map[string]Array, error) {
	for range len(s.outputs) + 1 {
		result, scalar, err := s.runOnce(ctx, inputs, values)
		if scalar < 0 || s.outputs[scalar].DType == 0 {
			return result, err
		}
		s.scalarMu.Lock()
		s.scalar[s.outputs[scalar].Name] = true
		s.scalarMu.Unlock()
	}
	return nil, errors.New("onnxruntime: outputs of rank 0 cannot be received")
}

// runOnce runs the session. scalar is the index of an output that could not be
// received because it is of rank 0, -1 otherwise.
func (s *Session) runOnce(ctx context.Context, inputs map[string]Array, values map[string]yort.Value) (result map[string]Array, scalar int, err error) {
	var pin runtime.Pinner
	defer pin.Unpin()
	arrays := make([]Array, len(s.outputs))
	outputs := make([]yort.Value, len(s.outputs))
	made := make([]bool, len(s.outputs))
	defer func() {
		for _, v := range outputs {
			if !isNil(v) {
				_ = v.Destroy()
			}
		}
	}()
	for i := range s.outputs {
		if arrays[i], outputs[i], err = s.prepareOutput(i, inputs, &pin); err != nil {
			return nil, -1, fmt.Errorf("onnxruntime: output %q: %w", s.outputs[i].Name, err)
		}
		made[i] = outputs[i] != nil
	}
	if err = s.runTerminable(ctx, values, outputs); err != nil {
		if ctx.Err() != nil {
			return nil, -1, context.Cause(ctx)
		}
		if errors.Is(err, yort.ZeroShapeLengthError) {
			return nil, slices.IndexFunc(outputs, isNil), fmt.Errorf("onnxruntime: %w", oneLine(err))
		}
		return nil, -1, fmt.Errorf("onnxruntime: %w", oneLine(err))
	}
	result = make(map[string]Array, len(s.outputs))
	for i, v := range outputs {
		switch {
		case !made[i]:
			arrays[i], err = arrayOf(v)
		case len(arrays[i].Shape) == 0:
			err = arrays[i].fromScalar(v)
		}
		if err != nil {
			return nil, -1, fmt.Errorf("onnxruntime: output %q: %w", s.outputs[i].Name, err)
		}
		result[s.outputs[i].Name] = arrays[i]
	}
	return result, -1, nil
}

// prepareOutput makes the values that the binding cannot make itself, rank-0
// ones and 16-bit floats; for all others it returns nil.
func (s *Session) prepareOutput(i int, inputs map[string]Array, pin *runtime.Pinner) (Array, yort.Value, error) {
	out := s.outputs[i]
	s.scalarMu.Lock()
	rank0 := s.scalar[out.Name]
	s.scalarMu.Unlock()
	rank0 = rank0 || out.Shape != nil && len(out.Shape) == 0
	bits16 := out.DType == Float16 || out.DType == BFloat16
	if !rank0 && !bits16 || out.DType == 0 || out.DType == String {
		return Array{}, nil, nil
	}
	shape := []int64{}
	if !rank0 {
		var err error
		if shape, err = s.resolve(out, inputs); err != nil {
			return Array{}, nil, err
		}
	}
	a, err := newArray(out.DType, shape)
	if err != nil {
		return Array{}, nil, err
	}
	v, err := a.value(pin)
	return a, v, err
}

// resolve gives the shape of an output from the sizes that the inputs give to
// the names in its declaration.
func (s *Session) resolve(out Value, inputs map[string]Array) ([]int64, error) {
	if out.Shape == nil {
		return nil, fmt.Errorf("it is %v of a rank not declared, which is not supported", out.DType)
	}
	sizes := map[string]int64{}
	for _, in := range s.inputs {
		if a, ok := inputs[in.Name]; ok && len(a.Shape) == len(in.Dims) {
			for d, name := range in.Dims {
				sizes[name] = a.Shape[d]
			}
		}
	}
	shape := slices.Clone(out.Shape)
	for d, name := range out.Dims {
		if shape[d] >= 0 {
			continue
		}
		size, ok := sizes[name]
		if !ok || name == "" {
			return nil, fmt.Errorf("it is %v of a size that no input gives (axis %d), which is not supported", out.DType, d)
		}
		shape[d] = size
	}
	return shape, nil
}

// runTerminable runs with inputs in the order the session was made with, and
// ends when ctx does.
func (s *Session) runTerminable(ctx context.Context, values map[string]yort.Value, outputs []yort.Value) error {
	options, err := yort.NewRunOptions()
	if err != nil {
		return err
	}
	defer options.Destroy()
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		_ = options.Terminate()
	})
	defer func() {
		if !stop() {
			<-ended // Terminate must not come after Destroy
		}
	}()
	ordered := make([]yort.Value, 0, len(s.fed)+1)
	for _, input := range s.fed {
		ordered = append(ordered, values[s.inputs[input].Name])
	}
	if len(ordered) == 0 {
		filler, err := yort.NewEmptyTensor[float32](yort.NewShape(1))
		if err != nil {
			return err
		}
		defer filler.Destroy()
		ordered = append(ordered, filler)
	}
	return s.session.RunWithOptions(ordered, outputs, options)
}

func hasKey[V any](m map[string]V, key string) bool {
	_, ok := m[key]
	return ok
}

// isNil also finds the typed nil pointers that the binding leaves behind when
// it fails to make an output.
func isNil(v yort.Value) bool {
	return v == nil || reflect.ValueOf(v).IsNil()
}
