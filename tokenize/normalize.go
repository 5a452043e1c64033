package tokenize

// normalizer is a stage that rewrites the text of every plain piece.
type normalizer interface{ normalize(w *worker) }

// normalizers applies its members in order.
type normalizers []normalizer

func (ns normalizers) normalize(w *worker) {
	for _, n := range ns {
		n.normalize(w)
	}
}

func parseNormalizer(o object) (normalizer, error) {
	kind, err := o.kind()
	if err != nil {
		return nil, err
	}
	switch kind {
	case "Sequence":
		list, err := o.list("normalizers")
		if err != nil {
			return nil, err
		}
		var ns normalizers
		for _, item := range list {
			n, err := parseNormalizer(item)
			if err != nil {
				return nil, err
			}
			ns = append(ns, n)
		}
		return ns, nil
	case "BertNormalizer":
		return parseBertNormalizer(o)
	}
	return nil, unsupportedf(o.at("type"), "normalizer %q is not known", kind)
}
