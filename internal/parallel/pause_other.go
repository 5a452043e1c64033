//go:build !amd64 && !arm64

package parallel

import "runtime"

// pause lets other goroutines run.
func pause(uint32) { runtime.Gosched() }
