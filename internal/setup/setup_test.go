package setup

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

var members = map[string]string{
	"pkg/lib/libx.so.1":     "the library",
	"pkg/lib/libx.so.1.map": "a map",
	"pkg/lib/deep/notes":    "deep",
	"pkg/other":             "not wanted",
	"pkg/lib/../../escape":  "an attack",
}

func zipped(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, content := range members {
		f, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func tarred(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for name, content := range members {
		if err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}

// fakeClient puts a client on an otherwise empty PATH that "downloads" the
// package by copying it to file in the directory it runs in; without a file
// it fails.
func fakeClient(t *testing.T, name, file string, data []byte) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED: the fake client is a shell script")
	}
	bin := t.TempDir()
	from := filepath.Join(bin, "package")
	if err := os.WriteFile(from, data, 0o644); err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\n[ \"$1\" = --version ] && exit 0\n"
	if file == "" {
		script += "echo first line; echo 'ERROR: nothing there' >&2; exit 1\n"
	} else {
		script += "/bin/cp " + from + " " + file + "\n"
	}
	if err := os.WriteFile(filepath.Join(bin, name), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin)
	t.Setenv("FTK_HOME", filepath.Join(t.TempDir(), "home"))
}

// component is one whose library is looked for in dir.
func component(dir string, list ...source) Component {
	return Component{
		Name: "libx",
		present: func() string {
			if _, err := os.Stat(filepath.Join(dir, "libx.so.1")); err != nil {
				return ""
			}
			return dir
		},
		sources: func() []source { return list },
		byHand:  func() string { return "copy libx.so.1 into " + dir },
	}
}

func TestEnsure(t *testing.T) {
	for _, c := range []struct {
		name, client, file string
		data               func(*testing.T) []byte
		source             func(data []byte, dir string) source
	}{
		{"pip", "pip3", "x-1.0-py3-none-any.whl", zipped, func(data []byte, dir string) source {
			return pipSource{wheel{spec: "x==1.0", sha256: sum(data), folder: "pkg/lib", pattern: "libx.so.*", dir: func() string { return dir }}}
		}},
		{"npm", "npm", "x-1.0.tgz", tarred, func(data []byte, dir string) source {
			return npmSource{tarball{spec: "x@1.0", sha256: sum(data), folder: "pkg/lib", pattern: "libx.so.*", dir: func() string { return dir }}}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			data := c.data(t)
			fakeClient(t, c.client, c.file, data)
			dir := filepath.Join(os.Getenv("FTK_HOME"), "lib")
			lib := component(dir, c.source(data, dir))
			var log bytes.Buffer
			for range 2 { // the second finds it there
				if err := lib.Ensure(t.Context(), &log); err != nil {
					t.Fatal(err)
				}
			}
			if n := strings.Count(log.String(), "installed in"); n != 1 {
				t.Errorf("installed %d times:\n%s", n, &log)
			}
			got, err := os.ReadFile(filepath.Join(dir, "libx.so.1"))
			if err != nil || string(got) != "the library" {
				t.Errorf("libx.so.1 is %q, %v", got, err)
			}
			wantOnly(t, os.Getenv("FTK_HOME"), "lib/libx.so.1", "lib/libx.so.1.map", "setup.lock")
		})
	}
}

// A download that fails or is not what was pinned leaves nothing behind and
// says what to do by hand.
func TestEnsureFails(t *testing.T) {
	for _, c := range []struct{ name, client, file, sha, folder, want string }{
		{"no client", "other", "", "", "pkg/lib", "no pip here"},
		{"client fails", "pip3", "", "", "pkg/lib", "ERROR: nothing there"},
		{"wrong sum", "pip3", "x.whl", strings.Repeat("0", 64), "pkg/lib", "SHA-256"},
		{"wrong contents", "pip3", "x.whl", "", "pkg/elsewhere", "does not hold what was expected"},
		{"no file", "pip3", "x.txt", "", "pkg/lib", "left 0 files"},
	} {
		t.Run(c.name, func(t *testing.T) {
			data := zipped(t)
			fakeClient(t, c.client, c.file, data)
			dir := filepath.Join(os.Getenv("FTK_HOME"), "lib")
			if c.sha == "" {
				c.sha = sum(data)
			}
			lib := component(dir, pipSource{wheel{spec: "x==1.0", sha256: c.sha, folder: c.folder, pattern: "libx.so.*", dir: func() string { return dir }}})
			err := lib.Ensure(t.Context(), &bytes.Buffer{})
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range []string{"libx", "x==1.0", c.want, "By hand: copy libx.so.1 into " + dir} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q lacks %q", err, want)
				}
			}
			wantOnly(t, os.Getenv("FTK_HOME"), "setup.lock")
		})
	}
}

