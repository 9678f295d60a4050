"""The command line as a person uses it: exit codes, messages, files. Usage: cli_test.py JEVONS SOURCE_DIR"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

JEVONS, SOURCE = sys.argv[1], pathlib.Path(sys.argv[2])
EXAMPLE = str(SOURCE / "examples/llama-3.1-70b-chat.yaml")


def run(*words, **more):
    return subprocess.run([JEVONS, *words], capture_output=True, text=True, timeout=60, **more)


class Cli(unittest.TestCase):
    def test_version_and_help(self):
        self.assertRegex(run("--version").stdout, r"^jevons \d+\.\d+\.\d+\n$")
        overview = run("--help")
        self.assertEqual(overview.returncode, 0)
        for verb in ("run", "simulate", "datacenter", "model", "fabric", "validate", "calibrate", "catalog"):
            self.assertIn(verb, overview.stdout)
            text = run(verb, "--help")
            self.assertEqual(text.returncode, 0)
            self.assertIn("Examples", text.stdout)

    def test_model_json_has_every_golden_key(self):
        golden = json.loads((SOURCE / "src/model/testdata/golden.json").read_text())
        for name in ("llama-3.1-8b", "deepseek-v4-pro", "kimi-k3"):
            got = json.loads(run("model", name, "--format", "json").stdout)
            for key, value in golden[name].items():
                self.assertEqual(got[key], value, f"{name} {key}")

    def test_page_fits_a_terminal(self):
        for example in sorted((SOURCE / "examples").glob("*.yaml")):
            page = run("run", str(example), "--explain")
            self.assertEqual(page.returncode, 0)
            width = max(len(line) for line in page.stdout.splitlines() if str(SOURCE) not in line)
            self.assertLessEqual(width, 100, example)
        page = run("run", EXAMPLE)
        self.assertNotIn("\033", page.stdout)
        self.assertTrue(page.stdout.splitlines()[1].startswith("  Memory"))

    def test_readme_is_true(self):
        readme = (SOURCE / "README.md").read_text()
        shown = readme.split("```\n")[1].rstrip()
        page = run("run", "examples/deepseek-v4-pro-1m.yaml", cwd=SOURCE).stdout
        self.assertTrue(page.startswith(shown), "the page in README.md is not what the demo prints")
        commands = [line.split()[1:] for line in readme.splitlines() if line.startswith("    jevons ")]
        self.assertGreaterEqual(len(commands), 3)
        for words in commands:
            if "./config.json" in words:  # stands for a reader's own file
                words[words.index("./config.json")] = "qwen3-8b"
            self.assertEqual(run(*words, cwd=SOURCE).returncode, 0, words)

    SMALL = ("simulate", "--model", "llama-3.1-8b", "--accelerator", "h100-sxm", "--isl", "1000", "--osl", "200")

    def test_replay(self):
        with tempfile.TemporaryDirectory() as folder:
            log, meta = pathlib.Path(folder) / "a_requests.jsonl", pathlib.Path(folder) / "a_meta.json"
            times = [{"queued_ts": 9 + i, "scheduled_ts": 9 + i, "first_token_ts": 9.1 + i, "last_token_ts": 10.1 + i} for i in range(2)]
            log.write_text("".join(json.dumps({"request_id": str(i), "input_toks": 500, "output_toks": 101, "arrival_time": 5.0 + i, **t}) + "\n"
                                   for i, t in enumerate(times)))
            meta.write_text(json.dumps({"model": "meta-llama/Llama-3.1-8B", "hardware": {"device_name": "NVIDIA H100 80GB HBM3"}}))
            done = run("validate", str(log), "--format", "json")
            self.assertEqual(done.returncode, 0, done.stderr)
            got = json.loads(done.stdout)
            self.assertEqual(list(got)[:5], ["ttft_mean_error", "tpot_mean_error", "makespan_error", "ttft_ks", "tpot_ks"])
            self.assertAlmostEqual(got["tpot_mean_error"], got["tpot_mean_s"] / 0.01 - 1, 5)
            self.assertIn("TTFT, mean", run("validate", str(log)).stdout)
            wrong = run("validate", str(log), "--profile", str(meta))
            self.assertEqual(wrong.returncode, 2)
            self.assertIn("a_meta.json:1", wrong.stderr)

    def test_simulate(self):
        words = (*self.SMALL, "--request-rate", "2", "--num-requests", "500", "--format", "json")
        first = run(*words)
        self.assertEqual(first.returncode, 0, first.stderr)
        self.assertEqual(first.stdout, run(*words).stdout)
        self.assertNotEqual(first.stdout, run(*words, "--seed", "2").stdout)
        r = json.loads(first.stdout)["values"]
        self.assertEqual(r["requests"]["finished"], 500)
        # Mean E2E = TTFT + 199 TPOT: every request has 200 output tokens.
        self.assertAlmostEqual(r["e2e"]["mean_ms"], r["ttft"]["mean_ms"] + 199 * r["tpot"]["mean_ms"], delta=1e-6 * r["e2e"]["mean_ms"])
        self.assertAlmostEqual(r["throughput"]["output_tok_s"], 200 * r["throughput"]["requests_per_s"], delta=1e-6)

    def test_simulate_closed_loop_follows_littles_law(self):
        r = json.loads(run(*self.SMALL, "--concurrency", "8", "--num-requests", "2000", "--format", "json").stdout)["values"]
        in_flight = r["throughput"]["requests_per_s"] * r["e2e"]["mean_ms"] / 1e3
        self.assertAlmostEqual(in_flight, 8, delta=0.1)  # the last requests drain

    def test_simulate_refuses(self):
        for words, said in (
            (("--request-rate", "1", "--scheduler-recv-interval", "4"), "vllm has no such option"),
            (("--request-rate", "1", "--concurrency", "4"), "one of the two"),
            ((), "--request-rate or --concurrency"),
            (("--request-rate", "1", "--goodput", "ttfb:3"), "ttft:MS"),
            (("--request-rate", "1", "--max-num-seqs", "0"), "a number from 1"),
            (("--request-rate", "1", "--arrival-cv", "2"), "has no meaning for poisson"),
        ):
            got = run(*self.SMALL, *words)
            self.assertEqual(got.returncode, 2, words)
            self.assertIn(said, got.stderr)
        big = run("simulate", "--model", "llama-3.1-70b", "--accelerator", "h100-sxm", "--isl", "9", "--osl", "9", "--request-rate", "1")
        self.assertEqual(big.returncode, 3)
        self.assertIn("memory binds", big.stderr)

    def test_simulate_writes_requests_and_trace(self):
        with tempfile.TemporaryDirectory() as folder:
            got = run(*self.SMALL, "--concurrency", "4", "--goodput", "ttft:100", "tpot:50", "-o", folder + "/out", "--trace", folder + "/t.json")
            self.assertEqual(got.returncode, 0, got.stderr)
            rows = pathlib.Path(folder, "out/requests.csv").read_text().splitlines()
            self.assertEqual(len(rows), 41)
            self.assertEqual(len(pathlib.Path(folder, "out/requests.jsonl").read_text().splitlines()), 40)
            self.assertIn("traceEvents", json.loads(pathlib.Path(folder, "t.json").read_text()))

    def test_explain_names_kind_and_source_of_every_value(self):
        result = json.loads(run("run", EXAMPLE, "--format", "json").stdout)
        page = run("run", EXAMPLE, "--explain").stdout
        for path, e in result["explain"].items():
            self.assertIn(path, page)
            self.assertIn(e["kind"], ("spec", "measured", "derived", "assumed", "simulated", "input"))
            self.assertTrue(e["how"])
        self.assertTrue(all(f["source"] and f["kind"] for f in result["facts"]))

    def test_output_folder(self):
        with tempfile.TemporaryDirectory() as folder:
            out = os.path.join(folder, "out")
            self.assertEqual(run("run", EXAMPLE, "-o", out).returncode, 0)
            files = set(os.listdir(out))
            self.assertLessEqual({"result.json", "report.html", "cost.csv", "savings.csv", "candidates.csv"}, files)
            page = pathlib.Path(out, "report.html").read_text()
            self.assertNotIn("http://", page.split("<script>")[0])
            self.assertEqual(json.loads(pathlib.Path(out, "result.json").read_text())["title"], "Llama-3.1-70B, dense chat")

    def test_flags_lay_over_the_file(self):
        base = json.loads(run("run", EXAMPLE, "--format", "json").stdout)
        flag = json.loads(run("run", EXAMPLE, "--tp", "4", "--format", "json").stdout)
        put = json.loads(run("run", EXAMPLE, "--set", "placement.tp=4", "--format", "json").stdout)
        self.assertEqual(flag, put)
        self.assertNotEqual(base["values"], flag["values"])

    def bad(self, words, *expected, code=2):
        with tempfile.TemporaryDirectory() as folder:
            out = os.path.join(folder, "out")
            r = run(*words, "-o", out)
            self.assertEqual(r.returncode, code, r.stdout + r.stderr)
            if code == 2:
                self.assertEqual(r.stdout, "")
                self.assertFalse(os.listdir(folder), "something was left behind")
            for text in expected:
                self.assertIn(text, r.stderr)

    def test_bad_input(self):
        self.bad(["run", "no/such.yaml"], "no such file")
        self.bad(["run", "--model", "llama-3.1-8b"], "accelerator: is missing", "--accelerator")
        self.bad(["run", EXAMPLE, "--model", "lama-3.1-8b"], "unknown model 'lama-3.1-8b'", "did you mean llama-3.1-8b")
        self.bad(["run", EXAMPLE, "--accelerator", "h1000"], "unknown accelerator", "did you mean")
        self.bad(["run", EXAMPLE, "--isl", "-5"], "--isl workload.isl: '-5' is out of range")
        self.bad(["run", EXAMPLE, "--isl", "many"], "is not a number")
        self.bad(["run", EXAMPLE, "--set", "workload.islx=5"], "unknown key", "did you mean workload.isl")
        self.bad(["run", EXAMPLE, "--weights", "fp7"], "is not a weight format")
        self.bad(["run", EXAMPLE, "--tp", "7"], "does not divide")
        self.bad(["run", EXAMPLE, "--frobnicate"], "frobnicate")
        self.bad(["model", "hygon"], "unknown model")
        self.bad(["run", EXAMPLE, "--accelerator", "hygon-bw1000"], "hygon-bw1000", "--catalog")
        self.assertEqual(run("dance").returncode, 2)

    def test_hostile_configs(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "config.json")
            for content, text in [(b"", "not readable"), (b"{" * 200000, "nested"), (b"\xff\xfe{\x00}\x00", "UTF-16"), (b'{"model_type": "llama", "hidden_size": NaN}', "not readable"),
                                  (b'{"model_type": "llama", "num_attention_heads": 0}', "num_attention_heads"), (b'{"model_type": "nothing"}', "not supported")]:
                path.write_bytes(content)
                r = run("model", str(path))
                self.assertEqual(r.returncode, 2)
                self.assertIn(text, r.stderr)
            with path.open("wb") as f:
                f.truncate(1 << 30)  # a gigabyte, sparse
            r = run("model", str(path))
            self.assertEqual(r.returncode, 2)
            self.assertIn("at most", r.stderr)

    def test_no_is_an_answer(self):
        self.bad(["run", "--model", "deepseek-v3", "--accelerator", "rtx-4090", "--isl", "100", "--osl", "100"], "too much for the", "accelerators a replica would hold", code=3)
        self.bad(["run", EXAMPLE, "--tpot", "0.01"], "TPOT limit", "nearest is", code=3)

    def test_strangers_config(self):
        config = {"model_type": "qwen2", "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28, "num_attention_heads": 28,
                  "num_key_value_heads": 4, "vocab_size": 152064}
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "config.json")
            path.write_text(json.dumps(config))
            got = json.loads(run("model", str(path), "--format", "json").stdout)
            self.assertEqual(got["total_params"], 7615616512)  # worked by hand in src/model/config_test.cpp
            self.assertEqual(got["kv_bf16"]["1024"], 1024 * 28 * 4 * 2 * 128 * 2)
            r = run("run", "--model", str(path), "--accelerator", "h100-sxm", "--isl", "1000", "--osl", "200")
            self.assertEqual(r.returncode, 0, r.stderr)

    def test_overlay(self):
        with tempfile.TemporaryDirectory() as folder:
            chips = pathlib.Path(folder, "accelerators")
            chips.mkdir()
            good = "name: my-chip\ndefaults: {kind: spec, source: my desk, read: 2026-01-01, confidence: D}\nfacts:\n  peak_bf16: {value: 500 TFLOPS}\n  memory: {value: 96 GB}\n  hbm_bandwidth: {value: 4 TB/s}\n  tdp: {value: 500 W}\n  price: {value: 10000 USD}\n"
            (chips / "my-chip.yaml").write_text(good)
            r = run("run", "--model", "llama-3.1-8b", "--accelerator", "my-chip", "--isl", "1000", "--osl", "200", "--catalog", folder)
            self.assertEqual(r.returncode, 0, r.stderr)
            self.assertIn("borrowed", r.stdout)
            for broken, text in [(good.replace("memory", "memry"), "my-chip.yaml:5 facts.memry: unknown key"), (good.replace("96 GB", "96 GB/s"), "has the unit of byte/s"),
                                 (good.replace("source: my desk, ", ""), "has no source"), (good.replace("my-chip", "h100-sxm"), "exists already")]:
                (chips / "my-chip.yaml").write_text(broken)
                r = run("catalog", "list", "--catalog", folder)
                self.assertEqual(r.returncode, 2)
                self.assertIn(text, r.stderr)

    def test_calibrate(self):
        header = "accelerator,operator,format,m,n,k,time_us"
        # A machine whose floors are 5 us and that reads 2.5 TB/s and multiplies 600 TFLOPS.
        shapes = [(m, n, k) for m in (1, 64, 512, 4096) for n in (4096, 8192) for k in (2048, 4096, 8192)]
        rows = [f"h100-sxm,gemm,bf16,{m},{n},{k},{5 + max(2 * n * k / 2.5e6, 2 * m * n * k / 600e6):.3f}" for m, n, k in shapes]
        with tempfile.TemporaryDirectory() as folder:
            table, out = pathlib.Path(folder, "ops.csv"), os.path.join(folder, "mine")
            table.write_text("\n".join([header, *rows]) + "\n")
            done = run("calibrate", str(table), "-o", out, "--date", "2026-11-28")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("h100-sxm gemm bf16", done.stdout)
            self.assertIn("measured", run("catalog", "show", "gemm", "--catalog", out).stdout)
            words = (*self.SMALL, "--concurrency", "8", "--num-requests", "100", "--format", "json")
            before, after = (json.loads(run(*words, *more).stdout)["values"] for more in ((), ("--catalog", out)))
            self.assertNotEqual(before["tpot"]["mean_ms"], after["tpot"]["mean_ms"])
            # The same table again, over its own overlay, has nothing left to gain.
            again = run("calibrate", str(table), "--catalog", out, "-o", os.path.join(folder, "again"))
            self.assertEqual(again.returncode, 2)
            self.assertIn("--force", again.stderr)
            self.assertFalse(os.path.exists(os.path.join(folder, "again")))
            table.write_text("\n".join([header, rows[0], rows[1].rsplit(",", 1)[0] + ",-3"]) + "\n")
            bad = run("calibrate", str(table), "-o", out)
            self.assertEqual(bad.returncode, 2)
            self.assertIn("ops.csv:3 time_us: -3 is not above 0", bad.stderr)

    def test_fabric(self):
        values = json.loads(run("fabric", "gb200-nvl72", "--format", "json").stdout)["values"]
        self.assertEqual(values["switch_chips"], 18)
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "mine.yaml")
            text = ("name: mine\ndefaults: {kind: spec, source: mine, read: 2026-01-01, confidence: D}\nfacts:\n  endpoints: {value: %d accel}\n"
                    "  endpoint_bandwidth: {value: 400 Gbit/s}\n  switch_capacity: {value: 25.6 Tbit/s}\n  radix: {value: 64 port}\n  tiers: {value: 2 count}\n")
            path.write_text(text % 1024)
            values = json.loads(run("fabric", str(path), "--format", "json").stdout)["values"]
            self.assertEqual(values["switch_chips"], 48)  # 1,024 / 32 = 32 leaves, 32 x 32 / 64 = 16 spines
            path.write_text(text % 4096)
            r = run("fabric", str(path))
            self.assertEqual(r.returncode, 2)
            self.assertIn("the limit is 2048", r.stderr)
            self.assertIn("3 tiers", r.stderr)

    def test_catalog(self):
        self.assertIn("h100-sxm", run("catalog", "list").stdout)
        shown = run("catalog", "show", "h100")
        self.assertIn("3.35 TB/s", shown.stdout)
        self.assertIn("source:", shown.stdout)
        self.assertEqual(run("catalog", "sources").returncode, 0)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
