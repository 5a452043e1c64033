package tokenize

import "slices"

// trie maps byte strings to values by a double array: the child of node s under byte c is t = base[s] + c, if check[t] == s.
// Source: J. Aoe, An Efficient Digital Search Algorithm by Using a Double-Array Structure, 1989.
type trie struct{ nodes []trieNode }

type trieNode struct {
	base, check int32
	value       int32 // -1 if no key ends here
}

type trieKey struct {
	key   string
	value int32
}

// newTrie builds a trie of the keys; of equal keys the last in the list counts. The empty key is left out.
func newTrie(keys []trieKey) *trie {
	slices.SortStableFunc(keys, func(a, b trieKey) int {
		switch {
		case a.key < b.key:
			return -1
		case a.key > b.key:
			return 1
		}
		return 0
	})
	t := &trie{}
	b := trieBuilder{trie: t, keys: keys, free: 1}
	b.grow(257)
	t.nodes[0].check = 0
	b.children(0, 0, len(keys), 0)
	return t
}

type trieBuilder struct {
	*trie
	keys []trieKey
	free int32 // no free place before this one
}

func (b *trieBuilder) grow(n int32) {
	for int32(len(b.nodes)) < n {
		b.nodes = append(b.nodes, trieNode{check: -1, value: -1})
	}
}

// children places the children of a node that stands for the first depth bytes of keys[lo:hi].
func (b *trieBuilder) children(node int32, lo, hi, depth int) {
	for lo < hi && len(b.keys[lo].key) == depth {
		if depth > 0 {
			b.nodes[node].value = b.keys[lo].value
		}
		lo++
	}
	if lo == hi {
		return
	}
	var labels []byte
	for i := lo; i < hi; i++ {
		if c := b.keys[i].key[depth]; len(labels) == 0 || labels[len(labels)-1] != c {
			labels = append(labels, c)
		}
	}
	base := b.fit(labels)
	b.nodes[node].base = base
	for _, c := range labels {
		b.nodes[base+int32(c)].check = node
	}
	for i := lo; i < hi; {
		c := b.keys[i].key[depth]
		end := i + 1
		for end < hi && b.keys[end].key[depth] == c {
			end++
		}
		b.children(base+int32(c), i, end, depth+1)
		i = end
	}
}

// fit finds a base at which all labels fall on free places.
func (b *trieBuilder) fit(labels []byte) int32 {
	first := int32(labels[0])
	for b.free < int32(len(b.nodes)) && b.nodes[b.free].check >= 0 {
		b.free++
	}
	busy := int32(0)
next:
	for at := max(b.free, first+1); ; at++ {
		b.grow(at - first + 257)
		if b.nodes[at].check >= 0 {
			busy++
			continue
		}
		base := at - first
		for _, c := range labels[1:] {
			if b.nodes[base+int32(c)].check >= 0 {
				continue next
			}
		}
		if span := at - b.free; span > 64 && busy > span*15/16 {
			b.free = at // what is free before is too scattered to be worth looking at again
		}
		return base
	}
}

// step goes from a node to its child under byte c; -1 if there is none.
func (t *trie) step(node int32, c byte) int32 {
	next := t.nodes[node].base + int32(c)
	if t.nodes[next].check != node || next == 0 {
		return -1
	}
	return next
}

// find returns the value of a key, or -1.
func (t *trie) find(key []byte) int32 {
	node := int32(0)
	for _, c := range key {
		if node = t.step(node, c); node < 0 {
			return -1
		}
	}
	if node == 0 {
		return -1
	}
	return t.nodes[node].value
}

// longest returns the value and length of the longest key that text begins with, or -1.
func (t *trie) longest(text []byte) (value int32, length int) {
	value = -1
	node := int32(0)
	nodes := t.nodes
	for i, c := range text {
		next := nodes[node].base + int32(c)
		if nodes[next].check != node || next == 0 {
			break
		}
		node = next
		if v := nodes[node].value; v >= 0 {
			value, length = v, i+1
		}
	}
	return value, length
}
