package kernels

import "testing"

func TestRepeatRow(t *testing.T) {
	row := []float32{1, 2, 3}
	dst := make([]float32, 3*1000)
	RepeatRow(dst, row)
	for i, x := range dst {
		if x != row[i%3] {
			t.Fatalf("dst[%d] = %v", i, x)
		}
	}
	RepeatRow(nil, row)
	RepeatRow(nil, nil)
}
