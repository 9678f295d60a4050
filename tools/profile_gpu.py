#!/usr/bin/env python3
"""Times matrix products, attention and all-reduce on this machine and writes the operator table that `jevons calibrate` reads.

    python3 tools/profile_gpu.py --accelerator h100-sxm -o h100.csv
    torchrun --nproc-per-node 8 tools/profile_gpu.py --accelerator h100-sxm --operators all-reduce -o h100-allreduce.csv
    jevons calibrate h100.csv -o mine && jevons run --catalog mine ...

Needs PyTorch only. On a GPU every kernel runs inside a CUDA graph, so that no host launch time is in it, over copies of its operands that
together exceed the last-level cache, so that weights and cache come from memory as they do in an engine's step. The time of a shape is the
median of its repeats. On a CPU the same code runs without graphs, for trying it out: such times say nothing about an accelerator.
Columns and units: docs/operators.md.
"""

import argparse
import csv
import os
import statistics
import sys
import time

try:
    import torch
    import torch.nn.functional as F
except ImportError:
    sys.exit("profile_gpu.py: needs PyTorch: see pytorch.org for the build of your GPU")

COLUMNS = ["accelerator", "operator", "format", "kv_cache", "m", "n", "k", "sequences", "tokens", "heads", "kv_heads", "ranks", "bytes", "time_us"]
HEAD_DIM = 128
CACHE_BYTES = 256 * 2**20  # more than any last-level cache


def grid(quick):
    """Shapes: the widths of 7B to 400B models and their tensor-parallel shards, batches of decode and prefill."""
    if quick:
        yield from ({"operator": "gemm", "m": m, "n": n, "k": k} for m in (1, 16, 128) for n in (256, 512) for k in (256, 512))
        yield from ({"operator": "context-attention", "sequences": b, "tokens": t, "heads": 4, "kv_heads": 2} for b in (1, 2, 4) for t in (16, 32, 64, 128))
        yield from ({"operator": "decode-attention", "sequences": b, "tokens": t, "heads": 4, "kv_heads": 2} for b in (1, 2, 4) for t in (16, 64, 256, 512))
        yield from ({"operator": "all-reduce", "bytes": 2**p} for p in range(10, 22))
        return
    widths = (1024, 2048, 4096, 5120, 8192, 14336, 28672)
    for m in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192):
        yield from ({"operator": "gemm", "m": m, "n": n, "k": k} for n in widths for k in widths if n * k <= 8192 * 28672)
    for heads, kv_heads in ((8, 1), (32, 8), (64, 8)):
        for b in (1, 2, 4, 8, 16):
            for t in (128, 256, 512, 1024, 2048, 4096, 8192, 16384):
                if b * t <= 65536:
                    yield {"operator": "context-attention", "sequences": b, "tokens": t, "heads": heads, "kv_heads": kv_heads}
        for b in (1, 2, 4, 8, 16, 32, 64, 128, 256):
            for t in (128, 512, 1024, 4096, 8192, 16384, 65536):
                if b * t * kv_heads * 2 * HEAD_DIM * 2 <= 16 * 2**30:
                    yield {"operator": "decode-attention", "sequences": b, "tokens": t, "heads": heads, "kv_heads": kv_heads}
    yield from ({"operator": "all-reduce", "bytes": 2**p} for p in range(10, 29))


