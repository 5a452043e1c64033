#!/usr/bin/env python3
"""Fine-tunes a BERT-family classifier with Hugging Face transformers on PyTorch: the peer that ftk is measured against.

The same model, head, data, batching and hyper-parameters as `ftk finetune --head classify`: masked mean pooling (or the
first token), dropout, a linear layer; AdamW with no decay on biases and LayerNorm; linear warm-up and decay; gradient
clipping by norm; batches grouped by length and padded to the longest in the batch. A frozen backbone runs under no_grad;
where its first layers are frozen, nothing in them requires a gradient, so that autograd records nothing either. Dropout
inside the backbone is off on both sides.

  train:  peer_transformers.py train --model DIR --train F --eval F --text-column text --label-column category ...
  step:   peer_transformers.py step --model DIR --batch 32 --length 64
          reads lines "N" from standard input, runs N training steps, each on a batch of new random tokens (with --forward:
          only the forward pass, of one batch), prints the seconds they took.
"""
import argparse, csv, datetime, json, math, random, resource, sys, time

START = time.time()


def arguments():
    p = argparse.ArgumentParser()
    p.add_argument("mode", choices=["train", "step"])
    p.add_argument("--model", required=True)
    p.add_argument("--train")
    p.add_argument("--eval")
    p.add_argument("--text-column", default="text")
    p.add_argument("--label-column", default="label")
    p.add_argument("--limit", type=int, default=0)
    p.add_argument("--epochs", type=int, default=3)
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--length", type=int, default=64)
    p.add_argument("--max-length", type=int, default=128)
    p.add_argument("--lr", type=float, default=5e-5)
    p.add_argument("--head-lr", type=float, default=1e-3)
    p.add_argument("--weight-decay", type=float, default=0.01)
    p.add_argument("--warmup", type=float, default=0.06)
    p.add_argument("--grad-clip", type=float, default=1.0)
    p.add_argument("--dropout", type=float, default=0.1)
    p.add_argument("--pooling", choices=["mean", "cls"], default="mean")
    p.add_argument("--freeze", default="none", help="none, embeddings, backbone, or the number of layers")
    p.add_argument("--labels", type=int, default=2, help="step mode: number of classes")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("-forward", "--forward", action="store_true", help="step mode: without gradient")
    return p.parse_args()


def rows(path, text, label, limit):
    with open(path, newline="", encoding="utf-8") as f:
        tab = path.endswith(".tsv")
        reader = csv.DictReader(f, delimiter="\t" if tab else ",", quoting=csv.QUOTE_NONE if tab else csv.QUOTE_MINIMAL)
        out = [(r[text], r[label]) for r in reader]
    return out[:limit] if limit else out


