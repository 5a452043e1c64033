package tokenize

import (
	"fmt"
	"sort"
)

// postScratch is what a worker needs to put an encoding together.
type postScratch struct {
	windows  [2][]window
	combined []part
}

// part is one encoding to be made: which window of each text.
type part struct{ window [2]int }

// post truncates the sequences and puts them together with special tokens.
func (w *worker) post(pair bool, opts *Options) (*Encoding, error) {
	p := w.t.post
	scratch := &w.postScratch
	n := [2]int{len(w.seq[0].ids), -1}
	if pair {
		n[1] = len(w.seq[1].ids)
	}
	keep := n
	if opts.MaxLength > 0 {
		room := opts.MaxLength
		if !opts.NoSpecial {
			room -= p.added(pair)
		}
		if room < 0 {
			return nil, fmt.Errorf("a maximum length of %d is too short for %d special tokens", opts.MaxLength, p.added(pair))
		}
		var err error
		if keep[0], keep[1], err = truncatedLengths(n[0], n[1], room, opts.Truncation); err != nil {
			return nil, fmt.Errorf("maximum length %d: %w", opts.MaxLength, err)
		}
	}
	for i := range n {
		scratch.windows[i] = scratch.windows[i][:0]
		if n[i] < 0 {
			continue
		}
		var err error
		if scratch.windows[i], err = windows(scratch.windows[i], n[i], keep[i], opts.Stride, opts.TruncateLeft); err != nil {
			return nil, err
		}
	}
	e := w.assemble(p, part{}, pair, opts)
	if !opts.Overflow || len(scratch.windows[0])+len(scratch.windows[1]) <= 1 {
		return e, nil
	}
	w.combine(p.segments(pair))
	for _, c := range scratch.combined {
		e.Overflow = append(e.Overflow, w.assemble(p, c, pair, opts))
	}
	return e, nil
}

// combine lists the encodings that overflow, in the order in which the Hugging Face tokenizers do: text after text, what
// there is so far is combined with each window of the next.
func (w *worker) combine(segments []segment) {
	scratch := &w.postScratch
	scratch.combined = scratch.combined[:0]
	for _, s := range segments {
		if s.seq < 0 {
			continue
		}
		n := len(scratch.windows[s.seq])
		before := scratch.combined
		var all []part
		for _, b := range before {
			for k := range n {
				b.window[s.seq] = k
				all = append(all, b)
			}
		}
		for k := 1; k < n; k++ {
			var b part
			b.window[s.seq] = k
			all = append(all, b)
		}
		scratch.combined = all
	}
}

// assemble makes one encoding out of a window of each text.
func (w *worker) assemble(p *postProcessor, c part, pair bool, opts *Options) *Encoding {
	segments := p.segments(pair)
	n := 0
	for i := range segments {
		if s := &segments[i]; s.seq >= 0 {
			win := w.postScratch.windows[s.seq][c.window[s.seq]]
			n += win.end - win.start
		} else if !opts.NoSpecial {
			n += len(s.ids)
		}
	}
	e := newEncoding(n, opts.IDsOnly)
	at := 0
	for i := range segments {
		s := &segments[i]
		if s.seq < 0 {
			if !opts.NoSpecial {
				at = e.putSpecial(at, s)
			}
			continue
		}
		typeID := s.typeID
		if c.window[s.seq] > 0 && !(p.zeroTypes && !opts.NoSpecial) {
			typeID = int64(s.seq) // windows keep the number of the text
		}
		at = w.put(e, at, s.seq, w.postScratch.windows[s.seq][c.window[s.seq]], typeID)
	}
	return e
}

func (e *Encoding) putSpecial(at int, s *segment) int {
	for k, id := range s.ids {
		e.IDs[at] = int64(id)
		e.TypeIDs[at] = s.typeID
		e.AttentionMask[at] = 1
		if e.Offsets != nil {
			e.SpecialMask[at], e.Tokens[at], e.WordIDs[at], e.SequenceIDs[at] = true, s.tokens[k], -1, -1
		}
		at++
	}
	return at
}

// customIn returns the custom tokens of a window. They are in the order of the text.
func (s *sequence) customIn(win window) []customToken {
	from := func(place int) int {
		return sort.Search(len(s.custom), func(i int) bool { return int(s.custom[i].index) >= place })
	}
	return s.custom[from(win.start):from(win.end)]
}

// put writes a window of a text into e.
func (w *worker) put(e *Encoding, at int, seq int8, win window, typeID int64) int {
	s := &w.seq[seq]
	begin := at
	for _, id := range s.ids[win.start:win.end] {
		e.IDs[at], e.TypeIDs[at], e.AttentionMask[at] = int64(id), typeID, 1
		at++
	}
	if e.Offsets == nil {
		return at
	}
	texts := w.t.texts
	for k := win.start; k < win.end; k++ {
		i := begin + k - win.start
		if id := s.ids[k]; int(id) < len(texts) {
			e.Tokens[i] = texts[id]
		}
		e.Offsets[i] = [2]int{int(s.spans[k].start), int(s.spans[k].end)}
		e.WordIDs[i] = s.words[k]
		e.SequenceIDs[i] = seq
	}
	for _, c := range s.customIn(win) {
		e.Tokens[begin+int(c.index)-win.start] = c.text
	}
	for _, t := range w.t.post.trims {
		for i := begin; i < at; i++ {
			t.apply(&e.Offsets[i], e.Tokens[i], i == begin)
		}
	}
	return at
}
