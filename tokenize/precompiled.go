package tokenize

import (
	"encoding/base64"
	"encoding/binary"
	"strings"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// precompiled rewrites text by the table that a SentencePiece model carries: a double array (of the Darts library) from
// characters, or short sequences of them, to replacements. Source: normalizer.cc of SentencePiece.
type precompiled struct {
	units []uint32
	text  string // the replacements, each ended by a zero byte
	// ascii says of an ASCII character whether any entry begins with it.
	ascii [utf8.RuneSelf]bool
}

func parsePrecompiled(o object) (normalizer, error) {
	const field = "precompiled_charsmap"
	var encoded string
	if err := o.need(field, &encoded); err != nil {
		return nil, err
	}
	if encoded == "" {
		return normalizers(nil), nil
	}
	data, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, formatErrorf(o.at(field), "%w", err)
	}
	if len(data) < 4 {
		return nil, formatErrorf(o.at(field), "only %d bytes", len(data))
	}
	size := uint64(binary.LittleEndian.Uint32(data))
	if size%4 != 0 || size == 0 || 4+size > uint64(len(data)) {
		return nil, formatErrorf(o.at(field), "a trie of %d bytes in %d bytes", size, len(data))
	}
	n := &precompiled{units: make([]uint32, size/4), text: string(data[4+size:])}
	for i := range n.units {
		n.units[i] = binary.LittleEndian.Uint32(data[4+4*i:])
	}
	if !utf8.ValidString(n.text) {
		return nil, formatErrorf(o.at(field), "its replacements are not UTF-8")
	}
	for c := 1; c < utf8.RuneSelf; c++ {
		n.ascii[c] = n.begins(byte(c))
	}
	return n, nil
}

// Fields of a unit of the double array.
func unitHasLeaf(u uint32) bool  { return u>>8&1 == 1 }
func unitValue(u uint32) int     { return int(u & (1<<31 - 1)) }
func unitLabel(u uint32) uint32  { return u & (1<<31 | 0xff) }
func unitOffset(u uint32) uint32 { return u >> 10 << (u & (1 << 9) >> 6) }

func (n *precompiled) begins(c byte) bool {
	at := unitOffset(n.units[0]) ^ uint32(c)
	return int(at) < len(n.units) && unitLabel(n.units[at]) == uint32(c)
}

// find returns the replacement of the shortest entry that chunk begins with.
func (n *precompiled) find(chunk []byte) (string, bool) {
	at := unitOffset(n.units[0])
	for _, c := range chunk {
		if c == 0 {
			break
		}
		at ^= uint32(c)
		if int(at) >= len(n.units) {
			return "", false
		}
		unit := n.units[at]
		if unitLabel(unit) != uint32(c) {
			return "", false
		}
		at ^= unitOffset(unit)
		if unitHasLeaf(unit) {
			if int(at) >= len(n.units) {
				return "", false
			}
			start := unitValue(n.units[at])
			if start > len(n.text) {
				return "", false
			}
			rest := n.text[start:]
			if end := strings.IndexByte(rest, 0); end >= 0 {
				rest = rest[:end]
			}
			return rest, true
		}
	}
	return "", false
}

func (n *precompiled) normalize(w *worker) {
	for _, c := range w.text {
		if c >= utf8.RuneSelf || n.ascii[c] {
			w.rewrite(n)
			return
		}
	}
}

// longestGrapheme is the most bytes of a grapheme cluster that is looked up as a whole.
const longestGrapheme = 5

func (n *precompiled) rewrite(w *worker, p piece) {
	w.changes = w.changes[:0]
	modified := false
	text := w.text[p.start:p.end]
	state := -1
	for len(text) > 0 {
		// ASCII before ASCII is a grapheme cluster of its own, except CR LF.
		if c := text[0]; c < utf8.RuneSelf && c != '\r' && (len(text) == 1 || text[1] < utf8.RuneSelf) {
			state = -1
			if n.ascii[c] {
				if with, ok := n.find(text[:1]); ok {
					modified = true
					w.replaceChange(1, with)
					text = text[1:]
					continue
				}
			}
			w.changes = append(w.changes, change{rune(c), 0})
			text = text[1:]
			continue
		}
		var grapheme []byte
		grapheme, text, _, state = uniseg.FirstGraphemeCluster(text, state)
		if len(grapheme) <= longestGrapheme {
			if with, ok := n.find(grapheme); ok {
				modified = true
				w.replaceChange(utf8.RuneCount(grapheme), with)
				continue
			}
		}
		for len(grapheme) > 0 {
			r, size := utf8.DecodeRune(grapheme)
			if with, ok := n.find(grapheme[:size]); ok {
				modified = true
				w.replaceChange(1, with)
			} else {
				w.changes = append(w.changes, change{r, 0})
			}
			grapheme = grapheme[size:]
		}
	}
	if !modified {
		w.keep(p.start, p.end)
		return
	}
	w.transform(p, 0)
}

// replaceChange notes that n characters become the text with.
func (w *worker) replaceChange(n int, with string) {
	k := 0
	for _, r := range with {
		c := change{r: r}
		if k >= n {
			c.n = 1
		}
		w.changes = append(w.changes, c)
		k++
	}
	// What is removed counts as removed after the last character there is; at the very beginning there is none, and the removal
	// is forgotten, which shifts all ranges after it. The Hugging Face tokenizers do the same.
	if k < n && len(w.changes) > 0 {
		w.changes[len(w.changes)-1].n -= int32(n - k)
	}
}
