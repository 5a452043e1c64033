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
	}
	return nil, unsupportedf(o.at("type"), "pre-tokenizer %q is not known", kind)
}

// addPiece appends a piece of the text unless it is empty.
func (w *worker) addPiece(start, end int32) {
	if start < end {
		w.nextPieces = append(w.nextPieces, piece{start, end, plain})
	}
}
