package tokenize

import "slices"

// Encoding is a text, or a pair of texts, as a model takes it. All slices have the same length, that of the sequence; those
// after AttentionMask are nil if Options.IDsOnly was set. IDs, TypeIDs and AttentionMask are int64, as ONNX models take them.
type Encoding struct {
	IDs           []int64
	TypeIDs       []int64 // which text of the pair, as the post-processor numbers them; all 0 for RoBERTa
	AttentionMask []int64 // 0 for padding

	SpecialMask []bool   // special tokens and padding
	Tokens      []string // as in the vocabulary
	Offsets     [][2]int // [start, end) in the text the token came from; 0, 0 for special tokens
	WordIDs     []int32  // the how-manieth word of its text; -1 for special tokens
	SequenceIDs []int8   // 0 or 1: which text; -1 for special tokens

	Overflow []*Encoding // the further windows of a text that was too long, in order
}

// Len is the number of tokens, padding included.
func (e *Encoding) Len() int { return len(e.IDs) }

func newEncoding(n int, idsOnly bool) *Encoding {
	ints := make([]int64, 3*n)
	e := &Encoding{IDs: ints[:n:n], TypeIDs: ints[n : 2*n : 2*n], AttentionMask: ints[2*n:]}
	if !idsOnly {
		e.SpecialMask = make([]bool, n)
		e.Tokens = make([]string, n)
		e.Offsets = make([][2]int, n)
		e.WordIDs = make([]int32, n)
		e.SequenceIDs = make([]int8, n)
	}
	return e
}

// pad fills e and its windows up to n tokens.
func (e *Encoding) pad(n int, pad PadToken, left bool) {
	for _, o := range e.Overflow {
		o.pad(n, pad, left)
	}
	have := len(e.IDs)
	if have >= n {
		return
	}
	idsOnly := e.Offsets == nil
	p := newEncoding(n, idsOnly)
	p.Overflow = e.Overflow
	at, from, to := 0, have, n // where e goes, and what is filled
	if left {
		at, from, to = n-have, 0, n-have
	}
	copy(p.IDs[at:], e.IDs)
	copy(p.TypeIDs[at:], e.TypeIDs)
	copy(p.AttentionMask[at:], e.AttentionMask)
	for i := from; i < to; i++ {
		p.IDs[i], p.TypeIDs[i] = pad.ID, pad.TypeID
	}
	if !idsOnly {
		copy(p.SpecialMask[at:], e.SpecialMask)
		copy(p.Tokens[at:], e.Tokens)
		copy(p.Offsets[at:], e.Offsets)
		copy(p.WordIDs[at:], e.WordIDs)
		copy(p.SequenceIDs[at:], e.SequenceIDs)
		for i := from; i < to; i++ {
			p.SpecialMask[i], p.Tokens[i], p.WordIDs[i], p.SequenceIDs[i] = true, pad.Token, -1, -1
		}
	}
	*e = *p
}

// padAll pads a batch as opts say.
func padAll(encodings []*Encoding, opts *Options, pad PadToken) {
	n := 0
	switch opts.Padding {
	case NoPadding:
		return
	case PadFixed:
		n = opts.PadLength
	case PadLongest:
		for _, e := range encodings {
			n = max(n, e.Len())
		}
	}
	if m := opts.PadMultiple; m > 0 {
		n = (n + m - 1) / m * m
	}
	for _, e := range encodings {
		e.pad(n, pad, opts.PadLeft)
	}
}

// Windows returns e followed by its overflow.
func (e *Encoding) Windows() []*Encoding {
	return slices.Concat([]*Encoding{e}, e.Overflow)
}
