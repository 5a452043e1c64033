package blas

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	gonumblas "gonum.org/v1/gonum/blas"

	"github.com/ftk-go/ftk/internal/parallel"
)

func random(n int, seed uint64) []float32 {
	r := rand.New(rand.NewPCG(seed, 1))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// reference is the product in float64.
func reference(transA, transB bool, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) []float64 {
	out := make([]float64, m*n)
	for i := range m {
		for j := range n {
			var s float64
			for p := range k {
				x, y := a[i*lda*b2i(!transA)+p*b2i(!transA)+b2i(transA)*(p*lda+i)], b[b2i(!transB)*(p*ldb+j)+b2i(transB)*(j*ldb+p)]
				s += float64(x) * float64(y)
			}
			s *= float64(alpha)
			if beta != 0 {
				s += float64(beta) * float64(c[i*ldc+j])
			}
			out[i*n+j] = s
		}
	}
	return out
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// versions runs a test with everything that can multiply here: the library found, if any, our own tiles, gonum.
func versions(t *testing.T, f func(t *testing.T)) {
	Init()
	usedLib, usedOwn := lib, own
	defer func() { lib, own = usedLib, usedOwn }()
	own = nil
	for _, path := range candidates() {
		if lib == nil {
			lib, _ = load(path)
		}
	}
	if lib != nil {
		t.Run("library", f)
	} else {
		t.Log("no BLAS library on this machine: not tested with one")
	}
	lib = nil
	t.Run("gonum", f)
	for _, own = range availableTiles() {
		t.Run(own.name, f)
	}
}

func TestGemmAgainstFloat64(t *testing.T) {
	sizes := [][3]int{{1, 1, 1}, {1, 5, 3}, {2, 3, 0}, {3, 1, 7}, {17, 33, 65}, {64, 64, 64}, {70, 130, 31}, {129, 40, 200}, {16, 300, 48}, {300, 16, 48}}
	sizes = append(sizes, [3]int{13, 1030, 9}, [3]int{7, 40, 1600}, [3]int{400, 33, 20}, [3]int{110, 100, 1024})
	versions(t, func(t *testing.T) {
		for i, s := range sizes {
			for tr := range 4 {
				for j, ab := range [][2]float32{{1, 0}, {1, 1}, {0.5, -2}, {0, 1}} {
					if s[0]*s[1]*s[2] < 50000 || (i+tr+j)%4 == 0 {
						testGemm(t, tr&1 != 0, tr&2 != 0, s[0], s[1], s[2], ab[0], ab[1])
					}
				}
			}
		}
		parallel.SetThreads(0)
	})
}

func testGemm(t *testing.T, transA, transB bool, m, n, k int, alpha, beta float32) {
	t.Helper()
	ra, ca, rb, cb := m, k, k, n
	if transA {
		ra, ca = k, m
	}
	if transB {
		rb, cb = n, k
	}
	lda, ldb, ldc := ca+3, cb+1, n+2
	a, b, c := random(ra*lda, 1), random(rb*ldb, 2), random(m*ldc, 3)
	if beta == 0 {
		for i := range c {
			if i%ldc < n {
				c[i] = float32(math.NaN())
			}
		}
	}
	want := reference(transA, transB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
	for _, threads := range []int{0, 1, 2, 6} {
		name, f := "Serial", new(Serial).Gemm
		if threads > 0 {
			parallel.SetThreads(threads)
			name, f = fmt.Sprintf("Gemm on %d threads", threads), Gemm
		}
		got := append([]float32{}, c...)
		f(transA, transB, m, n, k, alpha, a, lda, b, ldb, beta, got, ldc)
		for i := range got {
			row, col := i/ldc, i%ldc
			if col >= n {
				if got[i] != c[i] {
					t.Fatalf("%s wrote outside C at row %d, column %d", name, row, col)
				}
				continue
			}
			if d := math.Abs(float64(got[i]) - want[row*n+col]); !(d <= 2e-6*float64(k+1)) {
				t.Fatalf("%s(%v,%v,%d,%d,%d,%v,%v)[%d,%d] = %v, want %v", name, transA, transB, m, n, k, alpha, beta, row, col, got[i], want[row*n+col])
			}
		}
	}
}

// GemmAdd adds a matrix, C itself or another, and a row.
func TestGemmAddAgainstFloat64(t *testing.T) {
	versions(t, func(t *testing.T) {
		defer parallel.SetThreads(0)
		for _, s := range [][3]int{{1, 1, 1}, {5, 3, 0}, {13, 70, 9}, {130, 96, 31}, {64, 64, 1600}, {40, 200, 64}, {200, 20, 50}} {
			m, n, k := s[0], s[1], s[2]
			for kind := range 16 {
				transA, transB, in, withRow := kind&1 != 0, kind&2 != 0, kind&4 != 0, kind&8 != 0
				lda, ldb, ldc, ldd := max(m, k)+1, max(n, k)+2, n+3, n+1
				a, b := random(max(m, k)*lda, 1), random(max(n, k)*ldb, 2)
				c, d, row := random(m*ldc, 3), random(m*ldd, 4), random(n, 5)
				to := Epilogue{Matrix: d, Stride: ldd}
				if in {
					to = Epilogue{Matrix: c, Stride: ldc}
				}
				want := reference(transA, transB, m, n, k, 1, a, lda, b, ldb, 1, to.Matrix, to.Stride)
				if withRow {
					to.Row = row
					for i := range want {
						want[i] += float64(row[i%n])
					}
				}
				for _, threads := range []int{1, 2, 6} {
					parallel.SetThreads(threads)
					got := append([]float32{}, c...)
					if in {
						to.Matrix = got
					}
					GemmAdd(transA, transB, m, n, k, a, lda, b, ldb, got, ldc, to)
					for i, v := range want {
						if d := math.Abs(float64(got[i/n*ldc+i%n]) - v); !(d <= 2e-6*float64(k+1)) {
							t.Fatalf("%v %+v, %d threads: [%d,%d] is %v, want %v", s, kind, threads, i/n, i%n, got[i/n*ldc+i%n], v)
						}
					}
				}
			}
		}
		// Nothing to add to: whatever C holds is overwritten, and a row alone is added.
		c := []float32{float32(math.NaN()), float32(math.Inf(1))}
		GemmAdd(false, false, 1, 2, 1, []float32{3}, 1, []float32{1, 2}, 2, c, 2, Epilogue{Row: []float32{10, 20}})
		if c[0] != 13 || c[1] != 26 {
			t.Error(c)
		}
	})
}

// A B in parts is the same as one that has them side by side, or on top of each other.
func TestGemmJoinedAgainstFloat64(t *testing.T) {
	versions(t, func(t *testing.T) {
		defer parallel.SetThreads(0)
		for _, s := range [][3]int{{1, 3, 1}, {13, 36, 15}, {130, 96, 33}, {64, 192, 96}, {50, 100, 2304}, {97, 1152, 384}, {7, 1152, 60}, {200, 30, 1200}, {5, 0, 6}, {0, 3, 3}} {
			m, n, k := s[0], s[1], s[2]
			for kind := range 8 {
				transB, stacked, withMatrix := kind&1 != 0, kind&2 != 0, kind&4 != 0
				rows, cols, parts := k, n, 3
				cut := &cols
				if stacked {
					cut = &rows
				}
				for *cut%parts != 0 {
					parts--
				}
				*cut /= parts
				storedRows, storedCols := rows, cols
				if transB {
					storedRows, storedCols = cols, rows
				}
				lda, ldb, ldc := k+1, storedCols+2, n+3
				whole := make([]float32, k*n) // op(B)
				var b [][]float32
				for i := range parts {
					b = append(b, random(storedRows*ldb, uint64(10+i)))
					for p := range rows {
						for j := range cols {
							at := p*ldb + j
							if transB {
								at = j*ldb + p
							}
							v := b[i][at]
							if stacked {
								whole[(i*rows+p)*n+j] = v
							} else {
								whole[p*n+i*cols+j] = v
							}
						}
					}
				}
				a, c, d, row := random(m*lda, 1), random(m*ldc, 3), random(m*n, 4), random(n, 5)
				e := Epilogue{Row: row}
				beta := float32(0)
				if withMatrix {
					e.Matrix, e.Stride, beta = d, n, 1
				}
				want := reference(false, false, m, n, k, 1, a, lda, whole, n, beta, d, n)
				for _, threads := range []int{1, 2, 6} {
					parallel.SetThreads(threads)
					got := slices.Clone(c)
					GemmJoined(transB, stacked, m, n, k, a, lda, b, ldb, got, ldc, e)
					for i := range got {
						w := float64(c[i])
						if i%ldc < n {
							w = want[i/ldc*n+i%ldc] + float64(row[i%ldc])
						}
						if d := math.Abs(float64(got[i]) - w); !(d <= 2e-6*float64(k+1)) {
							t.Fatalf("%v in %d parts, kind %d, %d threads: [%d,%d] is %v, want %v", s, parts, kind, threads, i/ldc, i%ldc, got[i], w)
						}
					}
				}
			}
		}
	})
}

// counter adds up, for every element of C, how often it was said to be done, and its value then.
type counter struct {
	mu    sync.Mutex
	c     []float32
	ldc   int
	times []int
	sum   []float32
	cut   map[int]int // first row of a part → rows
	apart bool        // rows are cut otherwise for other columns
}

func (x *counter) Part(row, rows, col, cols int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if was, ok := x.cut[row]; ok && was != rows {
		x.apart = true
	}
	x.cut[row] = rows
	for r := row; r < row+rows; r++ {
		for i := r*x.ldc + col; i < r*x.ldc+col+cols; i++ {
			x.times[i]++
			x.sum[i] += x.c[i]
		}
	}
}

func TestThenSeesEveryElementOnceAndFinal(t *testing.T) {
	versions(t, func(t *testing.T) {
		defer parallel.SetThreads(0)
		for _, s := range [][3]int{{1, 1, 1}, {5, 3, 0}, {400, 200, 64}, {130, 96, 1700}, {64, 5000, 800}, {40, 7, 20}, {200, 128, 40}, {200, 80, 40}, {1024, 384, 20}} {
			m, n, k := s[0], s[1], s[2]
			a, b, row := random(m*k, 1), random(k*n, 2), random(n, 3)
			for _, threads := range []int{1, 2, 3, 5, 6, 7, 13} {
				parallel.SetThreads(threads)
				c := make([]float32, m*n)
				x := &counter{c: c, ldc: n, times: make([]int, m*n), sum: make([]float32, m*n), cut: map[int]int{}}
				GemmAdd(false, false, m, n, k, a, k, b, n, c, n, Epilogue{Row: row, Then: x})
				if x.apart {
					t.Errorf("%v, %d threads: rows are not cut alike for all columns", s, threads)
				}
				for i, times := range x.times {
					if times != 1 || x.sum[i] != c[i] {
						t.Fatalf("%v, %d threads: element %d was done %d times, as %v, and is %v", s, threads, i, times, x.sum[i], c[i])
					}
				}
			}
		}
	})
}

// NaN and infinities that are added stay where they belong, in tiles and at the edge, and those of A and B go where they
// are multiplied.
func TestGemmSpecialValues(t *testing.T) {
	const m, k = 41, 50
	versions(t, func(t *testing.T) {
		for _, n := range []int{64, 37, 5} {
			a, b, d, row := random(m*k, 1), random(k*n, 2), random(m*n, 3), random(n, 4)
			product := func(a, b, d, row []float32) []float32 {
				c := make([]float32, m*n)
				GemmJoined(false, false, m, n, k, a, k, [][]float32{b}, n, c, n, Epilogue{Matrix: d, Stride: n, Row: row})
				plain := make([]float32, m*n)
				GemmAdd(false, false, m, n, k, a, k, b, n, plain, n, Epilogue{Matrix: d, Stride: n, Row: row})
				for i := range c {
					if c[i] != plain[i] && (c[i] == c[i] || plain[i] == plain[i]) {
						t.Fatalf("element %d is %v, in one part %v", i, plain[i], c[i])
					}
				}
				return c
			}
			clean := product(a, b, d, row)
			for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
				with := func(x []float32, i int) []float32 {
					x = slices.Clone(x)
					x[i] = bad
					return x
				}
				last := n - 1
				for what, c := range map[string]struct {
					got  []float32
					here func(r, c int) bool
					sign func(r, c int) float32 // of what is multiplied; nil: it is only added
				}{
					"D":   {product(a, b, with(d, 7*n+last), row), func(r, c int) bool { return r == 7 && c == last }, nil},
					"row": {product(a, b, d, with(row, last)), func(_, c int) bool { return c == last }, nil},
					"A":   {product(with(a, 7*k+3), b, d, row), func(r, _ int) bool { return r == 7 }, func(_, c int) float32 { return b[3*n+c] }},
					"B":   {product(a, with(b, 3*n+last), d, row), func(_, c int) bool { return c == last }, func(r, _ int) float32 { return a[r*k+3] }},
				} {
					for i, v := range c.got {
						want := clean[i]
						if r, col := i/n, i%n; c.here(r, col) {
							if want = bad; c.sign != nil {
								want *= c.sign(r, col)
							}
						}
						if v != want && (v == v || want == want) {
							t.Fatalf("%v in %s, %d columns: element %d is %v, want %v", bad, what, n, i, v, want)
						}
					}
				}
			}
		}
	})
}

func TestGemmRefusesShortSlices(t *testing.T) {
	x := make([]float32, 6)
	for i, f := range []func(){
		func() { Gemm(false, false, 3, 3, 2, 1, x, 2, x, 3, 0, x, 3) },
		func() { Gemm(false, false, 2, 2, 4, 1, x, 3, x, 2, 0, x, 2) },
		func() { new(Serial).Gemm(true, false, 2, 2, 4, 1, x, 2, x, 2, 0, x, 2) },
		func() { GemmAdd(false, false, 2, 2, 2, x, 2, x, 2, x, 2, Epilogue{Matrix: x, Stride: 5}) },
		func() { GemmAdd(false, false, 1, 3, 1, x, 1, x, 3, x, 3, Epilogue{Row: x[:2]}) },
		func() { GemmJoined(false, false, 1, 3, 1, x, 1, [][]float32{x, x}, 3, x, 3, Epilogue{}) },
		func() { GemmJoined(false, false, 1, 4, 3, x, 3, [][]float32{x, x[:5]}, 2, x, 4, Epilogue{}) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("case %d is accepted", i)
				}
			}()
			f()
		}()
	}
}

