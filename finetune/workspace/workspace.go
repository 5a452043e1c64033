// Package workspace keeps what ftk knows about a directory in its .ftk, as git
// does:
//
//	.ftk/lock                 held by the command that writes
//	.ftk/model/               the imported model and its tokenizer files
//	.ftk/runs/0001/run.json   what the run was asked for, and its result
//	             …/metrics.jsonl        an evaluation a line
//	             …/best.safetensors     trained tensors of the best epoch, by initializer name
//	             …/checkpoint.safetensors   what --resume needs
//	.ftk/cache/               features of frozen parts; may be deleted at any time
//
// Files appear whole or not at all.
package workspace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gofrs/flock"
)

// Directory is the name of the state's directory in a workspace.
const Directory = ".ftk"

// ModelFile is the name of the model in the directory that ModelDir returns.
const ModelFile = "model.onnx"

// Workspace is a directory with (or without, yet) a .ftk.
type Workspace struct {
	root string // the directory that has .ftk
	lock *flock.Flock
}

// Open returns the workspace of a directory, which must exist. It creates
// nothing.
func Open(dir string) (*Workspace, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	st, err := os.Stat(abs)
	if err != nil {
		return nil, fmt.Errorf("workspace: %w", err)
	}
	if !st.IsDir() {
		return nil, fmt.Errorf("workspace: %s is not a directory", dir)
	}
	return &Workspace{root: abs}, nil
}

// Root returns the directory that has .ftk.
func (w *Workspace) Root() string { return w.root }

func (w *Workspace) path(elem ...string) string {
	return filepath.Join(append([]string{w.root, Directory}, elem...)...)
}

// CacheDir returns the directory of cached features, which need not exist.
func (w *Workspace) CacheDir() string { return w.path("cache") }

// Lock takes the workspace for this process, or fails at once with an error
// that says who has it. Commands that write take it first and Unlock at the
// end; the system releases it when the process dies. What such a process left
// half done is removed, or undone, by the next that takes the lock.
func (w *Workspace) Lock() error {
	if err := os.MkdirAll(w.path(), 0o755); err != nil {
		return err
	}
	lock := flock.New(w.path("lock"))
	ok, err := lock.TryLock()
	if err != nil {
		return fmt.Errorf("workspace: lock %s: %w", w.path("lock"), err)
	}
	if !ok {
		who := ""
		if pid, err := os.ReadFile(w.path("lock")); err == nil && len(pid) > 0 {
			who = " (process " + strings.TrimSpace(string(pid)) + ")"
		}
		return fmt.Errorf("workspace %s is in use by another run%s; wait for it to end or choose another directory with -C", w.root, who)
	}
	w.lock = lock
	// For the other's error message only.
	os.WriteFile(w.path("lock"), []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644)
	if err := w.restoreModel(); err != nil {
		return errors.Join(err, w.Unlock())
	}
	w.removeLeftovers()
	return nil
}

// Unlock gives the workspace back. It may be called when not locked.
func (w *Workspace) Unlock() error {
	if w.lock == nil {
		return nil
	}
	lock := w.lock
	w.lock = nil
	return lock.Unlock()
}

// Import puts a model into the workspace: fill writes its files into an empty
// directory, which then takes the place of the model that was there. After an
// error the workspace is as it was, or will be when it is locked next.
func (w *Workspace) Import(fill func(dir string) error) (err error) {
	if err := os.MkdirAll(w.path(), 0o755); err != nil {
		return err
	}
	fresh, err := os.MkdirTemp(w.path(), newModel)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(fresh)
		}
	}()
	if err = fill(fresh); err != nil {
		return err
	}
	if err = os.Chmod(fresh, 0o755); err != nil {
		return err
	}
	old := fresh + oldModel
	if err = rename(w.path("model"), old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	replaces := err == nil
	if err = rename(fresh, w.path("model")); err != nil {
		if replaces {
			err = errors.Join(err, rename(old, w.path("model")))
		}
		return err
	}
	os.RemoveAll(old)
	return nil
}

// rename is a variable for tests of what fails.
var rename = os.Rename

// ModelDir returns the directory of the imported model, or an error that says
// that there is none yet.
func (w *Workspace) ModelDir() (string, error) {
	dir := w.path("model")
	_, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) && w.lock == nil && w.replacedModel() != "" {
		// An import is replacing it, or was killed when it did.
		if err := errors.Join(w.Lock(), w.Unlock()); err != nil {
			return "", err
		}
		_, err = os.Stat(dir)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("no model in workspace %s; run: ftk import MODEL", w.root)
	case err != nil:
		return "", err
	}
	return dir, nil
}
