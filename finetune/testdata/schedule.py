"""Prints schedule.json: learning-rate factors from transformers (pip install torch transformers)."""
# golden: $PYTHON finetune/testdata/schedule.py > finetune/testdata/schedule.json
import json
import torch
from transformers import (get_constant_schedule_with_warmup, get_cosine_schedule_with_warmup,
                          get_linear_schedule_with_warmup)


def factors(make, total):
    p = torch.nn.Parameter(torch.zeros(1))
    opt = torch.optim.SGD([p], lr=1.0)
    sched = make(opt)
    out = []
    for _ in range(total + 2):
        out.append(sched.get_last_lr()[0])
        opt.step()
        sched.step()
    return out


cases = []
for warmup, total in [(0, 10), (3, 10), (1, 1), (10, 10), (4, 21)]:
    cases += [
        {"kind": "linear", "warmup": warmup, "total": total,
         "factors": factors(lambda o: get_linear_schedule_with_warmup(o, warmup, total), total)},
        {"kind": "cosine", "warmup": warmup, "total": total,
         "factors": factors(lambda o: get_cosine_schedule_with_warmup(o, warmup, total), total)},
        {"kind": "constant", "warmup": warmup, "total": total,
         "factors": factors(lambda o: get_constant_schedule_with_warmup(o, warmup), total)},
    ]
print(json.dumps(cases, indent=1))
