//go:build unix

package finetune

import "golang.org/x/sys/unix"

// letGo gives the pages of a file mapping back; they are read again when they
// are next looked at.
func letGo(mapped []byte) {
	unix.Madvise(mapped, unix.MADV_DONTNEED)
}
