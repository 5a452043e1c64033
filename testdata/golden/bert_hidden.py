"""Golden hidden states of BERT encoders, by Hugging Face transformers.

    python testdata/golden/bert_hidden.py                  writes models/testdata/tiny-bert
    python testdata/golden/bert_hidden.py --minilm DIR     writes models/testdata/minilm.safetensors

tiny-bert is a random BERT, saved as transformers saves one (config.json and
model.safetensors), with the outputs of its three activations beside it.
minilm.safetensors holds what all-MiniLM-L6-v2 makes of three sentences; the
model itself is not kept here.

Needs torch, transformers and safetensors.
"""
# golden: $PYTHON testdata/golden/bert_hidden.py
# golden: $PYTHON testdata/golden/bert_hidden.py --minilm $MINILM

import argparse
import json
import pathlib

import torch
from safetensors.torch import save_file
from transformers import BertConfig, BertModel

out = pathlib.Path(__file__).resolve().parents[2] / "models" / "testdata"

sentences = [
    "Where is my new card?",
    "The café opened at noon; nobody came.",
    "A slow, tender film about two brothers who stop talking for eleven years.",
]


def run(model, ids, mask, types):
    with torch.no_grad():
        return model.eval()(input_ids=ids, attention_mask=mask, token_type_ids=types)


def tiny():
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=120, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=64, max_position_embeddings=40, initializer_range=0.15,
    )
    model = BertModel(config)
    for name, p in model.named_parameters():  # transformers starts these at 0 and 1
        if p.dim() == 1:
            torch.nn.init.normal_(p, mean=1.0 if name.endswith("LayerNorm.weight") else 0.0, std=0.1)
    d = out / "tiny-bert"
    model.save_pretrained(d)
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, d / "model.safetensors", metadata={"format": "pt"})

    lengths = torch.tensor([11, 4, 8])
    ids = torch.randint(1, 120, (3, 11))
    mask = (torch.arange(11)[None] < lengths[:, None]).long()
    ids *= mask
    types = (torch.arange(11)[None] >= 3).long() * mask
    golden = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
    for act in ["gelu", "gelu_new", "relu"]:
        config.hidden_act = act
        again = BertModel(config)
        again.load_state_dict(model.state_dict())
        o = run(again, ids, mask, types)
        golden["last_hidden_state." + act] = o.last_hidden_state.contiguous()
        golden["pooler_output." + act] = o.pooler_output.contiguous()
    save_file(golden, d / "golden.safetensors")


def minilm(directory):
    from transformers import AutoModel, AutoTokenizer

    model = AutoModel.from_pretrained(directory, attn_implementation="eager")
    t = AutoTokenizer.from_pretrained(directory)(sentences, padding=True, return_tensors="pt")
    o = run(model, t["input_ids"], t["attention_mask"], t["token_type_ids"])
    save_file(
        {
            **{k: t[k].contiguous() for k in ["input_ids", "attention_mask", "token_type_ids"]},
            "last_hidden_state": o.last_hidden_state.contiguous(),
            "pooler_output": o.pooler_output.contiguous(),
        },
        out / "minilm.safetensors",
        metadata={"sentences": json.dumps(sentences)},
    )


args = argparse.ArgumentParser()
args.add_argument("--minilm")
args = args.parse_args()
if args.minilm:
    minilm(args.minilm)
else:
    tiny()
