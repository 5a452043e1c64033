"""Golden gradients of single ONNX operators, by PyTorch in float64.

# golden: $PYTHON internal/lower/testdata/gradients.py > internal/lower/testdata/gradients.json

Each case is one node: operator, attributes, inputs (params are differentiated, consts are initializers), random weights,
and what PyTorch gives for the value and for the gradients of sum(value * weights).
"""

import json
import math

import torch
import torch.nn.functional as F

torch.manual_seed(7)
cases = []


class Input:
    def __init__(self, data, kind):
        self.data, self.kind = data, kind


def P(*shape, lo=None, hi=None):
    """A param: normal, or uniform in [lo, hi]."""
    x = torch.randn(shape) if lo is None else lo + (hi - lo) * torch.rand(shape)
    return Input(x.float(), "param")


def away(*shape):
    """A param that stays away from 0, where kinks are."""
    x = torch.randn(shape)
    return Input((x + 0.25 * torch.sign(x)).float(), "param")


def distinct(*shape):
    """A param no two elements of which are close."""
    n = math.prod(shape)
    return Input((torch.randperm(n).float() * 0.37 - 0.17 * n).reshape(shape), "param")


def C(data, kind="const"):
    """A constant: integers, booleans or floats."""
    return Input(torch.as_tensor(data), kind)


def I(*shape, high):
    """Integers given at run time."""
    return Input(torch.randint(0, high, shape), "input")


def case(op, fn, *inputs, opset=18, domain="", name=None, outputs=1, **attrs):
    xs = []
    for i in inputs:
        x = i.data if i is not None else None
        if i is not None and i.kind == "param":
            x = x.double().requires_grad_()
        elif x is not None and x.is_floating_point():
            x = x.double()
        xs.append(x)
    y = fn(*xs)
    w = torch.randn(y.shape).float()
    (y * w.double()).sum().backward()
    ins = []
    for k, (i, x) in enumerate(zip(inputs, xs)):
        if i is None:
            ins.append(None)
            continue
        t = i.data
        d = {"name": f"x{k}", "kind": i.kind, "shape": list(t.shape)}
        flat = t.reshape(-1).tolist()
        if t.dtype == torch.bool:
            d["bool"] = flat
        elif t.is_floating_point():
            d["f32"] = [float(f"{v:.9g}") for v in flat]
        else:
            d["i64"] = flat
        if i.kind == "param":
            d["grad"] = [float(f"{v:.9g}") for v in (x.grad if x.grad is not None else torch.zeros_like(x)).reshape(-1).tolist()]
        ins.append(d)
    cases.append({
        "name": name or op, "op": op, "domain": domain, "opset": opset, "attrs": attrs, "inputs": ins, "outputs": outputs,
        "weights": [float(f"{v:.9g}") for v in w.reshape(-1).tolist()], "shape": list(y.shape),
        "value": [float(f"{v:.9g}") for v in y.detach().reshape(-1).tolist()],
    })


