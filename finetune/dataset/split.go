package dataset

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// Split divides a labelled set into training and evaluation examples: the
// given share of each class, at least one example and never all, goes to
// evaluation. The same seed gives the same split. It is one pass over the set,
// by selection sampling in each class (Knuth, The Art of Computer Programming,
// volume 2, 3.4.2, algorithm S).
func (s *Set) Split(share float64, seed uint64) (train, eval Examples, err error) {
	if !(share > 0 && share < 1) {
		return train, eval, fmt.Errorf("evaluation share %v is not between 0 and 1", share)
	}
	if !s.Labelled() {
		return train, eval, fmt.Errorf("%s: a split by class needs labels", s.Path)
	}
	if err := s.CheckClasses(); err != nil {
		return train, eval, err
	}
	type rest struct{ examples, wanted uint64 } // of a class, from where the pass is
	left := make([]rest, len(s.perClass))
	for c, n := range s.perClass {
		if n == 0 {
			continue
		}
		wanted := min(max(int(math.Round(share*float64(n))), 1), n-1)
		left[c] = rest{uint64(n), uint64(wanted)}
		eval.length += wanted
	}
	rng := rand.New(rand.NewPCG(seed, 0x73706c6974)) // "split"
	chosen := newBitmap(s.Len())
	number := 0
	for class, err := range s.ExampleClasses() {
		if err != nil {
			return train, eval, err
		}
		c := &left[class]
		if rng.Uint64N(c.examples) < c.wanted {
			chosen.set(number)
			c.wanted--
		}
		c.examples--
		number++
	}
	chosen.rank()
	eval.chosen = chosen
	train = Examples{length: s.Len() - eval.length, chosen: chosen, inverse: true}
	return train, eval, nil
}
