"""Golden values for package tokenize: what the Hugging Face tokenizers (PyPI tokenizers) make of the strings of
tokenizers_texts.py. Writes testdata/tokenizers/*.json (small tokenizers of every style, trained here),
tokenize/testdata/texts.json.gz (the strings) and tokenize/testdata/NAME.golden.gz for each small tokenizer, and
real-NAME.golden.gz for each in SHARED/tokenizers.

A golden file is gzip of seven streams, each after its length (uint32, little endian): counts, ids, gaps, lengths, words, flags,
and a JSON object. For each request, counts has the number of encodings plus one (0: the tokenizer refused), and the number of
tokens of each; the other streams have one entry a token: id; start of its offsets minus end of the one before; length; word id
minus that of the one before (none is -1); 1 special + 2 attended + 4 * type id. Of gap, length and word id it is the difference
to what they were when that id last came after the same id as now (zigzag). All are varints. Offsets count characters. The JSON object has
decoded texts, and the SHA-256 of all tokens as strings.
"""
# golden: $PYTHON testdata/golden/tokenizers_golden.py ${FTK_SHARED:-../shared}
import base64, gzip, hashlib, io, json, os, struct, sys

os.environ["RUST_BACKTRACE"] = "0"
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers as N, pre_tokenizers as P, processors, trainers
import tokenizers_texts as T

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TEXTS = T.make(2050)
PAIRS = T.pairs(TEXTS, 500)
STRATEGIES = ("longest_first", "only_first", "only_second")
CORPUS = [t for t in TEXTS if len(t) < 300 and t.isascii()] + (T.WORDS + T.LANGUAGES + T.CODE + T.URLS + T.NUMBERS + T.QUOTES) * 20
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


# ---- a small precompiled_charsmap -----------------------------------------------------------------------------------------

def charsmap(rules):
    """The table of the Precompiled normalizer: a double array of the Darts library, from UTF-8 to offsets in a blob."""
    blob, offsets = b"", {}
    for v in sorted(set(rules.values())):
        offsets[v] = len(blob)
        blob += v.encode() + b"\0"
    trie = {}
    for k, v in rules.items():
        node = trie
        for b in k.encode():
            node = node.setdefault(b, {})
        node[None] = offsets[v]
    units, used = {0: 0}, {0}

    def place(node, at):
        """Puts the children of node, whose unit is at, where at ^ offset ^ label is free for all labels."""
        labels = [0 if c is None else c for c in node]
        offset = 1
        while (offset & 0xff and offset >= 1 << 21) or any((at ^ offset ^ c) in used for c in labels) or (at ^ offset) == 0:
            offset += 1
        used.update(at ^ offset ^ c for c in labels)
        units[at] = units.get(at, 0) | offset << 10 | (1 << 8 if None in node else 0)
        for c, child in node.items():
            to = at ^ offset ^ (0 if c is None else c)
            if c is None:
                units[to] = child | 1 << 31
            else:
                units[to] = c
                place(child, to)

    place(trie, 0)
    size = (max(units) | 0xff) + 1
    array = b"".join(struct.pack("<I", units.get(i, 0)) for i in range(size))
    return struct.pack("<I", len(array)) + array + blob


def rules():
    r = {chr(c): chr(c - 0xfee0) for c in range(0xff01, 0xff5f)}
    r.update({chr(c): "" for c in [*range(1, 9), 0xb, *range(0xe, 0x20), 0x7f, 0xad]})
    r.update({c: " " for c in "\t\n\x0c\r\u00a0\u1680\u2003\u200b\u2028\u3000\ufeff"})
    r.update({"ﬁ": "fi", "ﬂ": "fl", "½": "1⁄2", "²": "2", "①": "1", "Ⅷ": "VIII", "K": "K", "Å": "Å", "…": "...", "ǆ": "dž", "Ǆ": "DŽ",
              "e\u0301": "é", "u\u0308": "ü", "A\u030a": "Å", "ﾊﾞ": "バ", "ｶ": "カ", "ﾊ": "ハ", "㌔": "キロ", "か\u3099": "が"})
    return r


CHARSMAP = charsmap(rules())


# ---- small tokenizers of every style ---------------------------------------------------------------------------------------

def special(names, **kw):
    return [AddedToken(n, special=True, normalized=False, **kw) for n in names]


def train(model, trainer, normalizer=None, pre=None, post=None, decoder=None):
    tok = Tokenizer(model)
    if normalizer:
        tok.normalizer = normalizer
    if pre:
        tok.pre_tokenizer = pre
    tok.train_from_iterator(CORPUS, trainer)
    if decoder:
        tok.decoder = decoder
    if post:
        tok.post_processor = post(tok)
    return tok


