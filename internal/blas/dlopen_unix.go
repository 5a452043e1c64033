//go:build darwin || freebsd || linux || netbsd

package blas

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"

	"github.com/ebitengine/purego"
)

func openLibrary(path string) (uintptr, error) {
	return purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
}

func findSymbol(handle uintptr, name string) (uintptr, error) { return purego.Dlsym(handle, name) }

// resolved finds the file that the loader chose for a bare name, where the system tells.
func resolved(_ uintptr, path string) string {
	if strings.ContainsRune(path, filepath.Separator) {
		return path
	}
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return path
	}
	defer maps.Close()
	stem, _, _ := strings.Cut(path, ".so")
	lines := bufio.NewScanner(maps)
	for lines.Scan() {
		if i := strings.IndexByte(lines.Text(), '/'); i >= 0 && strings.HasPrefix(filepath.Base(lines.Text()[i:]), stem) {
			return lines.Text()[i:]
		}
	}
	return path
}
