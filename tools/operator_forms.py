"""Curves of serving operators: the formulas of src/step/operators.cpp, written for arrays, with the bounds of their coefficients.

Times are seconds, sizes bytes, rates per second. Every form is a kernel floor, plus what streams or multiplies joined by a smooth
maximum (a^q + b^q)^(1/q); shares of peak are bounded by 1, so no curve beats the roofline. docs/operators.md explains each coefficient.
"""

import dataclasses

import numpy as np

US, NS, MB = 1e-6, 1e-9, 1e6


def smooth_max(a, b, q):
    if q == 2:
        return np.sqrt(a * a + b * b)
    a, b = a * a, b * b
    return np.sqrt(np.sqrt(a * a + b * b))  # q = 4


@dataclasses.dataclass
class Coefficient:
    name: str
    start: float
    low: float
    high: float


def waves(blocks, multiprocessors, wave):
    """Waves of equal blocks over the multiprocessors; `wave` is how much of the last, partly filled one is paid."""
    w = blocks / multiprocessors
    return w + (np.ceil(w) - w) * wave


def cached(size, cache, rate, share):
    """Bytes as read from memory when a benchmark repeats itself: below `share` of the last-level cache they cost `rate` of it."""
    x = size / (cache * share)
    x = x * x
    resident = 1 / (1 + x * x)
    return size * (1 - resident + resident * rate)


# bytes a weight, bytes an activation as multiplied, key of the peak rate
GEMM_FORMATS = {
    "bf16": (2, 2, "bf16"),
    "fp8": (1, 1, "fp8"),
    "fp8-block": (1, 1, "fp8"),
    "nvfp4": (0.5625, 0.5625, "fp4"),
    "int8": (1, 1, "int8"),
    "int8-weight-only": (1, 2, "bf16"),
    "int4-weight-only": (0.5, 2, "bf16"),
}

GEMM = [
    Coefficient("floor_us", 2.5, 0.5, 30),
    Coefficient("deep_us", 2, 0.001, 20),
    Coefficient("deep_half", 3000, 100, 1e5),
    Coefficient("stream", 0.85, 0.3, 0.98),
    Coefficient("cache_rate", 0.5, 0.1, 1),
    Coefficient("cache_share", 0.5, 0.05, 2),
    Coefficient("fraction", 0.75, 0.2, 1),
    Coefficient("sag", 0.1, 0.001, 0.6),
    Coefficient("k_ramp", 100, 1, 2000),
    Coefficient("tile_edge", 5, 0.01, 200),
    Coefficient("wave", 0.5, 0.001, 1),
    Coefficient("quantise", 0.3, 0.001, 10),
    Coefficient("rows_us", 0.01, 0.0001, 60),
]
GEMM_TILES = [
    ((128, 128),), ((128, 256),), ((64, 64), (128, 128)), ((64, 256), (128, 256)), ((64, 64), (256, 256)),
    ((128, 128), (256, 256)), ((64, 64), (128, 128), (128, 256)),
]  # fmt: skip


def gemm(c, chip, spec, m, n, k):
    weight, act, peak = GEMM_FORMATS[spec["format"]]
    size = n * k * weight + m * k * act + m * n * 2
    stream = cached(size, chip["cache"], c["cache_rate"], c["cache_share"]) / (chip["bandwidth"] * c["stream"])
    per_sm = chip[peak] / chip["multiprocessors"]
    compute = None
    for rows, columns in spec["tiles"]:
        w = waves(np.ceil(m / rows) * np.ceil(n / columns), chip["multiprocessors"], c["wave"])
        t = w * (rows * columns * 2 * (k + c["k_ramp"]) / per_sm) * (1 + c["tile_edge"] * (1 / rows + 1 / columns))
        compute = t if compute is None else np.minimum(compute, t)
    compute = compute / c["fraction"]
    compute = compute * (1 + c["sag"] * compute / (compute + 1e-3))
    quantise = c["quantise"] * 3 * m * k / chip["bandwidth"] if act < 2 else 0
    host = c["floor_us"] * US + c["deep_us"] * US * k / (k + c["deep_half"]) + c["rows_us"] * US * m / (m + 512)
    return host + smooth_max(stream, compute, spec["sharpness"]) + quantise