# Elementwise functions.
case("Abs", torch.abs, away(2, 3))
case("Acos", torch.acos, P(2, 3, lo=-0.9, hi=0.9))
case("Acosh", torch.acosh, P(2, 3, lo=1.3, hi=4))
case("Asin", torch.asin, P(2, 3, lo=-0.9, hi=0.9))
case("Asinh", torch.asinh, P(2, 3))
case("Atan", torch.atan, P(2, 3))
case("Atanh", torch.atanh, P(2, 3, lo=-0.8, hi=0.8))
case("Cos", torch.cos, P(2, 3))
case("Cosh", torch.cosh, P(2, 3))
case("Erf", torch.erf, P(2, 3))
case("Exp", torch.exp, P(2, 3))
case("Gelu", F.gelu, P(3, 5), opset=20)
case("Gelu", lambda x: F.gelu(x, approximate="tanh"), P(3, 5), opset=20, approximate="tanh", name="Gelu tanh")
case("HardSigmoid", lambda x: torch.clamp(0.3 * x + 0.4, 0, 1), P(3, 5), alpha=0.3, beta=0.4)
case("HardSwish", F.hardswish, P(3, 5, lo=-5, hi=5))
case("Log", torch.log, P(2, 3, lo=0.3, hi=3))
case("Mish", F.mish, P(2, 3))
case("Neg", torch.neg, P(2, 3))
case("Reciprocal", torch.reciprocal, away(2, 3))
case("Relu", F.relu, away(2, 3))
case("Sigmoid", torch.sigmoid, P(2, 3))
case("Sin", torch.sin, P(2, 3))
case("Sinh", torch.sinh, P(2, 3))
case("Softplus", F.softplus, P(2, 3))
case("Softsign", F.softsign, P(2, 3))
case("Sqrt", torch.sqrt, P(2, 3, lo=0.3, hi=3))
case("Swish", lambda x: x * torch.sigmoid(1.3 * x), P(2, 3), opset=24, alpha=1.3)
case("Tan", torch.tan, P(2, 3, lo=-1, hi=1))
case("Tanh", torch.tanh, P(2, 3))
case("Celu", lambda x: F.celu(x, 1.5), away(2, 3), alpha=1.5)
case("Elu", lambda x: F.elu(x, 0.7), away(2, 3), alpha=0.7)
case("LeakyRelu", lambda x: F.leaky_relu(x, 0.2), away(2, 3), alpha=0.2)
case("Selu", F.selu, away(2, 3))
case("Shrink", lambda x: torch.where(x > 0.5, x - 0.2, torch.where(x < -0.5, x + 0.2, 0 * x)), P(3, 5), lambd=0.5, bias=0.2)
case("ThresholdedRelu", lambda x: F.threshold(x, 0.4, 0), P(3, 5), alpha=0.4)
case("Clip", lambda x, a, b: torch.clamp(x, -0.5, 0.8), P(3, 5), C(-0.5), C(0.8), opset=13)
case("Identity", lambda x: x * 1, P(2, 3))
case("Dropout", lambda x: x * 1, P(2, 3))
case("Cast", lambda x: x * 1, P(2, 3), to=1)
case("CastLike", lambda x, y: x * 1, P(2, 3), C([1.0]), opset=15)

# Arithmetic with every kind of broadcasting.
for op, f, second in [("Add", torch.add, P), ("Sub", torch.sub, P), ("Mul", torch.mul, P), ("Div", torch.div, away)]:
    case(op, f, P(2, 3, 4), second(2, 3, 4), name=op + " equal shapes")
    case(op, f, P(2, 3, 4), second(4), name=op + " row")
    case(op, f, P(2, 1, 4), second(3, 1), name=op + " both")
    case(op, f, P(), second(2, 3), name=op + " scalar")
case("Pow", torch.pow, P(2, 3, lo=0.4, hi=2), P(2, 3), name="Pow tensors")
case("Pow", lambda x, e: x * x, P(2, 3), C(2.0), name="Pow square")
case("Pow", lambda x, e: x ** 3, P(2, 3), C(3.0), name="Pow cube")
case("Mod", torch.fmod, P(2, 3, lo=1, hi=7), P(3, lo=1.5, hi=2.5), fmod=1)
case("PRelu", lambda x, s: torch.where(x < 0, x * s, x), away(2, 3, 4), P(3, 1))
case("Max", torch.maximum, distinct(2, 3), P(3, lo=-0.11, hi=-0.09))
case("Min", lambda a, b, c: torch.minimum(torch.minimum(a, b), c), P(2, 3), P(3), P(2, 1))
case("Sum", lambda a, b, c: a + b + c, P(2, 3), P(3), P(2, 1))
case("Mean", lambda a, b: (a + b) / 2, P(2, 3), P(3))
case("Where", torch.where, C([[True, False, True]], "input"), P(2, 3), P(2, 1))

