package dataset

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// numbers lists the chosen examples.
func numbers(e Examples) []int {
	all := make([]int, e.Len())
	for i := range all {
		all[i] = e.At(i)
	}
	return all
}

func TestSplit(t *testing.T) {
	var b strings.Builder
	b.WriteString("text,label\n")
	for range 3 {
		b.WriteString("x,few\n")
	}
	for range 97 {
		b.WriteString("y,many\n")
	}
	s := load(t, write(t, "a.csv", b.String()), LoadOptions{Encode: byteEncode(0)})
	train, eval, err := s.Split(0.1, 7)
	if err != nil {
		t.Fatal(err)
	}
	perClass := map[string]int{}
	seen := map[int]int{}
	for _, i := range numbers(eval) {
		e, _, _ := example(t, s, i)
		perClass[s.Classes.Names[e.Class]]++
		seen[i]++
	}
	for _, i := range numbers(train) {
		seen[i]++
	}
	if perClass["few"] != 1 || perClass["many"] != 10 {
		t.Errorf("evaluation has %v", perClass)
	}
	if len(seen) != 100 || train.Len()+eval.Len() != 100 {
		t.Errorf("split is no partition: %d + %d examples, %d different", train.Len(), eval.Len(), len(seen))
	}
	_, again, _ := s.Split(0.1, 7)
	_, other, _ := s.Split(0.1, 8)
	if !slices.Equal(numbers(eval), numbers(again)) {
		t.Error("the same seed gives another split")
	}
	if slices.Equal(numbers(eval), numbers(other)) {
		t.Error("another seed gives the same split")
	}
}

func TestSplitClassWithOneExample(t *testing.T) {
	s := load(t, write(t, "a.csv", "text,label\na,x\nb,x\nc,lonely\n"), LoadOptions{Encode: byteEncode(0)})
	if _, _, err := s.Split(0.5, 1); err == nil || !strings.Contains(err.Error(), `a.csv:4: label "lonely" has one example`) {
		t.Errorf("error %v", err)
	}
	if _, _, err := s.Split(1, 1); err == nil {
		t.Error("share 1 is accepted")
	}
}

// Every example is as likely to be chosen as any other of its class.
func TestSplitIsUniform(t *testing.T) {
	s := load(t, write(t, "a.csv", "text,label\n"+strings.Repeat("x,a\ny,b\nz,a\n", 10)), LoadOptions{Encode: byteEncode(0)})
	const rounds = 10_000
	counts := make([]int, s.Len())
	for seed := range uint64(rounds) {
		_, eval, err := s.Split(0.3, seed)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range numbers(eval) {
			counts[i]++
		}
	}
	for i, n := range counts {
		if math.Abs(float64(n)/rounds-0.3) > 0.02 { // 4.4 standard deviations
			t.Errorf("example %d is chosen in %d of %d splits", i, n, rounds)
		}
	}
}

func TestExamples(t *testing.T) {
	for _, n := range []int{1, 63, 64, 65, 511, 512, 513, 5000} {
		for _, share := range []float64{0, 0.001, 0.5, 0.999, 1} {
			rng := rand.New(rand.NewPCG(uint64(n), 1))
			b := newBitmap(n)
			var in, out []int
			for i := range n {
				if rng.Float64() < share {
					b.set(i)
					in = append(in, i)
				} else {
					out = append(out, i)
				}
			}
			b.rank()
			for _, c := range []struct {
				e    Examples
				want []int
			}{
				{Examples{length: len(in), chosen: b}, in},
				{Examples{length: len(out), chosen: b, inverse: true}, out},
			} {
				if got := numbers(c.e); !slices.Equal(got, c.want) {
					t.Errorf("%d of %d, inverse %v: %v, want %v", len(c.want), n, c.e.inverse, got, c.want)
				}
				for i := range n {
					if _, want := slices.BinarySearch(c.want, i); c.e.Has(i) != want {
						t.Errorf("%d of %d: example %d is chosen: %v", len(c.want), n, i, !want)
					}
				}
			}
		}
	}
}
