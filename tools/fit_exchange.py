#!/usr/bin/env python3
"""Fits the form of src/fabric/expert_exchange.cpp to measured dispatch and combine and writes catalog/collectives/trtllm-two-sided.yaml.

    python3 -m venv v && v/bin/pip install -r tools/requirements-fit.txt
    v/bin/python tools/fit_exchange.py --ops ../shared/measured/ops

One set of coefficients an operation, for all ranks and formats. Errors written are of a fifth of the points, chosen by a hash of the shape, under
coefficients fitted without them; the coefficients written use every point.
"""

import argparse
import pathlib

import numpy as np
import pandas as pd
import yaml
from scipy.optimize import least_squares

from fit_operators import ROOT, held_out, number

CHIP, TOP_K = "gb200-nvl72", 8
BLOCKS = 38  # a quarter of its 152 multiprocessors sends: the library takes half of them, and half of those receive
ROW_KB = {"bfloat16": 14.336, "fp8": 7.168, "nvfp4": 4.032}  # width 7,168; nvfp4 with a scale a 16 values
START = {
    "floor_us": 9, "destination_us": 0.3, "destination_us_per_kb": 0.02, "field_us": 0.7, "row_us": 0.75, "field_row_us": 0.4,
    "row_us_per_kb": 0.08, "blocks_gb_per_s": 740, "header_kb": 0.7, "power": 3, "spill": 0.1, "spill_mb": 200,
}  # fmt: skip


def seconds(c, link, tokens, ranks, kb, fields):
    """Microseconds; balanced routing: every token goes to min(ranks, top k) ranks."""
    width = np.ceil(ranks / 8)  # blocks a channel; a warp for each peer
    channels = np.maximum(1, np.floor(BLOCKS / width))
    to = np.minimum(ranks, TOP_K)
    remote = to * (ranks - 1) / ranks
    spill = 1 + c["spill"] / (1 + (c["spill_mb"] / (tokens * kb / 1e3 * (to + 1))) ** 4)
    warp = to / ranks / channels * (c["row_us"] + c["field_row_us"] * (fields - 1) + c["row_us_per_kb"] * kb) * spill
    load = remote * (kb + c["header_kb"])
    p = c["power"]
    a_token = (warp**p + (load / (c["blocks_gb_per_s"] * channels * width / BLOCKS)) ** p + (load / link) ** p) ** (1 / p)
    floor = c["floor_us"] + to * (c["destination_us"] + c["destination_us_per_kb"] * kb) + c["field_us"] * (fields - 1)
    return floor + tokens * a_token


def fit(x, names, fixed, link):
    train = ~np.array([held_out(s) for s in zip(x.num_tokens, x.moe_ep_size, 10 * x.kb)])
    args = [x[n].to_numpy(float) for n in ("num_tokens", "moe_ep_size", "kb", "fields")]
    coefficients = lambda v: {**fixed, **dict(zip(names, np.exp(v)))}
    ratio = lambda v: seconds(coefficients(v), link, *args) / (1e3 * x.latency.to_numpy())
    start = np.log([START[n] for n in names])
    solve = lambda rows: least_squares(lambda v: np.log(ratio(v))[rows], start, loss="soft_l1", f_scale=0.05).x
    every, part = solve(slice(None)), solve(train)
    return coefficients(every), np.abs(ratio(every) - 1), np.abs(ratio(part) - 1)[~train]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ops", default=str(ROOT / "../shared/measured/ops"), help="folder of the operator tables")
    ops = pathlib.Path(parser.parse_args().ops)
    facts = yaml.safe_load((ROOT / f"catalog/accelerators/{CHIP}.yaml").read_text())["facts"]
    link = float(facts["scaleup_bandwidth"]["value"].split()[0])
    frame = pd.read_csv(ops / "aiconfigurator_trtllm_alltoall.csv.gz")
    frame = frame[frame.kernel_source == "NVLinkTwoSided"]
    rows = []
    for op, name in (("alltoall_dispatch", "moe_dispatch"), ("alltoall_combine", "moe_combine")):
        x = frame[frame.op_name == op]
        dispatch = name == "moe_dispatch"
        x = x.assign(kb=x.moe_dtype.map(ROW_KB) if dispatch else 14.336, fields=np.where(dispatch & (x.moe_dtype == "nvfp4"), 2, 1))
        free = list(START) if dispatch else ["floor_us", "destination_us", "row_us", "blocks_gb_per_s", "power"]
        # Results come back as bf16 whatever the format of the experts: one size, so nothing tells a row's time from its bytes'.
        fixed = {n: 0.0 for n in START if n not in free} | ({} if dispatch else {"header_kb": rows[0]["header_kb"], "spill_mb": 1.0})
        c, error, held = fit(x, free, fixed, link)
        print(f"{name}: {len(x)} points, {np.mean(error <= 0.07):.1%} within 7 %; held out {len(held)}: {np.mean(held <= 0.07):.1%}, "
              f"median {np.median(held):.2%}, p90 {np.quantile(held, 0.9):.2%}")  # fmt: skip
        for low, high in ((1, 32), (33, 300), (301, 65536)):
            m = x.num_tokens.between(low, high)
            print(f"   {low:4} to {high:5} tokens: {np.sum(error[m] <= 0.07)} of {m.sum()} within 7 %, worst {error[m].max():.1%}")
        rows.append({
            "accelerator": CHIP, "op": name, "library_version": "1.2.0rc6", **{k: float(f"{v:.4g}") for k, v in c.items()}, "blocks": BLOCKS,
            "points": len(x), "held_out": len(held), "within_7_pct": float(f"{100 * np.mean(held <= 0.07):.3g}"),
            "median_error_pct": float(f"{100 * np.median(held):.3g}"), "p90_error_pct": float(f"{100 * np.quantile(held, 0.9):.3g}"),
            "range": "2 to 64 ranks, 1 to 65536 tokens a rank, width 7168, top 8, balanced",
        })  # fmt: skip
    lines = [
        "name: trtllm-two-sided", 'title: "TensorRT-LLM expert dispatch and combine, two-sided over NVLink"', "attributes:",
        '  notes: "one set of coefficients for all ranks and formats; the form is in src/fabric/expert_exchange.hpp. Channels and blocks are those of the'
        ' library\'s launch code; errors are of a fifth of the points under a fit without them"',
        'defaults: {kind: measured, source: "operator tables of ai-dynamo/aiconfigurator at 095f58a (Apache-2.0), fitted by tools/fit_exchange.py", '
        "read: 2026-11-28, confidence: A}",
        "columns: {" + ", ".join(f"{c}: {'text' if isinstance(v, str) else 'number'}" for c, v in rows[0].items()) + "}", "series:",
        *("  - {" + ", ".join(f"{c}: {number(v)}" for c, v in r.items()) + "}" for r in rows),
    ]  # fmt: skip
    (ROOT / "catalog/collectives/trtllm-two-sided.yaml").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
