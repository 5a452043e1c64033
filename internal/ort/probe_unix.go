//go:build unix

package ort

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/ebitengine/purego"
)

// libraryVersion opens a shared library and returns the version string of the
// onnxruntime in it. Asking for the version first keeps a library that is too
// old from printing its complaint to stderr.
func libraryVersion(path string) (version string, err error) {
	handle, err := purego.Dlopen(path, purego.RTLD_LAZY|purego.RTLD_LOCAL)
	if err != nil {
		return "", err
	}
	defer func() {
		if closeErr := purego.Dlclose(handle); err == nil && closeErr != nil {
			err = fmt.Errorf("closing it: %w", closeErr)
		}
	}()
	symbol, err := purego.Dlsym(handle, "OrtGetApiBase")
	if err != nil {
		return "", errors.New("it has no function OrtGetApiBase")
	}
	// OrtApiBase is two function pointers: GetApi, GetVersionString
	// (onnxruntime_c_api.h).
	base, _, _ := purego.SyscallN(symbol)
	if base == 0 {
		return "", errors.New("OrtGetApiBase returned nothing")
	}
	functions := *(**[2]uintptr)(unsafe.Pointer(&base))
	text, _, _ := purego.SyscallN(functions[1])
	return cString(text), nil
}

// cString copies a NUL-terminated string of C.
func cString(p uintptr) string {
	if p == 0 {
		return ""
	}
	first := *(**byte)(unsafe.Pointer(&p))
	n := 0
	for *(*byte)(unsafe.Add(unsafe.Pointer(first), n)) != 0 {
		n++
	}
	return string(unsafe.Slice(first, n))
}