def template(single, pair, names):
    return lambda tok: processors.TemplateProcessing(single=single, pair=pair, special_tokens=[(n, tok.token_to_id(n)) for n in names])


BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ROBERTA = ["<s>", "<pad>", "</s>", "<unk>"]
BERT_PAIR = ("[CLS]:0 $A:0 [SEP]:0", "[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1", ["[CLS]", "[SEP]"])
ROBERTA_PAIR = ("<s> $A </s>", "<s> $A </s> </s> $B </s>", ["<s>", "</s>"])


def wordpiece(lowercase, post, names=BERT, strip=None):
    unk = "[UNK]"
    return train(models.WordPiece(unk_token=unk), trainers.WordPieceTrainer(vocab_size=900, special_tokens=names, show_progress=False, limit_alphabet=250),
                 N.BertNormalizer(clean_text=True, handle_chinese_chars=True, strip_accents=strip, lowercase=lowercase),
                 P.BertPreTokenizer(), post, decoders.WordPiece())


def bytelevel(names, post, prefix=False, normalizer=None, pre=None, size=800, **model):
    return train(models.BPE(**model), trainers.BpeTrainer(vocab_size=size, special_tokens=names, initial_alphabet=P.ByteLevel.alphabet(), show_progress=False),
                 normalizer, pre or P.ByteLevel(add_prefix_space=prefix), post, decoders.ByteLevel())


def unigram(names, unk, normalizer, pre, post, size=800):
    return train(models.Unigram(), trainers.UnigramTrainer(vocab_size=size, special_tokens=names, unk_token=unk, show_progress=False),
                 normalizer, pre, post, decoders.Metaspace())


def bert_cased():
    return wordpiece(False, template(*BERT_PAIR))


def bert_uncased():
    return wordpiece(True, lambda t: processors.BertProcessing(("[SEP]", t.token_to_id("[SEP]")), ("[CLS]", t.token_to_id("[CLS]"))))


def mpnet():
    tok = wordpiece(True, template("<s>:0 $A:0 </s>:0", "<s>:0 $A:0 </s>:0 </s>:0 $B:1 </s>:1", ["<s>", "</s>"]),
                    special(["<s>", "<pad>", "</s>", "<unk>", "[UNK]"]) + special(["<mask>"], lstrip=True))
    return tok


def roberta():
    return bytelevel(ROBERTA + special(["<mask>"], lstrip=True), lambda t: processors.RobertaProcessing(("</s>", t.token_to_id("</s>")), ("<s>", t.token_to_id("<s>")), trim_offsets=True, add_prefix_space=True), prefix=True)


def gpt2():
    return bytelevel(["<|endoftext|>"], lambda t: processors.ByteLevel(trim_offsets=False))


def albert():
    n = N.Sequence([N.Replace("``", '"'), N.Replace("''", '"'), N.NFKD(), N.StripAccents(), N.Lowercase(), N.Replace(Regex(" {2,}"), " ")])
    return unigram(["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"], "<unk>", n, P.Sequence([P.WhitespaceSplit(), P.Metaspace()]), template(*BERT_PAIR))


def t5():
    tok = unigram(["<pad>", "</s>", "<unk>"], "<unk>", N.Precompiled(CHARSMAP), P.Sequence([P.WhitespaceSplit(), P.Metaspace()]),
                  template("$A </s>", "$A </s> $B </s>", ["</s>"]))
    tok.add_special_tokens(special([f"<extra_id_{i}>" for i in range(99, -1, -1)]))
    return tok


def xlmr():
    n = N.Sequence([N.Precompiled(CHARSMAP), N.Replace(Regex(" {2,}"), " ")])
    tok = unigram(["<s>", "<pad>", "</s>", "<unk>"], "<unk>", n, P.Sequence([P.WhitespaceSplit(), P.Metaspace()]), template(*ROBERTA_PAIR))
    tok.add_special_tokens(special(["<mask>"], lstrip=True))
    return tok


def deberta():
    n = N.Sequence([N.Strip(), N.Precompiled(CHARSMAP), N.Replace(Regex(" {2,}"), " ")])
    return unigram(["[PAD]", "[CLS]", "[SEP]", "[UNK]"] + special(["[MASK]"]), "[UNK]", n, P.Metaspace(), template(*BERT_PAIR))


