package blas

import "golang.org/x/sys/cpu"

//go:generate go run ./asm -out tiles_amd64.s -stubs tiles_amd64.go -pkg blas

type kinds = []struct {
	rows int
	run  tileFunc
}

var (
	tilesAVX512 = tiles{"ftk (AVX-512)", 32, panelAVX512, &tilesAVX2, kinds{{12, tile12x32AVX512}, {8, tile8x32AVX512}, {4, tile4x32AVX512}, {2, tile2x32AVX512}, {1, tile1x32AVX512}}}
	tilesAVX2   = tiles{"ftk (AVX2)", 16, panelAVX2, nil, kinds{{6, tile6x16AVX2}, {4, tile4x16AVX2}, {2, tile2x16AVX2}, {1, tile1x16AVX2}}}
)

// availableTiles lists the innermost loops that this processor can run, the fastest first.
func availableTiles() []*tiles {
	if !cpu.X86.HasAVX2 || !cpu.X86.HasFMA {
		return nil
	}
	if cpu.X86.HasAVX512F && cpu.X86.HasAVX512DQ {
		return []*tiles{&tilesAVX512, &tilesAVX2}
	}
	return []*tiles{&tilesAVX2}
}

// ahead reports whether our tiles are as fast as the libraries: measured so with AVX-512.
func ahead(t *tiles) bool { return t == &tilesAVX512 }

func transpose8(blocks int, dst *float32, dstRow int, src *float32, srcRow int) {
	transpose8AVX2(blocks, dst, dstRow, src, srcRow)
}
