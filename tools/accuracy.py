#!/usr/bin/env python3
"""Writes docs/accuracy.md from jevons validate with each group left out.

    tools/accuracy.py ../shared/measured/cases.csv [--jevons build/release/bin/jevons] [--results DIR]

--results keeps the results of each run in DIR and takes those that are there.
"""
import argparse
import csv
import json
import pathlib
import subprocess
import tempfile

RUNS = {
    "model": "a model never seen",
    "accelerator": "a chip never seen",
    "engine": "an engine never seen",
    "configuration": "another configuration of a deployment seen",
    "block": "a deployment never seen, its engine and format seen",
}
METRICS = {"tpot_ms_mean": "TPOT", "output_tok_s": "output tok/s", "ttft_ms_mean": "mean TTFT"}


def result_of(args, by):
    folder = pathlib.Path(args.results) / f"lo_{by}"
    if not (folder / "result.json").exists():
        subprocess.run([args.jevons, "validate", args.cases, "--leave-out", by, "-o", str(folder)], check=True, stdout=subprocess.DEVNULL)
    rows = list(csv.DictReader(open(folder / "cases.csv")))
    return json.load(open(folder / "result.json")), rows


def percent(x):
    return "" if x is None else f"{100 * x:.1f}"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    return "\n".join(lines + ["| " + " | ".join(str(c) for c in r) + " |" for r in rows]) + "\n"


def scored(result, key):
    group = result["metrics"] if key is None else result["by"][key[0]][key[1]]
    for metric, name in METRICS.items():
        if metric in group:
            s = group[metric]
            yield [name, s["n"], percent(s["median_ape"]), percent(s["p90_ape"]), percent(s["bias"]), percent(s["coverage90"])]


def coverage(runs):
    for by, (result, _) in runs.items():
        for regime, metrics in result["by"]["regime"].items():
            yield [f"{by} left out: {regime}", *(f"{percent(metrics[m]['coverage90'])} of {metrics[m]['n']}" for m in METRICS)]


def published():
    with open(pathlib.Path(__file__).parent / "published_errors.csv", newline="") as f:
        head, *rows = csv.reader(f)
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)]
    return "\n".join(lines) + "\n"


def worst(rows):
    found = []
    for r in rows:
        if r["mode"] == "agg" and r["tpot_ms_measured"]:
            error = float(r["tpot_ms"]) / float(r["tpot_ms_measured"]) - 1
            found.append((abs(error), [r["model"], r["accelerator"], f"{r['engine']} {r['engine_version']}", r["weights"], r["placement"],
                                       f"{r['isl']}/{r['osl']}", r["concurrency"], f"{100 * error:+.0f}"]))
    return [cells for _, cells in sorted(found, key=lambda x: -x[0])[:25]]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases")
    parser.add_argument("--jevons", default="build/release/bin/jevons")
    parser.add_argument("--results")
    parser.add_argument("--output", default="docs/accuracy.md")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        args.results = args.results or scratch
        runs = {by: result_of(args, by) for by in RUNS}
    head = ["", "n", "median \\|error\\| %", "p90 %", "bias %", "in the 90 % band, %"]
    text = ["# How accurate serving predictions are\n",
            "Written by `tools/accuracy.py`; every figure is from `jevons validate CASES.csv --leave-out GROUP`. Published serving points of six models",
            "on H100, H200 and B200 under vLLM, SGLang and TensorRT-LLM, each simulated with its own closed loop, flags and cache. Constants, corrections",
            "and bands are fitted without the group that is scored; no row is left out of the score. Throughput and TTFT: rows whose client and warm-up",
            "are known. Repeats of one configuration differ by 1 to 2 %, versions of one engine by 20 %.\n"]
    for by, what in RUNS.items():
        text += [f"## {what[0].upper()}{what[1:]}\n", table(head, scored(runs[by][0], None))]
    text.append("## By family, left out as a model\n")
    rows = []
    for group in ("model", "accelerator", "engine", "regime"):
        for name in runs["model"][0]["by"][group]:
            for cells in scored(runs["model"][0], (group, name)):
                rows.append([f"{name}: {cells[0]}", *cells[1:]])
    text += [table(head, rows), "## Bands\n", "Nine in ten of the rows left out should lie in the 90 % band; groups under 100 rows scatter (25 rows: 80 % and more).\n",
             table(["", *METRICS.values()], coverage(runs)), "## Others\n",
             "What other simulators publish, each in its own words and by its own statistic: most of the small figures are of tools that profiled the very",
             "chip and engine they are scored on.\n", published(), "## The worst, model left out: TPOT\n",
             "Most are rows whose measurement cannot be true (`validate` names them), unmarked speculation, or a full cache.\n",
             table(["model", "chip", "engine", "weights", "placement", "isl/osl", "in flight", "error %"], worst(runs["model"][1]))]
    pathlib.Path(args.output).write_text("\n".join(text))


if __name__ == "__main__":
    main()