def main():
    a = arguments()
    import torch
    from torch import nn
    from transformers import AutoConfig, AutoModel, __version__ as transformers_version

    version = f"{transformers_version}, torch {torch.__version__}"
    torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    random.seed(a.seed)

    class Classifier(nn.Module):
        def __init__(self, labels):
            super().__init__()
            config = AutoConfig.from_pretrained(a.model)
            config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.0
            self.backbone = AutoModel.from_pretrained(a.model, config=config, add_pooling_layer=False)
            self.dropout = nn.Dropout(a.dropout)
            self.head = nn.Linear(config.hidden_size, labels)
            nn.init.normal_(self.head.weight, std=0.02)
            nn.init.zeros_(self.head.bias)
            if a.freeze != "none":
                self.backbone.embeddings.requires_grad_(False)
            if a.freeze == "backbone":
                self.backbone.requires_grad_(False)
            elif a.freeze not in ("none", "embeddings"):
                for layer in self.backbone.encoder.layer[: int(a.freeze)]:
                    layer.requires_grad_(False)

        def forward(self, ids, mask):
            with torch.set_grad_enabled(torch.is_grad_enabled() and a.freeze != "backbone"):
                hidden = self.backbone(input_ids=ids, attention_mask=mask).last_hidden_state
                if a.pooling == "mean":
                    m = mask.unsqueeze(-1).to(hidden.dtype)
                    pooled = (hidden * m).sum(1) / m.sum(1).clamp(min=1e-9)
                else:
                    pooled = hidden[:, 0]
            return self.head(self.dropout(pooled))

    def optimiser(model, steps):
        groups = {}
        for name, p in model.named_parameters():
            if p.requires_grad:
                lr = a.head_lr if name.startswith("head.") else a.lr
                decay = a.weight_decay if p.dim() > 1 else 0.0
                groups.setdefault((lr, decay), []).append(p)
        opt = torch.optim.AdamW([{"params": ps, "lr": lr, "weight_decay": d} for (lr, d), ps in groups.items()], fused=True)
        warm = max(1, math.ceil(a.warmup * steps))
        return opt, torch.optim.lr_scheduler.LambdaLR(
            opt, lambda s: s / warm if s < warm else max(0.0, (steps - s) / max(1, steps - warm)))

    def step(model, opt, ids, mask, labels):
        model.train()
        loss = nn.functional.cross_entropy(model(ids, mask), labels)
        loss.backward()
        nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], a.grad_clip)
        opt.step()
        opt.zero_grad(set_to_none=True)
        return loss

    if a.mode == "step":
        model = Classifier(a.labels)
        opt, _ = optimiser(model, 1000)
        vocab = model.backbone.config.vocab_size
        ids = torch.randint(0, vocab, (a.batch, a.length))
        mask = torch.ones_like(ids)
        labels = torch.randint(0, a.labels, (a.batch,))

        def work():
            if not a.forward:
                return step(model, opt, torch.randint(0, vocab, ids.shape), mask, labels)
            model.eval()
            with torch.no_grad():
                return model(ids, mask)

        work()
        print(json.dumps({"peer": "transformers", "version": version}), flush=True)
        for line in sys.stdin:
            begin = time.perf_counter()
            for _ in range(int(line)):
                work()
            print(time.perf_counter() - begin, flush=True)
        return

    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(a.model + "/tokenizer.json")
    tokenizer.enable_truncation(a.max_length)
    tokenizer.no_padding()
    train = rows(a.train, a.text_column, a.label_column, a.limit)
    dev = rows(a.eval, a.text_column, a.label_column, 0)
    names = sorted({label for _, label in train})
    index = {n: i for i, n in enumerate(names)}

    def encode(data):
        return [(e.ids, index[label]) for e, (_, label) in zip(tokenizer.encode_batch([t for t, _ in data]), data)]

    def batches(data, shuffle):
        order = list(range(len(data)))
        if shuffle:
            random.shuffle(order)
        mega = 50 * a.batch if shuffle else len(order)
        out = []
        for at in range(0, len(order), mega):
            chunk = sorted(order[at:at + mega], key=lambda i: len(data[i][0]), reverse=True)
            out += [chunk[i:i + a.batch] for i in range(0, len(chunk), a.batch)]
        if shuffle:
            random.shuffle(out)
        for b in out:
            width = max(len(data[i][0]) for i in b)
            ids = torch.zeros(len(b), width, dtype=torch.long)
            mask = torch.zeros(len(b), width, dtype=torch.long)
            for r, i in enumerate(b):
                t = data[i][0]
                ids[r, :len(t)] = torch.tensor(t)
                mask[r, :len(t)] = 1
            yield ids, mask, torch.tensor([data[i][1] for i in b])

    model = Classifier(len(names))
    train, dev = encode(train), encode(dev)
    steps = a.epochs * math.ceil(len(train) / a.batch)
    opt, schedule = optimiser(model, steps)
    first, tokens, evals, busy = None, 0, [], 0.0
    for epoch in range(a.epochs):
        begin = time.perf_counter()
        for ids, mask, labels in batches(train, True):
            step(model, opt, ids, mask, labels)
            schedule.step()
            tokens += int(mask.sum())
            if first is None:
                first = datetime.datetime.now(datetime.timezone.utc)
        busy += time.perf_counter() - begin
        model.eval()
        right = 0
        with torch.no_grad():
            for ids, mask, labels in batches(dev, False):
                right += int((model(ids, mask).argmax(-1) == labels).sum())
        evals.append(right / len(dev))
        print(f"epoch {epoch + 1}: accuracy {evals[-1]:.4f}", file=sys.stderr, flush=True)
    print(json.dumps({
        "peer": "transformers", "version": version, "accuracy": max(evals), "evals": evals, "steps": steps,
        "samples_per_second": a.epochs * len(train) / busy, "tokens_per_second": tokens / busy,
        "first_step_at": first.isoformat(), "seconds": time.time() - START,
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))


main()
