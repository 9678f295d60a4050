"""The command line as a person uses it: exit codes, messages, files."""
import json
import os
import pathlib
import tempfile

import cli


class Verbs(cli.Cli):
    def test_version_and_help(self):
        self.assertRegex(cli.run("--version").stdout, r"^jevons \d+\.\d+\.\d+\n$")
        overview = cli.run("--help")
        self.assertEqual(overview.returncode, 0)
        for verb in ("run", "simulate", "plan", "savings", "edge", "datacenter", "model", "fabric", "forecast", "claims", "backtest", "validate", "calibrate", "catalog"):
            self.assertIn(verb, overview.stdout)
            text = cli.run(verb, "--help")
            self.assertEqual(text.returncode, 0)
            self.assertIn("Examples", text.stdout)

    def test_model_json_has_every_golden_key(self):
        golden = json.loads((cli.SOURCE / "src/model/testdata/golden.json").read_text())
        for name in ("llama-3.1-8b", "deepseek-v4-pro", "kimi-k3"):
            got = json.loads(cli.run("model", name, "--format", "json").stdout)
            for key, value in golden[name].items():
                self.assertEqual(got[key], value, f"{name} {key}")

    def test_page_fits_a_terminal(self):
        for example in sorted((cli.SOURCE / "examples").glob("*.yaml")):
            words = ("forecast", "--paths", "512", "--draws", "512") if example.name.startswith("forecast") else ("run", *cli.QUICK)
            page = cli.run(words[0], str(example), *words[1:], "--explain")
            self.assertEqual(page.returncode, 0)
            width = max(len(line) for line in page.stdout.splitlines() if str(cli.SOURCE) not in line)
            self.assertLessEqual(width, 100, example)
        page = cli.run("run", cli.EXAMPLE)
        self.assertNotIn("\033", page.stdout)
        self.assertTrue(page.stdout.splitlines()[1].startswith("  Memory"))

    def test_readme_is_true(self):
        readme = (cli.SOURCE / "README.md").read_text()
        shown = readme.split("```\n")[1].rstrip()
        page = cli.run("run", "examples/deepseek-v4-pro-1m.yaml", *cli.QUICK, cwd=cli.SOURCE).stdout
        self.assertTrue(page.startswith(shown), "the page in README.md is not what the demo prints")
        commands = [line.split()[1:] for line in readme.splitlines() if line.startswith("    jevons ")]
        self.assertGreaterEqual(len(commands), 3)
        for words in commands:
            if "./config.json" in words:  # stands for a reader's own file
                words[words.index("./config.json")] = "qwen3-8b"
            self.assertEqual(cli.run(*words, cwd=cli.SOURCE).returncode, 0, words)

    def test_forecast(self):
        few = ("--paths", "256", "--draws", "256")
        first = cli.run("forecast", *few, "--format", "json")
        self.assertEqual(first.returncode, 0, first.stderr)
        verdict = json.loads(first.stdout)["values"]["verdict"]
        for key in ("p_compute_rises", "p_hbm_rises", "p_efficiency_raises_compute"):
            self.assertTrue(0 <= verdict[key] <= 1, key)
        self.assertEqual(first.stdout, cli.run("forecast", *few, "--format", "json").stdout)
        self.assertNotEqual(first.stdout, cli.run("forecast", *few, "--format", "json", "--seed", "2").stdout)
        page = cli.run("forecast", *few).stdout
        self.assertIn("Data cannot separate the response to price from growing capability", " ".join(page.split()))
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder) / "out"
            self.assertEqual(cli.run("forecast", *few, "-o", str(out)).returncode, 0)
            self.assertIn('"type":"fan"', (out / "report.html").read_text())
            self.assertIn("tokens_T_per_day", (out / "fan.csv").read_text())
            self.assertIn("<svg", (out / "tokens_T_per_day.svg").read_text())
            yaml = pathlib.Path(folder) / "bad.yaml"
            for text, what in (("horizon: 2025\n", "before the data end"),
                               ("segments: {chat: {fresh: 0.9}}\n", "sum to"),
                               ("segments: {chats: {tokens: 1}}\n", "unknown key"),
                               ("segments: {chat: {china: 1.5}}\n", "1.5"),
                               ("tiers: {mid: {output: -1}}\n", "-1"),
                               ("tiers: {mid: {accelerator: h900}}\n", "h900"),
                               ("tiers: {mid: {model: deepseek-v4-pro, accelerator: rtx-4090}}\n", "cannot serve"),
                               ("priors: {pass_through: {low: 2, high: 1}}\n", "no range"),
                               ("priors: {overhead: {low: -1, high: 1}}\n", "positive")):
                yaml.write_text(text)
                bad = cli.run("forecast", *few, str(yaml), "-o", str(pathlib.Path(folder) / "none"))
                self.assertEqual(bad.returncode, 2, text)
                self.assertIn(what, bad.stderr, text)
                self.assertFalse((pathlib.Path(folder) / "none").exists())

    def test_claims(self):
        got = json.loads(cli.run("claims", "--format", "json").stdout)
        self.assertEqual(len(got["tables"]["claims"]), 68)
        verdicts = {row["id"]: row["verdict"] for row in got["tables"]["claims"]}
        self.assertEqual(verdicts["K16"], "contradicted")
        self.assertEqual(verdicts["K04"], "ambiguous")
        self.assertLessEqual(max(map(len, cli.run("claims").stdout.splitlines())), 100)

    def test_backtest(self):
        got = json.loads(cli.run("backtest", "--samples", "1024", "--draws", "512", "--format", "json").stdout)
        self.assertEqual(list(got)[:6], ["n", "crps", "baseline_best_crps", "coverage50", "coverage80", "coverage95"])
        self.assertEqual(got["n"], 41)
        self.assertEqual(len(got["targets"]), 41)
        self.assertLess(got["crps"], 0.6)
        self.assertAlmostEqual(got["baseline_best_crps"], 0.667, 3)
        self.assertLess(got["strict"]["n"], 41)

    def test_explain_names_kind_and_source_of_every_value(self):
        result = json.loads(cli.run("run", cli.EXAMPLE, "--format", "json").stdout)
        page = cli.run("run", cli.EXAMPLE, "--explain").stdout
        for path, e in result["explain"].items():
            self.assertIn(path, page)
            self.assertIn(e["kind"], ("spec", "measured", "derived", "assumed", "simulated", "input"))
            self.assertTrue(e["how"])
        self.assertTrue(all(f["source"] and f["kind"] for f in result["facts"]))

    def test_output_folder(self):
        with tempfile.TemporaryDirectory() as folder:
            out = os.path.join(folder, "out")
            self.assertEqual(cli.run("run", cli.EXAMPLE, "-o", out).returncode, 0)
            files = set(os.listdir(out))
            self.assertLessEqual({"result.json", "report.html", "cost.csv", "savings.csv", "candidates.csv"}, files)
            page = pathlib.Path(out, "report.html").read_text()
            self.assertNotIn("http://", page.split("<script>")[0])
            self.assertEqual(json.loads(pathlib.Path(out, "result.json").read_text())["title"], "Llama-3.1-70B, dense chat")

    def test_flags_lay_over_the_file(self):
        base = json.loads(cli.run("run", cli.EXAMPLE, "--format", "json").stdout)
        flag = json.loads(cli.run("run", cli.EXAMPLE, "--tp", "4", "--format", "json").stdout)
        put = json.loads(cli.run("run", cli.EXAMPLE, "--set", "placement.tp=4", "--format", "json").stdout)
        self.assertEqual(flag, put)
        self.assertNotEqual(base["values"], flag["values"])

    def test_bad_input(self):
        self.bad(["run", "no/such.yaml"], "no such file")
        self.bad(["run", "--model", "llama-3.1-8b"], "accelerator: is missing", "--accelerator")
        self.bad(["run", cli.EXAMPLE, "--model", "lama-3.1-8b"], "unknown model 'lama-3.1-8b'", "did you mean llama-3.1-8b")
        self.bad(["run", cli.EXAMPLE, "--accelerator", "h1000"], "unknown accelerator", "did you mean")
        self.bad(["run", cli.EXAMPLE, "--isl", "-5"], "--isl workload.isl: '-5' is out of range")
        self.bad(["run", cli.EXAMPLE, "--isl", "many"], "is not a number")
        self.bad(["run", cli.EXAMPLE, "--set", "workload.islx=5"], "unknown key", "did you mean workload.isl")
        self.bad(["run", cli.EXAMPLE, "--weights", "fp7"], "is not a weight format")
        self.bad(["run", cli.EXAMPLE, "--tp", "7"], "does not divide")
        self.bad(["run", cli.EXAMPLE, "--frobnicate"], "frobnicate")
        self.bad(["model", "hygon"], "unknown model")
        self.bad(["run", cli.EXAMPLE, "--accelerator", "hygon-bw1000"], "hygon-bw1000", "--catalog")
        self.assertEqual(cli.run("dance").returncode, 2)

    def test_hostile_configs(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "config.json")
            for content, text in [(b"", "not readable"), (b"{" * 200000, "nested"), (b"\xff\xfe{\x00}\x00", "UTF-16"), (b'{"model_type": "llama", "hidden_size": NaN}', "not readable"),
                                  (b'{"model_type": "llama", "num_attention_heads": 0}', "num_attention_heads"), (b'{"model_type": "nothing"}', "not supported")]:
                path.write_bytes(content)
                r = cli.run("model", str(path))
                self.assertEqual(r.returncode, 2)
                self.assertIn(text, r.stderr)
            with path.open("wb") as f:
                f.truncate(1 << 30)  # a gigabyte, sparse
            r = cli.run("model", str(path))
            self.assertEqual(r.returncode, 2)
            self.assertIn("at most", r.stderr)

    def test_no_is_an_answer(self):
        self.bad(["run", "--model", "deepseek-v3", "--accelerator", "rtx-4090", "--isl", "100", "--osl", "100"], "memory binds", "More accelerators", code=3)
        self.bad(["run", cli.EXAMPLE, "--tpot", "0.01"], "TPOT limit", "nearest is", "instead of 0.01 ms", code=3)

    def test_strangers_config(self):
        config = {"model_type": "qwen2", "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28, "num_attention_heads": 28,
                  "num_key_value_heads": 4, "vocab_size": 152064}
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "config.json")
            path.write_text(json.dumps(config))
            got = json.loads(cli.run("model", str(path), "--format", "json").stdout)
            self.assertEqual(got["total_params"], 7615616512)  # worked by hand in src/model/config_test.cpp
            self.assertEqual(got["kv_bf16"]["1024"], 1024 * 28 * 4 * 2 * 128 * 2)
            r = cli.run("run", "--model", str(path), "--accelerator", "h100-sxm", "--isl", "1000", "--osl", "200")
            self.assertEqual(r.returncode, 0, r.stderr)

    def test_overlay(self):
        with tempfile.TemporaryDirectory() as folder:
            chips = pathlib.Path(folder, "accelerators")
            chips.mkdir()
            good = "name: my-chip\ndefaults: {kind: spec, source: my desk, read: 2026-01-01, confidence: D}\nfacts:\n  peak_bf16: {value: 500 TFLOPS}\n  memory: {value: 96 GB}\n  hbm_bandwidth: {value: 4 TB/s}\n  tdp: {value: 500 W}\n  price: {value: 10000 USD}\n"
            (chips / "my-chip.yaml").write_text(good)
            r = cli.run("run", "--model", "llama-3.1-8b", "--accelerator", "my-chip", "--isl", "1000", "--osl", "200", "--catalog", folder)
            self.assertEqual(r.returncode, 0, r.stderr)
            self.assertIn("borrowed", r.stdout)
            for broken, text in [(good.replace("memory", "memry"), "my-chip.yaml:5 facts.memry: unknown key"), (good.replace("96 GB", "96 GB/s"), "has the unit of byte/s"),
                                 (good.replace("source: my desk, ", ""), "has no source"), (good.replace("my-chip", "h100-sxm"), "exists already")]:
                (chips / "my-chip.yaml").write_text(broken)
                r = cli.run("catalog", "list", "--catalog", folder)
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
            done = cli.run("calibrate", str(table), "-o", out, "--date", "2026-11-28")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("h100-sxm gemm bf16", done.stdout)
            self.assertIn("measured", cli.run("catalog", "show", "gemm", "--catalog", out).stdout)
            words = (*cli.SMALL, "--concurrency", "8", "--num-requests", "100", "--format", "json")
            before, after = (json.loads(cli.run(*words, *more).stdout)["values"] for more in ((), ("--catalog", out)))
            self.assertNotEqual(before["tpot"]["mean_ms"], after["tpot"]["mean_ms"])
            # The same table again, over its own overlay, has nothing left to gain.
            again = cli.run("calibrate", str(table), "--catalog", out, "-o", os.path.join(folder, "again"))
            self.assertEqual(again.returncode, 2)
            self.assertIn("--force", again.stderr)
            self.assertFalse(os.path.exists(os.path.join(folder, "again")))
            table.write_text("\n".join([header, rows[0], rows[1].rsplit(",", 1)[0] + ",-3"]) + "\n")
            bad = cli.run("calibrate", str(table), "-o", out)
            self.assertEqual(bad.returncode, 2)
            self.assertIn("ops.csv:3 time_us: -3 is not above 0", bad.stderr)

    def test_catalog(self):
        self.assertIn("h100-sxm", cli.run("catalog", "list").stdout)
        shown = cli.run("catalog", "show", "h100")
        self.assertIn("3.35 TB/s", shown.stdout)
        self.assertIn("source:", shown.stdout)
        self.assertEqual(cli.run("catalog", "sources").returncode, 0)


if __name__ == "__main__":
    cli.main()
