package ort

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	yort "github.com/yalue/onnxruntime_go"

	"github.com/ftk-go/ftk/internal/home"
)

// EnvLibrary names the environment variable that points at the onnxruntime
// library, or at the directory it lies in.
const EnvLibrary = "FTK_ONNXRUNTIME"

// The oldest onnxruntime that has the C API the Go binding is written for
// (ORT_API_VERSION 24).
const minMajor, minMinor = 1, 24

const mend = "run: make deps (or set " + EnvLibrary + " to the library)"

// Library is an onnxruntime shared library.
type Library struct {
	Path    string
	How     string // how it was found: "FTK_ONNXRUNTIME", "installed by make deps", "system"
	Version string // "1.30.0"
}

// Find looks for an onnxruntime library that is new enough: where
// FTK_ONNXRUNTIME points, in the directory that the set-up fills, among the
// system's libraries; in that order. The error is one line and names the
// command that mends it.
func Find() (Library, error) {
	if path := os.Getenv(EnvLibrary); path != "" {
		return findNamed(path)
	}
	var unusable error
	for _, place := range places() {
		lib, err := firstUsable(inDir(place.dir))
		switch {
		case err == nil:
			lib.How = place.how
			return lib, nil
		case unusable == nil && !errors.Is(err, errNone):
			unusable = err
		}
	}
	if unusable != nil {
		return Library{}, fmt.Errorf("%w; %s", unusable, mend)
	}
	return Library{}, fmt.Errorf("no onnxruntime library found; %s", mend)
}

// findNamed examines what FTK_ONNXRUNTIME names and nothing else: a setting
// that does not work is an error, not a hint.
func findNamed(path string) (Library, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Library{}, fmt.Errorf("%s names %s, which cannot be read: %w; correct it or unset it", EnvLibrary, path, errors.Unwrap(err))
	}
	if path, err = filepath.Abs(path); err != nil {
		return Library{}, err
	}
	files := []string{path}
	if info.IsDir() {
		files = inDir(path)
	}
	lib, err := firstUsable(files)
	if errors.Is(err, errNone) {
		return Library{}, fmt.Errorf("%s names the directory %s, which has no %s; correct it or unset it", EnvLibrary, path, libraryPatterns()[0])
	}
	if err != nil {
		return Library{}, fmt.Errorf("%s: %w; correct it or unset it", EnvLibrary, err)
	}
	lib.How = EnvLibrary
	return lib, nil
}

type place struct{ dir, how string }

// places lists the directories that are searched, in order.
func places() []place {
	var all []place
	if dir := home.Lib(); dir != "" {
		all = append(all, place{dir, "installed by make deps"})
	}
	var system []string
	for _, key := range []string{"LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"} {
		system = append(system, filepath.SplitList(os.Getenv(key))...)
	}
	system = append(system, "/usr/local/lib")
	if triplet := map[string]string{"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}[runtime.GOARCH]; triplet != "" {
		system = append(system, "/usr/local/lib/"+triplet, "/usr/lib/"+triplet, "/lib/"+triplet)
	}
	system = append(system, loaderDirs()...)
	system = append(system, "/usr/lib64", "/usr/lib", "/opt/onnxruntime/lib", "/opt/homebrew/lib")
	for _, dir := range system {
		if dir != "" {
			all = append(all, place{dir, "system"})
		}
	}
	return all
}

// loaderDirs lists the directories that the Linux loader is set up to search
// (ld.so.conf(5), the files that Debian and Fedora include from it).
func loaderDirs() []string {
	var dirs []string
	files, err := filepath.Glob("/etc/ld.so.conf.d/*.conf")
	if err != nil {
		return nil
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(data)) {
			if line = strings.TrimSpace(line); filepath.IsAbs(line) {
				dirs = append(dirs, line)
			}
		}
	}
	return dirs
}

// libraryPatterns lists the file names of the library, the plain one first.
func libraryPatterns() []string {
	switch runtime.GOOS {
	case "darwin":
		return []string{"libonnxruntime.dylib", "libonnxruntime.*.dylib"}
	case "windows":
		return []string{"onnxruntime.dll"}
	default:
		return []string{"libonnxruntime.so", "libonnxruntime.so.*"}
	}
}

// inDir lists the library files in dir in the order in which they are to be
// tried: the plain name, which whoever installed them may have linked to one of
// them, then the newest by the version in the name.
func inDir(dir string) []string {
	var files []string
	for _, pattern := range libraryPatterns() {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			continue
		}
		slices.SortFunc(found, func(a, b string) int {
			return slices.Compare(versionIn(filepath.Base(b)), versionIn(filepath.Base(a)))
		})
		files = append(files, found...)
	}
	return files
}

// versionIn is the numbers in a file name between dots: 1, 30, 0 in
// libonnxruntime.so.1.30.0 and in libonnxruntime.1.30.0.dylib.
func versionIn(name string) []int {
	var numbers []int
	for part := range strings.SplitSeq(name, ".") {
		if n, err := strconv.Atoi(part); err == nil {
			numbers = append(numbers, n)
		}
	}
	return numbers
}

// errNone says that there is nothing to examine.
var errNone = errors.New("no library")

// firstUsable examines files one after the other. The error is that of the
// first.
func firstUsable(files []string) (Library, error) {
	first := errNone
	for i, file := range files {
		lib, err := examine(file)
		if err == nil {
			return lib, nil
		}
		if i == 0 {
			first = err
		}
	}
	return Library{}, first
}

// examine opens the library and asks for its version.
func examine(path string) (Library, error) {
	version, err := libraryVersion(path)
	if err != nil {
		return Library{}, fmt.Errorf("%s is not a usable onnxruntime library: %w", path, err)
	}
	if !newEnough(version) {
		return Library{}, fmt.Errorf("onnxruntime %s at %s is too old: ftk needs %d.%d or later", version, path, minMajor, minMinor)
	}
	return Library{Path: path, Version: version}, nil
}

func newEnough(version string) bool {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return false
	}
	major, err1 := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(parts[1])
	if err1 != nil || err2 != nil {
		return false
	}
	return major > minMajor || major == minMajor && minor >= minMinor
}

var loaded struct {
	sync.Mutex
	done bool
	lib  Library
}

// Init loads the library that Find finds, once per process, with onnxruntime's
// own messages on stderr turned off: what goes wrong comes back as an error.
// A failed Init may be tried again.
func Init() error {
	loaded.Lock()
	defer loaded.Unlock()
	if loaded.done {
		return nil
	}
	lib, err := Find()
	if err != nil {
		return err
	}
	yort.SetSharedLibraryPath(lib.Path)
	if err := yort.InitializeEnvironment(yort.WithLogLevelFatal()); err != nil {
		return fmt.Errorf("onnxruntime %s at %s does not start: %w; %s", lib.Version, lib.Path, err, mend)
	}
	// Only Windows builds send any; there it is switched off.
	if err := yort.DisableTelemetry(); err != nil {
		return fmt.Errorf("onnxruntime %s: %w", lib.Version, err)
	}
	loaded.lib, loaded.done = lib, true
	return nil
}

// Loaded returns the library in use, and whether Init has succeeded.
func Loaded() (Library, bool) {
	loaded.Lock()
	defer loaded.Unlock()
	return loaded.lib, loaded.done
}