def modernbert():
    tok = bytelevel(["<|padding|>", "<|endoftext|>"] + special(["[UNK]", "[CLS]", "[SEP]", "[PAD]"]) + special(["[MASK]"], lstrip=True),
                    template("[CLS] $A [SEP]", "[CLS] $A [SEP] $B [SEP]", ["[CLS]", "[SEP]"]), normalizer=N.NFC())
    tok.add_tokens([AddedToken(t, normalized=True) for t in ["|||IP_ADDRESS|||"] + [" " * k for k in range(2, 12)]])
    return tok


def wordlevel():
    return train(models.WordLevel(unk_token="[UNK]"), trainers.WordLevelTrainer(vocab_size=900, special_tokens=BERT, show_progress=False),
                 N.Sequence([N.NFD(), N.Lowercase(), N.StripAccents()]), P.Whitespace(), template(*BERT_PAIR))


def llama2():
    tok = train(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True),
                trainers.BpeTrainer(vocab_size=900, special_tokens=["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)], show_progress=False, limit_alphabet=120, max_token_length=12),
                N.Sequence([N.Prepend("▁"), N.Replace(" ", "▁")]), None, template("<s> $A", "<s> $A <s>:1 $B:1", ["<s>"]),
                decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]))
    doc = json.loads(tok.to_str())  # bytes are ordinary tokens of the model, not added ones
    doc["added_tokens"] = [t for t in doc["added_tokens"] if not t["content"].startswith("<0x")]
    return Tokenizer.from_str(json.dumps(doc))


def llama3():
    return bytelevel(special(["<|begin|>"]), lambda t: processors.Sequence([processors.ByteLevel(trim_offsets=True), processors.TemplateProcessing(single="<|begin|> $A", pair="<|begin|> $A <|begin|>:1 $B:1", special_tokens=[("<|begin|>", 0)])]),
                     pre=P.Sequence([P.Split(Regex(LLAMA3), "isolated"), P.ByteLevel(add_prefix_space=False, use_regex=False)]), ignore_merges=True)


def mixed():
    """What no family above has: end-of-word suffix, single_word and rstrip tokens, Nmt, NFKC, Digits, Punctuation, lookaround."""
    tok = train(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"),
                trainers.BpeTrainer(vocab_size=700, special_tokens=["<unk>"], end_of_word_suffix="</w>", show_progress=False, limit_alphabet=150),
                N.Sequence([N.Nmt(), N.NFKC(), N.Replace(Regex(r"(?<=\d),(?=\d)"), ""), N.Strip(right=False)]),
                P.Sequence([P.WhitespaceSplit(), P.Split(Regex(r"(?<=[a-z])(?=[A-Z])"), "isolated"), P.Punctuation("contiguous"), P.Digits(True), P.Split(Regex("[aeiou]+(?!x)"), "merged_with_next"), P.Split("z", "merged_with_previous")]),
                None, decoders.BPEDecoder())
    tok.add_tokens([AddedToken("ftk", single_word=True), AddedToken("<l>", lstrip=True, normalized=False), AddedToken("<r>", rstrip=True, normalized=False), AddedToken("WORLD", normalized=True)])
    return tok


def pieces():
    """WordPiece behind stages it does not usually have."""
    return train(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=8), trainers.WordPieceTrainer(vocab_size=600, special_tokens=BERT, show_progress=False, limit_alphabet=150),
                 N.Sequence([N.NFKD(), N.ByteLevel()]), P.Sequence([P.CharDelimiterSplit("Ġ"), P.Digits(False), P.Punctuation("merged_with_previous"), P.FixedLength(11)]), None, decoders.WordPiece(cleanup=False))


SMALL = [bert_cased, bert_uncased, mpnet, roberta, gpt2, albert, t5, xlmr, deberta, modernbert, wordlevel, llama2, llama3, mixed, pieces]
FULL = {"bert_cased", "mpnet", "xlmr", "deberta", "modernbert", "wordlevel"}  # the others are here as real ones, or are no family
REAL = {"bert-base-uncased": ["all-MiniLM-L6-v2"], "roberta-base": [], "gpt2": [], "albert": [], "t5-small": []}


# ---- packing -----------------------------------------------------------------------------------------------------------------

