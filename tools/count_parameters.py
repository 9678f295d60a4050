#!/usr/bin/env python3
"""Counts a model's parameters with transformers' own modelling code on PyTorch's meta device: the independent witness for the accounting.

Needs no weights and no GPU; not part of the tests.   pip install torch transformers
Usage: tools/count_parameters.py CONFIG.json [CONFIG.json …]
Prints one line a file: total, embedding, head and, with --groups, every module prefix. Tied parameters count once.
"""
import argparse
import collections
import json
import pathlib
import tempfile

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText


def count(path, groups):
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "config.json").write_text(pathlib.Path(path).read_text())
        config = AutoConfig.from_pretrained(folder)
    text = config.get_text_config()
    with torch.device("meta"):
        try:
            model = AutoModelForCausalLM.from_config(text)
        except ValueError:
            model = AutoModelForImageTextToText.from_config(config)
    model.tie_weights()
    total, by = 0, collections.Counter()
    for name, parameter in model.named_parameters():  # lists a shared parameter once
        total += parameter.numel()
        parts = [p for p in name.split(".") if not p.isdigit() and p not in ("model", "layers", "weight")]
        by[".".join(parts)] += parameter.numel()
    for name, buffer in model.named_buffers():
        if "correction_bias" in name or "score_correction" in name:  # trained, though stored as a buffer
            total += buffer.numel()
            by["router correction bias"] += buffer.numel()
    print(f"{path}: {total}")
    if groups:
        for name, n in by.items():
            print(f"  {n:>16}  {name}")


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("config", nargs="+")
parser.add_argument("--groups", action="store_true")
arguments = parser.parse_args()
for file in arguments.config:
    count(file, arguments.groups)