func TestEnsureTriesTheNextSource(t *testing.T) {
	data := tarred(t)
	fakeClient(t, "npm", "x-1.0.tgz", data)
	dir := filepath.Join(os.Getenv("FTK_HOME"), "lib")
	to := func() string { return dir }
	lib := component(dir,
		pipSource{wheel{spec: "x==1.0", dir: to}},
		npmSource{tarball{spec: "x@1.0", sha256: sum(data), folder: "pkg/lib", pattern: "libx.so.*", dir: to}})
	if err := lib.Ensure(t.Context(), &bytes.Buffer{}); err != nil {
		t.Fatal(err)
	}
}

func TestEnsureCancelled(t *testing.T) {
	fakeClient(t, "pip3", "", nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := filepath.Join(os.Getenv("FTK_HOME"), "lib")
	lib := component(dir, pipSource{wheel{spec: "x==1.0", dir: func() string { return dir }}})
	if err := lib.Ensure(ctx, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), context.Canceled.Error()) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
}

func TestUnpackIntoExistingDirectory(t *testing.T) {
	dir := t.TempDir()
	archive := filepath.Join(dir, "x.whl")
	if err := os.WriteFile(archive, zipped(t), 0o644); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(dir, "lib")
	for name, content := range map[string]string{"libx.so.1": "an old one", "kept": "kept"} {
		if err := writeFile(filepath.Join(to, name), strings.NewReader(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := unpackZip(archive, "pkg/lib", "*", to); err != nil {
		t.Fatal(err)
	}
	wantOnly(t, to, "deep/notes", "kept", "libx.so.1", "libx.so.1.map")
	if got, _ := os.ReadFile(filepath.Join(to, "libx.so.1")); string(got) != "the library" {
		t.Errorf("libx.so.1 is %q", got)
	}
}

// Every pin is complete: a missing sum would turn the check off.
func TestPins(t *testing.T) {
	check := func(where, spec, sha, folder, pattern string, size int64) {
		t.Helper()
		if raw, err := hex.DecodeString(sha); err != nil || len(raw) != sha256.Size {
			t.Errorf("%s: SHA-256 %q", where, sha)
		}
		if !strings.Contains(spec, "==") && !strings.Contains(spec, "@") || folder == "" || pattern == "" || size == 0 {
			t.Errorf("%s: incomplete", where)
		}
	}
	for _, wheels := range []map[string]wheel{onnxruntimeWheels, openblasWheels, {"any": miniLMWheel}} {
		for where, w := range wheels {
			check(where+" "+w.spec, w.spec, w.sha256, w.folder, w.pattern, w.size)
		}
	}
	if tb, ok := onnxruntimeTarball(); ok {
		check(tb.spec, tb.spec, tb.sha256, tb.folder, tb.pattern, tb.size)
	}
	if _, err := Find("cuda"); err == nil || !strings.Contains(err.Error(), "onnxruntime, openblas, minilm") {
		t.Errorf("Find of an unknown component: %v", err)
	}
}

// wantOnly compares the files below dir.
func wantOnly(t *testing.T, dir string, want ...string) {
	t.Helper()
	var got []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		got = append(got, filepath.ToSlash(rel))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("files %v, want %v", got, want)
	}
}
