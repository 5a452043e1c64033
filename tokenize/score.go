package tokenize

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// parseScore reads a JSON number as the Hugging Face tokenizers do, whose JSON library (serde_json) takes the digits as one
// integer and scales it, with an error of up to a unit in the last place. Two ways to cut a word that score the same but for
// such an error must be told apart as they do.
func parseScore(text string) (float64, error) {
	if _, err := strconv.ParseFloat(text, 64); err != nil {
		return 0, fmt.Errorf("score %s is not a number", text)
	}
	digits, negative := strings.CutPrefix(text, "-")
	var significand uint64
	exponent := 0
	full := false // further digits do not fit
	i := 0
	for fraction := false; i < len(digits); i++ {
		c := digits[i]
		if c == '.' {
			fraction = true
			continue
		}
		if c < '0' || c > '9' {
			break
		}
		d := uint64(c - '0')
		if !full && (significand > math.MaxUint64/10 || significand == math.MaxUint64/10 && d > math.MaxUint64%10) {
			full = true
		}
		switch {
		case !full:
			significand = significand*10 + d
			if fraction {
				exponent--
			}
		case !fraction:
			exponent++
		}
	}
	if i < len(digits) { // e
		n, err := strconv.Atoi(digits[i+1:])
		if err != nil {
			return 0, fmt.Errorf("score %s is out of range", text)
		}
		exponent += n
	}
	f := float64(significand)
	for f != 0 && exponent < -308 {
		f /= 1e308
		exponent += 308
	}
	switch {
	case f == 0:
	case exponent < 0:
		f /= powersOfTen[-exponent]
	case exponent <= 308:
		f *= powersOfTen[exponent]
	default:
		f = math.Inf(1)
	}
	if math.IsInf(f, 0) {
		return 0, fmt.Errorf("score %s is out of range", text)
	}
	if negative {
		f = -f
	}
	return f, nil
}

// powersOfTen are exact to the last bit, which math.Pow10 does not promise.
var powersOfTen = func() (powers [309]float64) {
	for i := range powers {
		powers[i], _ = strconv.ParseFloat("1e"+strconv.Itoa(i), 64)
	}
	return powers
}()
