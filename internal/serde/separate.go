package serde

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/ftk-go/ftk/internal/graph"
)

// Read reads a model from an ONNX file of the given size, as Deserialize does
// from its bytes, but without holding the large initializers twice: the bytes
// of each are read into memory of their own, which the tensor keeps, and only
// what is left goes through the protobuf library.
func Read(r io.ReadSeeker, size int64, dir string) (*graph.Model, error) {
	s := newSeparator(r)
	rest, err := s.message(size, nil, s.modelField)
	if err == nil {
		var m *graph.Model
		if m, err = decode(rest, s.raw, dir); err == nil {
			return m, nil
		}
	}
	// Something is unusual or wrong: the whole file tells what.
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	return Deserialize(data, dir)
}

// Numbers of fields in onnx.proto.
const (
	modelGraph        protowire.Number = 7
	graphInitializers protowire.Number = 5
	tensorRawData     protowire.Number = 9
)

// largeRaw is the size in bytes from which raw_data is separated.
const largeRaw = 1 << 14

// errUnusual is that a message is not written as is usual, which need not be
// wrong.
var errUnusual = errors.New("unusual message")

// separator copies a model without the large raw_data of its initializers.
type separator struct {
	r            *bufio.Reader
	raw          map[int][]byte // by number of the initializer
	graphs       int
	initializers int
}

func newSeparator(r io.Reader) *separator {
	return &separator{r: bufio.NewReaderSize(r, 1<<16), raw: map[int][]byte{}}
}

// field handles a field of a length-delimited type itself, or leaves it to be
// copied.
type field func(number protowire.Number, size int64, out []byte) (_ []byte, handled bool, err error)

// message appends the fields of a message of n bytes to out.
func (s *separator) message(n int64, out []byte, special field) ([]byte, error) {
	for n > 0 {
		tag, err := s.varint(&n)
		if err != nil {
			return nil, err
		}
		number, kind := protowire.DecodeTag(tag)
		if number < protowire.MinValidNumber {
			return nil, errUnusual
		}
		handled := false
		size := int64(0)
		switch kind {
		case protowire.VarintType:
			v, err := s.varint(&n)
			if err != nil {
				return nil, err
			}
			out = protowire.AppendVarint(protowire.AppendVarint(out, tag), v)
			continue
		case protowire.Fixed32Type:
			size = 4
			out = protowire.AppendVarint(out, tag)
		case protowire.Fixed64Type:
			size = 8
			out = protowire.AppendVarint(out, tag)
		case protowire.BytesType:
			v, err := s.varint(&n)
			if err != nil || v > uint64(max(n, 0)) {
				return nil, errUnusual
			}
			size = int64(v)
			if out, handled, err = special(number, size, out); err != nil {
				return nil, err
			}
			if !handled {
				out = protowire.AppendVarint(protowire.AppendVarint(out, tag), v)
			}
		default: // groups
			return nil, errUnusual
		}
		n -= size
		if handled {
			continue
		}
		if n < 0 {
			return nil, errUnusual
		}
		if out, err = s.copy(out, size); err != nil {
			return nil, err
		}
	}
	if n < 0 {
		return nil, errUnusual
	}
	return out, nil
}

// varint reads a number and takes its bytes off n.
func (s *separator) varint(n *int64) (uint64, error) {
	var v uint64
	for i := range binary.MaxVarintLen64 {
		b, err := s.r.ReadByte()
		if err != nil {
			return 0, err
		}
		*n--
		v |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			if protowire.SizeVarint(v) != i+1 { // not the shortest spelling, or too large
				return 0, errUnusual
			}
			return v, nil
		}
	}
	return 0, errUnusual
}

func (s *separator) copy(out []byte, size int64) ([]byte, error) {
	at := len(out)
	out = append(out, make([]byte, size)...)
	_, err := io.ReadFull(s.r, out[at:])
	return out, err
}

// modelField separates the graph.
func (s *separator) modelField(number protowire.Number, size int64, out []byte) ([]byte, bool, error) {
	if number != modelGraph {
		return out, false, nil
	}
	if s.graphs++; s.graphs > 1 {
		return nil, false, errUnusual // they would be merged
	}
	g, err := s.message(size, nil, s.graphField)
	return protowire.AppendBytes(protowire.AppendTag(out, number, protowire.BytesType), g), true, err
}

// graphField separates the initializers.
func (s *separator) graphField(number protowire.Number, size int64, out []byte) ([]byte, bool, error) {
	if number != graphInitializers {
		return out, false, nil
	}
	i := s.initializers
	s.initializers++
	t, err := s.message(size, nil, func(number protowire.Number, size int64, out []byte) ([]byte, bool, error) {
		if number != tensorRawData || size < largeRaw {
			return out, false, nil
		}
		if s.raw[i] != nil {
			return nil, false, errUnusual // the last one would count
		}
		raw := make([]byte, size)
		s.raw[i] = raw
		_, err := io.ReadFull(s.r, raw)
		return out, true, err
	})
	return protowire.AppendBytes(protowire.AppendTag(out, number, protowire.BytesType), t), true, err
}
