package dataset

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// CheckClasses gives an error for a label with a single example, which can be
// neither learned nor split: it names the label and its line.
func (s *Set) CheckClasses() error {
	count := make([]int, len(s.Classes.Names))
	for _, c := range s.Labels {
		count[c]++
	}
	for c, n := range count {
		if n == 1 {
			return fmt.Errorf("%s:%d: label %q has one example, which is too few to learn from; add some, or remove it", s.Path, s.Classes.lines[c], s.Classes.Names[c])
		}
	}
	return nil
}

// Split divides a labelled set into training and evaluation examples (their
// numbers, ascending): the given share of each class, at least one example
// and never all, goes to evaluation. The same seed gives the same split.
func (s *Set) Split(share float64, seed uint64) (train, eval []int32, err error) {
	if !(share > 0 && share < 1) {
		return nil, nil, fmt.Errorf("evaluation share %v is not between 0 and 1", share)
	}
	if s.Labels == nil {
		return nil, nil, fmt.Errorf("%s: a split by class needs labels", s.Path)
	}
	if err := s.CheckClasses(); err != nil {
		return nil, nil, err
	}
	byClass := make([][]int32, len(s.Classes.Names))
	for i, c := range s.Labels {
		byClass[c] = append(byClass[c], int32(i))
	}
	rng := rand.New(rand.NewPCG(seed, 0x73706c6974)) // "split"
	for _, examples := range byClass {
		if len(examples) == 0 {
			continue
		}
		rng.Shuffle(len(examples), func(i, j int) { examples[i], examples[j] = examples[j], examples[i] })
		n := int(math.Round(share * float64(len(examples))))
		n = min(max(n, 1), len(examples)-1)
		eval = append(eval, examples[:n]...)
		train = append(train, examples[n:]...)
	}
	slices.Sort(train)
	slices.Sort(eval)
	return train, eval, nil
}

// All returns the numbers of all examples.
func (s *Set) All() []int32 {
	all := make([]int32, s.Len())
	for i := range all {
		all[i] = int32(i)
	}
	return all
}
