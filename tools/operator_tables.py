"""Reads the operator tables of ../shared/measured/ops into shapes and seconds, screened; one Family per file of catalog/fits/."""

import dataclasses

import numpy as np
import pandas as pd

import operator_forms as forms

AICONFIGURATOR = "operator tables of ai-dynamo/aiconfigurator at 095f58a (Apache-2.0), fitted by tools/fit_operators.py"
SYSTEMS = {
    "a100_sxm": "a100-80g-sxm", "h100_sxm": "h100-sxm", "h200_sxm": "h200-sxm", "b200_sxm": "b200-sxm", "b300_sxm": "b300-sxm",
    "gb200": "gb200-nvl72", "gb300": "gb300-nvl72", "l40s": "l40s", "rtx_pro_6000_server": "rtx-pro-6000",
}  # fmt: skip
ENGINES = {"TRTLLM": "trtllm", "VLLM": "vllm", "vLLM": "vllm", "SGLang": "sglang", "sglang": "sglang"}


@dataclasses.dataclass
class Table:
    key: dict  # names the row of the catalogue
    spec: dict  # what the form needs beside shapes
    inputs: list
    seconds: np.ndarray
    shape: list  # what the held-out fifth is drawn by
    range: str
    screened: int = 0
    screened_why: str = ""


@dataclasses.dataclass
class Family:
    name: str
    title: str
    notes: str
    form: object
    coefficients: list
    load: object
    variants: list = dataclasses.field(default_factory=lambda: [{}])
    source: str = AICONFIGURATOR


def columns(frame, names):
    return [frame[n].to_numpy(float) for n in names]


def read(ops, name, known):
    frame = pd.read_csv(ops / f"aiconfigurator_{name}.csv.gz", low_memory=False)
    frame["accelerator"] = frame["system"].map(SYSTEMS)
    frame["engine"] = frame["framework"].map(ENGINES)
    frame = frame[frame["accelerator"].isin(known) & (frame["latency"] > 0 if "latency" in frame else True)]
    if "latency" in frame:
        frame = frame.assign(seconds=frame["latency"] * 1e-3)
    return frame


def groups(frame, by):
    """Tables in the order in which a reader looks for one: chip, then TensorRT-LLM, vLLM, SGLang."""
    order = {"trtllm": 0, "vllm": 1, "sglang": 2}
    found = list(frame.groupby(by, dropna=False, sort=False))
    place = {c: i for i, c in enumerate(SYSTEMS.values())}
    rank = lambda key: [place[v] if v in place else order.get(v, str(v)) for v in key]
    return sorted(found, key=lambda kv: [str(r).zfill(3) for r in rank(kv[0])])


def keep(frame, ok):
    return frame[ok], int((~ok).sum())


def span(names, inputs):
    return ", ".join(f"{n} {v.min():g} to {v.max():g}" for n, v in zip(names, inputs))


def gemm_tables(ops, known):
    formats = {"bfloat16": "bf16", "fp8": "fp8", "fp8_block": "fp8-block", "nvfp4": "nvfp4", "sq": "int8", "int8_wo": "int8-weight-only", "int4_wo": "int4-weight-only"}
    frame = read(ops, "gemm_sample", known)
    for (chip, engine, version, dtype), x in groups(frame, ["accelerator", "engine", "version", "gemm_dtype"]):
        c, form = known[chip], formats[dtype]
        weight, _, peak = forms.GEMM_FORMATS[form]
        possible = (2 * x.m * x.n * x.k / x.seconds <= c[peak]) & (x.n * x.k * weight / x.seconds <= c["bandwidth"])
        eager = x.seconds.min() > 25e-6
        x, out = keep(x, possible)
        inputs = columns(x, ["m", "n", "k"])
        yield Table(
            {"accelerator": chip, "engine": engine, "engine_version": version, "format": form}, {"format": form},
            inputs, x.seconds.to_numpy(), inputs, span("mnk", inputs), out,
            f"no shape under 25 us: launched eagerly (smallest {x.seconds.min() * 1e6:.0f} us)" if eager else "",
        )  # fmt: skip


