"""The strings that tokenizers are compared on. Imported by tokenizers_golden.py; makes nothing when run on its own."""
import random

WORDS = """the quick brown fox jumps over lazy dogs Hello WORLD don't I'll we've they're it's he'd I'm can't naïve café résumé
Zürich Straße ÅNGSTRÖM İstanbul ılık ﬁne ﬂow ½ ² ① Ⅷ ǆ Ǆ ẞ ß ſ Kelvin K Å Ω running unhappiness tokenizers nationalization
model training sentence where is my card please transfer money account balance""".split()
MARKS = [chr(c) for c in range(0x300, 0x370)] + list("\u05b0\u05b4\u064b\u0651\u093c\u094d\u0e38\u302a\u302e\u3099\u20dd\u20e3\u1dc4\ufe0f\u200d\u200c")
POOLS = [[chr(c) for r in ranges for c in range(*r)] for ranges in [
    [(0x20, 0x7f)], [(0x20, 0x7f)], [(0xa0, 0x250)], [(0x370, 0x530)], [(0x590, 0x780)], [(0x900, 0xe80)],
    [(0x1100, 0x1200), (0xac00, 0xac80), (0xd700, 0xd7a4)], [(0x1e00, 0x2100)], [(0x2100, 0x2600)], [(0x3000, 0x3400)],
    [(0x4e00, 0x4f00), (0xf900, 0xfb07), (0x20000, 0x20050), (0x2f800, 0x2fa1e)], [(0xfb00, 0xfe00)], [(0xfe00, 0xfffe)],
    [(0x1f300, 0x1f700), (0x200d, 0x200e), (0xfe0f, 0xfe10), (0x1f3fb, 0x1f400), (0x1f1e6, 0x1f200)],
    [(0, 0x20), (0x7f, 0xa1)], [(0x10000, 0x11000)], [(0x1d100, 0x1d800)], [(0xe0020, 0xe0080)]]]
POOLS.append(MARKS)
SPACES = [" ", "\t", "\n", "\r", "\r\n", "\x0b", "\x0c", "\x85", "\xa0", "\u1680", "\u2000", "\u2003", "\u2009", "\u200a",
          "\u200b", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000", "\ufeff", "\u180e", "\u2060"]
POOLS.append(SPACES)
SPECIAL = ["[CLS]", "[SEP]", "[MASK]", "[PAD]", "[UNK]", "<s>", "</s>", "<pad>", "<unk>", "<mask>", "<|endoftext|>",
           "<extra_id_0>", "<extra_id_99>", "[cls]", "[MASK", "mask]", " [MASK] ", "  <mask>  ", "x<mask>y", "<MASK>", "▁", "##",
           "##ing", "Ġ", "Ċ", "<0x41>", "|||IP_ADDRESS|||", "<|padding|>", "<|im_start|>", "ftk", "Ftk", "ftks", "<l> x", " <r> x"]
EMOJI = ["👨‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "🇺🇸", "🇩🇪🇫🇷", "❤️", "☺", "🤷🏻‍♀️", "1️⃣", "🧑‍💻"]
URLS = ["https://example.com/a?b=c&d=%20e#f", "user.name+tag@mail.example.co.uk", "C:\\Users\\x\\y.txt", "/usr/local/bin",
        "192.168.0.1:8080", "#hashtag @mention"]
NUMBERS = ["0", "1", "42", "3.14159", "1,234,567.89", "-1e-10", "0x1F", "१२३", "٣٤٥", "2024-01-31", "12:34:56", "$9.99", "50%",
           "１２３", "²³", "½"]
CODE = ["def f(x):\n    return x**2  # comment", "if (a && b || !c) { d[i] += *p++; }", '<div class="a">x</div>',
        "SELECT * FROM t WHERE a = 'b';", "\tfoo\n\n\nbar\r\n  baz   ", '{"k": [1, 2.0, null]}', "lambda: ...",
        "a_b_c aBcDeF ABC_DEF"]
QUOTES = ["``quoted''", "“curly” ‘single’ — dash… ellipsis", "''", "``", "a  b   c    d"]
LANGUAGES = ["Привет, мир! Как дела?", "مرحبا بالعالم، كيف حالك؟", "שָׁלוֹם עֲלֵיכֶם", "你好，世界！今天天气怎么样？",
             "こんにちは世界。カタカナﾊﾝｶｸ", "안녕하세요 세계", "สวัสดีชาวโลก", "नमस्ते दुनिया", "Γειά σου Κόσμε",
             "Xin chào thế giới", "Ελληνικά ὀξεῖα", "ཀྵ བོད", "Ñandú über Gänsefüßchen œuvre"]
FIXED = ["", " ", "  ", "\n", "\t \n", "a", "A", ".", "\u0301", "\u200d", "é", "e\u0301", "\ufeffabc", "a\x00b", "\x00", "\ufffd",
         "the " * 300, "a" * 99, "a" * 100, "a" * 101, "é" * 100, "é" * 101, "supercalifragilisticexpialidocious" * 8, "字" * 150,
         "👍" * 60, "x\u0301" * 80, "1" * 200, "." * 200, " " * 200, "\n" * 50, "ab" * 600]


def make(n, seed=7):
    """n strings: some chosen, the rest mixed at random."""
    r = random.Random(seed)

    def word():
        k = r.random()
        for limit, source in ((.55, WORDS), (.60, SPECIAL), (.64, EMOJI), (.68, URLS), (.75, NUMBERS), (.78, CODE), (.80, QUOTES), (.86, LANGUAGES)):
            if k < limit:
                return r.choice(source)
        w = r.choice(WORDS)
        i = r.randrange(len(w) + 1)
        return w[:i] + "".join(r.choice(MARKS) for _ in range(r.randrange(1, 4))) + w[i:]

    seps = [" "] * 12 + ["", "  ", "\n", "\t", "\u00a0", "\u3000", ", ", "-", ".", "  \n ", "\u200b"]
    out = FIXED + SPECIAL + EMOJI + URLS + NUMBERS + CODE + QUOTES + LANGUAGES
    while len(out) < n:
        k = r.random()
        if k < .5:
            out.append("".join(x for _ in range(r.randrange(1, 8)) for x in (word(), r.choice(seps))))
        elif k < .8:
            pool = r.choice(POOLS)
            out.append("".join(r.choice(pool) for _ in range(r.randrange(1, 12))))
        else:
            out.append("".join(r.choice(r.choice(POOLS)) for _ in range(r.randrange(1, 14))))
    return out


def pairs(texts, n, seed=9):
    """n pairs of short strings, as indices of texts."""
    r = random.Random(seed)
    short = [i for i, t in enumerate(texts) if len(t.encode()) < 22]
    return [(r.choice(short), r.choice(short)) for _ in range(n)]


def long_text():
    """100 kB. golden_test.go makes the same."""
    out = []
    size = 0
    i = 0
    while size < 100_000:
        line = f"Line {i}: the naïve café in Zürich — 東京 👍🏽 costs ${i * 7}.{i % 100:02d}, isn't it?\n"
        out.append(line)
        size += len(line.encode())
        i += 1
    return "".join(out)
