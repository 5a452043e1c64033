// Package atomicfile writes files that are there whole or not at all.
package atomicfile

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
)

// File is being written under a temporary name beside its path.
type File struct {
	*os.File
	path string
	done bool // renamed or removed
}

// temporary is what follows a dot and the file's name in the name of its
// temporary file; the star is a random number.
const temporary = ".*.tmp"

// Create makes the temporary file in path's directory, so that renaming stays
// within one file system. It takes the permissions of a file that is at path
// already.
func Create(path string) (*File, error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+temporary)
	if err != nil {
		return nil, err
	}
	a := &File{File: f, path: path}
	mode := os.FileMode(0o644)
	if old, err := os.Stat(path); err == nil {
		mode = old.Mode().Perm() | 0o200
	}
	if err := f.Chmod(mode); err != nil && runtime.GOOS != "windows" {
		a.Discard()
		return nil, err
	}
	return a, nil
}

// Complete makes the content durable and closes the file.
func (f *File) Complete() error {
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}

// Commit gives the completed file its name.
func (f *File) Commit() error {
	if err := os.Rename(f.Name(), f.path); err != nil {
		return err
	}
	f.done = true
	return nil
}

// Discard removes the file unless it was committed.
func (f *File) Discard() {
	if !f.done {
		f.Close()
		os.Remove(f.Name())
		f.done = true
	}
}

// SyncDir makes renames in a directory durable, where the system lets a
// directory be synced.
func SyncDir(dir string) error {
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

// Write calls write with a temporary file beside path, syncs it and renames
// it to path. After an error path is as it was and nothing is left behind.
func Write(path string, write func(io.Writer) error) error {
	f, err := Create(path)
	if err != nil {
		return err
	}
	defer f.Discard()
	w := bufio.NewWriterSize(f, 1<<16)
	if err := write(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := f.Complete(); err != nil {
		return err
	}
	return f.Commit()
}

// WriteBytes writes data as Write does.
func WriteBytes(path string, data []byte) error {
	return Write(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// WriteJSON writes v as indented JSON as Write does.
func WriteJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return WriteBytes(path, append(data, '\n'))
}

// RemoveTemporary removes the temporary files of a directory, which processes
// that were killed have left. It is for a caller who knows that nothing is
// being written there.
func RemoveTemporary(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if ok, _ := filepath.Match(".*"+temporary, e.Name()); ok && e.Type().IsRegular() {
			err = errors.Join(err, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	return err
}