def context_tables(ops, known):
    names = ["batch_size", "isl", "num_heads", "num_key_value_heads"]
    frame = read(ops, "context_attention_sample", known)
    for (chip, engine, version, dtype, kv), x in groups(frame, ["accelerator", "engine", "version", "attn_dtype", "kv_cache_dtype"]):
        peak = "fp8" if dtype == "fp8" else "bf16"
        flops = 4 * 128 * x.batch_size * x.num_heads * x.isl * (x.isl + 1) / 2
        x, out = keep(x, flops / x.seconds <= known[chip][peak])
        inputs = columns(x, names)
        form = {"bfloat16": "bf16"}.get(dtype, dtype) + "-kv-" + {"bfloat16": "bf16"}.get(kv, kv)
        yield Table(
            {"accelerator": chip, "engine": engine, "engine_version": version, "format": form, "family": "gqa"},
            {"peak": peak, "qk_dim": 128, "v_dim": 128}, inputs, x.seconds.to_numpy(), inputs,
            span(["batch", "tokens", "heads", "kv_heads"], inputs), out,
        )  # fmt: skip
    frame = read(ops, "mla_sample", known)
    for (chip, engine, version, kv), x in groups(frame[frame.op_name == "mla_context"], ["accelerator", "engine", "version", "kv_cache_dtype"]):
        peak = "bf16"
        flops = 2 * 320 * x.batch_size * x.num_heads * x.isl * (x.isl + 1) / 2
        x, out = keep(x, flops / x.seconds <= known[chip][peak])
        inputs = columns(x, ["batch_size", "isl", "num_heads", "num_heads"])
        yield Table(
            {"accelerator": chip, "engine": engine, "engine_version": version, "format": "bf16-kv-" + {"bfloat16": "bf16"}.get(kv, kv), "family": "mla"},
            {"peak": peak, "qk_dim": 192, "v_dim": 128}, inputs, x.seconds.to_numpy(), inputs[:3],
            span(["batch", "tokens", "heads"], inputs), out,
        )  # fmt: skip


def decode_tables(ops, known):
    frame = read(ops, "generation_attention_sample", known)
    for (chip, engine, version, kv), x in groups(frame, ["accelerator", "engine", "version", "kv_cache_dtype"]):
        size = 1 if kv == "fp8" else 2
        x = x.assign(keys=x.step + 1)
        x, out = keep(x, x.batch_size * x["keys"] * x.num_key_value_heads * 256 * size / x.seconds <= known[chip]["bandwidth"])
        inputs = columns(x, ["batch_size", "keys", "num_heads", "num_key_value_heads"])
        yield Table(
            {"accelerator": chip, "engine": engine, "engine_version": version, "kv_cache": {"bfloat16": "bf16"}.get(kv, kv)},
            {"kv_bytes": size}, inputs, x.seconds.to_numpy(), inputs, span(["batch", "keys", "heads", "kv_heads"], inputs), out,
        )  # fmt: skip


def mla_decode_tables(ops, known):
    frame = read(ops, "mla_sample", known)
    frame = frame[frame.op_name != "mla_context"]
    for (chip, engine, version, kv), x in groups(frame, ["accelerator", "engine", "version", "kv_cache_dtype"]):
        size = 1 if kv == "fp8" else 2
        x = x.assign(keys=x.step + 1)
        eager = x.seconds.min() > 60e-6
        x, out = keep(x, x.batch_size * x["keys"] * 576 * size / x.seconds <= known[chip]["bandwidth"])
        inputs = columns(x, ["batch_size", "keys", "num_heads"])
        yield Table(
            {"accelerator": chip, "engine": engine, "engine_version": version, "kv_cache": {"bfloat16": "bf16"}.get(kv, kv)},
            {"kv_bytes": size}, inputs, x.seconds.to_numpy(), inputs, span(["batch", "keys", "heads"], inputs), out,
            f"no shape under 60 us: launched eagerly (smallest {x.seconds.min() * 1e6:.0f} us)" if eager else "",
        )  # fmt: skip


