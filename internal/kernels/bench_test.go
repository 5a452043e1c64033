package kernels

import (
	"testing"
)

// Every kernel at the sizes of a step of MiniLM: 2048 tokens, 384 and 1536 wide. GB/s counts what a kernel must read and
// write; run with -bench . -benchtime 50ms.
func BenchmarkKernels(b *testing.B) {
	const tokens, width, inner = 2048, 384, 1536
	x, y, z, u := normal(tokens*inner, 1), normal(tokens*inner, 2), normal(tokens*inner, 3), normal(tokens*inner, 4)
	var touched []int32 // rows of a table, as a batch reads them
	for i := range 1500 {
		touched = append(touched, int32(i*7919%(tokens*inner/width)))
	}
	row, gamma := normal(inner, 5), normal(width, 6)
	small := func(s []float32) []float32 { return s[:tokens*width] }
	ids := make([]int64, tokens)
	for i := range ids {
		ids[i] = int64(i * 7 % 3000)
	}
	for _, k := range []struct {
		name   string
		floats int // read and written
		f      func()
	}{
		{"Add", 3 * tokens * width, func() { Add(small(x), small(y), small(z)) }},
		{"AddRow", 2 * tokens * width, func() { AddRow(small(x), small(y), row[:width]) }},
		{"SumRows", tokens * inner, func() { SumRows(row, x, tokens, inner, true) }},
		{"Gelu", 2 * tokens * inner, func() { Gelu(x, y) }},
		{"GeluGrad", 3 * tokens * inner, func() { GeluGrad(x, y, z) }},
		{"GeluTanh", 2 * tokens * inner, func() { GeluTanh(x, y) }},
		{"GeluTanhGrad", 3 * tokens * inner, func() { GeluTanhGrad(x, y, z) }},
		{"Exp", 2 * tokens * width, func() { Exp(small(x), small(y)) }},
		{"Log", 2 * tokens * width, func() { Log(small(x), small(y)) }},
		{"Erf", 2 * tokens * width, func() { Erf(small(x), small(y)) }},
		{"Tanh", 2 * tokens * width, func() { Tanh(small(x), small(y)) }},
		{"Sigmoid", 2 * tokens * width, func() { Sigmoid(small(x), small(y)) }},
		{"SoftmaxRows", 2 * tokens * width, func() { SoftmaxRows(small(x), small(y), tokens*width/64, 64) }},
		{"SoftmaxRowsGrad", 3 * tokens * width, func() { SoftmaxRowsGrad(small(x), small(y), small(z), tokens*width/64, 64) }},
		{"LayerNorm", 2 * tokens * width, func() { LayerNorm(small(x), small(y), gamma, gamma, tokens, width, 1e-12) }},
		{"LayerNormGrad", 3 * tokens * width, func() { LayerNormGrad(small(x), row[:width], gamma, small(y), gamma, small(z), tokens, width, 1e-12) }},
		{"CrossEntropy", tokens * 77, func() { _ = CrossEntropy(row[:inner], x[:inner*77], ids[:inner:inner], inner, 77, 0) }},
		{"CrossEntropySmoothed", tokens * 77, func() { _ = CrossEntropy(row[:inner], x[:inner*77], ids[:inner:inner], inner, 77, 0.1) }},
		{"GatherRows", 2 * tokens * width, func() { _ = GatherRows(small(x), y, ids, width) }},
		{"ScatterAddRows", 3 * tokens * width, func() { _ = ScatterAddRows(y, small(x), ids, width) }},
		{"AdamW", 7 * tokens * inner, func() {
			AdamW(x, y, z, u, AdamWStep{LR: 1e-9, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, GradScale: 1, BiasCorr1: 0.1, BiasCorr2: 0.001})
		}},
		{"SumSquares", tokens * inner, func() { SumSquares(y) }},
		{"SumSquaresRows", len(touched) * width, func() { SumSquaresRows(y, touched, width) }},
		{"DropoutMask", tokens * width, func() { DropoutMask(small(x), 0.1, 1, 0) }},
		{"DropoutMask of 32 rows", 32 * width, func() { DropoutMask(x[:32*width], 0.1, 1, 0) }},
	} {
		if k.name == "CrossEntropy" {
			for i := range ids {
				ids[i] %= 77
			}
		}
		if k.name == "GatherRows" {
			for i := range ids {
				ids[i] = int64(i * 7 % 3000)
			}
		}
		if k.name == "AdamW" {
			Mul(u, u, u) // a second moment is not negative
		}
		for _, v := range available() {
			b.Run(k.name+"/"+v.name, func(b *testing.B) {
				used := vec
				vec = v
				defer func() { vec = used }()
				b.SetBytes(int64(4 * k.floats))
				for b.Loop() {
					k.f()
				}
			})
		}
	}
}

// One layer's attention at 2048 tokens in all, forward and backward.
func BenchmarkAttention(b *testing.B) {
	for _, c := range []struct {
		name                    string
		batch, seq, heads, dims int
	}{
		{"32x64 tokens, 12x32", 32, 64, 12, 32}, {"64x32 tokens, 12x32", 64, 32, 12, 32}, {"128x16 tokens, 12x32", 128, 16, 12, 32},
		{"16x128 tokens, 12x64", 16, 128, 12, 64}, {"4x512 tokens, 12x64", 4, 512, 12, 64},
	} {
		n := c.batch * c.seq * c.heads * c.dims
		q, k, v, dout := normal(n, 1), normal(n, 2), normal(n, 3), normal(n, 4)
		out, dq, dk, dv := make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n)
		mask := make([]float32, c.batch*c.seq)
		shape := AttentionShape{Batch: c.batch, SeqQ: c.seq, SeqK: c.seq, Heads: c.heads, HeadDim: c.dims}
		flops := 4 * float64(c.seq) * float64(n)
		rate := func(b *testing.B, flops float64) {
			b.ReportMetric(flops*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		}
		b.Run("forward/"+c.name, func(b *testing.B) {
			for b.Loop() {
				Attention(out, q, k, v, mask, shape)
			}
			rate(b, flops)
		})
		b.Run("backward/"+c.name, func(b *testing.B) {
			for b.Loop() {
				AttentionGrad(dq, dk, dv, dout, q, k, v, mask, shape)
			}
			rate(b, 2.5*flops)
		})
	}
}
