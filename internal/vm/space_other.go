//go:build !((linux || darwin) && (amd64 || arm64))

package vm

const addressSpace = 0

// space is nothing here: arenas lie in Go's heap.
type space struct{}

func newSpace() *space { return nil }

func (*space) grow(int) []byte { return nil }

func (*space) free() {}
