// Command asm writes the innermost loops of matrix products for AVX2 with FMA and for AVX-512; go generate runs it.
package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("amd64")
	for _, rows := range []int{12, 8, 4, 2, 1} {
		tile(fmt.Sprintf("tile%dx32AVX512", rows), rows, ZMM)
	}
	for _, rows := range []int{6, 4, 2, 1} {
		tile(fmt.Sprintf("tile%dx16AVX2", rows), rows, YMM)
	}
	transpose8()
	panel("panelAVX512", ZMM)
	panel("panelAVX2", YMM)
	Generate()
}

func gp(param string) GPVirtual { return Load(Param(param), GP64()).(GPVirtual) }

// tile writes C := alpha·A·B + beta·D + row for a tile of C with the given rows, and columns of two vectors. All sums are
// in registers; every step of k reads two vectors of B and multiplies them with each row's element of A, repeated. D is
// not read if beta is 0; row is added to every row of C unless it is nil.
func tile(name string, rows int, vec func() VecVirtual) {
	TEXT(name, NOSPLIT, "func(k int, a *float32, aRow, aCol int, b *float32, bRow int, c *float32, cRow int, d *float32, dRow int, row *float32, alpha, beta float32)")
	Pragma("noescape")
	Doc(name + " computes alpha·A·B + beta·D + row for one tile of C; the distances between rows and columns are in bytes.")
	size := 4 * 16
	if vec().Size() == 32 {
		size = 4 * 8
	}
	k, a, aRow, aCol := gp("k"), gp("a"), gp("aRow"), gp("aCol")
	b, bRow := gp("b"), gp("bRow")

	// One pointer for every three rows of A; the others are reached by one or two times aRow.
	pointers := []GPVirtual{a}
	for i := 3; i < rows; i += 3 {
		p := GP64()
		LEAQ(Mem{Base: pointers[len(pointers)-1], Index: aRow, Scale: 2}, p)
		ADDQ(aRow, p)
		pointers = append(pointers, p)
	}
	element := func(row int) Mem {
		m := Mem{Base: pointers[row/3]}
		if row%3 > 0 {
			m.Index, m.Scale = aRow, uint8(row%3)
		}
		return m
	}

	acc := make([][2]VecVirtual, rows)
	cPtr, cStep := gp("c"), gp("cRow")
	for i := range acc {
		PREFETCHT0(Mem{Base: cPtr})
		if size == 64 {
			PREFETCHT0(Mem{Base: cPtr, Disp: 64})
		}
		if i+1 < rows {
			ADDQ(cStep, cPtr)
		}
		for j := range acc[i] {
			acc[i][j] = vec()
			if size == 64 {
				VPXORD(acc[i][j], acc[i][j], acc[i][j])
			} else {
				VXORPS(acc[i][j], acc[i][j], acc[i][j])
			}
		}
	}

	left, right, x := vec(), vec(), vec()
	Label("step")
	VMOVUPS(Mem{Base: b}, left)
	VMOVUPS(Mem{Base: b, Disp: size}, right)
	ADDQ(bRow, b)
	for i := range acc {
		VBROADCASTSS(element(i), x)
		VFMADD231PS(left, x, acc[i][0])
		VFMADD231PS(right, x, acc[i][1])
	}
	for _, p := range pointers {
		ADDQ(aCol, p)
	}
	DECQ(k)
	JNZ(LabelRef("step"))

	factor := vec()
	VBROADCASTSS(NewParamAddr("alpha", 88), factor)
	for _, row := range acc {
		for _, v := range row {
			VMULPS(factor, v, v)
		}
	}
	betaBits := GP32()
	MOVL(NewParamAddr("beta", 92), betaBits)
	TESTL(betaBits, betaBits)
	JE(LabelRef("row"))
	d, dRow := gp("d"), gp("dRow")
	VBROADCASTSS(NewParamAddr("beta", 92), factor)
	for i, row := range acc {
		for j, v := range row {
			VFMADD231PS(Mem{Base: d, Disp: size * j}, factor, v)
		}
		if i+1 < rows {
			ADDQ(dRow, d)
		}
	}
	Label("row")
	every := gp("row")
	TESTQ(every, every)
	JE(LabelRef("store"))
	VMOVUPS(Mem{Base: every}, left)
	VMOVUPS(Mem{Base: every, Disp: size}, right)
	for _, row := range acc {
		VADDPS(left, row[0], row[0])
		VADDPS(right, row[1], row[1])
	}
	Label("store")
	c, cRow := gp("c"), gp("cRow")
	for i, row := range acc {
		for j, v := range row {
			VMOVUPS(v, Mem{Base: c, Disp: size * j})
		}
		if i+1 < rows {
			ADDQ(cRow, c)
		}
	}
	VZEROUPPER()
	RET()
}

