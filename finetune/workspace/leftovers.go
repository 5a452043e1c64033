package workspace

import (
	"os"
	"strings"

	"github.com/ftk-go/ftk/internal/atomicfile"
)

// An import fills a directory whose name begins with newModel. It puts the
// model that was there under that name with oldModel behind it until the new
// one has its place.
const (
	newModel = "model.new."
	oldModel = ".old"
)

// imports returns the directories that imports have not removed or renamed yet.
func (w *Workspace) imports() []string {
	entries, _ := os.ReadDir(w.path()) // none where there is no .ftk
	var dirs []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), newModel) {
			dirs = append(dirs, w.path(e.Name()))
		}
	}
	return dirs
}

// replacedModel returns where an import has put the model that was there, or "".
func (w *Workspace) replacedModel() string {
	for _, dir := range w.imports() {
		if strings.HasSuffix(dir, oldModel) {
			return dir
		}
	}
	return ""
}

// restoreModel brings the model back if an import was killed after it had taken
// it away. The workspace is locked: no other import is under way.
func (w *Workspace) restoreModel() error {
	if exists(w.path("model")) {
		return nil
	}
	if old := w.replacedModel(); old != "" {
		return os.Rename(old, w.path("model"))
	}
	return nil
}

// removeLeftovers removes what killed processes have left half done: models
// being imported, and files of runs. The workspace is locked, and the model in
// its place. What cannot be removed is in nobody's way.
func (w *Workspace) removeLeftovers() {
	for _, dir := range w.imports() {
		os.RemoveAll(dir)
	}
	runs, err := w.Runs()
	if err != nil {
		return
	}
	for _, r := range runs {
		atomicfile.RemoveTemporary(r.Dir)
	}
}
