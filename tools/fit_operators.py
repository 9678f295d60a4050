#!/usr/bin/env python3
"""Fits the curves of tools/operator_forms.py to operator tables and writes catalog/fits/*.yaml.

    python3 -m venv v && v/bin/pip install -r tools/requirements-fit.txt
    v/bin/python tools/fit_operators.py --ops ../shared/measured/ops

A fifth of the shapes of every table, chosen by a hash of the shape, is never fitted; the errors written beside the coefficients are of that
fifth. Deterministic: the same tables give the same files. Screened out before fitting: rows that beat the data sheet (more FLOP/s than peak, or
weights and cache read faster than memory: they came from the last-level cache), tables launched eagerly, tables that copy another chip's.
"""

import argparse
import pathlib
import sys

import numpy as np
import yaml
from scipy.optimize import least_squares

import operator_forms as forms
import operator_tables

ROOT = pathlib.Path(__file__).resolve().parent.parent


def chips():
    """Peaks of the catalogue's accelerators with the multiprocessors and cache of catalog/fits/chips.yaml; base units."""
    units = {"TFLOPS": 1e12, "PFLOPS": 1e15, "TOPS": 1e12, "TB/s": 1e12, "GB/s": 1e9}
    out = {}
    for row in yaml.safe_load((ROOT / "catalog/fits/chips.yaml").read_text())["series"]:
        if "multiprocessors" not in row:
            continue
        facts = yaml.safe_load((ROOT / f"catalog/accelerators/{row['accelerator']}.yaml").read_text())["facts"]

        def value(key):
            if key not in facts:
                return 0.0
            number, unit = str(facts[key]["value"]).split()
            return float(number) * units[unit]

        out[row["accelerator"]] = {
            "bf16": value("peak_bf16"), "fp8": value("peak_fp8"), "fp4": value("peak_fp4"), "int8": value("peak_int8"),
            "bandwidth": value("hbm_bandwidth"), "multiprocessors": float(row["multiprocessors"]), "cache": float(row["cache_mb"]) * 1e6,
        }  # fmt: skip
    return out


def held_out(shape):
    """Every fifth shape by hash (FNV-1a), the same for all tables that measured it."""
    h = 2166136261
    for byte in ",".join(str(int(v)) for v in shape).encode():
        h = (h ^ byte) * 16777619 % 2**32
    return (h >> 8) % 5 == 0


def fit_once(form, coefficients, chip, spec, x, y, train):
    low = np.log([c.low for c in coefficients])
    high = np.log([c.high for c in coefficients])
    start = np.clip(np.log([c.start for c in coefficients]), low + 1e-9, high - 1e-9)
    names = [c.name for c in coefficients]
    xt = [v[train] for v in x]

    def residual(p):
        return np.log(form(dict(zip(names, np.exp(p))), chip, spec, *xt) / y[train])

    # Relative errors, with outliers counted linearly beyond 5 %.
    r = least_squares(residual, start, bounds=(low, high), loss="soft_l1", f_scale=0.05, max_nfev=150)
    return r.cost, {n: float(f"{v:.5g}") for n, v in zip(names, np.exp(r.x))}


def fit(family, table, chip):
    """The best of the family's variants by the fitted rows, and its errors on the fifth that was held out."""
    x, y = table.inputs, table.seconds
    held = np.array([held_out(s) for s in zip(*table.shape)])
    if held.all() or not held.any():
        return None
    best = None
    for variant in family.variants:
        spec = {**table.spec, **variant}
        cost, c = fit_once(family.form, family.coefficients, chip, spec, x, y, ~held)
        if best is None or cost < best[0]:
            best = (cost, c, spec, variant)
    _, c, spec, variant = best
    error = np.abs(family.form(c, chip, spec, *x) / y - 1)
    return c, variant, error[held], len(y)


def number(v):
    if isinstance(v, str):
        return v if v.replace("-", "").replace("_", "").isalnum() and not v[0].isdigit() else f'"{v}"'
    return np.format_float_positional(v, precision=5, fractional=False, trim="-") if isinstance(v, float) else str(v)


def write(family, rows, out):
    columns = max((list(r) for r in rows), key=len)
    kinds = {c: "text" if any(isinstance(r.get(c), str) for r in rows) else "number" for c in columns}
    lines = [f"name: {family.name}", f'title: "{family.title}"', "attributes:", f'  notes: "{family.notes}"']
    lines.append(f'defaults: {{kind: measured, source: "{family.source}", read: 2026-11-28, confidence: A}}')
    lines.append("columns: {" + ", ".join(f"{c}: {kinds[c]}" for c in columns) + "}")
    lines.append("series:")
    for r in rows:
        lines.append("  - {" + ", ".join(f"{c}: {number(r[c])}" for c in columns if r.get(c) is not None) + "}")
    (out / f"{family.name}.yaml").write_text("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ops", default=str(ROOT / "../shared/measured/ops"), help="folder of the operator tables")
    parser.add_argument("--out", default=str(ROOT / "catalog/fits"), help="where the fits go")
    parser.add_argument("--only", help="one family, e.g. gemm")
    args = parser.parse_args()
    known = chips()
    for family in operator_tables.FAMILIES:
        if args.only and family.name != args.only:
            continue
        rows, errors = [], []
        for table in family.load(pathlib.Path(args.ops), known):
            label = " ".join(str(v) for v in table.key.values())
            if table.screened_why:
                print(f"{family.name:18} {label:52} left out: {table.screened_why}", file=sys.stderr)
                continue
            result = fit(family, table, known[table.key["accelerator"]])
            if result is None:
                print(f"{family.name:18} {label:52} left out: too few shapes to hold some back", file=sys.stderr)
                continue
            c, variant, error, points = result
            shown = {k: v if k != "tiles" else " ".join(f"{a}x{b}" for a, b in v) for k, v in variant.items()}
            rows.append({
                **table.key, **shown, **c, "points": points, "screened": table.screened, "held_out": len(error),
                "median_error_pct": float(f"{100 * np.median(error):.3g}"), "p90_error_pct": float(f"{100 * np.quantile(error, 0.9):.3g}"),
                "range": table.range,
            })  # fmt: skip
            errors.append(error)
            print(f"{family.name:18} {label:52} n {points:5} held out {100 * np.median(error):5.1f} / {100 * np.quantile(error, 0.9):5.1f} %")
        if rows:
            everything = np.concatenate(errors)
            print(f"{family.name:18} ALL {len(everything)} held out rows: {100 * np.median(everything):.1f} / {100 * np.quantile(everything, 0.9):.1f} %")
            write(family, rows, pathlib.Path(args.out))
    if args.only in (None, "launch"):
        launch = operator_tables.Family(
            "launch", "Host launch of one kernel run eagerly", "event time minus kernel time, or eager minus CUDA graph; graphs pay none of it", None, [], None,
            source="pairs in Frontier's H800 tables and in the all-reduce tables of ai-dynamo/aiconfigurator at 095f58a, by tools/fit_operators.py",
        )
        write(launch, operator_tables.launch_rows(pathlib.Path(args.ops)), pathlib.Path(args.out))


if __name__ == "__main__":
    main()
