"""Prints training.json: whole fine-tuning runs of models/testdata/tiny-bert by PyTorch, in float64.

Batches of several shapes with padding, AdamW with groups, warm-up and decay, clipping: the loss of every step, and what
some weights are at the end. Without dropout, so that nothing is left to chance. Needs torch and transformers.
"""
# golden: $PYTHON finetune/testdata/training.py > finetune/testdata/training.json
import json
import math
import pathlib

import torch
from torch import nn
from transformers import BertConfig, BertModel

source = pathlib.Path(__file__).resolve().parents[2] / "models" / "testdata" / "tiny-bert"
STEPS, WARMUP, LABELS = 40, 4, 3
LR, HEAD_LR, DECAY, CLIP = 1e-3, 5e-3, 0.1, 0.5
KEPT = ["embeddings.word_embeddings.weight", "embeddings.position_embeddings.weight", "embeddings.LayerNorm.weight",
        "encoder.layer.0.attention.self.query.weight.T", "encoder.layer.0.attention.self.value.bias",
        "encoder.layer.1.output.dense.weight.T", "encoder.layer.1.output.LayerNorm.bias"]


def numbers(x):
    return [float(f"{v:.9g}") for v in x.flatten().tolist()]


def run(pooling, smoothing):
    torch.manual_seed(11)
    config = BertConfig.from_pretrained(source)
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.0
    backbone = BertModel.from_pretrained(source, config=config, add_pooling_layer=False).double().train()
    head = nn.Linear(config.hidden_size, LABELS).double()
    nn.init.normal_(head.weight, std=0.2)
    head.weight.data = head.weight.data.float().double()
    nn.init.zeros_(head.bias)
    out = {"pooling": pooling, "smoothing": smoothing, "lr": LR, "head_lr": HEAD_LR, "weight_decay": DECAY, "warmup": WARMUP,
           "grad_clip": CLIP, "head": numbers(head.weight), "batches": [], "losses": [], "norms": []}
    groups = {}
    for name, p in list(backbone.named_parameters()) + [("head." + n, p) for n, p in head.named_parameters()]:
        key = (HEAD_LR if name.startswith("head.") else LR, DECAY if p.dim() > 1 else 0.0)
        groups.setdefault(key, []).append(p)
    params = [p for ps in groups.values() for p in ps]
    opt = torch.optim.AdamW([{"params": ps, "lr": lr, "weight_decay": d} for (lr, d), ps in groups.items()])
    schedule = torch.optim.lr_scheduler.LambdaLR(opt, lambda s: s / WARMUP if s < WARMUP else (STEPS - s) / (STEPS - WARMUP))
    for step in range(STEPS):
        rows, width = [(8, 11), (5, 7), (8, 20)][step % 3]
        lengths = torch.randint(2, width + 1, (rows,))
        lengths[0] = width
        mask = (torch.arange(width)[None] < lengths[:, None]).long()
        ids = torch.randint(1, config.vocab_size, (rows, width)) * mask
        labels = ids[:, 1] % LABELS  # can be learnt
        hidden = backbone(input_ids=ids, attention_mask=mask).last_hidden_state
        pooled = hidden[:, 0] if pooling == "cls" else (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        loss = nn.functional.cross_entropy(head(pooled), labels, label_smoothing=smoothing)
        opt.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(params, CLIP)
        opt.step()
        schedule.step()
        out["batches"].append({"ids": ids.tolist(), "lengths": lengths.tolist(), "labels": labels.tolist()})
        out["losses"].append(loss.item())
        out["norms"].append(norm.item())
    weights = dict(backbone.named_parameters())
    out["weights"] = {"classifier.weight": numbers(head.weight)}
    for name in KEPT:  # ftk has some of them transposed
        w = weights[name.removesuffix(".T")]
        out["weights"][name] = numbers(w.T if name.endswith(".T") else w)
    return out


print(json.dumps([run("mean", 0.0), run("cls", 0.1)]))