CONTEXT = [
    Coefficient("floor_us", 12, 3, 60),
    Coefficient("head_ns", 5, 0.01, 300),
    Coefficient("traffic", 2, 1, 30),
    Coefficient("key_ramp", 200, 1, 5000),
    Coefficient("fraction", 0.6, 0.1, 1),
    Coefficient("wave", 0.5, 0.01, 1),
    Coefficient("sag", 0.05, 0.001, 0.5),
]


def context_attention(c, chip, spec, batch, tokens, heads, kv_heads):
    """Causal attention over whole prompts: blocks of 128 queries, each reading half the keys on average."""
    blocks = batch * heads * np.ceil(tokens / 128)
    per_sm = chip[spec["peak"]] / chip["multiprocessors"]
    qk, v = spec["qk_dim"], spec["v_dim"]
    w = waves(blocks, chip["multiprocessors"], c["wave"])
    compute = w * (tokens / 2 + c["key_ramp"]) * 128 * 2 * (qk + v) / (per_sm * c["fraction"])
    compute = compute * (1 + c["sag"] * compute / (compute + 1e-3))
    moved = batch * tokens * (heads + kv_heads) * (qk + v) * 2
    return c["floor_us"] * US + c["head_ns"] * NS * batch * heads + c["traffic"] * moved / chip["bandwidth"] + compute


DECODE = [
    Coefficient("floor_us", 9, 3, 80),
    Coefficient("head_ns", 1, 0.01, 300),
    Coefficient("kv_head_ns", 10, 0.01, 1000),
    Coefficient("deep_us", 10, 0.01, 60),
    Coefficient("deep_half", 5000, 100, 1e5),
    Coefficient("stream", 0.85, 0.1, 1),
    Coefficient("cache_rate", 0.5, 0.15, 1),
    Coefficient("cache_share", 0.5, 0.1, 2),
]


def decode_attention(c, chip, spec, batch, keys, heads, kv_heads):
    size = batch * keys * kv_heads * 2 * 128 * spec["kv_bytes"]
    stream = cached(size, chip["cache"], c["cache_rate"], c["cache_share"]) / (chip["bandwidth"] * c["stream"])
    blocks = c["head_ns"] * NS * batch * heads + c["kv_head_ns"] * NS * batch * kv_heads
    return c["floor_us"] * US + smooth_max(stream, blocks, 4) + c["deep_us"] * US * keys / (keys + c["deep_half"])


MLA_DECODE = [
    Coefficient("floor_us", 10, 3, 80),
    Coefficient("head_ns", 1, 0.01, 300),
    Coefficient("sequence_ns", 20, 0.01, 2000),
    Coefficient("deep_us", 10, 0.01, 60),
    Coefficient("deep_half", 3000, 100, 1e5),
    Coefficient("stream", 0.8, 0.1, 1),
    Coefficient("fraction", 0.5, 0.02, 1),
    Coefficient("padded_heads", 8, 1, 128),
]


def mla_decode(c, chip, spec, batch, keys, heads):
    stream = batch * keys * 576 * spec["kv_bytes"] / (chip["bandwidth"] * c["stream"])
    compute = batch * np.maximum(heads, c["padded_heads"]) * keys * 2 * (576 + 512) / (chip["bf16"] * c["fraction"])
    blocks = c["head_ns"] * NS * batch * heads + c["sequence_ns"] * NS * batch
    body = smooth_max(smooth_max(stream, compute, 4), blocks, 4)
    return c["floor_us"] * US + body + c["deep_us"] * US * keys / (keys + c["deep_half"])