// transpose8 writes the transposition of 8 rows, 8 columns at a time.
func transpose8() {
	TEXT("transpose8AVX2", NOSPLIT, "func(blocks int, dst *float32, dstRow int, src *float32, srcRow int)")
	Pragma("noescape")
	Doc("transpose8AVX2 writes 8 rows of src as 8 columns of dst, 8·blocks elements of each; distances between rows are in bytes.")
	blocks, dst, dstRow, src, srcRow := gp("blocks"), gp("dst"), gp("dstRow"), gp("src"), gp("srcRow")
	srcFar, dstFar, src3, dst3 := GP64(), GP64(), GP64(), GP64()
	LEAQ(Mem{Base: srcRow, Index: srcRow, Scale: 2}, src3)
	LEAQ(Mem{Base: dstRow, Index: dstRow, Scale: 2}, dst3)
	address := func(near, far, row, row3 GPVirtual, i int) Mem {
		m := Mem{Base: near}
		if i >= 4 {
			m.Base = far
		}
		switch i % 4 {
		case 1:
			m.Index, m.Scale = row, 1
		case 2:
			m.Index, m.Scale = row, 2
		case 3:
			m.Index, m.Scale = row3, 1
		}
		return m
	}
	Label("block")
	LEAQ(Mem{Base: src, Index: srcRow, Scale: 4}, srcFar)
	LEAQ(Mem{Base: dst, Index: dstRow, Scale: 4}, dstFar)
	var r, pairs, quads [8]VecVirtual
	for i := range r {
		r[i] = YMM()
		VMOVUPS(address(src, srcFar, srcRow, src3, i), r[i])
	}
	for i := 0; i < 8; i += 2 {
		pairs[i], pairs[i+1] = YMM(), YMM()
		VUNPCKLPS(r[i+1], r[i], pairs[i])
		VUNPCKHPS(r[i+1], r[i], pairs[i+1])
	}
	for i := 0; i < 8; i += 4 {
		for j := range 4 {
			quads[i+j] = YMM()
			half := uint64(0x44)
			if j%2 == 1 {
				half = 0xee
			}
			VSHUFPS(Imm(half), pairs[i+j/2+2], pairs[i+j/2], quads[i+j])
		}
	}
	for i := range 8 {
		column := YMM()
		lanes := uint64(0x20)
		if i >= 4 {
			lanes = 0x31
		}
		VPERM2F128(Imm(lanes), quads[4+i%4], quads[i%4], column)
		VMOVUPS(column, address(dst, dstFar, dstRow, dst3, i))
	}
	ADDQ(Imm(32), src)
	LEAQ(Mem{Base: dst, Index: dstRow, Scale: 8}, dst)
	DECQ(blocks)
	JNZ(LabelRef("block"))
	VZEROUPPER()
	RET()
}

// panelAhead is how many rows ahead of the one that is copied memory is asked for: their distance is too large for the
// processor to foresee them.
const panelAhead = 8

// panel copies the columns of one tile.
func panel(name string, vec func() VecVirtual) {
	TEXT(name, NOSPLIT, "func(rows int, dst, src *float32, srcRow int)")
	Pragma("noescape")
	Doc(name + " writes rows of two vectors each, srcRow bytes apart in src, one after the other.")
	rows, dst, src, srcRow := gp("rows"), gp("dst"), gp("src"), gp("srcRow")
	size := int(vec().Size())
	far := GP64()
	LEAQ(Mem{Base: src, Index: srcRow, Scale: panelAhead}, far)
	left, right := vec(), vec()
	Label("row")
	VMOVUPS(Mem{Base: src}, left)
	VMOVUPS(Mem{Base: src, Disp: size}, right)
	PREFETCHT0(Mem{Base: far})
	PREFETCHT0(Mem{Base: far, Disp: size})
	VMOVUPS(left, Mem{Base: dst})
	VMOVUPS(right, Mem{Base: dst, Disp: size})
	ADDQ(srcRow, src)
	ADDQ(srcRow, far)
	ADDQ(Imm(uint64(2*size)), dst)
	DECQ(rows)
	JNZ(LabelRef("row"))
	VZEROUPPER()
	RET()
}
