package finetune

import (
	"math"
	"testing"
)

func TestPermutationHasEachOnce(t *testing.T) {
	for _, n := range []int{1, 2, 3, 4, 5, 15, 16, 17, 63, 64, 65, 1000, 4096, 4097, 100_003} {
		for seed := range uint64(3) {
			p := newPermutation(n, randomKey(seed, streamShuffle))
			seen := make([]bool, n)
			for i := range n {
				x := p.at(i)
				if seen[x] {
					t.Fatalf("n %d: %d twice", n, x)
				}
				seen[x] = true
			}
		}
	}
}

// Over keys, each element is at each place equally often, and so are two
// elements together at two places.
func TestPermutationIsUniform(t *testing.T) {
	for _, n := range []int{2, 3, 7, 12, 16, 20} {
		const rounds = 60_000
		single := make([][]int, n) // by element and place
		pair := make([][]int, n)   // by the places of elements 0 and 1
		for i := range n {
			single[i], pair[i] = make([]int, n), make([]int, n)
		}
		for r := range rounds {
			p := newPermutation(n, randomKey(9, streamShuffle, uint64(r)))
			var place [2]int
			for i := range n {
				x := p.at(i)
				single[x][i]++
				if x < 2 {
					place[x] = i
				}
			}
			pair[place[0]][place[1]]++
		}
		check := func(what string, count int, share float64) {
			t.Helper()
			deviation := math.Sqrt(rounds * share * (1 - share))
			if math.Abs(float64(count)-rounds*share) > 5*deviation+1e-9 {
				t.Errorf("n %d, %s: %d of %d, want %.0f ± %.0f", n, what, count, rounds, rounds*share, deviation)
			}
		}
		for i := range n {
			for j := range n {
				check("an element at a place", single[i][j], 1/float64(n))
				if i != j {
					check("two elements at two places", pair[i][j], 1/float64(n*(n-1)))
				}
			}
		}
	}
}

// Neighbours do not stay neighbours.
func TestPermutationMixes(t *testing.T) {
	const n = 1_000_000
	p := newPermutation(n, randomKey(3, streamShuffle))
	var near, low int
	for i := range n / 10 {
		d := p.at(i) - p.at(i+1)
		if d*d < 1000*1000 {
			near++
		}
		if p.at(i) < n/2 {
			low++
		}
	}
	if math.Abs(float64(near)-200) > 5*math.Sqrt(200) { // of 100,000, 2 in 1,000
		t.Errorf("%d neighbours are within 1000 of each other, want 200", near)
	}
	if math.Abs(float64(low)-n/20) > 5*math.Sqrt(n/40) {
		t.Errorf("%d of the first tenth are from the first half", low)
	}
}
