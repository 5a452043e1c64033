package kernels

import (
	"os"

	"golang.org/x/sys/cpu"
)

//go:generate go run ./asm -out avx2_amd64.s -stubs avx2_amd64.go -pkg kernels
//go:generate go run ./asm -avx512 -out avx512_amd64.s -stubs avx512_amd64.go -pkg kernels

var avx2 = vector{
	name: "avx2",
	add:  addAVX2, sub: subAVX2, mul: mulAVX2, div: divAVX2, scale: scaleAVX2, axpy: axpyAVX2, offset: offsetAVX2, addRows: addRowsAVX2,
	exp: expAVX2, log: logAVX2, sqrt: sqrtAVX2, tanh: tanhAVX2, sigmoid: sigmoidAVX2, relu: reluAVX2, erf: erfAVX2, gelu: geluAVX2, geluTanh: geluTanhAVX2,
	tanhGrad: tanhGradAVX2, sigmoidGrad: sigmoidGradAVX2, reluGrad: reluGradAVX2, geluGrad: geluGradAVX2, geluTanhGrad: geluTanhGradAVX2,
	max: maxAVX2, sum: sumAVX2, dot: dotAVX2, squaresAround: squaresAroundAVX2,
	expSum: expSumAVX2, softmaxGrad: softmaxGradAVX2, softmaxRows: softmaxRowsAVX2, softmaxGradRows: softmaxGradRowsAVX2,
	normalize: normalizeAVX2, normGradSums: normGradSumsAVX2, normGrad: normGradAVX2, normGradParam: normGradParamAVX2,
	sumSquares: sumSquaresAVX2, sum64: sum64AVX2, adamW: adamWAVX2, dropoutMask: dropoutMaskAVX2,
}

var avx512 = vector{
	name: "avx512",
	add:  addAVX512, sub: subAVX512, mul: mulAVX512, div: divAVX512, scale: scaleAVX512, axpy: axpyAVX512, offset: offsetAVX512, addRows: addRowsAVX512,
	exp: expAVX512, log: logAVX512, sqrt: sqrtAVX512, tanh: tanhAVX512, sigmoid: sigmoidAVX512, relu: reluAVX512, erf: erfAVX512, gelu: geluAVX512, geluTanh: geluTanhAVX512,
	tanhGrad: tanhGradAVX512, sigmoidGrad: sigmoidGradAVX512, reluGrad: reluGradAVX512, geluGrad: geluGradAVX512, geluTanhGrad: geluTanhGradAVX512,
	max: maxAVX512, sum: sumAVX512, dot: dotAVX512, squaresAround: squaresAroundAVX512,
	expSum: expSumAVX512, softmaxGrad: softmaxGradAVX512, softmaxRows: softmaxRowsAVX512, softmaxGradRows: softmaxGradRowsAVX512,
	normalize: normalizeAVX512, normGradSums: normGradSumsAVX512, normGrad: normGradAVX512, normGradParam: normGradParamAVX512,
	sumSquares: sumSquaresAVX512, sum64: sum64AVX512, adamW: adamWAVX512, dropoutMask: dropoutMaskAVX512,
}

// available lists the versions that this processor can run, the fastest last.
func available() []*vector {
	list := []*vector{&portable}
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA && cpu.X86.HasBMI2 {
		list = append(list, &avx2)
		if cpu.X86.HasAVX512F && cpu.X86.HasAVX512DQ {
			list = append(list, &avx512)
		}
	}
	return list
}

// The environment variable FTK_KERNELS names a version to use instead of the fastest: go, avx2 or avx512.
func init() {
	list := available()
	vec = list[len(list)-1]
	for _, v := range list {
		if v.name == os.Getenv("FTK_KERNELS") {
			vec = v
		}
	}
}
