// Package standin computes plainly what internal/kernels and internal/blas will compute fast.
package standin

import "math"

func Gemm(ta, tb bool, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) {
	for i := range m {
		for j := range n {
			s := 0.0
			for p := range k {
				ai, bi := i*lda+p, p*ldb+j
				if ta {
					ai = p*lda + i
				}
				if tb {
					bi = j*ldb + p
				}
				s += float64(a[ai]) * float64(b[bi])
			}
			old := float32(0)
			if beta != 0 {
				old = beta * c[i*ldc+j]
			}
			c[i*ldc+j] = alpha*float32(s) + old
		}
	}
}

func Add(dst, a, b []float32) {
	for i := range dst {
		dst[i] = a[i] + b[i]
	}
}
func Mul(dst, a, b []float32) {
	for i := range dst {
		dst[i] = a[i] * b[i]
	}
}
func AddRow(dst, x, row []float32) {
	for i := range dst {
		dst[i] = x[i] + row[i%len(row)]
	}
}
func SumRows(dst, x []float32, rows, cols int, accumulate bool) {
	for j := range cols {
		s := 0.0
		if accumulate {
			s = float64(dst[j])
		}
		for i := range rows {
			s += float64(x[i*cols+j])
		}
		dst[j] = float32(s)
	}
}

func unary(y, x []float32, f func(float64) float64) {
	for i, v := range x {
		y[i] = float32(f(float64(v)))
	}
}
func grad(dx, x, dy []float32, f func(float64) float64) {
	for i, v := range x {
		dx[i] = float32(float64(dy[i]) * f(float64(v)))
	}
}

func phi(x float64) float64 { return 0.5 * (1 + math.Erf(x/math.Sqrt2)) }
func Gelu(y, x []float32)   { unary(y, x, func(v float64) float64 { return v * phi(v) }) }
func GeluGrad(dx, x, dy []float32) {
	grad(dx, x, dy, func(v float64) float64 { return phi(v) + v*math.Exp(-v*v/2)/math.Sqrt(2*math.Pi) })
}

const c0 = 0.7978845608028654

func GeluTanh(y, x []float32) {
	unary(y, x, func(v float64) float64 { return 0.5 * v * (1 + math.Tanh(c0*(v+0.044715*v*v*v))) })
}
func GeluTanhGrad(dx, x, dy []float32) {
	grad(dx, x, dy, func(v float64) float64 {
		t := math.Tanh(c0 * (v + 0.044715*v*v*v))
		return 0.5*(1+t) + 0.5*v*(1-t*t)*c0*(1+3*0.044715*v*v)
	})
}
func Relu(y, x []float32)    { unary(y, x, func(v float64) float64 { return max(0, v) }) }
func Tanh(y, x []float32)    { unary(y, x, math.Tanh) }
func Sigmoid(y, x []float32) { unary(y, x, func(v float64) float64 { return 1 / (1 + math.Exp(-v)) }) }
func ReluGrad(dx, y, dy []float32) {
	grad(dx, y, dy, func(v float64) float64 {
		if v > 0 {
			return 1
		}
		return 0
	})
}
func TanhGrad(dx, y, dy []float32) { grad(dx, y, dy, func(v float64) float64 { return 1 - v*v }) }
func SigmoidGrad(dx, y, dy []float32) {
	grad(dx, y, dy, func(v float64) float64 { return v * (1 - v) })
}

func stats(x []float32, eps float32) (mean, inv float64) {
	for _, v := range x {
		mean += float64(v)
	}
	mean /= float64(len(x))
	s := 0.0
	for _, v := range x {
		s += (float64(v) - mean) * (float64(v) - mean)
	}
	return mean, 1 / math.Sqrt(s/float64(len(x))+float64(eps))
}

func LayerNorm(dst, x, gamma, beta []float32, rows, width int, eps float32) {
	for r := range rows {
		row := x[r*width : (r+1)*width]
		mean, inv := stats(row, eps)
		for j, v := range row {
			y := (float64(v) - mean) * inv * float64(gamma[j])
			if beta != nil {
				y += float64(beta[j])
			}
			dst[r*width+j] = float32(y)
		}
	}
}