def moe_tables(ops, known):
    formats = {"bfloat16": "bf16", "fp8": "fp8", "fp8_block": "fp8-block", "nvfp4": "nvfp4", "w4a16_mxfp4": "mxfp4-w4a16", "w4a8_mxfp4_mxfp8": "mxfp4-w4a8"}
    names = ["num_tokens", "hidden_size", "inter_size", "topk", "num_experts", "moe_tp_size", "moe_ep_size", "skew"]
    frame = read(ops, "moe_sample", known)
    frame = frame.assign(skew=frame.distribution.map({"balanced": 0, "power_law_1.01": 1, "power_law_1.2": 2}))
    for (chip, engine, version, dtype, kernel), x in groups(frame, ["accelerator", "engine", "version", "moe_dtype", "kernel_source"]):
        form = formats[dtype]
        weight, peak = forms.MOE_FORMATS[form]
        one = 3 * x.hidden_size * x.inter_size / x.moe_tp_size
        sent = x.num_tokens * x.topk / x.moe_ep_size
        # Balanced routing reaches a known number of experts; skewed routing may reach fewer, so its bytes are not screened.
        hit = np.where(x.skew == 0, np.minimum(x.num_experts / x.moe_ep_size, np.maximum(1, sent)), 0)
        possible = (hit * one * weight / x.seconds <= known[chip]["bandwidth"]) & (2 * sent * one / x.seconds <= known[chip][peak])
        small = kernel.endswith("min_latency")
        x, out = keep(x, possible)
        inputs = columns(x, names)
        yield Table(
            {"accelerator": chip, "engine": engine, "engine_version": version, "format": form}, {"format": form},
            inputs, x.seconds.to_numpy(), inputs, span(["tokens", "hidden", "inter", "top_k", "experts", "tp", "ep"], inputs), out,
            "the low-latency kernel's rows pass the memory peak: cached weights" if small else "",
        )  # fmt: skip


def collective_tables(ops, known):
    frame = read(ops, "nccl", known)
    frame = frame[frame.version.notna()]
    size = frame.message_size * np.where(frame.nccl_dtype == "half", 2, 1)
    nccl = frame.assign(size=size, library="nccl", op=frame.op_name.map({"alltoall": "all-to-all"}).fillna(frame.op_name.str.replace("_", "-")))
    frame = read(ops, "custom_allreduce", known)
    eager = frame.backend.astype(str).str.endswith("eager")
    own = frame[~eager].assign(library=frame.engine, op="all-reduce", size=frame.message_size * 2)
    frame = pd.concat([nccl[nccl.version == nccl.groupby("accelerator").version.transform("max")], own])
    # Repeats of one message, in two number formats or on several machines, are one point.
    by = ["accelerator", "library", "version", "op", "num_gpus"]
    frame = frame.groupby([*by, "size"], sort=False).seconds.median().reset_index()
    for (chip, library, version, op, ranks), x in groups(frame, by):
        inputs = columns(x, ["size"])
        shape = [np.full(len(x), sum(map(ord, op + library)) + ranks), inputs[0]]
        yield Table(
            {"accelerator": chip, "library": library, "library_version": version, "op": op, "ranks": int(ranks)}, {},
            inputs, x.seconds.to_numpy(), shape, span(["bytes"], inputs),
        )  # fmt: skip


