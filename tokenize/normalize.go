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
	case "NFC":
		return unicodeNormalizer{compose: true}, nil
	case "NFD":
		return unicodeNormalizer{}, nil
	case "NFKC":
		return unicodeNormalizer{compatible: true, compose: true}, nil
	case "NFKD":
		return unicodeNormalizer{compatible: true}, nil
	case "Lowercase":
		return charNormalizer(lowercaseChar), nil
	case "StripAccents":
		return stripMarks(), nil
	case "Nmt":
		return charNormalizer(nmtChar), nil
	case "Strip":
		n := stripNormalizer{}
		if err := o.need("strip_left", &n.left); err != nil {
			return nil, err
		}
		return n, o.need("strip_right", &n.right)
	case "Replace":
		return parseReplace(o)
	case "Prepend":
		var text string
		if err := o.need("prepend", &text); err != nil {
			return nil, err
		}
		if text == "" {
			return normalizers(nil), nil
		}
		return prependNormalizer(text), nil
	case "Precompiled":
		return parsePrecompiled(o)
	case "ByteLevel":
		return byteLevelNormalizer{}, nil
	}
	return nil, unsupportedf(o.at("type"), "normalizer %q is not known", kind)
}