func LayerNormGrad(dx, dgamma, dbeta, x, gamma, dy []float32, rows, width int, eps float32) {
	clear(dgamma)
	clear(dbeta)
	for r := range rows {
		row, dr := x[r*width:(r+1)*width], dy[r*width:(r+1)*width]
		mean, inv := stats(row, eps)
		a, b := 0.0, 0.0
		for j, v := range row {
			h := (float64(v) - mean) * inv
			g := float64(dr[j]) * float64(gamma[j])
			a += g
			b += g * h
		}
		a /= float64(width)
		b /= float64(width)
		for j, v := range row {
			h := (float64(v) - mean) * inv
			dgamma[j] += float32(float64(dr[j]) * h)
			dbeta[j] += dr[j]
			dx[r*width+j] = float32(inv * (float64(dr[j])*float64(gamma[j]) - a - h*b))
		}
	}
}

func GatherRows(dst, table []float32, ids []int64, width int) {
	for i, id := range ids {
		copy(dst[i*width:(i+1)*width], table[int(id)*width:])
	}
}
func ScatterAddRows(table, src []float32, ids []int64, width int) {
	for i, id := range ids {
		t := table[int(id)*width : (int(id)+1)*width]
		Add(t, t, src[i*width:])
	}
}

type AttentionShape struct {
	Batch, SeqQ, SeqK, Heads, HeadDim int
	Scale                             float32
	MaskStride                        [4]int
}

func (s AttentionShape) probs(p []float64, q, k, mask []float32, b, h, i int) {
	w := s.Heads * s.HeadDim
	top := math.Inf(-1)
	for j := range s.SeqK {
		x := 0.0
		for d := range s.HeadDim {
			x += float64(q[(b*s.SeqQ+i)*w+h*s.HeadDim+d]) * float64(k[(b*s.SeqK+j)*w+h*s.HeadDim+d])
		}
		x *= float64(s.Scale)
		if mask != nil {
			x += float64(mask[b*s.MaskStride[0]+h*s.MaskStride[1]+i*s.MaskStride[2]+j*s.MaskStride[3]])
		}
		p[j] = x
		top = max(top, x)
	}
	sum := 0.0
	for j := range p {
		p[j] = math.Exp(p[j] - top)
		sum += p[j]
	}
	for j := range p {
		p[j] /= sum
	}
}

func Attention(dst, q, k, v, mask []float32, s AttentionShape) {
	w := s.Heads * s.HeadDim
	p := make([]float64, s.SeqK)
	for b := range s.Batch {
		for h := range s.Heads {
			for i := range s.SeqQ {
				s.probs(p, q, k, mask, b, h, i)
				for d := range s.HeadDim {
					x := 0.0
					for j := range s.SeqK {
						x += p[j] * float64(v[(b*s.SeqK+j)*w+h*s.HeadDim+d])
					}
					dst[(b*s.SeqQ+i)*w+h*s.HeadDim+d] = float32(x)
				}
			}
		}
	}
}

func AttentionGrad(dq, dk, dv, dout, q, k, v, mask []float32, s AttentionShape) {
	w := s.Heads * s.HeadDim
	clear(dq)
	clear(dk)
	clear(dv)
	p, dp := make([]float64, s.SeqK), make([]float64, s.SeqK)
	for b := range s.Batch {
		for h := range s.Heads {
			for i := range s.SeqQ {
				s.probs(p, q, k, mask, b, h, i)
				qi := (b*s.SeqQ+i)*w + h*s.HeadDim
				t := 0.0
				for j := range s.SeqK {
					kj := (b*s.SeqK+j)*w + h*s.HeadDim
					dp[j] = 0
					for d := range s.HeadDim {
						dp[j] += float64(dout[qi+d]) * float64(v[kj+d])
						dv[kj+d] += float32(p[j] * float64(dout[qi+d]))
					}
					t += p[j] * dp[j]
				}
				for j := range s.SeqK {
					kj := (b*s.SeqK+j)*w + h*s.HeadDim
					ds := p[j] * (dp[j] - t) * float64(s.Scale)
					for d := range s.HeadDim {
						dq[qi+d] += float32(ds * float64(k[kj+d]))
						dk[kj+d] += float32(ds * float64(q[qi+d]))
					}
				}
			}
		}
	}
}