# bytes a weight, key of the peak rate
MOE_FORMATS = {
    "bf16": (2, "bf16"),
    "fp8": (1, "fp8"),
    "fp8-block": (1, "fp8"),
    "nvfp4": (0.5625, "fp4"),
    "mxfp4-w4a16": (0.53125, "bf16"),
    "mxfp4-w4a8": (0.53125, "fp8"),
}
MOE = [
    Coefficient("floor_us", 25, 3, 400),
    Coefficient("stream", 0.8, 0.1, 1),
    Coefficient("expert_us", 0.1, 0.001, 20),
    Coefficient("more_experts", 0.5, 0.01, 30),
    Coefficient("fraction", 0.5, 0.02, 1),
    Coefficient("half_width", 300, 1, 6000),
    Coefficient("half_hidden", 300, 1, 6000),
    Coefficient("pad_tokens", 60, 0.1, 1000),
    Coefficient("token_ns", 5, 0.01, 300),
    Coefficient("token_ep", 0.5, 0.001, 1),
    Coefficient("spread_101", 0.8, 0.3, 1),
    Coefficient("spread_120", 0.8, 0.3, 1),
    Coefficient("crowd_101", 0.3, 0.001, 1),
    Coefficient("crowd_120", 0.4, 0.001, 1),
]


def moe(c, chip, spec, tokens, hidden, inter, top_k, experts, tp, ep, skew):
    """skew: 0 balanced, 1 power law 1.01, 2 power law 1.2."""
    weight, peak = MOE_FORMATS[spec["format"]]
    width, local, sent = inter / tp, experts / ep, tokens * top_k / ep
    one = 3 * hidden * width  # parameters of one expert on this rank
    spread = np.where(skew == 1, c["spread_101"], c["spread_120"])
    crowd = np.where(skew == 0, 0, np.where(skew == 1, c["crowd_101"], c["crowd_120"]))
    drawn = local * (1 - np.exp(-np.power(tokens * top_k / experts, spread)))
    hit = np.where(skew == 0, np.minimum(local, np.maximum(sent, 1)), np.maximum(drawn, np.minimum(1, sent)))
    load = sent * np.power(ep, crowd)
    stream = (hit + c["more_experts"]) * one * weight / (chip["bandwidth"] * c["stream"]) + hit * c["expert_us"] * US
    efficiency = c["fraction"] * width / (width + c["half_width"]) * hidden / (hidden + c["half_hidden"])
    compute = 2 * (load + hit * c["pad_tokens"]) * one / (efficiency * chip[peak])
    per_token = c["token_ns"] * NS * tokens * top_k / np.power(ep, c["token_ep"]) * hidden / 7168
    return c["floor_us"] * US + smooth_max(stream, compute, 4) + per_token


COLLECTIVE = [
    Coefficient("floor_us", 8, 1, 100),
    Coefficient("kink_us", 5, 0.01, 5000),
    Coefficient("kink_mb", 1, 0.001, 100),
    Coefficient("us_per_mb", 5, 0.05, 20000),
]


def collective(c, chip, spec, size):
    """size: bytes of the buffer on one rank. The kink is a change of protocol: a term that saturates once it has been paid."""
    mb = size / MB
    return US * (c["floor_us"] + c["kink_us"] * mb / (mb + c["kink_mb"]) + c["us_per_mb"] * mb)


EXPERT_EXCHANGE = COLLECTIVE + [Coefficient("half_sms", 5, 0.01, 200), Coefficient("token_ns", 0.5, 0.0001, 50)]


def expert_exchange(c, chip, spec, tokens, hidden, top_k, sms):
    ranks = spec["ranks"]
    copies = top_k if spec["mode"] == "low-latency" else ranks * (1 - np.power(1 - 1 / ranks, top_k))
    mb = tokens * hidden * copies * spec["bytes"] / MB
    per_mb = c["us_per_mb"] * (1 + (c["half_sms"] / sms if spec["mode"] == "normal" else 0))
    return US * (c["floor_us"] + c["kink_us"] * mb / (mb + c["kink_mb"]) + per_mb * mb) + c["token_ns"] * NS * tokens * top_k


ELEMENTWISE = [
    Coefficient("floor_us", 2.5, 0.3, 500),
    Coefficient("stream", 0.6, 0.02, 1),
    Coefficient("row_ns", 0.1, 0.0001, 1000),
    Coefficient("cache_rate", 0.5, 0.02, 1),
    Coefficient("cache_share", 0.5, 0.05, 2),
]


def elementwise(c, chip, spec, rows, size):
    """Activations that the kernel before has just written come from the last-level cache, in a step as in a benchmark."""
    stream = cached(size, chip["cache"], c["cache_rate"], c["cache_share"]) / (chip["bandwidth"] * c["stream"])
    return c["floor_us"] * US + stream + c["row_ns"] * NS * rows
