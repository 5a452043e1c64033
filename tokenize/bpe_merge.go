package tokenize

import "math/bits"

// pairTable maps a pair of tokens to the rank of its merge and the token that it makes: open addressing, linear probing.
type pairTable struct {
	slots []pairSlot
	shift uint
}

type pairSlot struct {
	a, b     int32
	rank, id int32 // the pair is there if id is not 0 or rank is not 0; see put
}

const noRank = 1<<31 - 1

func newPairTable(n int) pairTable {
	size := uint(bits.Len(uint(max(2*n, 1))))
	t := pairTable{make([]pairSlot, 1<<size), 64 - size}
	for i := range t.slots {
		t.slots[i].rank = noRank
	}
	return t
}

func (t *pairTable) home(a, b int32) uint64 {
	return (uint64(uint32(a))<<32 | uint64(uint32(b))) * 0x9e3779b97f4a7c15 >> t.shift
}

// put adds a merge; of two for the same pair the later counts.
func (t *pairTable) put(a, b, rank, id int32) {
	for i := t.home(a, b); ; i++ {
		s := &t.slots[i&uint64(len(t.slots)-1)]
		if s.rank == noRank || s.a == a && s.b == b {
			*s = pairSlot{a, b, rank, id}
			return
		}
	}
}

// get returns the rank of a pair, or noRank, and the token it makes.
func (t *pairTable) get(a, b int32) (rank, id int32) {
	for i := t.home(a, b); ; i++ {
		s := &t.slots[i&uint64(len(t.slots)-1)]
		if s.rank == noRank || s.a == a && s.b == b {
			return s.rank, s.id
		}
	}
}

// bpeScratch is what a worker needs for merging.
type bpeScratch struct {
	symbols []symbol
	ranks   []int32 // rank of the pair that begins at each symbol
	joined  []byte
	links   []link
	heap    []candidate
}

// shortWord is the number of symbols up to which looking through all pairs is faster than keeping a queue.
const shortWord = 40

// merge joins pairs, lowest rank first, of equal rank the leftmost, until none is left.
func (m *bpe) merge(w *worker, symbols []symbol) []symbol {
	if len(symbols) > shortWord {
		return m.mergeLong(w, symbols)
	}
	ranks := w.ranks[:0]
	for i := range len(symbols) - 1 {
		rank, _ := m.pairs.get(symbols[i].id, symbols[i+1].id)
		ranks = append(ranks, rank)
	}
	w.ranks = ranks
	for {
		best, at := int32(noRank), 0
		for i, rank := range ranks {
			if rank < best {
				best, at = rank, i
			}
		}
		if best == noRank {
			return symbols
		}
		_, id := m.pairs.get(symbols[at].id, symbols[at+1].id)
		symbols[at] = symbol{id, symbols[at].length + symbols[at+1].length}
		copy(symbols[at+1:], symbols[at+2:])
		symbols = symbols[:len(symbols)-1]
		copy(ranks[at:], ranks[at+1:])
		ranks = ranks[:len(ranks)-1]
		if at > 0 {
			ranks[at-1], _ = m.pairs.get(symbols[at-1].id, id)
		}
		if at < len(ranks) {
			ranks[at], _ = m.pairs.get(id, symbols[at+1].id)
		}
	}
}

// link chains the symbols that are left of a long word; -1 ends the chain.
type link struct{ prev, next int32 }

// candidate is a pair that can be joined: the symbol at a place and the one after it.
type candidate struct{ rank, at, id int32 }

func (c candidate) before(d candidate) bool {
	return c.rank < d.rank || c.rank == d.rank && c.at < d.at
}

// absorbed is the length of a symbol that is part of the one before it by now.
const absorbed = -1

// mergeLong is merge with a priority queue: n log n steps for n symbols.
func (m *bpe) mergeLong(w *worker, symbols []symbol) []symbol {
	links, heap := w.links[:0], w.heap[:0]
	for i := range symbols {
		links = append(links, link{int32(i) - 1, int32(i) + 1})
	}
	links[len(links)-1].next = -1
	push := func(at int32) {
		if at < 0 || links[at].next < 0 {
			return
		}
		if rank, id := m.pairs.get(symbols[at].id, symbols[links[at].next].id); rank != noRank {
			heap = pushCandidate(heap, candidate{rank, at, id})
		}
	}
	for i := range symbols {
		push(int32(i))
	}
	for len(heap) > 0 {
		var top candidate
		top, heap = popCandidate(heap)
		at := top.at
		if symbols[at].length == absorbed || links[at].next < 0 {
			continue
		}
		next := links[at].next
		if rank, id := m.pairs.get(symbols[at].id, symbols[next].id); rank == noRank || id != top.id {
			continue // the pair is no longer what it was when it came into the queue
		}
		symbols[at] = symbol{top.id, symbols[at].length + symbols[next].length}
		symbols[next].length = absorbed
		links[at].next = links[next].next
		if after := links[at].next; after >= 0 {
			links[after].prev = at
		}
		push(links[at].prev)
		push(at)
	}
	w.links, w.heap = links, heap
	left := symbols[:0]
	for _, s := range symbols {
		if s.length != absorbed {
			left = append(left, s)
		}
	}
	return left
}

func pushCandidate(heap []candidate, c candidate) []candidate {
	heap = append(heap, c)
	i := len(heap) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if !c.before(heap[parent]) {
			break
		}
		heap[i] = heap[parent]
		i = parent
	}
	heap[i] = c
	return heap
}

func popCandidate(heap []candidate) (candidate, []candidate) {
	top, last := heap[0], heap[len(heap)-1]
	heap = heap[:len(heap)-1]
	if len(heap) == 0 {
		return top, heap
	}
	i := 0
	for {
		child := 2*i + 1
		if child >= len(heap) {
			break
		}
		if child+1 < len(heap) && heap[child+1].before(heap[child]) {
			child++
		}
		if !heap[child].before(last) {
			break
		}
		heap[i] = heap[child]
		i = child
	}
	heap[i] = last
	return top, heap
}
