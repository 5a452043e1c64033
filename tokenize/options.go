package tokenize

import "fmt"

// Truncation says from which text of a pair tokens are taken away.
type Truncation int

const (
	LongestFirst Truncation = iota // from the longer one; for a single text, from it
	OnlyFirst
	OnlySecond
)

var truncationNames = []string{"longest_first", "only_first", "only_second"}

func (t Truncation) String() string { return truncationNames[t] }

// ParseTruncation reads longest_first, only_first or only_second.
func ParseTruncation(name string) (Truncation, error) {
	for t, n := range truncationNames {
		if n == name {
			return Truncation(t), nil
		}
	}
	return 0, fmt.Errorf("truncation %q is not one of %v", name, truncationNames)
}

// Padding says to what length encodings are filled up.
type Padding int

const (
	NoPadding  Padding = iota
	PadLongest         // to the longest of the batch; an encoding on its own is only rounded up to PadMultiple
	PadFixed           // to PadLength
)

// Options are what one call to Encode wants. The zero value adds special tokens, and neither truncates nor pads.
type Options struct {
	MaxLength    int        // most tokens of an encoding, special tokens included; 0: no limit
	Truncation   Truncation // what to cut when that is exceeded
	TruncateLeft bool       // cut at the beginning instead of the end
	Overflow     bool       // keep what was cut as windows in Encoding.Overflow
	Stride       int        // tokens that each window repeats of the one before

	Padding     Padding
	PadLength   int       // for PadFixed
	PadMultiple int       // round the length up to a multiple; 0: do not
	PadLeft     bool      // pad at the beginning
	Pad         *PadToken // nil: the tokenizer's

	NoSpecial   bool // leave out [CLS], [SEP] and the like
	CharOffsets bool // offsets count characters (Unicode code points) of the text instead of bytes
	IDsOnly     bool // only IDs, TypeIDs and AttentionMask are wanted: faster, and smaller
}

// PadToken is what padding consists of.
type PadToken struct {
	ID, TypeID int64
	Token      string
}

// Input is a text or a pair of texts. A text is either one string, or words that are already split: then each word is
// tokenized on its own, its offsets count from its beginning, and its word id is its index.
type Input struct {
	Text, Pair             string
	HasPair                bool // Pair counts even if it is empty
	Words, PairWords       []string
	HasWords, PairHasWords bool // Words or PairWords is to be used instead of Text or Pair
}