# Reductions.
for op, f in [
    ("ReduceSum", lambda x, d, k: x.sum(d, keepdim=k)), ("ReduceMean", lambda x, d, k: x.mean(d, keepdim=k)),
    ("ReduceMax", lambda x, d, k: x.amax(d, keepdim=k)), ("ReduceMin", lambda x, d, k: x.amin(d, keepdim=k)),
    ("ReduceProd", lambda x, d, k: x.prod(d[0], keepdim=k) if len(d) == 1 else x.prod()),
    ("ReduceL1", lambda x, d, k: x.abs().sum(d, keepdim=k)), ("ReduceL2", lambda x, d, k: (x * x).sum(d, keepdim=k).sqrt()),
    ("ReduceLogSum", lambda x, d, k: x.sum(d, keepdim=k).log()), ("ReduceLogSumExp", lambda x, d, k: x.logsumexp(d, keepdim=k)),
    ("ReduceSumSquare", lambda x, d, k: (x * x).sum(d, keepdim=k)),
]:
    make = (lambda *s: P(*s, lo=0.5, hi=2)) if op == "ReduceLogSum" else (distinct if op in ("ReduceMax", "ReduceMin") else away)
    case(op, lambda x, a: f(x, [1], True), make(2, 3, 4), C([1]), name=op + " middle", keepdims=1)
    case(op, lambda x, a: f(x, [2], False), make(2, 3, 4), C([-1]), name=op + " last", keepdims=0)
    case(op, lambda x: f(x, [0, 1, 2], False), make(2, 3, 4), name=op + " all", keepdims=0)
case("ReduceProd", lambda x, a: x.prod(1), Input(torch.tensor([[1.0, 0, 3], [0, 2, 0], [2, 3, 4]]), "param"), C([1]), keepdims=0, name="ReduceProd zeros")
case("ReduceMax", lambda x, a: x.amax(1), Input(torch.tensor([[1.0, 3, 3], [2, 2, 2]]), "param"), C([1]), keepdims=0, name="ReduceMax ties")

# Softmax.
case("Softmax", lambda x: x.softmax(-1), P(2, 3, 4))
case("Softmax", lambda x: x.softmax(1), P(2, 3, 4), axis=1, name="Softmax middle")
case("Softmax", lambda x: x.reshape(2, 12).softmax(1).reshape(2, 3, 4), P(2, 3, 4), opset=11, name="Softmax opset 11")
case("LogSoftmax", lambda x: x.log_softmax(0), P(3, 4), axis=0)

# Products.
case("MatMul", torch.matmul, P(2, 3, 4), P(4, 5), name="MatMul weight")
case("MatMul", torch.matmul, P(2, 1, 3, 4), P(3, 4, 2), name="MatMul batches")
case("MatMul", torch.matmul, P(4), P(4, 3), name="MatMul vector")
case("MatMul", torch.matmul, P(2, 3, 4), P(4), name="MatMul by vector")
case("MatMul", torch.matmul, P(4), P(4), name="MatMul dot")
case("Gemm", lambda a, b, c: a @ b + c, P(3, 4), P(4, 5), P(5))
case("Gemm", lambda a, b, c: 0.5 * a.T @ b.T + 1.5 * c, P(4, 3), P(5, 4), P(3, 1), transA=1, transB=1, alpha=0.5, beta=1.5, name="Gemm all")
case("Gemm", lambda a, b: a @ b.T, P(3, 4), P(5, 4), transB=1, name="Gemm no bias")
case("Linear", lambda x, w, b: x @ w + b, P(2, 3, 4), P(4, 5), P(5), domain="ftk")
case("Linear", lambda x, w, b: x @ w.T + b, P(2, 3, 4), P(5, 4), P(5), domain="ftk", transB=1, name="Linear transB")