func TestGemmSameBitsEveryTime(t *testing.T) {
	const m, n, k = 200, 384, 300
	a, b := random(m*k, 1), random(k*n, 2)
	want := make([]float32, m*n)
	Gemm(false, false, m, n, k, 1, a, k, b, n, 0, want, n)
	got := make([]float32, m*n)
	for range 5 {
		Gemm(false, false, m, n, k, 1, a, k, b, n, 0, got, n)
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("element %d is %v, was %v", i, got[i], want[i])
			}
		}
	}
}

func TestGemmDoesNotAllocate(t *testing.T) {
	if Init(); lib == nil && own == nil {
		t.Skip("neither library nor assembly here: gonum's product allocates")
	}
	const n = 64
	a, b, c := random(n*n, 1), random(n*n, 2), make([]float32, n*n)
	var serial Serial
	Gemm(false, true, n, n, n, 1, a, n, b, n, 0, c, n)
	for name, f := range map[string]func(){
		"Gemm":   func() { Gemm(false, true, n, n, n, 1, a, n, b, n, 0, c, n) },
		"Serial": func() { serial.Gemm(true, false, n, n, n, 1, a, n, b, n, 1, c, n) },
	} {
		if got := testing.AllocsPerRun(50, f); got != 0 {
			t.Errorf("%s: %v allocations a call", name, got)
		}
	}
}

