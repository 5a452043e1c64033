"""Prints adamw.json: parameters after each of several torch.optim.AdamW steps (pip install torch)."""
# golden: $PYTHON finetune/testdata/adamw.py > finetune/testdata/adamw.json
import json
import torch

torch.manual_seed(0)
n, steps = 24, 6
out = {"lr": 0.01, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.1, "max_norm": 1.5, "steps": []}
decayed, plain = torch.nn.Parameter(torch.randn(n)), torch.nn.Parameter(torch.randn(n))
out["initial"] = [decayed.tolist(), plain.tolist()]
opt = torch.optim.AdamW([{"params": [decayed], "weight_decay": out["weight_decay"]},
                         {"params": [plain], "weight_decay": 0.0, "lr": 0.03}], lr=out["lr"], eps=out["eps"])
for k in range(steps):
    grads = [torch.randn(n) * 10 ** (k % 3 - 1), torch.randn(n)]
    decayed.grad, plain.grad = grads[0].clone(), grads[1].clone()
    norm = torch.nn.utils.clip_grad_norm_([decayed, plain], out["max_norm"])
    opt.step()
    out["steps"].append({"grads": [g.tolist() for g in grads], "norm": norm.item(), "params": [decayed.tolist(), plain.tolist()]})
print(json.dumps(out))