# Normalisation.
case("LayerNormalization", lambda x, g, b: F.layer_norm(x, [4], g, b, 1e-5), P(2, 3, 4), P(4), P(4))
case("LayerNormalization", lambda x, g, b: F.layer_norm(x, [3, 4], g, b, 1e-3), P(2, 3, 4), P(3, 4), P(3, 4), axis=1, epsilon=1e-3, name="LayerNormalization two axes")
case("LayerNormalization", lambda x, g: F.layer_norm(x, [4], g, None, 1e-5), P(2, 3, 4), P(4), name="LayerNormalization no bias")
case("LayerNormalization", lambda x, g, b: F.layer_norm(x, [4], g, b, 1e-5), P(2, 3, 4), P(4), P(4), outputs=3, name="LayerNormalization three outputs")
case("RMSNormalization", lambda x, g: F.rms_norm(x, [4], g, 1e-5), P(2, 3, 4), P(4), opset=23)
case("BatchNormalization", lambda x, g, b, m, v: F.batch_norm(x, m, v, g, b), P(2, 3, 4), P(3), P(3), C([0.1, -0.2, 0.3]), C([1.0, 2.0, 0.5]), opset=15)
case("InstanceNormalization", lambda x, g, b: F.instance_norm(x, None, None, g, b), P(2, 3, 4), P(3), P(3))
case("GroupNormalization", lambda x, g, b: F.group_norm(x, 2, g, b), P(2, 4, 3), P(4), P(4), opset=21, num_groups=2)
case("MeanVarianceNormalization", lambda x: (x - x.mean(2, keepdim=True)) / (x.var(2, unbiased=False, keepdim=True).sqrt() + 1e-9), P(2, 3, 4), axes=[2])
case("LpNormalization", lambda x: F.normalize(x, dim=1), P(2, 3, 4), axis=1)


