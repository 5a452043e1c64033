package kernels

import "math"

// Portable Go versions of the innermost loops that need no transcendental function.

func addGo(dst, x, y []float32) {
	x, y = x[:len(dst)], y[:len(dst)]
	for i := range dst {
		dst[i] = x[i] + y[i]
	}
}

func subGo(dst, x, y []float32) {
	x, y = x[:len(dst)], y[:len(dst)]
	for i := range dst {
		dst[i] = x[i] - y[i]
	}
}

func mulGo(dst, x, y []float32) {
	x, y = x[:len(dst)], y[:len(dst)]
	for i := range dst {
		dst[i] = x[i] * y[i]
	}
}

func divGo(dst, x, y []float32) {
	x, y = x[:len(dst)], y[:len(dst)]
	for i := range dst {
		dst[i] = x[i] / y[i]
	}
}

func scaleGo(dst, x []float32, s float32) {
	x = x[:len(dst)]
	for i := range dst {
		dst[i] = s * x[i]
	}
}

func axpyGo(dst, x []float32, s float32) {
	x = x[:len(dst)]
	for i := range dst {
		dst[i] += s * x[i]
	}
}

func offsetGo(dst, x []float32, s float32) {
	x = x[:len(dst)]
	for i := range dst {
		dst[i] = x[i] + s
	}
}

func addRowsGo(dst, x []float32, rows, stride int) {
	for at := 0; at < len(dst); at += columnBlock {
		part := dst[at:min(at+columnBlock, len(dst))]
		var sums [columnBlock]float32
		for r := range rows {
			for i, v := range x[r*stride+at:][:len(part)] {
				sums[i] += v
			}
		}
		for i := range part {
			part[i] += sums[i]
		}
	}
}

func reluGo(dst, x []float32) {
	x = x[:len(dst)]
	for i, v := range x {
		if v < 0 {
			v = 0
		}
		dst[i] = v
	}
}

func reluGradGo(dx, x, dy []float32) {
	x, dy = x[:len(dx)], dy[:len(dx)]
	for i := range dx {
		if x[i] > 0 {
			dx[i] = dy[i]
		} else {
			dx[i] = 0
		}
	}
}

func maxGo(x []float32) float32 {
	m := float32(math.Inf(-1))
	for _, v := range x {
		if v > m {
			m = v
		}
	}
	return m
}

// Four sums at once: shorter chains of additions, and less rounding than one.

func sumGo(x []float32) float32 {
	var s [4]float32
	for ; len(x) >= 4; x = x[4:] {
		for j := range s {
			s[j] += x[j]
		}
	}
	for j, v := range x {
		s[j] += v
	}
	return (s[0] + s[1]) + (s[2] + s[3])
}

func dotGo(x, y []float32) float32 {
	var s [4]float32
	y = y[:len(x)]
	for ; len(x) >= 4; x, y = x[4:], y[4:] {
		for j := range s {
			s[j] += x[j] * y[j]
		}
	}
	for j, v := range x {
		s[j] += v * y[j]
	}
	return (s[0] + s[1]) + (s[2] + s[3])
}

func squaresAroundGo(x []float32, mean float32) float32 {
	var s [4]float32
	for ; len(x) >= 4; x = x[4:] {
		for j := range s {
			d := x[j] - mean
			s[j] += d * d
		}
	}
	for j, v := range x {
		d := v - mean
		s[j] += d * d
	}
	return (s[0] + s[1]) + (s[2] + s[3])
}

func sumSquaresGo(x []float32) float64 {
	var s [4]float64
	for ; len(x) >= 4; x = x[4:] {
		for j := range s {
			v := float64(x[j])
			s[j] += v * v
		}
	}
	for j, v := range x {
		s[j] += float64(v) * float64(v)
	}
	return (s[0] + s[1]) + (s[2] + s[3])
}

func sum64Go(x []float32) float64 {
	var s [4]float64
	for ; len(x) >= 4; x = x[4:] {
		for j := range s {
			s[j] += float64(x[j])
		}
	}
	for j, v := range x {
		s[j] += float64(v)
	}
	return (s[0] + s[1]) + (s[2] + s[3])
}

func softmaxGradGo(dx, y, dy []float32, dot, s float32) {
	y, dy = y[:len(dx)], dy[:len(dx)]
	for i := range dx {
		dx[i] = s * y[i] * (dy[i] - dot)
	}
}

func softmaxRowsGo(x []float32, rows int, mask []float32, s float32) {
	for n := len(mask); rows > 0; rows, x = rows-1, x[n:] {
		row := x[:n]
		for i, v := range row {
			row[i] = s*v + mask[i]
		}
		scaleGo(row, row, 1/expSumGo(row, row, maxGo(row)))
	}
}

func softmaxGradRowsGo(dx, y []float32, rows, cols int, s float32) {
	for r := range rows {
		d, p := dx[r*cols:(r+1)*cols], y[r*cols:(r+1)*cols]
		softmaxGradGo(d, p, d, dotGo(p, d), s)
	}
}

func normalizeGo(dst, x, gamma, beta []float32, mean, rstd float32) {
	x, gamma, beta = x[:len(dst)], gamma[:len(dst)], beta[:len(dst)]
	for i := range dst {
		dst[i] = (x[i]-mean)*rstd*gamma[i] + beta[i]
	}
}

func normGradSumsGo(x, gamma, dy []float32, mean, rstd float32) (g, gx float32) {
	var s, sx [4]float32
	gamma, dy = gamma[:len(x)], dy[:len(x)]
	for i, v := range x {
		d := gamma[i] * dy[i]
		s[i&3] += d
		sx[i&3] += d * (v - mean)
	}
	return (s[0] + s[1]) + (s[2] + s[3]), ((sx[0] + sx[1]) + (sx[2] + sx[3])) * rstd
}

func normGradGo(dx, x, gamma, dy []float32, mean, rstd, a, b float32) {
	x, gamma, dy = x[:len(dx)], gamma[:len(dx)], dy[:len(dx)]
	for i := range dx {
		dx[i] = rstd * (gamma[i]*dy[i] - a - b*((x[i]-mean)*rstd))
	}
}

func normGradParamGo(dgamma, dbeta, x, dy []float32, mean, rstd float32) {
	dbeta, x, dy = dbeta[:len(dgamma)], x[:len(dgamma)], dy[:len(dgamma)]
	for i := range dgamma {
		dgamma[i] += dy[i] * ((x[i] - mean) * rstd)
		dbeta[i] += dy[i]
	}
}

func adamWGo(param, grad, m, v []float32, s *adamWScalars) {
	grad, m, v = grad[:len(param)], m[:len(param)], v[:len(param)]
	for i := range param {
		g := grad[i] * s[gradScale]
		m[i] += s[oneMinusBeta1] * (g - m[i])
		v[i] = s[beta2]*v[i] + s[oneMinusBeta2]*g*g
		below := float32(math.Sqrt(float64(v[i])))*s[rsqrtBiasCorr2] + s[epsilon]
		param[i] = param[i]*s[decay] - s[stepSize]*(m[i]/below)
	}
}
