package finetune

import "unsafe"

// alignedFloats allocates n zeros that start at a multiple of 64 bytes.
func alignedFloats(n int) []float32 {
	x := make([]float32, n+alignFloats)
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(x)))%64) / 4
	return x[skip : skip+n : skip+n]
}
