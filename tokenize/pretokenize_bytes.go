package tokenize

// byteLevel splits text as GPT-2 does and turns every byte into the character that stands for it.
type byteLevel struct {
	prefixSpace bool
	splitter    *splitter // nil: do not split
	direct      bool      // leave the bytes as they are: the model takes them
}

func parseByteLevel(o object) (*byteLevel, error) {
	b := &byteLevel{prefixSpace: true}
	regex := true
	if err := o.maybe("add_prefix_space", &b.prefixSpace); err != nil {
		return nil, err
	}
	if err := o.maybe("use_regex", &regex); err != nil {
		return nil, err
	}
	if regex {
		b.splitter = newSplitter(gpt2Rule)
	}
	return b, nil
}

func (b *byteLevel) split(w *worker) {
	if b.prefixSpace {
		for _, p := range w.pieces {
			if p.token == plain && w.text[p.start] != ' ' {
				w.rewrite(b)
				break
			}
		}
	}
	if b.splitter != nil {
		w.splitEach(b)
	}
	if b.direct {
		w.bytesMapped = true
		return
	}
	w.rewrite(byteLevelNormalizer{})
}

// rewrite puts a space before a piece that begins with none.
func (b *byteLevel) rewrite(w *worker, p piece) {
	if w.text[p.start] != ' ' {
		w.prepend(" ", p)
	}
	w.keep(p.start, p.end)
}

func (b *byteLevel) splitPiece(w *worker, p piece) {
	text := w.text[p.start:p.end]
	for i := 0; i < len(text); {
		end := b.splitter.gpt2(text, i)
		w.addPiece(p.start+int32(i), p.start+int32(end))
		i = end
	}
}
