// Command asm writes the innermost loops of package kernels in assembly for AVX2 with FMA, or for AVX-512; go generate
// runs it. The coefficients in coefficients.go come from fit.py.
package main

import (
	"flag"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

func main() {
	wide := flag.Bool("avx512", false, "write AVX-512 instead of AVX2")
	flag.Parse()
	ConstraintExpr("amd64")
	s := &isa{name: "AVX2", wide: *wide, constants: map[uint32]Mem{}}
	if s.wide {
		s.name = "AVX512"
	}
	s.arithmetic()
	s.functions()
	s.reductions()
	s.softmax()
	s.softmaxRows()
	s.normalisation()
	s.adamW()
	s.dropoutMask()
	Generate()
}
