// Package version tells which ftk this is.
package version

import "runtime/debug"

// number is the version of this source tree.
const number = "0.1.0"

// String returns the version: that of the module where ftk is a dependency or
// was installed by version, else the source tree's with "-dev" after it.
func String() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		const path = "github.com/ftk-go/ftk"
		if info.Main.Path == path && info.Main.Version != "" && info.Main.Version != "(devel)" {
			return info.Main.Version
		}
		for _, m := range info.Deps {
			if m.Path == path {
				return m.Version
			}
		}
	}
	return number + "-dev"
}
