package exporter

import (
	"os"
	"path/filepath"
	"runtime"
)

// pending is a file that is being written under a temporary name.
type pending struct {
	*os.File
	path string
	done bool // renamed or removed
}

// newPending makes the temporary file in path's directory, so that renaming
// stays within one file system.
func newPending(path string) (*pending, error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return nil, err
	}
	p := &pending{File: f, path: path}
	mode := os.FileMode(0o644)
	if old, err := os.Stat(path); err == nil {
		mode = old.Mode().Perm() | 0o200
	}
	if err := f.Chmod(mode); err != nil && runtime.GOOS != "windows" {
		p.discard()
		return nil, err
	}
	return p, nil
}

// sync makes the content durable and closes the file.
func (p *pending) sync() error {
	if err := p.Sync(); err != nil {
		return err
	}
	return p.Close()
}

// commit gives the file its name.
func (p *pending) commit() error {
	if err := os.Rename(p.Name(), p.path); err != nil {
		return err
	}
	p.done = true
	return nil
}

// discard removes the file unless it was committed.
func (p *pending) discard() {
	if !p.done {
		p.Close()
		os.Remove(p.Name())
		p.done = true
	}
}

// syncDir makes renames durable, where the system lets a directory be synced.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
