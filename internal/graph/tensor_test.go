package graph

import (
	"math"
	"slices"
	"testing"
)

func TestHalf(t *testing.T) {
	// Bit patterns from the tables of IEEE 754 binary16 and from numpy.float16.
	tests := []struct {
		bits uint16
		f    float32
	}{
		{0x0000, 0}, {0x8000, float32(math.Copysign(0, -1))}, {0x3c00, 1}, {0xc000, -2}, {0x7bff, 65504},
		{0x0400, 0x1p-14}, {0x03ff, 0x1.ff8p-15}, {0x0001, 0x1p-24}, {0x3555, 0x1.554p-2},
		{0x7c00, float32(math.Inf(1))}, {0xfc00, float32(math.Inf(-1))},
	}
	for _, test := range tests {
		if got := halfToFloat32(test.bits); math.Float32bits(got) != math.Float32bits(test.f) {
			t.Errorf("%#04x = %v, want %v", test.bits, got, test.f)
		}
		if got := float32ToHalf(test.f); got != test.bits {
			t.Errorf("%v to %#04x, want %#04x", test.f, got, test.bits)
		}
	}
	rounding := []struct {
		f    float32
		bits uint16
	}{
		{1.0 / 3, 0x3555}, {65519, 0x7bff}, {65520, 0x7c00}, {1 + 0x1p-11, 0x3c00}, {1 + 0x3p-11, 0x3c02},
		{0x1p-25, 0}, {0x1.8p-25, 1}, {0x1.ffep-15, 0x0400}, {2047.5, 0x6800},
	}
	for _, test := range rounding {
		if got := float32ToHalf(test.f); got != test.bits {
			t.Errorf("%v to %#04x, want %#04x", test.f, got, test.bits)
		}
	}
	for h := range uint16(0xffff) {
		if f := halfToFloat32(h); f == f && float32ToHalf(f) != h {
			t.Fatalf("%#04x became %#04x", h, float32ToHalf(f))
		}
	}
	if nan := halfToFloat32(float32ToHalf(float32(math.NaN()))); nan == nan {
		t.Error("NaN was lost")
	}
}

func TestFloat32sOfEveryStorage(t *testing.T) {
	want := []float32{1, -2, 0.5}
	tests := map[string]*Tensor{
		"raw":      NewFloat32("t", []int64{3}, want),
		"float":    {DType: Float32, Dims: []int64{3}, Storage: Storage{Floats: want}},
		"double":   {DType: Float64, Dims: []int64{3}, Storage: Storage{Float64s: []float64{1, -2, 0.5}}},
		"half":     {DType: Float16, Dims: []int64{3}, Storage: Storage{Int32s: []int32{0x3c00, 0xc000, 0x3800}}},
		"half raw": {DType: Float16, Dims: []int64{3}, Storage: Storage{Raw: []byte{0, 0x3c, 0, 0xc0, 0, 0x38}}},
		"bfloat":   {DType: BFloat16, Dims: []int64{3}, Storage: Storage{Int32s: []int32{0x3f80, 0xc000, 0x3f00}}},
	}
	for name, tensor := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := tensor.Float32s()
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("Float32s: %v, %v", got, err)
			}
			raw, err := tensor.Raw()
			if err != nil {
				t.Fatal(err)
			}
			again, err := NewRaw("again", tensor.DType, tensor.Dims, raw)
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := again.Float32s(); !slices.Equal(got, want) {
				t.Errorf("through Raw: %v", got)
			}
			if err := tensor.SetFloat32s([]float32{4, 5, -6}); err != nil {
				t.Fatal(err)
			}
			if got, _ := tensor.Float32s(); !slices.Equal(got, []float32{4, 5, -6}) {
				t.Errorf("after SetFloat32s: %v", got)
			}
			if err := tensor.SetFloat32s(want[:2]); err == nil {
				t.Error("two elements were taken for three")
			}
		})
	}
}

func TestInt64sOfEveryStorage(t *testing.T) {
	want := []int64{1, 0, 100}
	small := []int32{1, 0, 100}
	tests := []*Tensor{
		NewInt64("t", []int64{3}, want),
		{DType: Int64, Dims: []int64{3}, Storage: Storage{Int64s: want}},
		{DType: Uint64, Dims: []int64{3}, Storage: Storage{Uint64s: []uint64{1, 0, 100}}},
		{DType: Uint32, Dims: []int64{3}, Storage: Storage{Uint64s: []uint64{1, 0, 100}}},
	}
	for _, d := range []DType{Int32, Int16, Uint16, Int8, Uint8, Bool} {
		tests = append(tests, &Tensor{DType: d, Dims: []int64{3}, Storage: Storage{Int32s: small}})
	}
	for _, tensor := range tests {
		if got, err := tensor.Int64s(); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v", tensor.DType, got, err)
		}
	}
	for _, d := range []DType{Int32, Int16, Int8} {
		tensor := &Tensor{DType: d, Dims: []int64{1}, Storage: Storage{Int32s: []int32{-5}}}
		if got, err := tensor.Int64s(); err != nil || got[0] != -5 {
			t.Errorf("%s: %v, %v, want -5", d, got, err)
		}
	}
	if _, err := NewFloat32("f", nil, []float32{1}).Int64s(); err == nil {
		t.Error("a float tensor gave integers")
	}
}

func TestCheckCountsPackedElements(t *testing.T) {
	tests := []struct {
		d     DType
		n     int64
		bytes int
	}{{Int4, 3, 2}, {Int4, 4, 2}, {Uint2, 5, 2}, {Float4E2M1, 1, 1}, {Int4, 0, 0}, {Complex64, 2, 16}, {Bool, 3, 3}}
	for _, test := range tests {
		tensor := &Tensor{DType: test.d, Dims: []int64{test.n}, Storage: Storage{Raw: make([]byte, test.bytes)}}
		if err := tensor.Check(); err != nil {
			t.Errorf("%d × %s in %d bytes: %v", test.n, test.d, test.bytes, err)
		}
		tensor.Storage.Raw = make([]byte, test.bytes+1)
		if tensor.Check() == nil {
			t.Errorf("%d × %s in %d bytes were accepted", test.n, test.d, test.bytes+1)
		}
	}
}

func TestWrongElementCountIsAnError(t *testing.T) {
	tensor := NewFloat32("t", []int64{2, 2}, []float32{1})
	if _, err := tensor.Float32s(); err == nil {
		t.Error("one element was taken for four")
	}
}

func TestUnsupportedErrorListsAll(t *testing.T) {
	err := &UnsupportedError{
		Doing: "training",
		Nodes: []UnsupportedNode{
			{Node: &Node{Name: "a", OpType: "If"}, Opset: 17},
			{Node: &Node{Name: "b", OpType: "If"}, Opset: 17},
			{Node: &Node{Name: "c", OpType: "Foo", Domain: "x.y"}, Reason: "no such operator"},
		},
		Hint: "--freeze backbone would work",
	}
	want := `not supported in training: If (opset 17) in nodes "a", "b"; x.y.Foo in node "c" (no such operator); --freeze backbone would work`
	if err.Error() != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
}
