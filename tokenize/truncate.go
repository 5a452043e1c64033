package tokenize

import "fmt"

// window is a range of the tokens of a sequence.
type window struct{ start, end int }

// windows cuts n tokens into windows of at most size tokens, each repeating stride tokens of the one before; first the one that
// stays. It appends to dst. A size of 0 keeps nothing, and everything is in the second window.
func windows(dst []window, n, size, stride int, left bool) ([]window, error) {
	switch {
	case size >= n:
		return append(dst, window{0, n}), nil
	case size == 0:
		return append(dst, window{0, 0}, window{0, n}), nil
	case stride >= size:
		return nil, fmt.Errorf("stride %d is not smaller than the %d tokens that the maximum length leaves for the text", stride, size)
	}
	step := size - stride
	if left {
		for end := n; ; end -= step {
			dst = append(dst, window{max(end-size, 0), end})
			if end <= size {
				return dst, nil
			}
		}
	}
	for start := 0; ; start += step {
		dst = append(dst, window{start, min(start+size, n)})
		if start+size >= n {
			return dst, nil
		}
	}
}

// truncatedLengths returns how many tokens of each text remain. n2 is -1 if there is no second text; room is the number of
// tokens left for both.
func truncatedLengths(n1, n2, room int, how Truncation) (int, int, error) {
	total := n1 + max(n2, 0)
	if total <= room && room > 0 {
		return n1, n2, nil
	}
	if room == 0 {
		return 0, min(n2, 0), nil
	}
	remove := total - room
	switch how {
	case OnlyFirst:
		if n1 <= remove {
			return 0, 0, fmt.Errorf("the first text has %d tokens, too few to cut %d from it", n1, remove)
		}
		return n1 - remove, n2, nil
	case OnlySecond:
		if n2 < 0 {
			return 0, 0, fmt.Errorf("truncation only_second of a text that is not a pair")
		}
		if n2 <= remove {
			return 0, 0, fmt.Errorf("the second text has %d tokens, too few to cut %d from it", n2, remove)
		}
		return n1, n2 - remove, nil
	}
	if n2 < 0 {
		return room, n2, nil
	}
	short := min(n1, n2)
	long := max(short, room-short)
	if short+long > room {
		short = room / 2
		long = short + room%2
	}
	if n1 > n2 {
		return long, short, nil
	}
	return short, long, nil
}
