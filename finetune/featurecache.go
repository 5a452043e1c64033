package finetune

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// featureCache is the directory that feature files are kept in, as far as one
// run is concerned.
type featureCache struct {
	used []string // names of the files that this run reads or makes
}

const (
	featureSuffix = ".features"
	featureTemp   = ".features.*" // of files that are not complete yet
)

// uses says that the run needs a file; its age starts anew.
func (c *featureCache) uses(path string) {
	c.used = append(c.used, filepath.Base(path))
	now := time.Now()
	os.Chtimes(path, now, now)
}

// makeRoom removes what killed processes left behind and, while a file of size
// bytes more would exceed the limit, the file that has not been used for
// longest. It tells whether the file fits. The workspace is locked: no other
// process uses the directory.
func (c *featureCache) makeRoom(dir string, size, limit int64) (bool, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return false, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false, err
	}
	total := size
	var unused []os.FileInfo
	for _, e := range entries {
		temporary, _ := filepath.Match(featureTemp, e.Name())
		if !temporary && !strings.HasSuffix(e.Name(), featureSuffix) {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return false, err
		}
		switch used := slices.Contains(c.used, e.Name()); {
		case temporary && !used:
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return false, err
			}
			continue
		case !used:
			unused = append(unused, info)
		}
		total += info.Size()
	}
	slices.SortFunc(unused, func(a, b os.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	for ; total > limit && len(unused) > 0; unused = unused[1:] {
		if total-sum(unused) > limit {
			return false, nil // not even without all of them
		}
		if err := os.Remove(filepath.Join(dir, unused[0].Name())); err != nil {
			return false, err
		}
		total -= unused[0].Size()
	}
	return total <= limit, nil
}

func sum(files []os.FileInfo) (n int64) {
	for _, f := range files {
		n += f.Size()
	}
	return n
}
