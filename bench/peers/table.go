package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// table is one in Markdown, with notes below it.
type table struct {
	title string
	head  []string
	rows  [][]string
	notes []string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) note(format string, args ...any) {
	t.notes = append(t.notes, fmt.Sprintf(format, args...))
}

func (t *table) write(w io.Writer) {
	fmt.Fprintf(w, "\n%s\n\n", t.title)
	line := func(cells []string) { fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | ")) }
	line(t.head)
	line(slices.Repeat([]string{"---"}, len(t.head)))
	for _, r := range t.rows {
		line(r)
	}
	for _, n := range t.notes {
		fmt.Fprintf(w, "\n%s\n", n)
	}
}

func number(x float64, digits int) string { return strconv.FormatFloat(x, 'f', digits, 64) }

func median(x []float64) float64 {
	s := slices.Sorted(slices.Values(x))
	n := len(s)
	if n == 0 {
		return 0
	}
	return (s[(n-1)/2] + s[n/2]) / 2
}

// ratios are those of the measurements of each round, which were taken right after each other.
func ratios(x, to []float64) []float64 {
	out := make([]float64, len(x))
	for i := range x {
		out[i] = x[i] / to[i]
	}
	return out
}

func medianRatio(x, to []float64) float64 { return median(ratios(x, to)) }

func spread(x, to []float64) (low, high float64) {
	r := ratios(x, to)
	return slices.Min(r), slices.Max(r)
}
