"""Golden values of the fused training operators: values and gradients by PyTorch autograd, in float64.

Each case has inputs (float32 as "f32", int64 as "i64"), the weights r, the value y and the gradients of sum(y * r).
"""
# golden: $PYTHON testdata/golden/op_grads.py > internal/op/testdata/op_grads.json
import json
import math

import torch
import torch.nn.functional as F

torch.manual_seed(7)
cases = []
CONST = ("mask", "const")  # inputs of these names are not differentiated


def case(name, fn, **inputs):
    leaves, stored = {}, {}
    for key, x in inputs.items():
        if x.dtype == torch.int64:
            leaves[key] = x
            stored[key] = {"shape": list(x.shape), "i64": x.flatten().tolist()}
        else:
            x = x.to(torch.float32)
            stored[key] = {"shape": list(x.shape), "f32": numbers(x), "const": key.startswith(CONST)}
            leaves[key] = x.double().requires_grad_(not key.startswith(CONST))
    y = fn(**leaves)
    r = torch.randn(y.shape).to(torch.float32) if y.dim() else torch.ones(())
    (y * r.double()).sum().backward()
    grads = {k: numbers(v.grad) for k, v in leaves.items() if v.requires_grad}
    cases.append({"name": name, "order": list(inputs), "inputs": stored, "weights": numbers(r.reshape(-1)),
                  "shape": list(y.shape), "value": numbers(y), "grads": grads})


def numbers(x):
    return [float(f"{v:.9g}") for v in x.detach().flatten().tolist()]


def rand(*shape):
    return torch.randn(shape)


