"""Golden gradients of ALBERT's tied weights, by PyTorch in float64 from the original pytorch_model.bin.

# golden: $PYTHON internal/lower/testdata/albert_gradients.py ${FTK_SHARED:-../shared}/models/albert-rxnmapper > internal/lower/testdata/albert_gradients.json

The function is sum(last_hidden_state * cos(0.1 * i)) / n on the model's test inputs. For each initializer of the two
exports: the gradient's norm, its product with sin(0.3 * i), and its first elements.
"""

import json
import sys

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from transformers import AlbertConfig, AlbertForMaskedLM

d = sys.argv[1] + "/"
config = AlbertConfig.from_json_file(d + "config.json")
config._attn_implementation = "eager"
model = AlbertForMaskedLM(config)
model.load_state_dict(torch.load(d + "pytorch_model.bin", map_location="cpu", weights_only=True), strict=False)
model = model.double().eval()
model.albert.embeddings.word_embeddings.padding_idx = None  # PyTorch would leave out the padding token's row
load = lambda i: torch.tensor(numpy_helper.to_array(onnx.load_tensor(f"{d}test_data_encoder/input_{i}.pb")))
h = model.albert(input_ids=load(0), attention_mask=load(1), token_type_ids=load(2)).last_hidden_state
w = torch.cos(0.1 * torch.arange(h.numel(), dtype=torch.float64)).reshape(h.shape)
((h * w).sum() / h.numel()).backward()
params = {n: p for n, p in model.named_parameters() if p.grad is not None}

golden = {}
for file in ["encoder_opset14.onnx", "encoder_opset17.onnx"]:
    entries = {}
    for init in onnx.load(d + file).graph.initializer:
        value = numpy_helper.to_array(init)
        for name, p in params.items():
            for flip in (False, True):
                if flip and (p.dim() != 2):
                    continue
                stored = (p.T if flip else p).detach().float().numpy()
                if stored.shape == value.shape and np.array_equal(stored, value) and (init.name == name or init.name.startswith("onnx::")):
                    g = (p.grad.T if flip else p.grad).contiguous().reshape(-1).numpy()
                    entries[init.name] = {
                        "norm": float(np.linalg.norm(g)),
                        "product": float((g * np.sin(0.3 * np.arange(g.size))).sum()),
                        "first": [float(f"{v:.7g}") for v in g[:6]],
                    }
    golden[file] = entries
    print(file, len(entries), file=sys.stderr)
print(json.dumps(golden, indent=1))
