//go:build !amd64

package blas

// availableTiles: there are none for this kind of processor yet.
func availableTiles() []*tiles { return nil }

func ahead(*tiles) bool { return false }

func transpose8(blocks int, dst *float32, dstRow int, src *float32, srcRow int) {
	panic("blas: no tiles for this processor")
}
