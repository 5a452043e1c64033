package serde

import (
	"github.com/ftk-go/ftk/internal/graph"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// read takes a scalar field out of a message. A field that is there with its
// zero value is noted in w, for write to write it again.
func read[T comparable](w *graph.Wire, field uint, p *T) T { return readAs(w, field, p, false) }

// write is the field of a message that read read.
func write[T comparable](w *graph.Wire, field uint, v T) *T { return writeAs(w, field, v, false) }

// readAs is read for a field that write writes, if stated, even when it is zero.
func readAs[T comparable](w *graph.Wire, field uint, p *T, stated bool) T {
	var v T
	if p != nil {
		v = *p
	}
	noteZero(w, field, v == *new(T), p != nil, stated)
	return v
}

func writeAs[T comparable](w *graph.Wire, field uint, v T, stated bool) *T {
	if v == *new(T) && !zeroWritten(w, field, stated) {
		return nil
	}
	return &v
}

// readBytes is readAs for a field of bytes.
func readBytes(w *graph.Wire, field uint, b []byte, stated bool) string {
	noteZero(w, field, len(b) == 0, b != nil, stated)
	return string(b)
}

func writeBytes(w *graph.Wire, field uint, s string, stated bool) []byte {
	if s == "" && !zeroWritten(w, field, stated) {
		return nil
	}
	return []byte(s)
}

func noteZero(w *graph.Wire, field uint, zero, present, stated bool) {
	if zero && present != stated {
		w.Zero |= 1 << field
	}
}

func zeroWritten(w *graph.Wire, field uint, stated bool) bool {
	return (w.Zero>>field&1 == 1) != stated
}

// readUnknown keeps the fields of a message that the schema does not know.
func readUnknown(w *graph.Wire, m proto.Message) { w.Unknown = string(m.ProtoReflect().GetUnknown()) }

// withUnknown gives a message its unknown fields back.
func withUnknown[M proto.Message](w *graph.Wire, m M) M {
	if w.Unknown != "" {
		m.ProtoReflect().SetUnknown(protoreflect.RawFields(w.Unknown))
	}
	return m
}

// each converts the elements of a list; nil stays nil.
func each[A, B any](list []A, f func(A) B) []B {
	if list == nil {
		return nil
	}
	out := make([]B, len(list))
	for i, a := range list {
		out[i] = f(a)
	}
	return out
}

// eachErr is each for a conversion that can fail.
func eachErr[A, B any](list []A, f func(A) (B, error)) ([]B, error) {
	if list == nil {
		return nil, nil
	}
	out := make([]B, len(list))
	for i, a := range list {
		b, err := f(a)
		if err != nil {
			return nil, err
		}
		out[i] = b
	}
	return out, nil
}
