//go:build unix

package dataset

import "os"

// unname takes an open file's name away: the system frees it when it is closed.
func unname(f *os.File) error { return os.Remove(f.Name()) }

// removeUnnamed has nothing left to do.
func removeUnnamed(*os.File) error { return nil }
