// Package blas multiplies float32 matrices with the fastest library found on this machine.
//
// The library (OpenBLAS, MKL, BLIS, Accelerate) is opened at run time; nothing is needed at build time. Where none is
// found, gonum's Go version does the work, and Info says so. All matrices are row-major. A product gives the same result
// bit for bit for the same number of threads (parallel.SetThreads).
package blas

import (
	"fmt"
	"sync"
)

// Details says what multiplies matrices here.
type Details struct {
	Name    string // "OpenBLAS 0.3.21 …", "gonum (Go)"
	Path    string // file of the library; empty for the Go version
	Threads int    // threads that Gemm uses
	Native  bool   // a library was found
	Reason  string // why there is no library, and what to do; empty if Native
}

// String is one line for a person.
func (d Details) String() string {
	if !d.Native {
		return fmt.Sprintf("%s, %d threads: %s", d.Name, d.Threads, d.Reason)
	}
	return fmt.Sprintf("%s, %d threads (%s)", d.Name, d.Threads, d.Path)
}

var start sync.Once

// Init finds and opens the library. Calling it is optional: the first product does it. It is safe to call again.
func Init() { start.Do(open) }