func TestImplementation(t *testing.T) {
	a, x, y := []float32{1, 2, 3, 4, 5, 6}, []float32{1, 10, 100}, []float32{7, 7}
	Implementation().Sgemv(gonumblas.NoTrans, 2, 3, 1, a, 3, x, 1, 0, y, 1)
	if y[0] != 321 || y[1] != 654 {
		t.Error("Sgemv:", y)
	}
	Implementation().Sgemv(gonumblas.Trans, 2, 3, 2, a, 3, y, 1, 1, x, 1)
	if x[0] != 1+2*(321+4*654) {
		t.Error("Sgemv transposed:", x)
	}
}

func TestInfo(t *testing.T) {
	d := Info()
	if d.Name == "" || d.Threads < 1 || !d.Native && d.Reason == "" {
		t.Errorf("%+v", d)
	}
	t.Log(d)
}

// Products of a transformer: tokens × width × width, and the gradient of a weight (transA, k = tokens).
var shapes = []struct {
	transA, transB bool
	m, n, k        int
}{
	{false, false, 2048, 384, 384},
	{false, false, 2048, 1536, 384},
	{false, false, 2048, 384, 1536},
	{false, true, 2048, 384, 1536},
	{true, false, 384, 1536, 2048},
	{true, false, 384, 384, 2048},
	{false, false, 512, 768, 768},
	{false, false, 512, 3072, 768},
	{true, false, 768, 3072, 512},
}