def copies(size, device):
    """How many sets of operands keep a repeat from finding its bytes in the cache."""
    return 1 if device == "cpu" else max(1, min(64, CACHE_BYTES // max(size, 1) + 1))


def dtype_on(device):
    """CPUs without bf16 units would emulate it."""
    return torch.bfloat16 if device == "cuda" else torch.float32


def gemm(shape, fmt, device):
    m, n, k = shape["m"], shape["n"], shape["k"]
    bf16 = dtype_on(device)
    if fmt == "bf16":
        sets = [(torch.randn(m, k, device=device, dtype=bf16), torch.randn(n, k, device=device, dtype=bf16)) for _ in range(copies(2 * n * k, device))]
        return [lambda a=a, w=w: F.linear(a, w) for a, w in sets]
    # fp8 per tensor, as torch multiplies it; at least 16 rows are needed.
    fp8, rows = torch.float8_e4m3fn, max(16, -(-m // 16) * 16)
    one = torch.ones((), device=device)
    sets = [(torch.randn(rows, k, device=device).to(fp8), torch.randn(n, k, device=device).to(fp8)) for _ in range(copies(n * k, device))]
    return [lambda a=a, w=w: torch._scaled_mm(a, w.t(), scale_a=one, scale_b=one, out_dtype=bf16) for a, w in sets]


def attention(shape, device, decode):
    b, t, h, g = shape["sequences"], shape["tokens"], shape["heads"], shape["kv_heads"]
    queries = 1 if decode else t
    size = 2 * b * t * g * HEAD_DIM * 2
    dtype = dtype_on(device)
    sets = []
    for _ in range(copies(size, device)):
        q = torch.randn(b, h, queries, HEAD_DIM, device=device, dtype=dtype)
        key, value = (torch.randn(b, g, t, HEAD_DIM, device=device, dtype=dtype) for _ in range(2))
        sets.append((q, key, value))
    return [lambda q=q, k=k, v=v: F.scaled_dot_product_attention(q, k, v, is_causal=not decode, enable_gqa=True) for q, k, v in sets]


def all_reduce(shape, device):
    x = torch.zeros(shape["bytes"] // 2, device=device, dtype=torch.bfloat16)
    return [lambda: torch.distributed.all_reduce(x)]


def kernels(shape, fmt, device):
    if shape["operator"] == "gemm":
        return gemm(shape, fmt, device)
    if shape["operator"] == "all-reduce":
        return all_reduce(shape, device)
    return attention(shape, device, shape["operator"] == "decode-attention")


def seconds_on_gpu(runs, repeats):
    """Median over `repeats` graph launches; each launch runs every set of operands, several times if they are few."""
    rounds = max(1, 20 // len(runs))
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for run in runs:  # libraries choose and load their kernels here, outside the graph
            run()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(rounds):
            for run in runs:
                run()
    graph.replay()
    times = []
    for _ in range(repeats):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        graph.replay()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) * 1e-3 / (rounds * len(runs)))
    return statistics.median(times)


def seconds_on_cpu(runs, repeats):
    for run in runs[:2]:
        run()
    times = []
    for i in range(repeats):
        start = time.perf_counter()
        runs[i % len(runs)]()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def formats(operator, wanted, device):
    """bf16 everywhere; fp8 where torch and the GPU multiply it."""
    if operator != "gemm" or device == "cpu":
        return ["bf16"]
    can = torch.cuda.get_device_capability() >= (8, 9)
    return [f for f in wanted if f == "bf16" or can]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accelerator", required=True, help="its name in `jevons catalog list`")
    parser.add_argument("-o", "--output", required=True, help="CSV to write")
    parser.add_argument("--operators", nargs="+", default=["gemm", "context-attention", "decode-attention"], choices=["gemm", "context-attention", "decode-attention", "all-reduce"])
    parser.add_argument("--formats", nargs="+", default=["bf16", "fp8"], choices=["bf16", "fp8"], help="of matrix products")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", choices=["cuda", "cpu"])
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--quick", action="store_true", help="a few small shapes, to try it out")
    args = parser.parse_args()
    ranks, rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
    if "all-reduce" in args.operators:
        if ranks < 2:
            parser.error("all-reduce needs torchrun with at least two processes")
        if args.device == "cuda":
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
        torch.distributed.init_process_group("nccl" if args.device == "cuda" else "gloo")
    if args.device == "cpu":
        torch.set_num_threads(1)  # threads that wait for a busy core would be what is timed
    timed = seconds_on_gpu if args.device == "cuda" else seconds_on_cpu
    shapes = [s for s in grid(args.quick) if s["operator"] in args.operators]
    rows = []
    for i, shape in enumerate(shapes):
        if rank == 0 and sys.stderr.isatty():
            print(f"\r{100 * i // len(shapes):3d} % {shape['operator']:20}", end="", file=sys.stderr)
        for fmt in formats(shape["operator"], args.formats, args.device):
            try:
                with torch.inference_mode():
                    took = timed(kernels(shape, fmt, args.device), args.repeats)
            except (torch.OutOfMemoryError if hasattr(torch, "OutOfMemoryError") else MemoryError):
                continue  # a shape that does not fit is left out
            row = {"accelerator": args.accelerator, **shape, "format": fmt, "time_us": f"{took * 1e6:.4f}"}
            if "attention" in shape["operator"]:
                row["kv_cache"] = "bf16"
            if shape["operator"] == "all-reduce":
                row.update(ranks=ranks, format="")
            rows.append(row)
        if args.device == "cuda":
            torch.cuda.empty_cache()
    if rank == 0:
        with open(args.output, "w", newline="") as out:
            writer = csv.DictWriter(out, COLUMNS, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        print(f"{args.output}: {len(rows)} rows on {torch.cuda.get_device_name() if args.device == 'cuda' else 'the CPU'}", file=sys.stderr)
    if "all-reduce" in args.operators:
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
