package exporter

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ftk-go/ftk/internal/atomicfile"
)

const (
	configFile = "config.json"
	// stagingPrefix begins the names of staging directories.
	stagingPrefix = ".ftk-export-"
	// formerFiles is the directory in a staging directory that takes what an
	// export replaces.
	formerFiles = "former"
)

// rename is os.Rename; a variable for tests.
var rename = os.Rename

// stage makes a directory on dir's file system, to write an export in: within
// dir if there is one, which may be a mount point or lie in a directory that
// cannot be written to, else beside it. What an export to dir that was killed
// has left there is removed, after what it had taken away is back. ours tells
// whether files in dir are those of an export, or of one that was killed, which
// may be replaced.
func stage(dir string) (staging string, ours bool, err error) {
	dir = filepath.Clean(dir)
	in, prefix := dir, stagingPrefix
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		in = filepath.Dir(dir)
		prefix = "." + filepath.Base(dir) + stagingPrefix
		if err := os.MkdirAll(in, 0o755); err != nil {
			return "", false, err
		}
	}
	entries, err := os.ReadDir(in)
	if err != nil {
		return "", false, err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) && e.IsDir() {
			left := filepath.Join(in, e.Name())
			begun, err := restore(filepath.Join(left, formerFiles), dir)
			if err == nil {
				err = os.RemoveAll(left)
			}
			if err != nil {
				return "", false, err
			}
			ours = ours || begun
		}
	}
	staging, err = os.MkdirTemp(in, prefix+"*")
	return staging, ours || isExport(dir), err
}

// restore moves the files of an export back that one over it had taken away when
// it was killed: dir has no config.json then. begun tells whether that one had
// begun to put its files there.
func restore(former, dir string) (begun bool, err error) {
	entries, err := os.ReadDir(former)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if _, err := os.Lstat(filepath.Join(dir, configFile)); !errors.Is(err, os.ErrNotExist) {
		return true, err // it was done, but for cleaning up; or cannot be looked at
	}
	had := map[string]bool{}
	for _, e := range entries {
		had[e.Name()] = true
	}
	if !had[configFile] {
		return true, nil // there was no export before
	}
	if data := modelFile + dataSuffix; had[modelFile] && !had[data] { // then it is the new one's
		if err := os.Remove(filepath.Join(dir, data)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return true, err
		}
	}
	delete(had, configFile)
	for _, name := range append(slices.Sorted(maps.Keys(had)), configFile) {
		if err := rename(filepath.Join(former, name), filepath.Join(dir, name)); err != nil {
			return true, err
		}
	}
	return true, nil
}

// install makes the files of a staging directory those of dir. A new directory
// appears at once. In one that is there, files are moved one by one, in an
// order in which nobody takes the labels of one export for those of another:
//
//  1. config.json goes away: there is nothing to be served.
//  2. The external data and the model are replaced, then all the rest.
//  3. The new config.json comes, and with it the export.
//
// Who has read config.json before and the model after 1 notices it by reading
// config.json once more (OpenPredictor). After an error all that was moved is
// moved back.
func install(staging, dir string, ours bool) error {
	if _, err := os.Lstat(dir); errors.Is(err, os.ErrNotExist) {
		if err := os.Chmod(staging, 0o755); err != nil {
			return err
		}
		return rename(staging, dir)
	}
	moves, err := replacing(staging, dir, ours)
	if err != nil {
		return err
	}
	for i, m := range moves {
		if err := rename(m.from, m.to); err != nil {
			for _, done := range slices.Backward(moves[:i]) {
				err = errors.Join(err, rename(done.to, done.from))
			}
			return err
		}
	}
	return atomicfile.SyncDir(dir)
}

// move is a file's way from one directory to another.
type move struct{ from, to string }

// replacing lists the moves that put the files of staging in place of those
// that dir has, in the order that install states. External data of a model that
// is replaced by one without goes away as well. Files are replaced only if they
// are ours; so the directory for former files is there when that is known.
func replacing(staging, dir string, ours bool) ([]move, error) {
	entries, err := os.ReadDir(staging)
	if err != nil {
		return nil, err
	}
	former := filepath.Join(staging, formerFiles)
	isNew := map[string]bool{}
	names := []string{configFile, modelFile + dataSuffix, modelFile} // in this order
	for _, e := range entries {
		isNew[e.Name()] = true
		if !slices.Contains(names, e.Name()) {
			names = append(names, e.Name())
		}
	}
	_, err = os.Lstat(filepath.Join(dir, modelFile))
	isOver := err == nil // there is a model to be replaced
	var moves []move
	for _, name := range names {
		if name == modelFile+dataSuffix && !isNew[name] && !isOver {
			continue // no model's: not ours
		}
		here := filepath.Join(dir, name)
		switch info, err := os.Lstat(here); {
		case err == nil && info.IsDir():
			return nil, fmt.Errorf("its %s is a directory", name)
		case err == nil && !ours:
			return nil, fmt.Errorf("its %s is none of an export by ftk and would be replaced: choose another directory, or move it away", name)
		case err == nil:
			moves = append(moves, move{here, filepath.Join(former, name)})
		case !errors.Is(err, os.ErrNotExist):
			return nil, err
		}
		if isNew[name] && name != configFile {
			moves = append(moves, move{filepath.Join(staging, name), here})
		}
	}
	return append(moves, move{filepath.Join(staging, configFile), filepath.Join(dir, configFile)}), os.Mkdir(former, 0o755)
}
