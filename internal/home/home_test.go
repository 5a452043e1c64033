package home

import (
	"path/filepath"
	"testing"
)

func TestDir(t *testing.T) {
	t.Setenv("FTK_HOME", "")
	t.Setenv("HOME", "/somewhere")
	t.Setenv("XDG_CACHE_HOME", "")
	if got := Dir(); filepath.Base(got) != "ftk" {
		t.Errorf("Dir() = %q, want a directory named ftk", got)
	}
	t.Setenv("FTK_HOME", "/elsewhere")
	for _, c := range []struct{ name, got, want string }{
		{"Dir", Dir(), "/elsewhere"},
		{"Lib", Lib(), "/elsewhere/lib"},
		{"Model", Model("all-MiniLM-L6-v2"), "/elsewhere/models/all-MiniLM-L6-v2"},
	} {
		if filepath.ToSlash(c.got) != c.want {
			t.Errorf("%s = %q, want %q", c.name, c.got, c.want)
		}
	}
}
