// Package blas multiplies float32 matrices with the fastest means on this machine.
//
// On processors with AVX-512 that is assembly of our own; elsewhere a library (OpenBLAS, MKL, BLIS, Accelerate) opened at
// run time, if there is one, else our assembly for AVX2, else gonum's Go version: Info says which. Nothing is needed at
// build time. All matrices are row-major. A product gives the same result bit for bit for the same number of threads
// (parallel.SetThreads) and the same means.
package blas

import (
	"fmt"
	"sync"
)

// Details says what multiplies matrices here.
type Details struct {
	Name    string // "ftk (AVX-512)", "OpenBLAS 0.3.21 …", "gonum (Go)"
	Path    string // file of the library, if it is one
	Threads int    // threads that Gemm uses
	Native  bool   // assembly or a library, not plain Go
	Reason  string // why it is not what one would wish, and what to do; empty if it is
}

// String is one line for a person.
func (d Details) String() string {
	s := fmt.Sprintf("%s, %d threads", d.Name, d.Threads)
	if d.Path != "" {
		s += " (" + d.Path + ")"
	}
	if d.Reason != "" {
		s += ": " + d.Reason
	}
	return s
}

var start sync.Once

// Init finds and opens the library. Calling it is optional: the first product does it. It is safe to call again.
func Init() { start.Do(open) }