def exchange_tables(ops, known):
    frame = read(ops, "deepep", known)
    per_node = frame.accelerator.map(lambda a: 4 if a.startswith("gb") else 8)
    frame = frame.assign(ranks=frame.node_num * per_node, mode=frame.op_name.map({"ll": "low-latency", "normal": "normal"}))
    copies = {}
    # The newest release that measured a number of ranks.
    frame = frame[frame.version == frame.groupby(["accelerator", "mode", "ranks"]).version.transform(lambda v: max(v, key=lambda t: [int(p) for p in t.split(".")]))]
    for (chip, version, mode, ranks), x in groups(frame, ["accelerator", "version", "mode", "ranks"]):
        for leg, size in (("dispatch", 1), ("combine", 2)):
            us = x[f"{leg}_avg_t_us"] if mode == "low-latency" else x[f"{leg}_transmit_us"] + x[f"{leg}_notify_us"].fillna(0)
            good = x[us > 0].assign(us=us, sms=x.dispatch_sms.fillna(20))
            inputs = columns(good, ["num_token", "hidden_size", "num_topk", "sms"])
            seconds = good.us.to_numpy(float) * 1e-6
            same = copies.setdefault((version, mode, ranks, leg, tuple(np.round(seconds * 1e9))), chip)
            yield Table(
                {"accelerator": chip, "library": "deepep", "library_version": version, "mode": mode, "op": leg, "ranks": int(ranks)},
                {"ranks": float(ranks), "mode": mode, "bytes": size}, inputs, seconds, [*inputs, columns(good, ["num_experts"])[0]],
                span(["tokens", "hidden", "top_k", "sms"], inputs), 0, f"the same times as {same}" if same != chip else "",
            )  # fmt: skip
    frame = read(ops, "trtllm_alltoall", known)
    frame = frame.assign(mode=frame.kernel_source.map({"NVLinkOneSided": "one-sided", "NVLinkTwoSided": "two-sided"}))
    size = {"bfloat16": 2, "fp8": 1, "nvfp4": 0.5625}  # of a number sent
    for (chip, version, mode, op, dtype, ranks), x in groups(frame, ["accelerator", "version", "mode", "op_name", "moe_dtype", "moe_ep_size"]):
        leg = op.removeprefix("alltoall_").replace("_", "-")
        moved = size[dtype] if leg == "dispatch" else 1 if leg == "combine-low-precision" else 2
        inputs = [*columns(x, ["num_tokens", "hidden_size", "topk"]), np.full(len(x), 20.0)]
        yield Table(
            {"accelerator": chip, "library": "trtllm", "library_version": version, "mode": mode, "op": leg, "format": {"bfloat16": "bf16"}.get(dtype, dtype), "ranks": int(ranks)},
            {"ranks": float(ranks), "mode": mode, "bytes": moved}, inputs, x.seconds.to_numpy(), [*inputs, np.full(len(x), ranks)],
            span(["tokens"], inputs),
        )  # fmt: skip


def short_tables(ops, known):
    """Short kernels by themselves: kernel times of Frontier on the H800, layer times of vLLM 0.19 on two workstation cards."""
    points = []  # chip, op, rows, bytes, seconds

    def add(chip, op, tokens, numbers, us):
        points.extend((chip, op, float(t), t * n * 2, u * 1e-6) for t, n, u in zip(tokens, numbers, us) if u == u and u > 0)

    for name in ("llama2_7b_dense_example", "Llama-3.1-405B-Instruct-FP8"):
        x = pd.read_csv(ops / f"frontier_h800_{name}_linear_op_kernel_only.csv.gz")
        tp, d, i, heads = x.num_tensor_parallel_workers, x.n_embd, x.n_expanded_embd, (x.n_head + x.n_kv_head) * (x.n_embd / x.n_head)
        for op, column, numbers in (("norm", "input_layernorm", 2 * d), ("activation", "mlp_act", 3 * i / tp), ("rotary", "attn_rope", 2 * heads / tp)):
            add("h800-sxm", op, x.num_tokens, numbers, 1e3 * x[f"time_stats.{column}.median"])
    shapes = {"Llama-3.1-8B": (4096, 14336, 32 + 8, 128), "Qwen3-32B": (5120, 25600, 64 + 8, 128)}
    for chip, card in (("rtx-4090", "RTX4090"), ("rtx-pro-6000", "RTXPRO6000")):
        for path in sorted(ops.glob(f"llmservingsim_{card}_*_dense.csv")):
            d, i, heads, dim = next(v for k, v in shapes.items() if k in path.name)
            tp = 2 if "_tp2_" in path.name else 1
            x = pd.read_csv(path)
            for op, layer, numbers in (("norm", "layernorm", 4 * d), ("activation", "act_fn", 3 * i / tp), ("rotary", "rotary_emb", 2 * heads * dim / tp), ("embedding", "embedding", 2 * d)):
                y = x[x.layer == layer]
                add(chip, op, y.tokens, [numbers] * len(y), y.time_us)
    frame = pd.DataFrame(points, columns=["accelerator", "op", "rows", "bytes", "seconds"])
    for (chip, op), x in frame[frame.accelerator.isin(known)].groupby(["accelerator", "op"]):
        inputs = columns(x, ["rows", "bytes"])
        source = "Frontier's kernel-only times" if chip == "h800-sxm" else "LLMServingSim's profile of vLLM 0.19.0"
        yield Table({"accelerator": chip, "op": op, "profile": source}, {}, inputs, x.seconds.to_numpy(), inputs, span(["tokens", "bytes"], inputs))