def heads(x, h):
    b, s, w = x.shape
    return x.reshape(b, s, h, w // h).transpose(1, 2)


def attention(q, k, v, mask=None, h=2, scale=None):
    s = heads(q, h) @ heads(k, h).transpose(-1, -2) * scale
    if mask is not None:
        s = s + mask
    return (s.softmax(-1) @ heads(v, h)).transpose(1, 2).reshape(q.shape)


case("linear", lambda x, w, b: x @ w + b, x=rand(3, 4, 5), w=rand(5, 7), b=rand(7))
case("linear no bias", lambda x, w: x @ w, x=rand(6, 5), w=rand(5, 3))
case("linear transW", lambda x, w, b: x @ w.T + b, x=rand(2, 3, 5), w=rand(7, 5), b=rand(7))
case("linear gelu", lambda x, w, b: F.gelu(x @ w + b), x=rand(4, 6), w=rand(6, 9), b=rand(9))
case("linear transW tanh", lambda x, w, b: torch.tanh(x @ w.T + b), x=rand(4, 6), w=rand(5, 6) / 2, b=rand(5))
case("embedding", lambda table, ids: F.embedding(ids, table), table=rand(9, 5),
     ids=torch.tensor([[1, 3, 3, 0], [8, 1, 3, 2]]))
case("layernorm", lambda x, g, b: F.layer_norm(x, (33,), g, b, 1e-5), x=rand(2, 3, 33) * 2 + 1, g=rand(33), b=rand(33))
case("layernorm no beta", lambda x, g: F.layer_norm(x, (8,), g, None, 1e-3), x=rand(5, 8), g=rand(8))
case("add layernorm", lambda x, r, g, b: F.layer_norm(x + r, (24,), g, b, 1e-12), x=rand(2, 4, 24), r=rand(2, 4, 24),
     g=rand(24), b=rand(24))
case("gelu", lambda x: F.gelu(x), x=rand(5, 13) * 3)
case("gelu tanh", lambda x: F.gelu(x, approximate="tanh"), x=rand(65) * 3)
case("relu", lambda x: F.relu(x), x=torch.where(rand(4, 8).abs() < 0.1, torch.tensor(0.5), rand(4, 8)))
case("tanh", lambda x: torch.tanh(x), x=rand(3, 11))
case("sigmoid", lambda x: torch.sigmoid(x), x=rand(3, 11) * 2)
case("attention", lambda q, k, v: attention(q, k, v, h=2, scale=0.5), q=rand(2, 5, 8), k=rand(2, 5, 8), v=rand(2, 5, 8))
case("attention key mask", lambda q, k, v, mask: attention(q, k, v, mask, 3, 1 / math.sqrt(4)), q=rand(2, 6, 12),
     k=rand(2, 6, 12), v=rand(2, 6, 12),
     mask=torch.tensor([[0.0] * 6, [0, 0, 0, 0, -3e38, -3e38]]).reshape(2, 1, 1, 6))
case("attention cross", lambda q, k, v: attention(q, k, v, h=2, scale=0.7), q=rand(1, 3, 6), k=rand(1, 7, 6), v=rand(1, 7, 6))
case("attention full mask", lambda q, k, v, mask: attention(q, k, v, mask, 2, 0.5), q=rand(2, 4, 8), k=rand(2, 4, 8),
     v=rand(2, 4, 8), mask=rand(2, 2, 4, 4))
case("attention causal mask", lambda q, k, v, mask: attention(q, k, v, mask, 2, 0.5), q=rand(2, 4, 8), k=rand(2, 4, 8),
     v=rand(2, 4, 8), mask=torch.triu(torch.full((4, 4), -1e9), 1))
case("matmul", lambda a, b: a @ b, a=rand(4, 3), b=rand(3, 5))
case("matmul batched", lambda a, b: a @ b, a=rand(2, 3, 4, 5), b=rand(2, 3, 5, 2))
case("matmul broadcast", lambda a, b: a @ b, a=rand(2, 1, 4, 3), b=rand(5, 3, 2))
case("matmul flat", lambda a, b: a @ b, a=rand(2, 3, 4), b=rand(4, 5))
case("matmul left flat", lambda a, b: a @ b, a=rand(3, 4), b=rand(2, 4, 5))
case("matmul transA", lambda a, b: a.transpose(-1, -2) @ b, a=rand(2, 3, 4), b=rand(2, 3, 5))
case("matmul transB", lambda a, b: a @ b.transpose(-1, -2), a=rand(2, 4, 3), b=rand(2, 5, 3))
case("matmul transAB", lambda a, b: a.transpose(-1, -2) @ b.transpose(-1, -2), a=rand(3, 3, 4), b=rand(5, 3))
case("matmul transA flat", lambda a, b: a.transpose(-1, -2) @ b, a=rand(2, 3, 4), b=rand(3, 5))
case("matmul vector left", lambda a, b: a @ b, a=rand(4), b=rand(2, 4, 3))
case("matmul vector right", lambda a, b: a @ b, a=rand(2, 3, 4), b=rand(4))
labels = torch.tensor([2, 0, -100, 3, 1])
case("cross entropy", lambda x, labels: F.cross_entropy(x, labels), x=rand(5, 4) * 2, labels=torch.tensor([2, 0, 0, 3, 1]))
case("cross entropy ignored", lambda x, labels: F.cross_entropy(x, labels), x=rand(5, 4) * 2, labels=labels)
case("cross entropy smoothed", lambda x, labels: F.cross_entropy(x, labels, label_smoothing=0.1), x=rand(5, 4) * 2,
     labels=labels)
case("cross entropy tokens", lambda x, labels: F.cross_entropy(x.transpose(1, 2), labels), x=rand(2, 3, 6),
     labels=torch.tensor([[1, -100, 5], [0, 2, 2]]))


def hinge(x, labels):
    keep = labels >= 0
    x, labels = x[keep], labels[keep]
    own = x.gather(1, labels[:, None])[:, 0]
    rival = x.masked_fill(F.one_hot(labels, x.shape[1]).bool(), -math.inf).max(1).values
    return torch.clamp(1 + rival - own, min=0).mean()


case("hinge", hinge, x=rand(6, 4) * 2, labels=torch.tensor([2, 0, -100, 3, 1, 1]))
case("view", lambda x: x.flatten()[4:16].reshape(3, 4) * 1, x=rand(2, 10))
case("reshape", lambda x: x.reshape(6, 2), x=rand(3, 4))
case("add", lambda a, b: a + b, a=rand(3, 4), b=rand(3, 4))
case("mul", lambda a, b: a * b, a=rand(3, 4), b=rand(3, 4))
case("addrow", lambda x, row: x + row, x=rand(2, 3, 4), row=rand(4))
case("sumrows", lambda x: x.sum((0, 1)), x=rand(2, 3, 4))
case("square", lambda x: x * x, x=rand(3, 4))
case("accumulated", lambda x, w, v: F.gelu(x) + (x @ w) * (x @ v) + (x @ w) + x, x=rand(4, 6), w=rand(6, 6), v=rand(6, 6))


def projected(x, weights, biases, transpose=False):
    return [x @ (w.T if transpose else w) + b for w, b in zip(weights, biases)]


case("projections", lambda x, a, b, c, d, e, f: (lambda q, k, v: q * k + v)(*projected(x, [a, b, c], [d, e, f])), x=rand(2, 3, 4),
     a=rand(4, 5), b=rand(4, 5), c=rand(4, 5), d=rand(5), e=rand(5), f=rand(5))
case("projections no bias", lambda x, a, b: (x @ a) * (x @ b), x=rand(7, 4), a=rand(4, 3), b=rand(4, 3))
# The gradient of the bias of k is nought but for rounding: it shifts all scores of a query alike.
case("self attention", lambda x, a, b, c, d, const_e, f, mask: attention(*projected(x, [a, b, c], [d, const_e, f]), mask, 2, 0.5), x=rand(2, 5, 6),
     a=rand(6, 8) / 2, b=rand(6, 8) / 2, c=rand(6, 8), d=rand(8), const_e=rand(8), f=rand(8),
     mask=torch.tensor([[0.0] * 5, [0, 0, 0, -3e38, -3e38]]).reshape(2, 1, 1, 5))
case("self attention transW", lambda x, a, b, c, d, const_e, f: attention(*projected(x, [a, b, c], [d, const_e, f], True), h=3, scale=0.5) + x,
     x=rand(2, 4, 6), a=rand(6, 6) / 2, b=rand(6, 6) / 2, c=rand(6, 6), d=rand(6), const_e=rand(6), f=rand(6))
case("self attention no bias", lambda x, a, b, c: attention(x @ a, x @ b, x @ c, h=1, scale=0.3), x=rand(3, 4, 5), a=rand(5, 4),
     b=rand(5, 4), c=rand(5, 4))

print(json.dumps(cases, separators=(",", ":")))
