package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestFeaturesAreAnnounced: how much the features of a frozen part take is said before they are computed, a second run has
// them, and --cache-limit is kept to.
func TestFeaturesAreAnnounced(t *testing.T) {
	ws := workspaceOf(t, saved(t, decomposed(t)))
	train, dev := writeTask(t, "train.csv", 2000, 1), writeTask(t, "dev.csv", 60, 2)
	for _, c := range []struct {
		flags, want string
		most        int64 // bytes in the cache afterwards
	}{
		{"--freeze backbone", `features of the frozen part: 250\.0 KiB for 2,?000 examples, computed once`, 300 << 10},
		{"--freeze backbone", `features of the frozen part: 250\.0 KiB, kept from an earlier run`, 300 << 10},
		{"--freeze 1 --cache-limit 1", `features of the frozen part would take \d\.\d MiB, more than --cache-limit: computed again for each batch`, 1 << 20},
		{"--freeze backbone --cache-limit 0", `features of the frozen part would take 250\.0 KiB, more than --cache-limit: computed again`, 1 << 20},
	} {
		o := must(t, tuned(ws, train, dev, append(strings.Fields(c.flags), "--epochs", "1")...)...)
		if !regexp.MustCompile(c.want).MatchString(o.stdout) {
			t.Errorf("%s: stdout has no %s: %v", c.flags, c.want, o)
		}
		files, err := filepath.Glob(filepath.Join(ws, ".ftk", "cache", "*"))
		if err != nil {
			t.Fatal(err)
		}
		var total int64
		for _, f := range files {
			st, err := os.Stat(f)
			if err != nil {
				t.Fatal(err)
			}
			total += st.Size()
		}
		if total > c.most {
			t.Errorf("%s: %d bytes in the cache: %v", c.flags, total, files)
		}
	}
}
