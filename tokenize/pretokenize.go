package tokenize

// preTokenizer is a stage that splits the plain pieces further.
type preTokenizer interface{ split(w *worker) }

// preTokenizers applies its members in order.
type preTokenizers []preTokenizer

func (ps preTokenizers) split(w *worker) {
	for _, p := range ps {
		p.split(w)
	}
}

func parsePreTokenizer(o object) (preTokenizer, error) {
	kind, err := o.kind()
	if err != nil {
		return nil, err
	}
	switch kind {
	case "Sequence":
		list, err := o.list("pretokenizers")
		if err != nil {
			return nil, err
		}
		var ps preTokenizers
		for _, item := range list {
			p, err := parsePreTokenizer(item)
			if err != nil {
				return nil, err
			}
			ps = append(ps, p)
		}
		return ps, nil
	case "BertPreTokenizer":
		return bertPreTokenizer{classes()}, nil
	case "Whitespace":
		return wordSplit{classes()}, nil
	case "WhitespaceSplit":
		return spaceSplit{classes()}, nil
	case "Punctuation":
		behavior := isolated
		if o.has("behavior") {
			if behavior, err = parseBehavior(o); err != nil {
				return nil, err
			}
		}
		return charSplit{classes(), isPunct, behavior}, nil
	case "Digits":
		each := false
		if err := o.need("individual_digits", &each); err != nil {
			return nil, err
		}
		if each {
			return charSplit{classes(), isNumber, isolated}, nil
		}
		return charSplit{classes(), isNumber, contiguous}, nil
	case "Split":
		return parseSplit(o)
	case "CharDelimiterSplit":
		r, err := o.char("delimiter")
		return patternSplit{pattern: literal(string(r)), behavior: removed}, err
	case "FixedLength":
		n, err := o.count("length", 5)
		if err == nil && n == 0 {
			err = formatErrorf(o.at("length"), "a length of 0")
		}
		return fixedLength(n), err
	case "Metaspace":
		return parseMetaspace(o)
	case "ByteLevel":
		return parseByteLevel(o)
	}
	return nil, unsupportedf(o.at("type"), "pre-tokenizer %q is not known", kind)
}

// addPiece appends a piece of the text unless it is empty.
func (w *worker) addPiece(start, end int32) {
	if start < end {
		w.nextPieces = append(w.nextPieces, piece{start, end, plain})
	}
}
