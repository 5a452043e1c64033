// Package home tells where ftk keeps what it did not build itself: libraries
// and models that the set-up installed for this user, outside any source tree.
//
// The directory is FTK_HOME, or "ftk" in the user's cache directory
// (os.UserCacheDir: ~/.cache/ftk on Linux). It can be deleted at any time;
// `make deps` fills it again.
package home

import (
	"os"
	"path/filepath"
)

// Dir returns the directory, which need not exist, or "" when neither
// FTK_HOME nor the user's home is known.
func Dir() string {
	if dir := os.Getenv("FTK_HOME"); dir != "" {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return dir
		}
		return abs
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(cache, "ftk")
}

// Lib returns the directory of the shared libraries (onnxruntime, OpenBLAS).
func Lib() string { return in("lib") }

// Model returns the directory of an installed model, for example
// Model("all-MiniLM-L6-v2").
func Model(name string) string { return in(filepath.Join("models", name)) }

func in(rel string) string {
	dir := Dir()
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, rel)
}
