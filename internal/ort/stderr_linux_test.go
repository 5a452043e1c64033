package ort_test

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// redirectStderr sends the process's file descriptor 2, C's writes included,
// to a file until restore is called.
func redirectStderr(t *testing.T, path string) (restore func()) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	saved, err := unix.Dup(2)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Dup3(int(file.Fd()), 2, 0); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := unix.Dup3(saved, 2, 0); err != nil {
			t.Error(err)
		}
		_ = unix.Close(saved)
		_ = file.Close()
	}
}
