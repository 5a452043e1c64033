//go:build linux || darwin

package finetune

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mapped is a file in the addresses of this process. A file that is cut short
// meanwhile faults where it is read, see featureFile.asFileError.
type mapped struct {
	mem      []byte
	resident int64 // bytes at most, since what was read was last let go of
}

const (
	// mappedMost is how many bytes of a file are resident at most: the system
	// keeps them in memory or not, but not on this process's account.
	mappedMost = 16 << 20
	// around is how many bytes come with a byte that is read, where the
	// system has them.
	around = 64 << 10
)

// mapFile maps the first n bytes of a file; nil if the system refuses.
func mapFile(f *os.File, n int64) *mapped {
	if n <= 0 || int64(int(n)) != n {
		return nil
	}
	mem, err := unix.Mmap(int(f.Fd()), 0, int(n), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil
	}
	return &mapped{mem: mem}
}

// bytes are those from a to b. They are valid until the file is unmapped.
func (m *mapped) bytes(a, b int64) []byte {
	at := int64(uintptr(unsafe.Pointer(unsafe.SliceData(m.mem))) % around)
	read := (at+b+around-1)/around*around - (at+a)/around*around
	if m.resident += read; m.resident > mappedMost && len(m.mem) > mappedMost {
		// Pages of a file come back when they are read again.
		_ = unix.Madvise(m.mem, unix.MADV_DONTNEED)
		m.resident = read
	}
	return m.mem[a:b:b]
}

func (m *mapped) unmap() { _ = unix.Munmap(m.mem) }