def launch_rows(ops):
    """Host launch of one kernel, from pairs of the same work timed with events and by the kernel alone, or run eagerly and in a CUDA graph."""

    def row(accelerator, runtime, op, pairs, kernel):
        q = np.quantile(pairs, [0.1, 0.5, 0.9])
        return {"accelerator": accelerator, "runtime": runtime, "op": op, "pairs": len(pairs), "kernel_us": float(f"{np.median(kernel):.3g}"),
                "launch_us": float(f"{q[1]:.3g}"), "launch_p10_us": float(f"{q[0]:.3g}"), "launch_p90_us": float(f"{q[2]:.3g}")}  # fmt: skip

    rows = []
    keys = {"linear_op": ["num_tokens", "num_tensor_parallel_workers"],
            "moe": ["num_tokens", "num_experts", "expert_parallel_size", "num_tensor_parallel_workers", "routing_runtime_path", "load_distribution", "seed", "gating_runtime_context"]}  # fmt: skip
    for name, kind in (("llama2_7b_dense_example_linear_op", "linear_op"), ("Qwen3-30B-A3B-tiny_moe", "moe")):
        event, alone = (pd.read_csv(ops / f"frontier_h800_{name}{end}.csv.gz") for end in ("", "_kernel_only"))
        both = event.merge(alone, on=keys[kind], suffixes=("_event", "_kernel"))
        for column in [c for c in event if c.startswith("time_stats.") and c.endswith(".median")]:
            if f"{column}_kernel" not in both:
                continue
            e, k = both[f"{column}_event"] * 1e3, both[f"{column}_kernel"] * 1e3
            good = (e > 0) & (k > 0)
            if good.sum() >= 8:
                rows.append(row("h800-sxm", "frontier eager", column.split(".")[1].replace("_", "-"), (e - k)[good], k[good]))
    x = pd.read_csv(ops / "aiconfigurator_custom_allreduce.csv.gz")
    x = x.assign(way=x.backend.astype(str).str.extract("(eager|graph)")[0], accelerator=x.system.map(SYSTEMS))
    x = x[x.way.notna() & x.accelerator.notna() & (x.message_size <= 16384)]
    both = x.pivot_table(index=["accelerator", "framework", "version", "num_gpus", "message_size"], columns="way", values="latency").dropna().reset_index()
    for (chip, engine, version), y in both.groupby(["accelerator", "framework", "version"]):
        rows.append(row(chip, f"{ENGINES[engine]} {version} eager", "all-reduce", (y.eager - y.graph) * 1e3, y.graph * 1e3))
    return rows


FAMILIES = [
    Family("gemm", "Matrix products", "m rows of activations times an n by k weight; docs/operators.md has the formula", forms.gemm, forms.GEMM, gemm_tables,
           [{"tiles": t, "sharpness": q} for t in forms.GEMM_TILES for q in (2, 4)]),
    Family("context-attention", "Attention of whole prompts", "causal; family gqa: grouped heads of 128, mla: naive latent attention of 192 and 128; format: operand, then cache", forms.context_attention, forms.CONTEXT, context_tables),
    Family("decode-attention", "Attention of one new token a sequence", "grouped heads of 128 over a cache", forms.decode_attention, forms.DECODE, decode_tables),
    Family("mla-decode-attention", "Latent attention of one new token a sequence", "absorbed: every head reads the same 576 numbers a token", forms.mla_decode, forms.MLA_DECODE, mla_decode_tables),
    Family("moe", "Experts of one layer", "three matrices an expert; time of the busiest rank; skewed routing by a power law", forms.moe, forms.MOE, moe_tables),
    Family("collectives", "Collectives inside one scale-up domain", "by bytes of the buffer on one rank; engines' own all-reduce inside CUDA graphs", forms.collective, forms.COLLECTIVE, collective_tables),
    Family("expert-exchange", "Dispatch and combine of tokens between experts", "tokens of one rank", forms.expert_exchange, forms.EXPERT_EXCHANGE, exchange_tables),
    Family("short-kernels", "Norms, rotary embedding, activation, embedding", "floor, bytes moved, rows; kernel times without launch", forms.elementwise, forms.ELEMENTWISE, short_tables,
           source="kernel-only tables of Frontier (H800) and operator profiles of LLMServingSim (vLLM 0.19.0), fitted by tools/fit_operators.py"),
]  # fmt: skip
