#!/usr/bin/env python3
"""Repeats a fine-tuning run of ftk with Hugging Face transformers on PyTorch, and compares them step by step.

    echo '{"model": DIR, "settings": {"data": F, "eval": F, "columns": {"text": T, "label": L}, "epochs": 1, ...}}' > run.json
    FTK_REPLAY=$PWD/run.json go test ./finetune -run TestReplay        writes run.json.out
    replay.py run.json

The model, the head that ftk begins with and the batches are the same, and there is no dropout: what differs is the
implementation alone. Settings are those of run.json in a workspace; freeze is "none", the schedule linear.
"""
import csv, json, math, sys

import torch
from tokenizers import Tokenizer
from torch import nn
from transformers import AutoConfig, AutoModel

asked = json.load(open(sys.argv[1]))
ours = json.load(open(sys.argv[1] + ".out"))
s = {"lr": 5e-5, "head_lr": 0, "weight_decay": 0.01, "warmup": 0.1, "grad_clip": 1.0, "pooling": "mean", "max_length": 256, **asked["settings"]}
labels = {name: i for i, name in enumerate(ours["Labels"])}
tokenizer = Tokenizer.from_file(asked["model"] + "/tokenizer.json")
tokenizer.enable_truncation(s["max_length"])
tokenizer.no_padding()


def examples(path):
    tab = path.endswith(".tsv")
    with open(path, newline="", encoding="utf-8") as f:
        rows = list(csv.DictReader(f, delimiter="\t" if tab else ",", quoting=csv.QUOTE_NONE if tab else csv.QUOTE_MINIMAL))
    encoded = tokenizer.encode_batch([r[s["columns"]["text"]] for r in rows])
    return [(e.ids, labels[r[s["columns"]["label"]]]) for e, r in zip(encoded, rows)]


config = AutoConfig.from_pretrained(asked["model"])
config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.0
backbone = AutoModel.from_pretrained(asked["model"], config=config, add_pooling_layer=False)
head = nn.Linear(config.hidden_size, len(labels))
head.weight.data = torch.tensor(ours["Head"]).reshape(head.weight.shape)
nn.init.zeros_(head.bias)


def forward(batch):
    width = max(len(ids) for ids, _ in batch)
    ids, mask = torch.zeros(2, len(batch), width, dtype=torch.long)
    for r, (t, _) in enumerate(batch):
        ids[r, :len(t)], mask[r, :len(t)] = torch.tensor(t), 1
    hidden = backbone(input_ids=ids, attention_mask=mask).last_hidden_state
    m = mask.unsqueeze(-1).float()
    pooled = (hidden * m).sum(1) / m.sum(1) if s["pooling"] == "mean" else hidden[:, 0]
    return head(pooled), torch.tensor([label for _, label in batch])


train, dev = examples(s["data"]), examples(s["eval"])
groups = {}
for module, rate in ((backbone, s["lr"]), (head, s["head_lr"] or s["lr"])):
    for p in module.parameters():
        groups.setdefault((rate, s["weight_decay"] if p.dim() > 1 else 0.0), []).append(p)
params = [p for ps in groups.values() for p in ps]
opt = torch.optim.AdamW([{"params": ps, "lr": lr, "weight_decay": d} for (lr, d), ps in groups.items()], fused=True)
steps = len(ours["Batches"])
warm = math.ceil(s["warmup"] * steps)
schedule = torch.optim.lr_scheduler.LambdaLR(opt, lambda n: n / warm if n < warm else max(0.0, (steps - n) / max(1, steps - warm)))
losses, norms = [], []
for batch in ours["Batches"]:
    logits, want = forward([train[i] for i in batch])
    loss = nn.functional.cross_entropy(logits, want)
    loss.backward()
    norms.append(float(nn.utils.clip_grad_norm_(params, s["grad_clip"])))
    opt.step()
    schedule.step()
    opt.zero_grad(set_to_none=True)
    losses.append(float(loss))
right, total = 0, 0.0
with torch.no_grad():
    for at in range(0, len(dev), 64):
        logits, want = forward(dev[at:at + 64])
        right += int((logits.argmax(-1) == want).sum())
        total += float(nn.functional.cross_entropy(logits, want, reduction="sum"))
print(f"{steps} steps: largest difference of a loss {max(abs(a - b) for a, b in zip(losses, ours['Losses'])):.2g}, "
      f"of a gradient's norm {max(abs(a - b) / b for a, b in zip(ours['Norms'], norms)):.2g} of it")
print(f"accuracy {right / len(dev):.4f}, loss {total / len(dev):.5f}; ftk's {ours['Evaluation']['accuracy']:.4f}, {ours['Evaluation']['loss']:.5f}")
