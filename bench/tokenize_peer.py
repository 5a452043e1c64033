#!/usr/bin/env python3
"""Speed of package tokenize against the Rust tokenizers (PyPI tokenizers), side by side.

    python bench/tokenize_peer.py SHARED [ROUNDS]

SHARED holds tokenizers/ and datasets/. A batch is 10,000 texts, half SST-2 and half AG News. Each round runs both sides once
on one thread and once on two, one after the other; the median of the rounds counts. Both sides make whole encodings: ids, type
ids, masks, tokens, offsets, word ids. The Rust side runs in a process of its own for each number of threads, because its
thread pool is made once.
"""
import csv, json, os, statistics, subprocess, sys, tempfile

PEER = r"""
import json, sys, time
from tokenizers import Tokenizer
tok = Tokenizer.from_file(sys.argv[1])
tok.no_padding(); tok.no_truncation()
texts = [json.loads(l) for l in open(sys.argv[2], encoding="utf-8")]
for line in sys.stdin:
    start = time.perf_counter()
    out = tok.encode_batch(texts)
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "tokens": sum(len(e) for e in out)}), flush=True)
    del out
"""


def texts(shared):
    out = []
    with open(f"{shared}/datasets/glue/SST-2/train.tsv", encoding="utf-8") as f:
        next(f)
        out += [line.split("\t")[0] for line, _ in zip(f, range(5000))]
    with open(f"{shared}/datasets/ag_news/test.csv", encoding="utf-8", newline="") as f:
        out += [" ".join(row[1:]) for row, _ in zip(csv.reader(f), range(5000))]
    return out


class Side:
    def __init__(self, command, env=None):
        self.p = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **(env or {})})

    def run(self, threads):
        self.p.stdin.write(f"{threads}\n")
        self.p.stdin.flush()
        return json.loads(self.p.stdout.readline())

    def stop(self):
        self.p.stdin.close()
        self.p.wait()


def main():
    shared, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    with tempfile.TemporaryDirectory() as tmp:
        binary, batch = f"{tmp}/tokenize", f"{tmp}/texts.jsonl"
        subprocess.run(["go", "build", "-o", binary, "./bench/tokenize"], cwd=root, check=True)
        lines = texts(shared)
        size = sum(len(t.encode()) for t in lines) / 1e6
        with open(batch, "w", encoding="utf-8") as f:
            f.writelines(json.dumps(t) + "\n" for t in lines)
        print(f"{len(lines)} texts, {size:.2f} MB, median of {rounds} rounds")
        print(f"{'tokenizer':20} {'threads':>7} {'tokens':>8} {'Rust MB/s':>10} {'Go MB/s':>8} {'Go/Rust':>8}")
        for name in ("bert-base-uncased", "all-MiniLM-L6-v2", "roberta-base", "gpt2", "albert", "t5-small"):
            path = f"{shared}/tokenizers/{name}/tokenizer.json"
            go = Side([binary, path, batch])
            for threads in (1, 2):
                rust = Side([sys.executable, "-c", PEER, path, batch], {"RAYON_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "true"})
                go.run(threads), rust.run(threads)  # warm-up
                times = {"go": [], "rust": []}
                for _ in range(rounds):
                    r, g = rust.run(threads), go.run(threads)
                    if r["tokens"] != g["tokens"]:
                        sys.exit(f"{name}: {r['tokens']} tokens from Rust, {g['tokens']} from Go")
                    tokens = g["tokens"]
                    times["rust"].append(r["seconds"])
                    times["go"].append(g["seconds"])
                rust.stop()
                r, g = statistics.median(times["rust"]), statistics.median(times["go"])
                print(f"{name:20} {threads:7} {tokens:8} {size / r:10.1f} {size / g:8.1f} {r / g:8.2f}")
            go.stop()


if __name__ == "__main__":
    main()
