package dataset

import (
	"fmt"
	"sort"
	"strconv"
)

// Classes are the label names in the order of their class numbers: integers
// by value, anything else sorted as strings.
type Classes struct {
	Names []string
	lines []int // line on which each first occurs
	index map[string]int32
}

// NewClasses returns the classes with these names, in this order.
func NewClasses(names []string) Classes {
	c := Classes{Names: names, index: make(map[string]int32, len(names)), lines: make([]int, len(names))}
	for i, n := range names {
		c.index[n] = int32(i)
	}
	return c
}

// sort brings the classes into order and returns the new number of each.
func (c *Classes) sort() []int32 {
	n := len(c.Names)
	order := make([]int, n)
	value := make([]int64, n)
	integers := true
	for i, name := range c.Names {
		order[i] = i
		var err error
		if value[i], err = strconv.ParseInt(name, 10, 64); err != nil {
			integers = false
		}
	}
	sort.Slice(order, func(i, j int) bool {
		a, b := order[i], order[j]
		if integers && value[a] != value[b] {
			return value[a] < value[b]
		}
		return c.Names[a] < c.Names[b]
	})
	names, lines, to := make([]string, n), make([]int, n), make([]int32, n)
	for i, o := range order {
		names[i], lines[i], to[o] = c.Names[o], c.lines[o], int32(i)
	}
	*c = NewClasses(names)
	copy(c.lines, lines)
	return to
}

// Index returns the number of a label.
func (c *Classes) Index(name string) (int32, bool) {
	n, ok := c.index[name]
	return n, ok
}

// CheckClasses gives an error for a label with a single example, which can be
// neither learned nor split: it names the label and its line.
func (s *Set) CheckClasses() error {
	for c, n := range s.perClass {
		if n == 1 {
			return fmt.Errorf("%s:%d: label %q has one example, which is too few to learn from; add some, or remove it", s.Path, s.Classes.lines[c], s.Classes.Names[c])
		}
	}
	return nil
}
