package models

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/ftk-go/ftk/internal/graph"
)

// Layer is one of the repeated blocks of a model.
type Layer struct {
	// Name is the scope that the names of its nodes share ("/encoder/layer.0")
	// where scopes tell the layers apart, else "layer 0".
	Name string
	// Initializers are the layer's weights, in order of use. Layers that share
	// weights (ALBERT) list the same values.
	Initializers []*graph.Value
	// Output is the hidden state that the layer hands on.
	Output *graph.Value
	// Nodes are those that work on activations, in order; masks and shape
	// arithmetic belong to no layer.
	Nodes []*graph.Node
}

// segment is what lies between two neighbours on the trunk: values that every
// path from the inputs to the output passes. A residual connection and what it
// goes round are one segment.
type segment struct {
	nodes   []*graph.Node
	weights []*graph.Value // in order of use, each once
	output  *graph.Value   // on the trunk
}

// trunk cuts the activations that lead to output into segments. Nodes stand in
// topological order, so a value is on the trunk exactly if it is the only
// activation that is still to be used when its node is done: whatever comes
// earlier leads into it, whatever comes later is led to by it.
func (f *dataflow) trunk(output *graph.Value) []segment {
	nodes := f.leadingTo(output)
	pending := map[*graph.Value]int{} // uses to come
	for _, n := range nodes {
		for _, v := range requires(n) {
			if f.activation[v] {
				pending[v]++
			}
		}
	}
	pending[output]++ // by the caller of the model
	var (
		segments []segment
		current  segment
		open     int
	)
	for _, n := range nodes {
		current.nodes = append(current.nodes, n)
		for _, w := range f.weights(n) {
			if !slices.Contains(current.weights, w) {
				current.weights = append(current.weights, w)
			}
		}
		for _, v := range requires(n) {
			if f.activation[v] {
				if pending[v]--; pending[v] == 0 {
					open--
				}
			}
		}
		var last *graph.Value
		for _, v := range n.Outputs {
			if v != nil && pending[v] > 0 {
				open++
				last = v
			}
		}
		if open == 1 && last != nil {
			current.output = last
			segments = append(segments, current)
			current = segment{}
		}
	}
	return segments
}

// leadingTo lists the nodes that make activations on the way to output.
func (f *dataflow) leadingTo(output *graph.Value) []*graph.Node {
	needed := map[*graph.Value]bool{output: true}
	var nodes []*graph.Node
	for _, n := range slices.Backward(f.g.Nodes) {
		wanted := slices.ContainsFunc(n.Outputs, func(v *graph.Value) bool { return v != nil && needed[v] && f.activation[v] })
		if !wanted {
			continue
		}
		nodes = append(nodes, n)
		for _, v := range requires(n) {
			needed[v] = true
		}
	}
	slices.Reverse(nodes)
	return nodes
}

// signature describes a segment so that the same part of two layers gets the
// same one: its operators and, if shapes are wanted, the shapes of its weights.
func (s segment) signature(shapes bool) string {
	var parts []string
	for _, n := range s.nodes {
		parts = append(parts, n.Domain+":"+n.OpType)
	}
	if shapes {
		for _, w := range s.weights {
			parts = append(parts, fmt.Sprint(tensorOf(w).Dims))
		}
	}
	slices.Sort(parts)
	return strings.Join(parts, " ")
}

// repetition is a run of segments in which a pattern of length period comes
// count times, ending before segment end. It covers a share of all weights.
type repetition struct {
	end, period, count int
	share              float64
}

func (r repetition) start() int { return r.end - r.period*r.count }

// longestPeriod bounds the search: no layer has as many values on the trunk.
const longestPeriod = 1000

// findRepetition finds the repeated pattern that covers the most weights; of
// patterns that cover as much, the shortest. Where the pattern can
// be cut in several places, the last one ends where the run ends: behind the
// norm that closes the last layer. The zero value means that nothing repeats.
func findRepetition(segments []segment, shapes bool) repetition {
	n := len(segments)
	signatures := make([]string, n)
	weighted := make([]int, n+1) // number of weights in segments[:i]
	for i, s := range segments {
		signatures[i] = s.signature(shapes)
		weighted[i+1] = weighted[i] + len(s.weights)
	}
	var best repetition
	for period := 1; period <= min(n/2, longestPeriod); period++ {
		run := 0 // how long signatures[i] == signatures[i-period] has held
		for i := period; i <= n; i++ {
			if i < n && signatures[i] == signatures[i-period] {
				run++
				continue
			}
			if run >= period {
				r := repetition{end: i, period: period, count: (run + period) / period}
				r.share = float64(weighted[r.end]-weighted[r.start()]) / float64(max(weighted[n], 1))
				if r.share > best.share {
					best = r
				}
			}
			run = 0
		}
	}
	return best
}

// layersOf makes layers of a repetition.
func layersOf(segments []segment, r repetition) []Layer {
	layers := make([]Layer, r.count)
	for i := range layers {
		part := segments[r.start()+i*r.period:][:r.period]
		l := &layers[i]
		for _, s := range part {
			l.Nodes = append(l.Nodes, s.nodes...)
			for _, w := range s.weights {
				if !slices.Contains(l.Initializers, w) {
					l.Initializers = append(l.Initializers, w)
				}
			}
		}
		l.Output = part[r.period-1].output
	}
	nameLayers(layers)
	return layers
}

var digit = regexp.MustCompile(`[0-9]`)

// nameLayers names layers by the scope that their nodes share, if that has a
// number in it and no two layers have the same; else by their place.
func nameLayers(layers []Layer) {
	seen := map[string]bool{}
	informative := true
	for i := range layers {
		scope := commonScope(layers[i].Nodes)
		informative = informative && digit.MatchString(scope) && !seen[scope]
		seen[scope] = true
		layers[i].Name = scope
	}
	if informative {
		return
	}
	for i := range layers {
		layers[i].Name = fmt.Sprintf("layer %d", i)
	}
}

// commonScope is the longest prefix of whole "/"-separated parts that the
// names of all nodes begin with.
func commonScope(nodes []*graph.Node) string {
	var common []string
	for i, n := range nodes {
		parts := strings.Split(n.Name, "/")
		parts = parts[:len(parts)-1]
		if i == 0 {
			common = parts
			continue
		}
		k := 0
		for k < len(common) && k < len(parts) && common[k] == parts[k] {
			k++
		}
		common = common[:k]
	}
	return strings.Join(common, "/")
}
