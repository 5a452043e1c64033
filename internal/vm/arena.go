package vm

import (
	"runtime/debug"
	"sync"
	"unsafe"
)

// alignment of every buffer, in bytes: a cache line, and the widest vector.
const alignment = 64

// Arena is the memory that machines compute in. It grows to what its most demanding machine needs, where it lies if the
// system can do that, and is shared by all of them, one running at a time: each run overwrites what the one before left.
// The zero value is ready for use; it must not be copied. Its memory goes when its last machine is closed.
type Arena struct {
	mu    sync.Mutex // held while a machine runs
	mem   []byte
	space *space // that mem is part of, if it is not of Go's heap
	users map[*Machine]struct{}
}

// largeArena is the size in bytes from which an outgrown arena is given back at once.
const largeArena = 32 << 20

// Bytes is the size of the arena.
func (a *Arena) Bytes() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.mem)
}

// reserve makes the arena at least size bytes large; machines bound to memory that it has left let go of it.
func (a *Arena) reserve(size int) {
	if size <= len(a.mem) {
		return
	}
	if a.space == nil && a.mem == nil {
		a.space = newSpace()
	}
	if a.space != nil {
		if mem := a.space.grow(size); mem != nil {
			a.mem = mem
			return
		}
	}
	for m := range a.users {
		m.unbind()
	}
	large := len(a.mem) > largeArena
	a.release()
	if large {
		debug.FreeOSMemory() // rather than hold both for a while
	}
	a.mem = alignedBytes(size)
}

// release gives the memory back; no machine is bound to it.
func (a *Arena) release() {
	a.mem = nil
	if a.space != nil {
		a.space.free()
		a.space = nil
	}
}

func (a *Arena) join(m *Machine) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.users == nil {
		a.users = map[*Machine]struct{}{}
	}
	a.users[m] = struct{}{}
}

func (a *Arena) leave(m *Machine) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.users, m)
	if len(a.users) == 0 {
		a.release()
	}
}

// alignedBytes allocates zeroed memory that starts at a multiple of alignment.
func alignedBytes(n int) []byte {
	if n == 0 {
		return nil
	}
	// Words, so that the garbage collector need not be told that there are no pointers in it, and n bytes remain.
	raw := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(make([]uint64, (n+alignment+7)/8)))), n+alignment)
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(raw))) & (alignment - 1))
	return raw[skip : skip+n : skip+n]
}

func alignUp(n int) int { return (n + alignment - 1) &^ (alignment - 1) }
