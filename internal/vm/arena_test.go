package vm

import (
	"bytes"
	"runtime"
	"testing"
)

// An arena grows where it lies, with what is in it, where the system can do that.
func TestArenaGrowsInPlace(t *testing.T) {
	a := &Arena{}
	a.reserve(100)
	if a.space == nil {
		t.Skip("SKIPPED: no memory but Go's heap on " + runtime.GOOS + " " + runtime.GOARCH)
	}
	first := &a.mem[0]
	copy(a.mem, bytes.Repeat([]byte{7}, 100))
	a.reserve(50 << 20)
	if &a.mem[0] != first || len(a.mem) != 50<<20 || !bytes.Equal(a.mem[:100], bytes.Repeat([]byte{7}, 100)) {
		t.Errorf("%d bytes, at the same place: %v", len(a.mem), &a.mem[0] == first)
	}
	a.mem[len(a.mem)-1] = 1
	if a.reserve(1000); len(a.mem) != 50<<20 {
		t.Errorf("it shrank to %d bytes", len(a.mem))
	}
	a.release()
	if a.mem != nil || a.space != nil {
		t.Error("something is left after release")
	}
	a.reserve(10)
	a.mem[9] = 1
	a.release()
}

// Where the system gives no more addresses, or none at all, the arena moves to Go's heap.
func TestArenaOnTheHeap(t *testing.T) {
	a := &Arena{mem: alignedBytes(10)} // as if there had been no space
	a.reserve(1 << 20)
	if a.space != nil || len(a.mem) != 1<<20 {
		t.Errorf("%d bytes, space %v", len(a.mem), a.space)
	}
	a = &Arena{}
	a.reserve(10)
	if a.space != nil && a.space.grow(addressSpace+1) != nil {
		t.Error("more than there is")
	}
}
