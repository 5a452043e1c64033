package tokenize

import (
	"encoding/binary"
	"math/bits"
)

// wordCache remembers the tokens of short words. It is direct-mapped and of fixed size: a word that falls on the place of
// another replaces it. Every worker has its own, so that it needs no lock.
type wordCache struct{ slots []cacheSlot }

const (
	cacheBits  = 14
	cacheKey   = 24 // longest word, in bytes
	cacheToken = 6  // most tokens of a word
)

// cacheSlot is one word: its bytes, padded with zeros, and the id and end of each of its tokens.
type cacheSlot struct {
	key    [cacheKey / 8]uint64
	ids    [cacheToken]int32
	ends   [cacheToken]uint8
	length uint8
	n      uint8
}

// lookup returns the slot for a word, and whether the word is in it. The slot is nil if the word is too long.
func (c *wordCache) lookup(word []byte) (slot *cacheSlot, found bool) {
	if len(word) > cacheKey {
		return nil, false
	}
	if c.slots == nil {
		c.slots = make([]cacheSlot, 1<<cacheBits)
	}
	var padded [cacheKey]byte
	copy(padded[:], word)
	key := [cacheKey / 8]uint64{
		binary.LittleEndian.Uint64(padded[0:]), binary.LittleEndian.Uint64(padded[8:]), binary.LittleEndian.Uint64(padded[16:]),
	}
	h := (key[0] ^ uint64(len(word))) * 0x9e3779b97f4a7c15
	h = (bits.RotateLeft64(h, 29) ^ key[1]) * 0xbf58476d1ce4e5b9
	h = (bits.RotateLeft64(h, 31) ^ key[2]) * 0x94d049bb133111eb
	slot = &c.slots[h>>(64-cacheBits)]
	if slot.n > 0 && int(slot.length) == len(word) && slot.key == key {
		return slot, true
	}
	slot.n = 0
	slot.key = key
	slot.length = uint8(len(word))
	return slot, false
}

// replay appends the remembered tokens of a word that begins at start.
func (c *cacheSlot) replay(w *worker, s *sequence, start, word int32) {
	at := start
	for k := range c.n {
		end := start + int32(c.ends[k])
		s.add(c.ids[k], w.sourceRange(at, end), word)
		at = end
	}
}

// remember stores tokens that follow one another from the beginning of the word on.
func (c *cacheSlot) remember(symbols []symbol) {
	if c == nil || len(symbols) > cacheToken || len(symbols) == 0 {
		return
	}
	end := int32(0)
	for k, sym := range symbols {
		end += sym.length
		c.ids[k], c.ends[k] = sym.id, uint8(end)
	}
	c.n = uint8(len(symbols))
}
