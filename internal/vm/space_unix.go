//go:build (linux || darwin) && (amd64 || arm64)

package vm

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// addressSpace is how many bytes of addresses are set aside for an arena to grow into. They are no memory before they are
// used.
const addressSpace = 1 << 36

// space is memory outside Go's heap that grows where it lies, so that what has been touched once need not be asked of the
// system again.
type space struct {
	all     []byte // addresses set aside
	used    int
	cleanup runtime.Cleanup
}

// newSpace returns nil if the system refuses.
func newSpace() *space {
	all, err := unix.Mmap(-1, 0, addressSpace, unix.PROT_NONE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE)
	if err != nil {
		return nil
	}
	s := &space{all: all}
	s.cleanup = runtime.AddCleanup(s, unmap, all) // of machines that nobody closed
	return s
}

// grow returns n bytes, those of earlier calls first among them, with their content; nil if the system refuses.
func (s *space) grow(n int) []byte {
	page := os.Getpagesize()
	end := (n + page - 1) / page * page
	if end > len(s.all) {
		return nil
	}
	if end > s.used {
		if err := unix.Mprotect(s.all[s.used:end], unix.PROT_READ|unix.PROT_WRITE); err != nil {
			return nil
		}
		s.used = end
	}
	return s.all[:n:n]
}

// free gives everything back; s must not be used any more.
func (s *space) free() {
	s.cleanup.Stop()
	unmap(s.all)
}

// unmap cannot fail on what is mapped.
func unmap(all []byte) { _ = unix.Munmap(all) }
