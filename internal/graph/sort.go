package graph

import "fmt"

// Sort puts the nodes into topological order, changing as little as needed: of
// the nodes that are ready the earliest comes first. It fails, changing
// nothing, if nodes depend on each other in a circle.
func (g *Graph) Sort() error {
	const (
		unseen = iota
		open
		done
	)
	inGraph := make(map[*Node]bool, len(g.Nodes))
	for _, n := range g.Nodes {
		inGraph[n] = true
	}
	type frame struct {
		n    *Node
		need []*Value
	}
	state := make(map[*Node]int, len(g.Nodes))
	sorted := make([]*Node, 0, len(g.Nodes))
	for _, root := range g.Nodes {
		if state[root] != unseen {
			continue
		}
		state[root] = open
		stack := []frame{{root, root.requires()}}
		for len(stack) > 0 {
			top := &stack[len(stack)-1]
			if len(top.need) == 0 {
				state[top.n] = done
				sorted = append(sorted, top.n)
				stack = stack[:len(stack)-1]
				continue
			}
			v := top.need[0]
			top.need = top.need[1:]
			p := v.Producer
			if p == nil || !inGraph[p] || state[p] == done {
				continue
			}
			if state[p] == open {
				return fmt.Errorf("graph %q: nodes depend on each other in a circle: node %q (%s) needs %q, which is made from its own output",
					g.Name, top.n.Name, top.n.OpType, v.Name)
			}
			state[p] = open
			stack = append(stack, frame{p, p.requires()})
		}
	}
	g.Nodes = sorted
	return nil
}
