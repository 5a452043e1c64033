//go:build amd64 || arm64

package parallel

// pause tells the processor n times that this is a spinning loop.
//
//go:noescape
func pause(n uint32)
