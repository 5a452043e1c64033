"""What the transformers library makes of tokenizer files that come with config files, or without tokenizer.json. Writes
tokenize/testdata/load.json.gz: for each case the files of a directory (a string names a file of testdata/tokenizers whose
vocabulary, merges or whole is meant) and the ids of some strings."""
import gzip, io, json, os, shutil, sys, tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tokenizers_texts as T
from transformers import AutoTokenizer

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TEXTS = T.make(2050)[:700:5] + ["Wörld [MASK]x [unused] ÀÉ", "中文 ABC Ein Café", "my card  <msk> is <new>brownx"]
BERT, ROBERTA = {"model_type": "bert"}, {"model_type": "roberta"}
ADDED = {"content": "Wörld", "lstrip": False, "rstrip": False, "normalized": False, "single_word": False, "special": False}
CASES = {
    "vocab.txt alone": {"vocab.txt": "bert_uncased", "config.json": BERT},
    "vocab.txt cased": {"vocab.txt": "bert_cased", "config.json": BERT, "tokenizer_config.json": {"do_lower_case": False, "model_max_length": 256}},
    "vocab.txt options": {"vocab.txt": "bert_cased", "config.json": BERT, "tokenizer_config.json": {"do_lower_case": True, "strip_accents": False, "tokenize_chinese_chars": False}},
    "vocab.txt special tokens": {"vocab.txt": "bert_uncased", "config.json": BERT, "special_tokens_map.json": {"mask_token": {"content": "card", "lstrip": True, "rstrip": False, "normalized": False, "single_word": False}}},
    "tokenizer.json against config": {"tokenizer.json": "bert_uncased", "config.json": BERT, "tokenizer_config.json": {"do_lower_case": False, "tokenizer_class": "BertTokenizer"}},
    "tokenizer.json of its own class": {"tokenizer.json": "bert_uncased", "config.json": BERT, "tokenizer_config.json": {"do_lower_case": False, "tokenizer_class": "PreTrainedTokenizerFast"}},
    "added later": {"tokenizer.json": "bert_uncased", "config.json": BERT, "tokenizer_config.json": {"tokenizer_class": "BertTokenizer", "added_tokens_decoder": {"2000": ADDED}}},
    "special tokens of the config": {"tokenizer.json": "wordlevel", "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "[PAD]", "cls_token": "card", "mask_token": {"__type": "AddedToken", "content": "<msk>", "lstrip": True, "rstrip": False, "normalized": False, "single_word": False}, "additional_special_tokens": ["brown", "<new>"]}},
    "vocab.json roberta": {"vocab.json": "roberta", "merges.txt": "roberta", "config.json": ROBERTA, "tokenizer_config.json": {"model_max_length": 512}},
    "vocab.json roberta with a space": {"vocab.json": "roberta", "merges.txt": "roberta", "config.json": ROBERTA, "tokenizer_config.json": {"add_prefix_space": True}},
    "vocab.json gpt2": {"vocab.json": "gpt2", "merges.txt": "gpt2", "config.json": {"model_type": "gpt2"}},
}


def write(path, name, content):
    if isinstance(content, str):
        doc = json.load(open(os.path.join(ROOT, "testdata/tokenizers", content + ".json"), encoding="utf-8"))
        vocab = doc["model"]["vocab"]
        if name == "vocab.txt":
            content = "".join(t + "\n" for t in sorted(vocab, key=vocab.get))
        elif name == "vocab.json":
            content = json.dumps(vocab)
        elif name == "merges.txt":
            content = "#version: 0.2\n" + "".join(" ".join(m) + "\n" for m in doc["model"]["merges"])
        else:
            content = json.dumps(doc)
    else:
        content = json.dumps(content)
    with open(os.path.join(path, name), "w", encoding="utf-8") as f:
        f.write(content)


def main():
    out = []
    for name, files in CASES.items():
        path = tempfile.mkdtemp()
        for file, content in files.items():
            write(path, file, content)
        tok = AutoTokenizer.from_pretrained(path)
        limit = tok.model_max_length if tok.model_max_length < 1e9 else 0
        out.append({"name": name, "files": files, "max_length": limit, "ids": [tok(t)["input_ids"] for t in TEXTS],
                    "pair": tok(TEXTS[50], TEXTS[60])["input_ids"]})
        shutil.rmtree(path)
    buf = io.BytesIO()
    with gzip.GzipFile(fileobj=buf, mode="wb", compresslevel=9, mtime=0) as f:
        f.write(json.dumps({"texts": TEXTS, "cases": out}).encode())
    with open(os.path.join(ROOT, "tokenize/testdata/load.json.gz"), "wb") as f:
        f.write(buf.getvalue())


main()
