package tokenize

// segment is a part of what the model sees: a text, or special tokens.
type segment struct {
	seq    int8 // 0 or 1: which text; -1: the special tokens below
	typeID int64
	ids    []int32
	tokens []string
}

// postProcessor puts texts and special tokens together.
type postProcessor struct {
	single, pair []segment
	trims        []trim
	zeroTypes    bool // RoBERTa: no type ids, also not in windows
}

// trim takes the white space that belongs to a token of a byte-level vocabulary out of its offsets.
type trim struct{ prefixSpace bool }

func defaultPostProcessor() *postProcessor {
	return &postProcessor{single: []segment{{seq: 0}}, pair: []segment{{seq: 0}, {seq: 1, typeID: 1}}}
}

// added is the number of special tokens.
func (p *postProcessor) added(pair bool) int {
	n := 0
	for _, s := range p.segments(pair) {
		n += len(s.ids)
	}
	return n
}

func (p *postProcessor) segments(pair bool) []segment {
	if pair {
		return p.pair
	}
	return p.single
}

func parsePostProcessor(o object) (*postProcessor, error) {
	p := defaultPostProcessor()
	return p, p.parse(o, new(bool))
}

// parse reads one post-processor into p. filled is set once segments have been read.
func (p *postProcessor) parse(o object, filled *bool) error {
	kind, err := o.kind()
	if err != nil {
		return err
	}
	switch kind {
	case "Sequence":
		list, err := o.list("processors")
		if err != nil {
			return err
		}
		for _, item := range list {
			if err := p.parse(item, filled); err != nil {
				return err
			}
		}
		return nil
	case "ByteLevel":
		t := trim{prefixSpace: true}
		on := true
		if err := o.maybe("trim_offsets", &on); err != nil {
			return err
		}
		if err := o.maybe("add_prefix_space", &t.prefixSpace); err != nil {
			return err
		}
		if on {
			p.trims = append(p.trims, t)
		}
		return nil
	}
	if *filled {
		return unsupportedf(o.at("type"), "a second post-processor that adds special tokens")
	}
	*filled = true
	switch kind {
	case "TemplateProcessing":
		return p.parseTemplate(o)
	case "BertProcessing", "RobertaProcessing":
		return p.parseBert(o, kind == "RobertaProcessing")
	}
	return unsupportedf(o.at("type"), "post-processor %q is not known", kind)
}

func (p *postProcessor) parseBert(o object, roberta bool) error {
	special := func(key string) (segment, error) {
		var pair [2]any
		if err := o.need(key, &pair); err != nil {
			return segment{}, err
		}
		token, ok1 := pair[0].(string)
		id, ok2 := pair[1].(float64)
		if !ok1 || !ok2 || id < 0 || id > 1<<31-1 || id != float64(int32(id)) {
			return segment{}, formatErrorf(o.at(key), "want a token and its id")
		}
		return segment{seq: -1, ids: []int32{int32(id)}, tokens: []string{token}}, nil
	}
	sep, err := special("sep")
	if err != nil {
		return err
	}
	cls, err := special("cls")
	if err != nil {
		return err
	}
	p.single = []segment{cls, {seq: 0}, sep}
	if !roberta {
		second := sep
		second.typeID = 1
		p.pair = []segment{cls, {seq: 0}, sep, {seq: 1, typeID: 1}, second}
		return nil
	}
	p.pair = []segment{cls, {seq: 0}, sep, sep, {seq: 1}, sep}
	p.zeroTypes = true
	t := trim{}
	on := false
	if err := o.need("trim_offsets", &on); err != nil {
		return err
	}
	if err := o.need("add_prefix_space", &t.prefixSpace); err != nil {
		return err
	}
	if on {
		p.trims = append(p.trims, t)
	}
	return nil
}

func (p *postProcessor) parseTemplate(o object) error {
	specials := object{}
	if o.has("special_tokens") {
		var err error
		if specials, err = o.child("special_tokens"); err != nil {
			return err
		}
	} else if _, ok := o.fields["special_tokens"]; !ok {
		return formatErrorf(o.at("special_tokens"), "missing")
	}
	var err error
	if p.single, err = parseTemplate(o, "single", specials); err != nil {
		return err
	}
	if p.pair, err = parseTemplate(o, "pair", specials); err != nil {
		return err
	}
	for _, s := range p.single {
		if s.seq == 1 {
			return formatErrorf(o.at("single"), "uses the second text, which a single text does not have")
		}
	}
	return nil
}

func parseTemplate(o object, key string, specials object) ([]segment, error) {
	list, err := o.list(key)
	if err != nil {
		return nil, err
	}
	var segs []segment
	for _, item := range list {
		switch {
		case item.has("Sequence"):
			c, err := item.child("Sequence")
			if err != nil {
				return nil, err
			}
			var id string
			if err := c.need("id", &id); err != nil {
				return nil, err
			}
			typeID, err := c.count("type_id", 0)
			if err != nil {
				return nil, err
			}
			if id != "A" && id != "B" {
				return nil, formatErrorf(c.at("id"), "want A or B, have %q", id)
			}
			s := segment{typeID: int64(typeID)}
			if id == "B" {
				s.seq = 1
			}
			segs = append(segs, s)
		case item.has("SpecialToken"):
			s, err := parseSpecial(item, specials)
			if err != nil {
				return nil, err
			}
			segs = append(segs, s)
		default:
			return nil, formatErrorf(item.path, "want a Sequence or a SpecialToken")
		}
	}
	return segs, nil
}

func parseSpecial(item, specials object) (segment, error) {
	s := segment{seq: -1}
	c, err := item.child("SpecialToken")
	if err != nil {
		return s, err
	}
	var id string
	if err := c.need("id", &id); err != nil {
		return s, err
	}
	typeID, err := c.count("type_id", 0)
	if err != nil {
		return s, err
	}
	s.typeID = int64(typeID)
	def, err := specials.child(id)
	if err != nil {
		return s, err
	}
	if err := def.need("ids", &s.ids); err != nil {
		return s, err
	}
	if err := def.need("tokens", &s.tokens); err != nil {
		return s, err
	}
	if len(s.ids) != len(s.tokens) {
		return s, formatErrorf(def.path, "%d ids for %d tokens", len(s.ids), len(s.tokens))
	}
	for _, id := range s.ids {
		if id < 0 {
			return s, formatErrorf(def.at("ids"), "id %d is negative", id)
		}
	}
	return s, nil
}
