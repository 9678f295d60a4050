"""tools/profile_gpu.py on a CPU: what it writes, jevons calibrate reads. Skipped (77) where PyTorch is absent."""

import csv
import os
import pathlib
import subprocess
import sys
import tempfile

program, source = sys.argv[1], pathlib.Path(sys.argv[2])
python = os.environ.get("JEVONS_TORCH_PYTHON", sys.executable)
if subprocess.run([python, "-c", "import torch"], capture_output=True).returncode != 0:
    print("skipped: needs PyTorch (JEVONS_TORCH_PYTHON names an interpreter that has it)")
    sys.exit(77)

with tempfile.TemporaryDirectory() as folder:
    table = pathlib.Path(folder) / "cpu.csv"
    run = subprocess.run([python, str(source / "tools/profile_gpu.py"), "--accelerator", "h100-sxm", "--device", "cpu", "--quick", "--repeats", "3", "-o", str(table)],
                         capture_output=True, text=True)  # fmt: skip
    assert run.returncode == 0, run.stderr
    rows = list(csv.DictReader(table.open()))
    assert len(rows) == 36, len(rows)
    assert {r["operator"] for r in rows} == {"gemm", "context-attention", "decode-attention"}
    assert all(float(r["time_us"]) > 0 for r in rows)
    products = [r for r in rows if r["operator"] == "gemm"]
    assert all(r["m"] and r["n"] and r["k"] and not r["heads"] for r in products)
    # A CPU is slower than any accelerator, so no row beats the data sheet: the table is taken and all groups are fitted.
    done = subprocess.run([program, "calibrate", str(table), "-o", f"{folder}/mine", "--force", "--format", "json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (pathlib.Path(folder) / "mine/fits/gemm.yaml").exists()
    # And the overlay loads.
    shown = subprocess.run([program, "catalog", "show", "gemm", "--catalog", f"{folder}/mine"], capture_output=True, text=True)
    assert shown.returncode == 0 and "measured" in shown.stdout, shown.stderr
print("profile_gpu_test: ok")
