//go:build !darwin && !freebsd && !linux && !netbsd && !windows

package blas

import "errors"

func openLibrary(string) (uintptr, error) {
	return 0, errors.New("libraries cannot be opened at run time on this system")
}

func findSymbol(uintptr, string) (uintptr, error) { return 0, errors.New("no library") }

func resolved(_ uintptr, path string) string { return path }