class Streams:
    def __init__(self):
        self.s = [bytearray() for _ in range(6)]
        self.tokens = hashlib.sha256()
        self.last = {}

    def put(self, k, n):
        while n >= 0x80:
            self.s[k].append(n & 0x7f | 0x80)
            n >>= 7
        self.s[k].append(n)

    def signed(self, k, n):
        self.put(k, n << 1 if n >= 0 else (-n << 1) - 1)

    def encoding(self, e):
        all = [e] + e.overflowing
        self.put(0, len(all) + 1)
        for x in all:
            ids = x.ids
            self.put(0, len(ids))
            end, word, previous = 0, -1, -1
            for id, (a, b), w, sp, at, ty, tok in zip(ids, x.offsets, x.word_ids, x.special_tokens_mask, x.attention_mask, x.type_ids, x.tokens):
                w = -1 if w is None else w
                self.put(1, id)
                now, before = (a - end, b - a, w - word), self.last.get((id, previous), (0, 0, 0))
                self.last[id, previous] = now
                previous = id
                for k in range(3):
                    self.signed(2 + k, now[k] - before[k])
                self.put(5, sp + 2 * at + 4 * ty)
                self.tokens.update(tok.encode() + b"\0")
                end, word = b, w

    def request(self, f):
        try:
            e = f()
        except BaseException as x:
            if isinstance(x, KeyboardInterrupt):
                raise
            self.put(0, 0)
            return
        self.encoding(e)


def golden(tok, full):
    """The requests of golden_test.go, in order."""
    tok.no_padding()
    tok.no_truncation()
    s = Streams()
    texts = TEXTS if full else TEXTS[:130] + TEXTS[130::3]
    for t in texts:
        s.request(lambda: tok.encode(t))
    if full:
        s.request(lambda: tok.encode(T.long_text()))
    for t in texts[::20]:
        s.request(lambda: tok.encode(t, add_special_tokens=False))
        s.request(lambda: tok.encode(t.split(" "), is_pretokenized=True))
    pairs = PAIRS if full else PAIRS[:50]
    for k, strategy in enumerate(STRATEGIES):
        for i, (a, b) in enumerate(pairs):
            tok.enable_truncation(8 + (i + k) % 9, stride=i % 4, strategy=strategy, direction="left" if i % 5 == 4 else "right")
            s.request(lambda: tok.encode(TEXTS[a], TEXTS[b]))
    tok.enable_truncation(12, stride=2)
    for i in range(0, len(pairs), 5):
        s.request(lambda: tok.encode(TEXTS[pairs[i][0]] + TEXTS[pairs[i][1]]))
    tok.no_truncation()
    for i in range(0, len(pairs) - 8, 20):
        tok.enable_padding(direction="left" if i % 40 else "right", pad_id=1, pad_type_id=1, pad_token="<pad>", length=None if i % 60 else 40, pad_to_multiple_of=8 if i % 80 == 0 else None)
        for e in tok.encode_batch([(TEXTS[a], TEXTS[b]) for a, b in pairs[i:i + 4]]):
            s.encoding(e)
    tok.no_padding()
    decoded = [[tok.decode(e.ids, skip_special_tokens=skip) for skip in (False, True)] for e in (tok.encode(t) for t in texts[::12])]
    streams = s.s + [json.dumps({"tokens": s.tokens.hexdigest(), "decoded": decoded}).encode()]
    return b"".join(struct.pack("<I", len(x)) + bytes(x) for x in streams)


def write(path, data):
    buf = io.BytesIO()
    with gzip.GzipFile(fileobj=buf, mode="wb", compresslevel=9, mtime=0) as f:
        f.write(data)
    with open(os.path.join(ROOT, path), "wb") as f:
        f.write(buf.getvalue())
    print(f"{path}: {len(buf.getvalue())} bytes")


def main():
    os.makedirs(os.path.join(ROOT, "testdata/tokenizers"), exist_ok=True)
    write("tokenize/testdata/texts.json.gz", json.dumps({"texts": TEXTS, "pairs": PAIRS}).encode())
    for build in SMALL:
        name = build.__name__
        path = os.path.join(ROOT, "testdata/tokenizers", name + ".json")
        if "-keep" not in sys.argv or not os.path.exists(path):
            build().save(path, pretty=False)
        write(f"tokenize/testdata/{name}.golden.gz", golden(Tokenizer.from_file(path), name in FULL))
    shared = sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "..", "shared")
    for name, same in REAL.items():
        path = os.path.join(shared, "tokenizers", name, "tokenizer.json")
        if not os.path.exists(path):
            print(f"{path} is not there: its golden values stay as they are")
            continue
        data = golden(Tokenizer.from_file(path), True)
        for other in same:
            if golden(Tokenizer.from_file(os.path.join(shared, "tokenizers", other, "tokenizer.json")), True) != data:
                sys.exit(f"{other} does not give what {name} gives")
        write(f"tokenize/testdata/real-{name}.golden.gz", data)


if __name__ == "__main__":
    main()
