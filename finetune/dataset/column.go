package dataset

import (
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"sync"
)

// column is a run of bytes that grows at its end. It is in memory, or in a file
// but for what was added last. It is written to by one goroutine, and read, by
// any number of them, only after flush.
type column struct {
	memory []byte   // all of it; with a file: what is not written yet
	file   *os.File // nil: all is in memory
	size   int64
}

// tailBytes is how much of a column in a file is in memory while it grows.
const tailBytes = 256 << 10

// extend makes the column n bytes longer and returns these, to be written.
func (c *column) extend(n int) []byte {
	was := len(c.memory)
	c.memory = slices.Grow(c.memory, n)[:was+n]
	c.size += int64(n)
	return c.memory[was:]
}

// spill moves the column to a file of its own in dir.
func (c *column) spill(dir string) error {
	f, err := createUnnamed(dir)
	if err != nil {
		return err
	}
	c.file = f
	return c.flush()
}

// flush writes what is not in the file yet.
func (c *column) flush() error {
	if c.file == nil {
		return nil
	}
	if _, err := c.file.Write(c.memory); err != nil {
		return err
	}
	if cap(c.memory) > 2*tailBytes {
		c.memory = nil // from before there was a file
	}
	c.memory = c.memory[:0]
	return nil
}

// buffer is memory that a part of a file is read into.
type buffer []byte

var buffers = sync.Pool{New: func() any { return new(buffer) }}

// release gives the buffer back; nil has nothing to give.
func (b *buffer) release() {
	if b != nil {
		buffers.Put(b)
	}
}

// at returns n bytes from an offset: a view of the memory, or what is read from
// the file. They are valid until the buffer that comes with them is released.
func (c *column) at(offset int64, n int) ([]byte, *buffer, error) {
	if c.file == nil {
		return c.memory[offset : offset+int64(n)], nil, nil
	}
	b := buffers.Get().(*buffer)
	if cap(*b) < n {
		*b = make([]byte, n+n/4)
	}
	raw := (*b)[:n]
	_, err := c.file.ReadAt(raw, offset)
	return raw, b, err
}

func (c *column) close() error {
	c.memory = nil
	if c.file == nil {
		return nil
	}
	return errors.Join(c.file.Close(), removeUnnamed(c.file))
}

// tokenColumn holds a number of up to 16 bits for each token, from the first
// that is not 0 on, so that a column of zeros takes nothing.
type tokenColumn struct {
	column
	from int64 // the first token that is held
}

const tokenBytes = 2

// add appends the numbers of the next n tokens, after those that came before:
// 16 bits of each value, from bit shift on. Where there are fewer than n values
// the rest is 0.
func (c *tokenColumn) add(before int64, n int, values []int64, shift uint) {
	if c.size == 0 {
		first := slices.IndexFunc(values, func(v int64) bool { return uint16(v>>shift) != 0 })
		if first < 0 {
			return
		}
		c.from = before + int64(first)
		n, values = n-first, values[first:]
	}
	to := c.extend(n * tokenBytes)
	for i, v := range values {
		binary.LittleEndian.PutUint16(to[i*tokenBytes:], uint16(v>>shift))
	}
	clear(to[len(values)*tokenBytes:])
}

// merge sets bits shift to shift+15 of dst, which are 0, to the numbers of the
// tokens from start on.
func (c *tokenColumn) merge(dst []int64, start int64, shift uint) error {
	if skip := c.from - start; skip > 0 {
		dst, start = dst[min(skip, int64(len(dst))):], c.from
	}
	if c.size == 0 || len(dst) == 0 {
		return nil
	}
	raw, buf, err := c.at((start-c.from)*tokenBytes, len(dst)*tokenBytes)
	defer buf.release()
	if err != nil {
		return err
	}
	for i := range dst {
		dst[i] |= int64(binary.LittleEndian.Uint16(raw[i*tokenBytes:])) << shift
	}
	return nil
}

// createUnnamed creates a file in dir that is gone when the process is, however
// it ends, where the system allows (see unname).
func createUnnamed(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(dir, ".data.*")
	if err != nil {
		return nil, err
	}
	if err := unname(f); err != nil {
		f.Close()
		os.Remove(f.Name())
		return nil, err
	}
	return f, nil
}
