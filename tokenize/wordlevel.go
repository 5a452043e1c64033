package tokenize

// wordLevel has a token for each word it knows.
type wordLevel struct {
	vocab       *vocabulary
	unknown     int32
	unknownName string
}

func parseWordLevel(o object) (model, error) {
	vocab, err := parseVocab(o)
	if err != nil {
		return nil, err
	}
	m := &wordLevel{vocab: vocab}
	if err := o.need("unk_token", &m.unknownName); err != nil {
		return nil, err
	}
	m.unknown = vocab.id(m.unknownName)
	return m, nil
}

func (m *wordLevel) vocabulary() *vocabulary { return m.vocab }

func (m *wordLevel) tokenize(w *worker, s *sequence, start, end, word int32) error {
	id := m.vocab.id(stringOf(w.text[start:end]))
	if id < 0 {
		if id = m.unknown; id < 0 {
			return formatErrorf("model.unk_token", "the text needs %q, which is not in the vocabulary", m.unknownName)
		}
	}
	s.add(id, w.sourceRange(start, end), word)
	return nil
}
