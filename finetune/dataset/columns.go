package dataset

import (
	"fmt"
	"strconv"
	"strings"
)

// Columns names the columns that are read. Pair is empty for single texts,
// Label for data without labels.
type Columns struct {
	Text  string `json:"text"`
	Pair  string `json:"pair,omitempty"`
	Label string `json:"label,omitempty"`
}

// String is for people.
func (c Columns) String() string {
	s := "text " + strconv.Quote(c.Text)
	if c.Pair != "" {
		s += " and " + strconv.Quote(c.Pair)
	}
	if c.Label != "" {
		s += ", label " + strconv.Quote(c.Label)
	}
	return s
}

// Options says which columns to read. An empty Text or Label is guessed from
// the header; a Pair only together with Text (sentence1 and sentence2 …).
type Options struct {
	Columns
	// Prefer names the columns that the model was trained on, if it was: they
	// are taken where none are named and the header has them. Where Prefer.Text
	// is set, so is whether texts come in pairs: other columns are an error.
	Prefer     Columns
	Unlabelled bool // no label column is wanted (prediction)
}

// Names, compared without regard to case, by which columns are guessed.
var (
	textNames  = []string{"text", "sentence", "review", "content", "utterance", "question", "query", "comment", "message", "tweet", "document", "input", "body", "description", "title", "reaction", "smiles", "sequence"}
	labelNames = []string{"label", "labels", "class", "category", "target", "intent", "sentiment", "topic"}
	pairNames  = [][2]string{{"sentence1", "sentence2"}, {"text1", "text2"}, {"question1", "question2"}, {"premise", "hypothesis"}, {"text", "text_pair"}}
)

// resolve finds the columns to read, and checks that they are as many texts as
// the model was trained on.
func (o Options) resolve(path string, header []string) (Columns, error) {
	c, err := o.find(path, header)
	trained := Columns{Text: o.Prefer.Text, Pair: o.Prefer.Pair}
	switch {
	case err != nil || trained.Text == "" || (c.Pair == "") == (trained.Pair == ""):
		return c, err
	case c.Pair == "":
		return c, fmt.Errorf("%s: the model was trained on pairs (%s): name the column that goes with %q by --text-pair-column; the columns are: %s",
			path, trained, c.Text, quoteAll(header))
	case o.Pair == "":
		return c, fmt.Errorf("%s: the model was trained on single texts (%s), and %q and %q look like pairs: name one column by --text-column; the columns are: %s",
			path, trained, c.Text, c.Pair, quoteAll(header))
	default:
		return c, fmt.Errorf("%s: the model was trained on single texts (%s): leave out --text-pair-column %q", path, trained, c.Pair)
	}
}

// find checks the columns asked for against the header and guesses those that
// are not given, where only one guess is possible.
func (o Options) find(path string, header []string) (Columns, error) {
	c := o.prefer(header)
	if o.Unlabelled {
		c.Label = ""
	}
	for _, want := range []struct{ name, flag string }{{c.Text, "text"}, {c.Pair, "text pair"}, {c.Label, "label"}} {
		if want.name == "" {
			continue
		}
		switch count(header, want.name) {
		case 0:
			return c, fmt.Errorf("%s: there is no %s column %q; the columns are: %s", path, want.flag, want.name, quoteAll(header))
		case 1:
		default:
			return c, fmt.Errorf("%s: column %q occurs more than once in the header: %s", path, want.name, quoteAll(header))
		}
	}
	if c.Label == "" && !o.Unlabelled {
		found := matching(header, labelNames, c.Text, c.Pair)
		if len(found) != 1 {
			return c, guessError(path, "label", "--label-column", found, header)
		}
		c.Label = found[0]
	}
	if c.Text == "" {
		if c.Pair == "" {
			for _, p := range pairNames {
				a, b := matching(header, p[:1]), matching(header, p[1:])
				if len(a) == 1 && len(b) == 1 && a[0] != c.Label && b[0] != c.Label {
					c.Text, c.Pair = a[0], b[0]
					return c, nil
				}
			}
		}
		found := matching(header, textNames, c.Label, c.Pair)
		if len(found) == 0 { // a label, and one column more
			found = without(header, c.Label, c.Pair)
			if len(header) > 2 {
				found = nil
			}
		}
		if len(found) != 1 {
			return c, guessError(path, "text", "--text-column", found, header)
		}
		c.Text = found[0]
	}
	if c.Text == c.Label || c.Text == c.Pair || (c.Pair != "" && c.Pair == c.Label) {
		return c, fmt.Errorf("%s: one column cannot serve as two of text %q, text pair %q, label %q", path, c.Text, c.Pair, c.Label)
	}
	return c, nil
}

// prefer returns the columns asked for; those not named are the preferred ones
// where the header has them, of a pair both or the one that is missing.
func (o Options) prefer(header []string) Columns {
	c := o.Columns
	has := func(name string) bool { return name != "" && indexOf(header, name) >= 0 }
	switch text, pair := o.Prefer.Text, o.Prefer.Pair; {
	case c.Text == "" && c.Pair == "":
		if has(text) && (pair == "" || has(pair)) {
			c.Text, c.Pair = text, pair
		}
	case c.Text == "" && has(text) && text != c.Pair:
		c.Text = text
	case c.Pair == "" && has(pair) && pair != c.Text:
		c.Pair = pair
	}
	if c.Label == "" && has(o.Prefer.Label) {
		c.Label = o.Prefer.Label
	}
	return c
}

func guessError(path, what, flag string, found, header []string) error {
	switch {
	case len(found) > 1 && count(header, found[0]) == len(found):
		return fmt.Errorf("%s: column %q occurs more than once in the header: %s", path, found[0], quoteAll(header))
	case len(found) > 1:
		return fmt.Errorf("%s: more than one column could be the %s: %s; choose one with %s", path, what, quoteAll(found), flag)
	default:
		return fmt.Errorf("%s: no column is plainly the %s; name it with %s; the columns are: %s (is the first line a header?)", path, what, flag, quoteAll(header))
	}
}

// matching returns the columns whose name is one of the given, except those excluded.
func matching(header, names []string, except ...string) []string {
	var found []string
	for _, h := range without(header, except...) {
		for _, n := range names {
			if strings.EqualFold(h, n) {
				found = append(found, h)
				break
			}
		}
	}
	return found
}

func without(header []string, except ...string) []string {
	var rest []string
	for _, h := range header {
		if h == "" || indexOf(except, h) < 0 {
			rest = append(rest, h)
		}
	}
	return rest
}

func count(header []string, name string) int {
	n := 0
	for _, h := range header {
		if h == name {
			n++
		}
	}
	return n
}

// quoteAll lists names for an error message: quoted, shortened, at most 20.
func quoteAll(names []string) string {
	var b strings.Builder
	for i, n := range names {
		if i == 20 {
			fmt.Fprintf(&b, ", and %d more", len(names)-i)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(strconv.Quote(truncate(n, 40)))
	}
	return b.String()
}

func truncate(s string, runes int) string {
	n := 0
	for i := range s {
		if n == runes {
			return s[:i] + "…"
		}
		n++
	}
	return s
}
