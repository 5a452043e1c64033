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
	"github.com/ftk-go/ftk/tokenize"
)

const (
	configFile = "config.json"
	// stagingPrefix begins the names of staging directories.
	stagingPrefix = ".ftk-export-"
	// formerFiles is the directory in a staging directory that takes what an
	// export replaces.
	formerFiles = "former"
	// movedFiles lists the names of all files that an export replaces or adds.
	movedFiles = "moved"
)

// rename is os.Rename; a variable for tests.
var rename = os.Rename

// stage makes a directory on dir's file system, to write an export in: within
// dir if there is one, which may be a mount point or lie in a directory that
// cannot be written to, else beside it. What an export to dir that was killed
// has left there is removed, after dir is as it was before.
func stage(dir string) (string, error) {
	dir = filepath.Clean(dir)
	in, prefix := dir, stagingPrefix
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		in = filepath.Dir(dir)
		prefix = "." + filepath.Base(dir) + stagingPrefix
		if err := os.MkdirAll(in, 0o755); err != nil {
			return "", err
		}
	}
	entries, err := os.ReadDir(in)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) && e.IsDir() {
			left := filepath.Join(in, e.Name())
			if err := restore(left, dir); err != nil {
				return "", err
			}
			if err := os.RemoveAll(left); err != nil {
				return "", err
			}
		}
	}
	return os.MkdirTemp(in, prefix+"*")
}

// restore takes back what an export that was killed has done in dir, by what is
// left of its staging directory: files it had put there go, those it had taken
// away come back, config.json at last. If config.json is there, nothing was
// done yet, or all.
func restore(staging, dir string) error {
	list, err := os.ReadFile(filepath.Join(staging, movedFiles))
	if errors.Is(err, os.ErrNotExist) || exists(filepath.Join(dir, configFile)) {
		return nil
	}
	if err != nil {
		return err
	}
	former := filepath.Join(staging, formerFiles)
	for _, name := range strings.Split(string(list), "\n") {
		if exists(filepath.Join(staging, name)) || exists(filepath.Join(former, name)) {
			continue // not put there yet, or instead of another
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	back, err := os.ReadDir(former)
	if err != nil {
		return err
	}
	for _, last := range []bool{false, true} {
		for _, e := range back {
			if (e.Name() == configFile) != last {
				continue
			}
			if err := rename(filepath.Join(former, e.Name()), filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
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
func install(staging, dir string) error {
	if _, err := os.Lstat(dir); errors.Is(err, os.ErrNotExist) {
		if err := os.Chmod(staging, 0o755); err != nil {
			return err
		}
		return rename(staging, dir)
	}
	moves, err := replacing(staging, dir)
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
// that dir has, in the order that install states, and writes their names down,
// for restore. External data of a model that is replaced by one without, and
// files of another tokenizer, go away as well. Files that no export has put
// there are not replaced.
func replacing(staging, dir string) ([]move, error) {
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
	isOver := exists(filepath.Join(dir, modelFile)) // there is a model to be replaced
	ours := isExport(dir)
	if ours {
		for _, name := range tokenize.FileNames {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
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
	moves = append(moves, move{filepath.Join(staging, configFile), filepath.Join(dir, configFile)})
	if err := os.Mkdir(former, 0o755); err != nil {
		return nil, err
	}
	return moves, atomicfile.WriteBytes(filepath.Join(staging, movedFiles), []byte(strings.Join(slices.Sorted(maps.Keys(isNew)), "\n")))
}