func BenchmarkGemm(b *testing.B) {
	for _, s := range shapes {
		x, y, z := random(s.m*s.k, 1), random(s.k*s.n, 2), make([]float32, s.m*s.n)
		lda, ldb := s.k, s.n
		if s.transA {
			lda = s.m
		}
		if s.transB {
			ldb = s.k
		}
		b.Run(fmt.Sprintf("%v%v/%dx%dx%d", b2i(s.transA), b2i(s.transB), s.m, s.n, s.k), func(b *testing.B) {
			for b.Loop() {
				Gemm(s.transA, s.transB, s.m, s.n, s.k, 1, x, lda, y, ldb, 0, z, s.n)
			}
			b.ReportMetric(2*float64(s.m)*float64(s.n)*float64(s.k)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		})
	}
}

// Heads of attention: scores (q·kᵀ) and context (p·v), rows one hidden size apart.
func BenchmarkSerialHeads(b *testing.B) {
	for _, s := range []int{16, 32, 64, 128} {
		for _, d := range []int{32, 64} {
			q, p, o := random(s*384, 1), random(s*s, 2), make([]float32, s*384)
			for _, form := range []string{"scores", "context"} {
				b.Run(fmt.Sprintf("%s/%dx%d", form, s, d), func(b *testing.B) {
					var serial Serial
					for b.Loop() {
						if form == "scores" {
							serial.Gemm(false, true, s, s, d, 1, q, 384, o, 384, 0, p, s)
						} else {
							serial.Gemm(false, false, s, d, s, 1, p, s, q, 384, 0, o, 384)
						}
					}
					b.ReportMetric(2*float64(s)*float64(s)*float64(d)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
				})
			}
		}
	}
}
