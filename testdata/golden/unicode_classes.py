"""How the Hugging Face tokenizers (PyPI tokenizers) class, lowercase and normalise every character. Their libraries carry tables
of several Unicode versions, none of them Go's. Writes tokenize/testdata/unicode.json.gz; after a change, `go test ./tokenize
-run TestUnicodeTables -update` makes tokenize/unicode_tables.go anew."""
import gzip, io, json, os
from tokenizers import Regex, normalizers as N, pre_tokenizers as P

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CHARS = [c for c in range(0x110000) if not 0xd800 <= c < 0xe000]


def runs(test):
    """The ranges of the characters that test is true of, as [first, last] pairs."""
    out = []
    for c in CHARS:
        if test(chr(c)):
            if out and out[-1][1] == c - 1:
                out[-1][1] = c
            else:
                out.append([c, c])
    return out


def changes(normalizer):
    """What becomes of the characters that do not stay what they are; Hangul syllables are left out."""
    out = {}
    for c in CHARS:
        if not 0xac00 <= c < 0xd7a4:
            s = normalizer.normalize_str(chr(c))
            if s != chr(c):
                out[c] = s
    return out


def bert(**on):
    return N.BertNormalizer(**{**dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False), **on})


def splits(pre):
    return runs(lambda c: len(pre.pre_tokenize_str("\x01" + c + "\x01")) > 1)


clean, han, accents, marks, nfd = bert(clean_text=True), bert(handle_chinese_chars=True), bert(strip_accents=True), N.StripAccents(), N.NFD()
words = P.Whitespace()
doc = {
    "control": runs(lambda c: clean.normalize_str("a" + c + "a") == "aa"),
    "han": runs(lambda c: han.normalize_str(c) == " " + c + " "),
    "accent": runs(lambda c: accents.normalize_str("a" + c) == "a"),
    "mark": runs(lambda c: marks.normalize_str("a" + c) == "a"),
    "space": splits(P.WhitespaceSplit()),
    "punct": splits(P.Punctuation()),
    "number": splits(P.Digits(individual_digits=True)),
    "word": runs(lambda c: len(words.pre_tokenize_str("a" + c + "a")) == 1),
    "letter": splits(P.Split(Regex(r"\p{L}"), "isolated")),
    "numeral": splits(P.Split(Regex(r"\p{N}"), "isolated")),
    # characters with a combining class change places with one of class 240 before, or of class 1 after them
    "combining": runs(lambda c: nfd.normalize_str("a\u0345" + c).endswith("\u0345") or nfd.normalize_str("a" + c + "\u0334") == "a\u0334" + c),
    "lower": changes(N.Lowercase()),
    "NFD": changes(N.NFD()), "NFKD": changes(N.NFKD()), "NFC": changes(N.NFC()), "NFKC": changes(N.NFKC()),
}
buf = io.BytesIO()
with gzip.GzipFile(fileobj=buf, mode="wb", compresslevel=9, mtime=0) as f:
    f.write(json.dumps(doc, ensure_ascii=False, separators=(",", ":")).encode())
with open(os.path.join(ROOT, "tokenize/testdata/unicode.json.gz"), "wb") as f:
    f.write(buf.getvalue())
print("tokenize/testdata/unicode.json.gz:", len(buf.getvalue()), "bytes")
