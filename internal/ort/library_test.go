package ort

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestNewEnough(t *testing.T) {
	for version, want := range map[string]bool{
		"1.24.0": true, "1.30.0": true, "1.24": true, "2.0.0": true,
		"1.23.2": false, "1.9.1": false, "0.99.0": false, "": false, "new": false,
	} {
		if got := newEnough(version); got != want {
			t.Errorf("newEnough(%q) = %v, want %v", version, got, want)
		}
	}
}

func TestFindRefuses(t *testing.T) {
	text := filepath.Join(t.TempDir(), libraryPatterns()[0])
	if err := os.WriteFile(text, []byte("not a library"), 0o644); err != nil {
		t.Fatal(err)
	}
	empty := t.TempDir()
	for _, c := range []struct{ name, path, want string }{
		{"absent file", filepath.Join(empty, "gone.so"), "gone.so, which cannot be read"},
		{"directory without one", empty, "which has no " + libraryPatterns()[0]},
		{"not a library", text, "is not a usable onnxruntime library"},
		{"directory of it", filepath.Dir(text), "is not a usable onnxruntime library"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if runtime.GOOS == "windows" && c.path != empty {
				t.Skip("SKIPPED: libraries are not examined on Windows")
			}
			t.Setenv(EnvLibrary, c.path)
			lib, err := Find()
			if err == nil {
				t.Fatalf("found %+v", lib)
			}
			if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), EnvLibrary) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q, want one line with %s and %q", err, EnvLibrary, c.want)
			}
		})
	}
}

func TestFindNamesTheMend(t *testing.T) {
	home := t.TempDir()
	t.Setenv("FTK_HOME", home)
	t.Setenv(EnvLibrary, "")
	t.Setenv("LD_LIBRARY_PATH", "")
	if _, err := Find(); err != nil && !strings.Contains(err.Error(), "make deps") {
		t.Errorf("error %q does not name make deps", err)
	}
	// A broken library that was installed is named when there is no other.
	lib := filepath.Join(home, "lib")
	if err := os.MkdirAll(lib, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(lib, libraryPatterns()[0]), []byte("broken"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Find(); err != nil && (!strings.Contains(err.Error(), lib) || !strings.Contains(err.Error(), "make deps")) {
		t.Errorf("error %q does not name %s and make deps", err, lib)
	}
}

// TestFindTakesTheNewest among libraries with their version in the name, and
// goes on to the next if one is of no use.
func TestFindTakesTheNewest(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("SKIPPED: the names are those of Linux")
	}
	real, err := Find()
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	for _, c := range []struct {
		name   string
		broken []string
		good   []string // links to a library
		want   string   // of good; "" for an error that names the first of broken
	}{
		{"by number", []string{"so.1.9.0"}, []string{"so.1.30.0", "so.1.24.1"}, "so.1.30.0"},
		{"two digits", nil, []string{"so.1.9.10", "so.1.9.9"}, "so.1.9.10"},
		{"newest is broken", []string{"so.1.100.0"}, []string{"so.1.30.0"}, "so.1.30.0"},
		{"plain first", nil, []string{"so", "so.1.30.0"}, "so"},
		{"plain is broken", []string{"so"}, []string{"so.1.30.0"}, "so.1.30.0"},
		{"all are broken", []string{"so.1.30.0", "so.1.9.0"}, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for _, ending := range c.broken {
				if err := os.WriteFile(filepath.Join(dir, "libonnxruntime."+ending), []byte("broken"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			for _, ending := range c.good {
				if err := os.Symlink(real.Path, filepath.Join(dir, "libonnxruntime."+ending)); err != nil {
					t.Fatal(err)
				}
			}
			t.Setenv(EnvLibrary, dir)
			lib, err := Find()
			if c.want == "" {
				if first := filepath.Join(dir, "libonnxruntime."+c.broken[0]); err == nil || !strings.Contains(err.Error(), first+" is not") {
					t.Errorf("found %+v, error %v", lib, err)
				}
				return
			}
			if err != nil || lib.Path != filepath.Join(dir, "libonnxruntime."+c.want) {
				t.Errorf("found %+v, error %v; want %s", lib, err, c.want)
			}
		})
	}
}