def attend(q, k, v, heads, mask=None, scale=None, causal=False, kv=None):
    kv = kv or heads
    split = lambda x, n: x.reshape(x.shape[0], x.shape[1], n, -1).transpose(1, 2)
    q, k, v = split(q, heads), split(k, kv), split(v, kv)
    k, v = k.repeat_interleave(heads // kv, 1), v.repeat_interleave(heads // kv, 1)
    s = q @ k.transpose(2, 3) * (scale or 1 / math.sqrt(q.shape[-1]))
    if mask is not None:
        s = s + mask
    if causal:
        s = s + torch.full(s.shape[-2:], -1e30, dtype=s.dtype).triu(1)
    return (s.softmax(-1) @ v).transpose(1, 2).reshape(q.shape[0], q.shape[2], -1)


pad = torch.tensor([[[[0, 0, 0, 0]]], [[[0, 0, -10000, -10000]]]]).float()
case("Attention", lambda q, k, v: attend(q, k, v, 2), P(2, 3, 8), P(2, 4, 8), P(2, 4, 8), opset=23, q_num_heads=2, kv_num_heads=2)
case("Attention", lambda q, k, v, m: attend(q, k, v, 2, m, 0.4), P(2, 4, 8), P(2, 4, 8), P(2, 4, 8), C(pad, "input"), opset=23, q_num_heads=2, kv_num_heads=2, scale=0.4, name="Attention mask")
case("Attention", lambda q, k, v: attend(q, k, v, 2, causal=True), P(2, 3, 8), P(2, 3, 8), P(2, 3, 8), opset=23, q_num_heads=2, kv_num_heads=2, is_causal=1, name="Attention causal")
case("Attention", lambda q, k, v, m: attend(q, k, v, 2, m), P(1, 3, 8), P(1, 3, 8), P(1, 3, 8), P(1, 2, 3, 3), opset=23, q_num_heads=2, kv_num_heads=2, name="Attention trained mask")
case("Attention", lambda q, k, v: attend(q, k, v, 4, kv=2), P(2, 3, 8), P(2, 3, 4), P(2, 3, 4), opset=23, q_num_heads=4, kv_num_heads=2, name="Attention grouped")

# Data movement.
case("Reshape", lambda x, s: x.reshape(2, 6), P(2, 3, 2), C([0, -1]))
case("Squeeze", lambda x, a: x.reshape(2, 3), P(2, 1, 3), C([1]))
case("Unsqueeze", lambda x, a: x[:, None], P(2, 3), C([1]))
case("Flatten", lambda x: x.reshape(2, 6), P(2, 3, 2), opset=13)
case("Transpose", lambda x: x.permute(2, 0, 1), P(2, 3, 4), perm=[2, 0, 1])
case("Concat", lambda a, b, c: torch.cat([a, b, c], 1), P(2, 3), P(2, 1), P(2, 2), axis=1)
case("Slice", lambda x, *_: x[1:3, 0:5:2], P(4, 5), C([1, 0]), C([3, 5]), C([0, 1]), C([1, 2]))
case("Slice", lambda x, *_: x.flip(1)[:, :3], P(2, 5), C([-1]), C([1]), C([1]), C([-1]), name="Slice backwards")
case("Split", lambda x, s: x[:, :2], P(3, 5), C([2, 3]), axis=1, outputs=2)
case("Expand", lambda x, s: x.expand(2, 3, 4), P(3, 1), C([2, 3, 4]))
case("Tile", lambda x, r: x.repeat(2, 3), P(2, 2), C([2, 3]))
case("Pad", lambda x, p: F.pad(x, (1, 2, 0, 1)), P(2, 3), C([0, 1, 1, 2]))
case("Pad", lambda x, p: F.pad(x[None], (2, 1), mode="reflect")[0], P(2, 4), C([0, 2, 0, 1]), mode="reflect", name="Pad reflect")
case("Trilu", lambda x, k: x.triu(1), P(3, 4), C(1))
case("DepthToSpace", lambda x: F.pixel_shuffle(x, 2), P(1, 8, 2, 3), blocksize=2, mode="CRD")
case("SpaceToDepth", lambda x: x.reshape(1, 2, 2, 2, 3, 2).permute(0, 3, 5, 1, 2, 4).reshape(1, 8, 2, 3), P(1, 2, 4, 6), blocksize=2)
case("CumSum", lambda x, a: x.cumsum(1), P(2, 4), C(1))
case("CumSum", lambda x, a: x.flip(0).cumsum(0).flip(0) - x, P(3, 2), C(0), reverse=1, exclusive=1, name="CumSum reverse exclusive")

# Indexing.
case("Gather", lambda t, i: F.embedding(i, t), P(7, 3), I(2, 4, high=7), name="Gather embedding")
case("Gather", lambda x, i: x.index_select(1, torch.tensor([2, 0, 2])), P(2, 3, 2), C([2, 0, -1]), axis=1, name="Gather axis")
case("Gather", lambda x, i: x[:, 0], P(2, 3, 4), C(0), axis=1, name="Gather scalar")
case("GatherElements", lambda x, i: x.gather(1, i), P(3, 4), I(3, 2, high=4), axis=1)
case("GatherND", lambda x, i: x[i[:, 0], i[:, 1]], P(3, 4, 2), I(5, 2, high=3))
case("ScatterElements", lambda x, i, u: x.scatter(1, i, u), P(2, 4), C([[1, 3], [0, 2]], "input"), P(2, 2), axis=1)
case("ScatterElements", lambda x, i, u: x.scatter_add(0, i, u), P(3, 2), C([[1, 1], [1, 0]], "input"), P(2, 2), reduction="add", name="ScatterElements add")
case("Scatter", lambda x, i, u: x.scatter(0, i, u), P(3, 2), C([[1, 2]], "input"), P(1, 2), opset=9)
case("ScatterND", lambda x, i, u: x.index_put((i[:, 0],), u), P(4, 3), C([[2], [0]], "input"), P(2, 3))
case("TopK", lambda x, k: x.topk(2, 1)[0], distinct(3, 5), C([2]), outputs=2)

# One of three linear layers of the same input; the others have no part in the value.
case("Projections", lambda x, a, b, c, d, e, f: x @ a + d, P(2, 3, 4), P(4, 5), P(4, 5), P(4, 5), P(5), P(5), P(5), domain="ftk", outputs=3)

# At the edge: a row, or a column, beside a vector; a vector of zeros; a scale along rows; no updates at all.
case("Add", torch.add, P(1, 3), P(3), name="Add matrix of a row")
case("Mul", torch.mul, P(4), P(4, 1), name="Mul matrix of a column")
zeros = P(3, 4)
zeros.data[1] = 0
case("ReduceL2", lambda x, a: torch.linalg.vector_norm(x, dim=1), zeros, C([1]), keepdims=0, name="ReduceL2 of zeros")
case("LayerNormalization", lambda x, g, b: F.layer_norm(x, [4]) * g + b, P(2, 4, 4), P(4, 1), P(4, 1), name="LayerNormalization scale of rows")
case("ScatterElements", lambda x, i, u: x.scatter(0, i, u), P(4, 3), Input(torch.zeros((0, 3), dtype=torch.int64), "input"), P(0, 3), name="ScatterElements nothing")

print("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]")
