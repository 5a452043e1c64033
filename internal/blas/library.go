package blas

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"unsafe"

	"github.com/ebitengine/purego"

	"github.com/ftk-go/ftk/internal/parallel"
)

// library is an opened BLAS with the Fortran interface, in which every argument is a pointer: calls need no float
// registers, and integers stored in 64 bits serve libraries with 32-bit and with 64-bit integers alike
// (on little-endian machines, the only ones tried).
type library struct {
	name  string
	path  string
	sgemm uintptr
}

// own are the innermost loops of the products in Go and assembly, nil where they are not used.
var own *tiles

// lib is the library in use, nil for the Go version; reason then says why. Both are written by open only.
var (
	lib    *library
	reason string
)

// Info describes what is in use, finding it first if need be.
func Info() Details {
	Init()
	switch {
	case lib != nil:
		return Details{Name: lib.name, Path: lib.path, Threads: parallel.Threads(), Native: true}
	case own != nil:
		return Details{Name: own.name, Threads: parallel.Threads(), Native: true, Reason: reason}
	}
	return Details{Name: "gonum (Go)", Threads: parallel.Threads(), Reason: reason}
}

// open decides what multiplies: our own assembly where it is as fast as any library, else a library, else what there is.
// FTK_BLAS names the file of a library to use instead, or is "own" for our assembly or "gonum" for plain Go.
func open() {
	var best *tiles
	if list := availableTiles(); len(list) > 0 {
		best = list[0]
	}
	switch named := os.Getenv("FTK_BLAS"); {
	case named == "gonum":
		reason = "FTK_BLAS=gonum asks for it"
		return
	case named == "own" || named == "" && best != nil && ahead(best):
		if own = best; own == nil {
			reason = "FTK_BLAS=own, but there is no assembly for this processor"
		}
		return
	case named != "":
		l, err := load(named)
		if err == nil {
			lib = l
			return
		}
		own = best
		reason = fmt.Sprintf("FTK_BLAS names %s, which cannot be used (%v); correct it or unset it", named, err)
		return
	}
	for _, path := range candidates() {
		if l, err := load(path); err == nil {
			lib = l
			return
		}
	}
	if own = best; own == nil {
		reason = "no BLAS library was found, which is slow; run 'make deps', install libopenblas0, or set FTK_BLAS to the file of a library"
	}
}

// candidates lists files to try: those that setup laid down, then those that the system's loader finds.
func candidates() []string {
	var list []string
	for _, dir := range libraryDirs() {
		for _, pattern := range []string{"*openblas*.so*", "*openblas*.dylib", "*openblas*.dll"} {
			found, _ := filepath.Glob(filepath.Join(dir, pattern))
			list = append(list, found...)
		}
	}
	switch runtime.GOOS {
	case "darwin":
		list = append(list, "/System/Library/Frameworks/Accelerate.framework/Accelerate",
			"/opt/homebrew/opt/openblas/lib/libopenblas.dylib", "/usr/local/opt/openblas/lib/libopenblas.dylib", "libopenblas.dylib")
	case "windows":
		list = append(list, "libopenblas.dll", "mkl_rt.2.dll")
	default:
		list = append(list, "libopenblas.so.0", "libopenblas.so", "libmkl_rt.so.2", "libmkl_rt.so", "libblis.so.4", "libblis.so")
	}
	return list
}

// libraryDirs are the directories that setup fills: $FTK_HOME and $FTK_HOME/lib, or the user's cache directory.
func libraryDirs() []string {
	if home := os.Getenv("FTK_HOME"); home != "" {
		return []string{filepath.Join(home, "lib"), home}
	}
	if cache, err := os.UserCacheDir(); err == nil {
		return []string{filepath.Join(cache, "ftk", "lib")}
	}
	return nil
}

// load opens one file and looks for sgemm under the names that builds give it: the one in scipy's wheels has a prefix,
// those with 64-bit integers a suffix.
func load(path string) (*library, error) {
	handle, err := openLibrary(path)
	if err != nil {
		return nil, err
	}
	for _, prefix := range []string{"", "scipy_"} {
		for _, suffix := range []string{"_", "_64_", "64_", ""} {
			sgemm, err := findSymbol(handle, prefix+"sgemm"+suffix)
			if err != nil || sgemm == 0 {
				continue
			}
			l := &library{name: filepath.Base(path), path: resolved(handle, path), sgemm: sgemm}
			l.singleThreaded(handle, prefix)
			return l, nil
		}
	}
	return nil, errors.New("it has no sgemm")
}

// singleThreaded keeps the library from starting threads of its own, which would compete with ours: products are cut
// into strips by this package. It also learns the library's name.
func (l *library) singleThreaded(handle uintptr, prefix string) {
	for _, suffix := range []string{"", "64_"} {
		if f, err := findSymbol(handle, prefix+"openblas_set_num_threads"+suffix); err == nil && f != 0 {
			purego.SyscallN(f, 1)
		}
		if f, err := findSymbol(handle, prefix+"openblas_get_config"+suffix); err == nil && f != 0 {
			var config func() string
			purego.RegisterFunc(&config, f)
			l.name = strings.TrimSpace(config())
		}
	}
	if f, err := findSymbol(handle, "MKL_Set_Num_Threads"); err == nil && f != 0 {
		purego.SyscallN(f, 1)
		l.name = "Intel MKL"
	}
	if f, err := findSymbol(handle, "bli_thread_set_num_threads"); err == nil && f != 0 {
		purego.SyscallN(f, 1)
		l.name = "BLIS"
	}
	if strings.Contains(l.path, "Accelerate") {
		l.name = "Apple Accelerate"
	}
}

// call is one product in column-major order: C := alpha·op(A)·op(B) + beta·C. Its fields are what sgemm is given
// pointers to; they live on the heap, which does not move.
type call struct {
	transA, transB byte
	m, n, k        int64
	lda, ldb, ldc  int64
	alpha, beta    float32
	a, b, c        *float32
	args           [15]uintptr
}

var calls parallel.Free[call]

// gemm computes the row-major product with the library. A row-major matrix is a transposed column-major
// one, so Cᵀ := op(B)ᵀ·op(A)ᵀ is what is asked for.
func (l *library) gemm(transA, transB bool, m, n, k int, alpha float32, a *float32, lda int, b *float32, ldb int, beta float32, c *float32, ldc int) {
	x := calls.Get()
	x.transA, x.transB = letter(transB), letter(transA)
	x.m, x.n, x.k = int64(n), int64(m), int64(k)
	x.lda, x.ldb, x.ldc = int64(ldb), int64(lda), int64(ldc)
	x.alpha, x.beta = alpha, beta
	x.a, x.b, x.c = b, a, c
	// The two last arguments are the lengths of the strings, which some Fortran compilers expect. The list is kept in x
	// because a list of its own would be allocated at every call.
	x.args = [15]uintptr{address(&x.transA), address(&x.transB), address(&x.m), address(&x.n), address(&x.k),
		address(&x.alpha), address(x.a), address(&x.lda), address(x.b), address(&x.ldb),
		address(&x.beta), address(x.c), address(&x.ldc), 1, 1}
	purego.SyscallN(l.sgemm, x.args[:]...)
	runtime.KeepAlive(x)
	x.a, x.b, x.c = nil, nil, nil
	calls.Put(x)
}

func letter(trans bool) byte {
	if trans {
		return 'T'
	}
	return 'N'
}

func address[T any](p *T) uintptr { return uintptr(unsafe.Pointer(p)) }
