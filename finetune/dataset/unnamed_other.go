//go:build !unix

package dataset

import "os"

// unname does nothing: an open file keeps its name here.
func unname(*os.File) error { return nil }

// removeUnnamed deletes a file that has been closed.
func removeUnnamed(f *os.File) error { return os.Remove(f.Name()) }
