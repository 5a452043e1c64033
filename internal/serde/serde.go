// Package serde turns the bytes of an ONNX file into a graph.Model and back.
//
// Each message has a pair of functions, readX and writeX, one beside the
// other, that mirror each other field by field; fields are numbered as in
// onnxpb/onnx.proto. What is read and not changed is written with no field
// different, unknown fields and the presence of zero values included.
//
// Reading checks that the file agrees with itself: every input of a node is
// defined before it, names are defined once, an initializer has as much data
// as its shape says. What it finds wrong is one *graph.FormatError. Writing
// makes the same checks of the model.
package serde

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/onnxpb"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// maxDepth is how deeply messages may be nested: a graph within a graph takes
// three levels. The C++ implementation stops at 100.
const maxDepth = 500

// MaxSize is the size in bytes that a protobuf message cannot reach.
const MaxSize = 1 << 31

// Deserialize reads a model from the bytes of an ONNX file, which it does not
// keep. External data is looked for in dir, and must be there; with dir "" it
// is not looked for. A broken file gives a *graph.FormatError.
func Deserialize(data []byte, dir string) (*graph.Model, error) {
	return decode(data, nil, dir)
}

// decode is Deserialize of a model some of whose initializers have their
// raw_data beside it, by number.
func decode(data []byte, raw map[int][]byte, dir string) (*graph.Model, error) {
	if err := looksLikeModel(data); err != nil {
		return nil, err
	}
	var p onnxpb.Model
	if err := (proto.UnmarshalOptions{RecursionLimit: maxDepth}).Unmarshal(data, &p); err != nil {
		if strings.Contains(err.Error(), "recursion depth") {
			return nil, broken("messages are nested more than %d deep", maxDepth)
		}
		return nil, broken("is not an ONNX model, or is damaged: %s", protobufReason(err))
	}
	for i, data := range raw {
		if t := p.Graph.Initializer[i]; t.RawData == nil {
			t.RawData = data
		} else {
			return nil, errUnusual
		}
	}
	d := &decoder{dir: dir}
	return d.readModel(&p)
}

// Serialize writes a model as an ONNX file. It fails if the model contradicts
// itself (graph.Model.Check) or would be of MaxSize or more.
func Serialize(m *graph.Model) ([]byte, error) {
	p, err := message(m)
	if err != nil {
		return nil, err
	}
	if n := proto.Size(p); n >= MaxSize {
		return nil, &TooLargeError{Size: int64(n)}
	}
	return proto.Marshal(p)
}

// TooLargeError says that a model does not fit into one protobuf file.
type TooLargeError struct{ Size int64 }

// Error names the size and the way out.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("the model takes %d bytes, an ONNX file must stay below 2 GiB (%d): save it with external data", e.Size, int64(MaxSize))
}

func message(m *graph.Model) (*onnxpb.Model, error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	return writeModel(m), nil
}

// decoder is what the functions that read know of their surroundings.
type decoder struct {
	dir string // of external data; "" if not known
}

// broken makes a FormatError about what is being read; the callers add where
// that is (see within).
func broken(format string, args ...any) error {
	return &graph.FormatError{What: fmt.Sprintf(format, args...)}
}

// within adds to a FormatError the place that the error is in.
func within(err error, format string, args ...any) error {
	var f *graph.FormatError
	if !errors.As(err, &f) {
		return err
	}
	where := fmt.Sprintf(format, args...)
	if f.Where != "" {
		where += ": " + f.Where
	}
	return &graph.FormatError{File: f.File, Where: where, What: f.What}
}

func protobufReason(err error) string {
	return strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\u00a0", " "), "proto: ")
}

// strangers are beginnings of files that people take for ONNX models.
var strangers = []struct{ start, what string }{
	{"version https://git-lfs", "a Git LFS pointer, not the model itself: run git lfs pull"},
	{"PK\x03\x04", "a zip archive, as PyTorch saves checkpoints; export it to ONNX"},
	{"\x80\x02", "a Python pickle; export it to ONNX"},
	{"\x89HDF", "an HDF5 file; convert it to ONNX"},
	{"\x1f\x8b", "compressed with gzip; unpack it"},
	{"<!DOCTYPE", "an HTML page, not the model"},
	{"<html", "an HTML page, not the model"},
	{"{", "JSON or safetensors; for a Hugging Face model name its directory"},
	{"GGUF", "a GGUF file"},
}

// looksLikeModel walks over the fields of the outermost message, to tell a
// file that was cut short from one that is something else.
func looksLikeModel(data []byte) error {
	if len(data) == 0 {
		return broken("is empty")
	}
	for _, s := range strangers {
		if bytes.HasPrefix(data, []byte(s.start)) {
			return broken("is not an ONNX model: it is %s", s.what)
		}
	}
	fields := (&onnxpb.Model{}).ProtoReflect().Descriptor().Fields()
	known := 0
	for at := 0; at < len(data); {
		number, kind, n := protowire.ConsumeTag(data[at:])
		if n < 0 {
			return notModel(known, len(data), at)
		}
		length := protowire.ConsumeFieldValue(number, kind, data[at+n:])
		if length < 0 {
			field := fields.ByNumber(number)
			if kind == protowire.BytesType && field != nil {
				if size, m := protowire.ConsumeVarint(data[at+n:]); m > 0 {
					return broken("is cut short: %s needs %d bytes, the file has %d more", field.Name(), size, len(data)-at-n-m)
				}
			}
			return notModel(known, len(data), at)
		}
		if fields.ByNumber(number) != nil {
			known++
		}
		at += n + length
	}
	return nil
}

func notModel(known, size, at int) error {
	if known == 0 {
		return broken("is not an ONNX model")
	}
	return broken("is damaged or cut short: no valid field at byte %d of %d", at, size)
}
