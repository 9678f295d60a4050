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
QUICK = ("--set", "savings.ledger=false")  # a page of run without the plans of every combination of techniques


def run(*words, **more):
    return subprocess.run([JEVONS, *words], capture_output=True, text=True, timeout=60, **more)


class Cli(unittest.TestCase):
    def test_version_and_help(self):
        self.assertRegex(run("--version").stdout, r"^jevons \d+\.\d+\.\d+\n$")
        overview = run("--help")
        self.assertEqual(overview.returncode, 0)
        for verb in ("run", "simulate", "plan", "savings", "edge", "datacenter", "model", "fabric", "forecast", "claims", "backtest", "validate", "calibrate", "catalog"):
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
            words = ("forecast", "--paths", "512", "--draws", "512") if example.name.startswith("forecast") else ("run", *QUICK)
            page = run(words[0], str(example), *words[1:], "--explain")
            self.assertEqual(page.returncode, 0)
            width = max(len(line) for line in page.stdout.splitlines() if str(SOURCE) not in line)
            self.assertLessEqual(width, 100, example)
        page = run("run", EXAMPLE)
        self.assertNotIn("\033", page.stdout)
        self.assertTrue(page.stdout.splitlines()[1].startswith("  Memory"))

    def test_readme_is_true(self):
        readme = (SOURCE / "README.md").read_text()
        shown = readme.split("```\n")[1].rstrip()
        page = run("run", "examples/deepseek-v4-pro-1m.yaml", *QUICK, cwd=SOURCE).stdout
        self.assertTrue(page.startswith(shown), "the page in README.md is not what the demo prints")
        commands = [line.split()[1:] for line in readme.splitlines() if line.startswith("    jevons ")]
        self.assertGreaterEqual(len(commands), 3)
        for words in commands:
            if "./config.json" in words:  # stands for a reader's own file
                words[words.index("./config.json")] = "qwen3-8b"
            self.assertEqual(run(*words, cwd=SOURCE).returncode, 0, words)

    def test_forecast(self):
        few = ("--paths", "256", "--draws", "256")
        first = run("forecast", *few, "--format", "json")
        self.assertEqual(first.returncode, 0, first.stderr)
        verdict = json.loads(first.stdout)["values"]["verdict"]
        for key in ("p_compute_rises", "p_hbm_rises", "p_efficiency_raises_compute"):
            self.assertTrue(0 <= verdict[key] <= 1, key)
        self.assertEqual(first.stdout, run("forecast", *few, "--format", "json").stdout)
        self.assertNotEqual(first.stdout, run("forecast", *few, "--format", "json", "--seed", "2").stdout)
        page = run("forecast", *few).stdout
        self.assertIn("Data cannot separate the response to price from growing capability", " ".join(page.split()))
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder) / "out"
            self.assertEqual(run("forecast", *few, "-o", str(out)).returncode, 0)
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
                bad = run("forecast", *few, str(yaml), "-o", str(pathlib.Path(folder) / "none"))
                self.assertEqual(bad.returncode, 2, text)
                self.assertIn(what, bad.stderr, text)
                self.assertFalse((pathlib.Path(folder) / "none").exists())

    def test_claims(self):
        got = json.loads(run("claims", "--format", "json").stdout)
        self.assertEqual(len(got["tables"]["claims"]), 68)
        verdicts = {row["id"]: row["verdict"] for row in got["tables"]["claims"]}
        self.assertEqual(verdicts["K16"], "contradicted")
        self.assertEqual(verdicts["K04"], "ambiguous")
        self.assertLessEqual(max(map(len, run("claims").stdout.splitlines())), 100)

    def test_backtest(self):
        got = json.loads(run("backtest", "--samples", "1024", "--draws", "512", "--format", "json").stdout)
        self.assertEqual(list(got)[:6], ["n", "crps", "baseline_best_crps", "coverage50", "coverage80", "coverage95"])
        self.assertEqual(got["n"], 41)
        self.assertEqual(len(got["targets"]), 41)
        self.assertLess(got["crps"], 0.6)
        self.assertAlmostEqual(got["baseline_best_crps"], 0.667, 3)
        self.assertLess(got["strict"]["n"], 41)

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

    def test_schemas_of_files(self):
        for verb, fact in (("fabric", "endpoint_bandwidth"), ("datacenter", "site_power")):
            schema = json.loads(run(verb, "--schema").stdout)
            self.assertEqual(set(schema["properties"]), {"name", "title", "aliases", "attributes", "defaults", "facts"})
            self.assertIn(fact, schema["properties"]["facts"]["properties"])
            self.assertNotIn(fact, schema["properties"]["attributes"]["properties"])
            self.assertEqual(run(verb).returncode, 2)
        for setting, said in (("region=mars", "--set region: unknown region"), ("rent=-1 USD/h", "--set rent: '-1 USD/h'"), ("ramp_time=100 yr", "--set ramp_time"), ("occupancy=1.2", "build more")):
            wrong = run("datacenter", "gigawatt-campus", "--set", setting)
            self.assertEqual(wrong.returncode, 2)
            self.assertIn(said, wrong.stderr)

    def test_expert_exchange(self):
        def us(*more):
            rows = json.loads(run("fabric", "gb200-nvl72", "--format", "json", *more).stdout)["tables"]["collectives"]
            return [row["time_us"] for row in rows if row["operation"] == "expert dispatch"]

        # Measured on GB200: 64 ranks, 7,168 bf16 values a token, top 8, balanced.
        for got, measured in zip(us("--routing", "balanced", "--tokens", "128", "1024", "65536"), (40.9, 222, 14927)):
            self.assertAlmostEqual(got / measured, 1, delta=0.07)
        self.assertLess(us("--dispatch-format", "fp8")[1], us()[1])
        self.assertLess(us("--ep", "8")[1], us()[1])
        for words in (("gb200-nvl72", "--ep", "73"), ("gb200-nvl72", "--tokens", "x"), ("hgx-h100", "--routing", "balanced")):
            self.assertEqual(run("fabric", *words).returncode, 2, words)

    def test_income_pages(self):
        model = json.loads(run("datacenter", "income-model", "--format", "json").stdout)["tables"]
        at = {row["occupancy_pct"]: row for row in model["income"]}
        self.assertAlmostEqual(at[50]["net_margin_pct"], 0, delta=1e-9)
        self.assertAlmostEqual(at[90]["gross_margin_pct"], 53.33, delta=0.01)
        self.assertAlmostEqual(at[90]["net_margin_pct"], 34, delta=0.01)
        gds = json.loads(run("datacenter", "gds-2024", "--format", "json").stdout)["tables"]
        self.assertEqual(gds["account"][-1]["kcny"], -770912)
        for row in gds["break_even"]:  # published accounts give 79 to 81 %
            self.assertTrue(78.5 < row["break_even_pct"] < 81, row)
        self.assertEqual(run("datacenter", "income-model", "--set", "occupancy=0.5").returncode, 2)

    def test_simulated_energy(self):
        words = (*self.SMALL, "--request-rate", "2", "--num-requests", "200", "--format", "json")
        us, germany, sweden = (json.loads(run(*words, "--region", r).stdout)["values"]["energy"] for r in ("us", "germany", "sweden"))
        self.assertAlmostEqual(us["joules"], us["joules_per_output_token"] * 200 * 200, delta=1e-6 * us["joules"])
        # gCO2 of a kilowatt-hour; the water behind one is known of the United States alone.
        for values, grams in ((us, 367), (germany, 381), (sweden, 36)):
            self.assertAlmostEqual(values["gco2_per_output_mtok"], values["wh_per_output_token"] * 1e3 * grams, delta=1e-6 * grams)
        self.assertIsNone(sweden["litres_per_output_mtok"])
        lossy = json.loads(run(*words, "--site-class", "conventional").stdout)["values"]["energy"]
        self.assertAlmostEqual(lossy["joules"] / us["joules"], 1.56 / 1.16, delta=1e-9)  # by PUE
        for flag in ("--region", "--site-class"):
            wrong = run(*words, flag, "atlantis")
            self.assertEqual(wrong.returncode, 2)
            self.assertIn("expected: one of", wrong.stderr)

    def test_simulate_fleets(self):
        words = ("simulate", "--model", "llama-3.1-8b", "--isl", "2000", "--osl", "200", "--request-rate", "20", "--num-requests", "600", "--format", "json")
        split = (*words, "--pools", "prefill:h100-sxm:replicas=2 decode:h200-sxm:tp=2")
        seen = set()
        for call in (split, (*split, "--kv-transfer-bandwidth", "2"), (*split, "--kv-transfer-bandwidth", "2", "--kv-transfer-layerwise"),
                     (*words, "--pools", "h100-sxm h200-sxm:replicas=2:max-num-seqs=16"),
                     (*words, "--accelerator", "h100-sxm", "--replicas", "3", "--failures", "--set", "failures.accelerator_mtbf=0.01", "--set", "failures.repair=0.002", "--start-up-delay", "1"),
                     (*words, "--accelerator", "h100-sxm", "--replicas", "3", "--failures", "--set", "failures.node_mtbf=0.005", "--set", "failures.repair=0.002", "--start-up-delay", "1"),
                     (*words, "--accelerator", "h100-sxm", "--replicas", "3", "--target-outstanding", "4", "--start-up-delay", "5", "--set", "autoscaler.interval=2"),
                     (*words, "--accelerator", "h100-sxm", "--replicas", "3", "--target-outstanding", "4", "--start-up-delay", "9", "--set", "autoscaler.interval=2"),
                     (*words, "--accelerator", "h100-sxm", "--replicas", "3", "--target-outstanding", "4", "--min-replicas", "2", "--start-up-delay", "5", "--set", "autoscaler.interval=2")):
            got = run(*call)
            self.assertEqual(got.returncode, 0, got.stderr)
            self.assertEqual(got.stdout, run(*call).stdout)
            r = json.loads(got.stdout)["values"]
            self.assertEqual(r["requests"]["finished"], 600, call)
            seen.add((r["e2e"]["mean_ms"], r["ttft"]["mean_ms"]))
        self.assertEqual(len(seen), 9)  # each option moves the result
        r = json.loads(run(*split).stdout)["values"]
        # 2,000 tokens x 32 layers x 8 heads x 128 x 2 (keys, values) x 2 bytes, 600 times
        self.assertAlmostEqual(r["handover"]["bytes"], 600 * 2000 * 131072, delta=1)
        for call, said in (((*words, "--pools", "prefill:h100-sxm"), "prefill without decode"),
                           ((*words, "--pools", "h100-sxm:tp=x"), "no count"),
                           ((*words, "--pools", "h100-sxm", "--tp", "2"), "beside pools"),
                           ((*words, "--accelerator", "h100-sxm", "--kv-transfer-layerwise"), "no effect"),
                           ((*words, "--accelerator", "h100-sxm", "--set", "failures.repair=1"), "no effect"),
                           ((*words, "--accelerator", "h100-sxm", "--min-replicas", "2"), "no effect"),
                           ((*words, "--accelerator", "h100-sxm", "--warmup-request-count", "5"), "no effect")):
            got = run(*call)
            self.assertEqual(got.returncode, 2, call)
            self.assertIn(said, got.stderr)

    def test_simulate_tenants_and_replications(self):
        words = ("simulate", "--model", "llama-3.1-8b", "--accelerator", "h100-sxm", "--request-rate", "10", "--num-requests", "500", "--osl", "100", "--format", "json")
        got = run(*words, "--tenants", "chat:share=3:isl=500:ttft=200 batch:share=1:isl=4000:osl=300:priority=9", "--scheduling-policy", "priority", "--replications", "3")
        self.assertEqual(got.returncode, 0, got.stderr)
        tables = json.loads(got.stdout)["tables"]
        chat, batch = tables["tenants"]
        self.assertEqual(chat["requests"] + batch["requests"], 500)
        self.assertGreater(chat["slo_attainment"], 0.5)
        self.assertIsNone(batch["slo_attainment"])
        usd = json.loads(got.stdout)["values"]["cost"]["usd"]
        self.assertAlmostEqual(chat["usd"] + batch["usd"], usd, delta=1e-9 * usd)  # classes of token add up to the bill
        self.assertEqual(len(tables["replications"]), 5)
        wrong = run(*words, "--tenants", "chat:shar=1")
        self.assertEqual(wrong.returncode, 2)
        self.assertIn("'shar'", wrong.stderr)

    def test_one_tenant_under_priorities(self):
        got = run(*self.SMALL, "--request-rate", "2", "--num-requests", "100", "--tenants", "chat:isl=500", "--scheduling-policy", "priority")
        self.assertEqual(got.returncode, 0, got.stderr)

    def test_tenants_share_a_fleet(self):
        words = ("plan", "--accelerator", "h100-sxm", "--max-gpus", "8", "--isl", "1000", "--osl", "200", "--ttft", "1000", "--tpot", "30", "--format", "json")
        got = run(*words, "--tenant", "chat,llama-3.1-8b,40,0.8,14", "tools,llama-3.1-8b,20,0.5,2", "nightly,llama-3.1-8b,10,batch,priority=3")
        self.assertEqual(got.returncode, 0, got.stderr)
        answer = json.loads(got.stdout)
        self.assertLess(answer["values"]["shared"]["accelerators"], answer["values"]["dedicated"]["accelerators"])
        rows = answer["tables"]["together"]
        peak = [r for r in rows if r["hour"] == 14]
        self.assertEqual({r["tenant"] for r in peak}, {"chat", "tools"})  # the busiest hour leaves batch work no room
        self.assertTrue(all(r["tpot_ms"] <= 30 and r["ttft_ms"] <= 1000 for r in rows))  # limits hold together, too
        night = next(r for r in rows if r["hour"] == 0 and r["tenant"] == "nightly")
        self.assertAlmostEqual(night["rate"], 20, delta=1e-9)  # twice the mean: half of the day has room
        refused = run(*words, "--tenant", "chat,llama-3.1-8b,40", "--prefix-hit-rate", "0.5")
        self.assertEqual(refused.returncode, 2)

    def test_simulate_tiers(self):
        words = ("simulate", "--model", "llama-3.1-8b", "--accelerator", "a100-80g-sxm", "--gpu-memory-utilization", "0.35", "--isl", "1500", "--osl", "100", "--request-rate", "0.3", "--num-requests", "400",
                 "--conversation-turn-mean", "5", "--conversation-turn-delay-mean", "30000", "--format", "json")
        seen = set()
        for more in ((), ("--kv-offloading-size", "20"), ("--kv-offloading-size", "30"), ("--max-local-cpu-size", "5", "--max-local-disk-size", "50"),
                     ("--remote-size", "50"), ("--remote-size", "50", "--set", "tiers.remote_rate=2"),
                     ("--remote-size", "50", "--set", "tiers.remote_rate=2", "--kv-fetch-policy", "always"),
                     ("--kv-offloading-size", "20", "--set", "tiers.host_rate=8"), ("--kv-offloading-size", "5", "--kv-write-policy", "write-back"),
                     ("--max-local-disk-size", "50", "--set", "tiers.disk_rate=3"),
                     ("--engine", "sglang", "--page-size", "16", "--enable-hierarchical-cache", "--hicache-size", "16"),
                     ("--engine", "sglang", "--page-size", "16", "--enable-hierarchical-cache", "--hicache-ratio", "1.5"),
                     ("--engine", "sglang", "--page-size", "16", "--enable-hierarchical-cache", "--hicache-ratio", "1.5", "--hicache-write-policy", "write_back"),
                     ("--engine", "trtllm", "--enable-chunked-prefill", "--kv-cache-config.host-cache-size", "4e9")):
            got = run(*words, *more)
            self.assertEqual(got.returncode, 0, (more, got.stderr))
            r = json.loads(got.stdout)["values"]
            if more:
                self.assertGreater(r["kv_cache"]["fetches"], 5, more)
            seen.add((r["ttft"]["mean_ms"], r["ttft"]["p99_ms"], r["e2e"]["mean_ms"]))
        self.assertEqual(len(seen), 14)  # each option moves the result
        for more, said in ((("--kv-offloading-size", "20", "--max-local-cpu-size", "3"), "one of the two"),
                           (("--set", "tiers.disk_rate=3"), "has no effect without that tier"),
                           (("--kv-fetch-policy", "always"), "has no effect without a tier"),
                           (("--engine", "sglang", "--kv-offloading-size", "20"), "sglang has no such option"),
                           (("--engine", "sglang", "--hicache-size", "20"), "enable-hierarchical-cache"),
                           (("--kv-offloading-size", "20", "--no-enable-prefix-caching"), "prefix caching")):
            got = run(*words, *more)
            self.assertEqual(got.returncode, 2, more)
            self.assertIn(said, got.stderr)
        got = run(*self.SMALL, "--request-rate", "1", "--kv-offloading-size", "20")
        self.assertEqual(got.returncode, 2)
        self.assertIn("share no prefixes", got.stderr)

    def test_simulate_expert_imbalance(self):
        words = ("simulate", "--model", "qwen3-235b-a22b", "--accelerator", "h200-sxm", "--tp", "8", "--ep", "8", "--isl", "1000", "--osl", "100",
                 "--concurrency", "32", "--num-requests", "64", "--format", "json")
        even, uneven = (json.loads(run(*words, "--expert-imbalance", x).stdout)["values"]["tpot"]["mean_ms"] for x in ("1", "2"))
        self.assertGreater(uneven, 1.1 * even)
        self.assertIn("1 to 8", run(*words, "--expert-imbalance", "9").stderr)
        self.assertIn("ep above 1", run(*self.SMALL, "--request-rate", "1", "--expert-imbalance", "2").stderr)

    def test_simulate_adapters(self):
        words = (*self.SMALL, "--request-rate", "10", "--num-requests", "300", "--adapters", "9", "--enable-lora", "--format", "json")
        seen = set()
        for more in ((), ("--max-loras", "4"), ("--max-loras", "4", "--max-lora-rank", "64"), ("--max-loras", "4", "--max-cpu-loras", "9"),
                     ("--max-loras", "4", "--adapter-skew", "1.5")):
            got = run(*words, *more)
            self.assertEqual(got.returncode, 0, got.stderr)
            r = json.loads(got.stdout)["values"]
            self.assertGreater(r["lora"]["loads"], 8)
            seen.add((r["ttft"]["mean_ms"], r["tpot"]["mean_ms"]))
        self.assertEqual(len(seen), 5)  # each option moves the result

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
            (("--request-rate", "1", "--adapters", "2"), "give --enable-lora"),
            (("--request-rate", "1", "--adapter-skew", "1"), "adapters to share by it"),
            (("--request-rate", "1", "--engine", "sglang", "--enable-lora"), "sglang has no such option"),
            (("--request-rate", "1", "--max-loras", "2"), "has no effect without enable-lora"),
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
        self.bad(["run", "--model", "deepseek-v3", "--accelerator", "rtx-4090", "--isl", "100", "--osl", "100"], "memory binds", "More accelerators", code=3)
        self.bad(["run", EXAMPLE, "--tpot", "0.01"], "TPOT limit", "nearest is", "instead of 0.01 ms", code=3)

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

    QUESTION = ["--model", "llama-3.1-8b", "--accelerator", "h100-sxm", "--max-gpus", "2", "--isl", "500", "--osl", "20", "--tpot", "10",
                "--max-num-seqs", "32", "--max-num-batched-tokens", "1024"]

    def test_plan(self):
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder) / "out"
            got = run("plan", *self.QUESTION, "--objective", "tok/s/gpu", "--format", "json", "-o", str(out))
            self.assertEqual(got.returncode, 0, got.stderr)
            values = json.loads(got.stdout)
            search = values["values"]["search"] if "values" in values else values["search"]
            self.assertLessEqual(search["gap"], 0.01)
            self.assertEqual(search["screened"], search["simulated"] + search["cannot_meet"] + search["bounded_out"] + search["left"])
            for name in ("launch-vllm.sh", "launch-sglang.sh", "launch-trtllm.sh", "launch-dynamo.sh", "kubernetes.yaml", "finalists.csv"):
                self.assertTrue((out / name).stat().st_size > 40, name)
            self.assertIn("--tensor-parallel-size", (out / "launch-vllm.sh").read_text())
            for name in ("vllm", "sglang", "trtllm", "dynamo"):
                self.assertEqual(subprocess.run(["sh", "-n", str(out / f"launch-{name}.sh")]).returncode, 0)
        page = run("plan", *self.QUESTION)
        self.assertLessEqual(max(len(line) for line in page.stdout.splitlines()), 100)
        self.assertEqual(run("plan", *self.QUESTION, "--threads", "1").stdout, page.stdout)

    def test_plan_is_what_simulate_says(self):  # one engine, one step model, one memory rule
        for engine in ("vllm", "sglang", "trtllm"):
            model = ["--model", "qwen3-30b-a3b", "--accelerator", "h100-sxm", "--engine", engine, "--isl", "500", "--osl", "20"]
            placed = ["--tp", "2", "--dp", "2", "--ep", "4"]
            best = json.loads(run("plan", *model, *placed, "--max-gpus", "4", "--max-concurrency", "24", "--format", "json").stdout)["values"]["best"]
            alone = run("simulate", *model, *placed, "--concurrency", str(int(best["concurrency"])), "--format", "json")
            values = json.loads(alone.stdout)["values"]
            self.assertAlmostEqual(values["ttft"]["mean_ms"], best["ttft_mean_ms"], places=6)
            self.assertAlmostEqual(values["tpot"]["p99_ms"], best["tpot_p99_ms"], places=6)
            self.assertAlmostEqual(values["throughput"]["requests_per_s"], best["requests_per_s"], places=6)

    def test_plan_says_no(self):
        no = run("plan", *self.QUESTION, "--ttft", "0.01")
        self.assertEqual(no.returncode, 3)
        self.assertIn("TTFT limit", no.stderr)
        unknown = run("plan", *self.QUESTION[:2], "--accelerator", "h900", *self.QUESTION[4:])
        self.assertEqual(unknown.returncode, 3)
        self.assertIn("unknown accelerator 'h900'", unknown.stderr)
        self.assertIn("did you mean", unknown.stderr)
        power = run("plan", *self.QUESTION, "--max-power", "0.5")
        self.assertEqual(power.returncode, 3)
        self.assertRegex(power.stderr.replace("\n", " "), r"kW against +--max-power 0\.5")
        sizes = run("plan", *self.QUESTION, "--tp", "4")
        self.assertEqual(sizes.returncode, 3)
        self.assertIn("--max-gpus 4 would do", sizes.stderr)

    def test_chip_of_ones_own(self):
        with tempfile.TemporaryDirectory() as folder:
            chip = pathlib.Path(folder) / "chip.yaml"
            facts = {"peak_bf16": "2000 TFLOPS", "memory": "192 GB", "hbm_bandwidth": "8 TB/s", "tdp": "900 W", "scaleup_bandwidth": "900 GB/s",
                     "scaleup_domain": "8 accel"}
            text = 'name: my-chip\ntitle: "Mine"\ndefaults: {kind: spec, source: "a what-if", read: 2026-11-22, confidence: C}\nfacts:\n'
            text += "".join(f"  {key}: {{value: {value}}}\n" for key, value in facts.items())
            chip.write_text(text)
            words = [w if w != "h100-sxm" else str(chip) for w in self.QUESTION]
            got = run("plan", *words, "--objective", "tok/s/gpu")
            self.assertEqual(got.returncode, 0, got.stderr)
            self.assertIn("nobody measured this chip", got.stdout)
            refused = run("plan", *words)  # dollars, without a price
            self.assertEqual(refused.returncode, 2)
            self.assertIn("price of my-chip", refused.stderr)

    def test_savings_and_edge(self):
        words = [*self.QUESTION, "--weights", "fp8"]
        page = run("savings", *words)
        self.assertEqual(page.returncode, 0, page.stderr)
        self.assertIn("Shapley", page.stdout)
        self.assertLessEqual(max(len(line) for line in page.stdout.splitlines()), 100)
        edge = run("edge", *words, "--device", "rtx-4090", "--device-model", "qwen3-8b")
        self.assertEqual(edge.returncode, 0, edge.stderr)
        self.assertIn("on the device", edge.stdout)
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

    def own_file(self, verb, name, folder):
        """The example file that the verb's help prints, as a person would copy it."""
        text = run(verb, "--help").stdout
        lines = text[text.index("A whole " + name):].split("\n")[1:]
        path = pathlib.Path(folder, name)
        path.write_text("\n".join(l[2:] for l in lines if l.startswith("  ")) + "\n")
        return path

    def test_fabric_from_the_help_text(self):
        with tempfile.TemporaryDirectory() as folder:
            # 512 on 128 ports: 8 leaves of 64, 8 x 64 / 128 = 4 spines; 512 x 400G over 800G cables: 256; uplinks 256 x 2 modules.
            # 12 x 500 W + 256 cables x 2 ends x 0.15 W + 512 x 8.5 W = 10,428.8 W.
            path = self.own_file("fabric", "my-cluster.yaml", folder)
            values = json.loads(run("fabric", str(path), "--format", "json").stdout)["values"]
            self.assertEqual((values["switch_chips"], values["cables"], values["optical_modules"]), (12, 256, 512))
            self.assertAlmostEqual(values["watts"], 10428.8)
            self.assertIsNone(values["usd"])  # the price of this chip is not published
            # A second system in the same form: 96 accelerators of 800G in two planes, one tier of 64 ports of 400G needs two tiers: 3 leaves of
            # 32 a plane, ceil(3 x 32 / 64) = 2 spines a plane: 10 chips of 300 W; 96 x 800G over AEC: 96 cables x 2 x 6 W; uplinks
            # 96 x 800G over 1.6T: 48 links, 96 modules of 27.5 W: 3,000 + 1,152 + 2,640 = 6,792 W.
            mine = ("name: mine\nattributes: {endpoint_medium: aec-800g, uplink_medium: opt-1600g-dsp}\n"
                    "defaults: {kind: spec, source: desk, read: 2026-11-28, confidence: A}\nfacts:\n  endpoints: {value: 96 accel}\n"
                    "  endpoint_bandwidth: {value: 800 Gbit/s}\n  planes: {value: 2 count}\n  radix: {value: 64 port}\n"
                    "  switch_capacity: {value: 25.6 Tbit/s}\n  tiers: {value: 2 count}\n  switch_power: {value: 300 W}\n"
                    "  first_link_length: {value: 5 m}\n  uplink_length: {value: 40 m}\n")
            path.write_text(mine)
            values = json.loads(run("fabric", str(path), "--format", "json").stdout)["values"]
            self.assertEqual((values["switch_chips"], values["cables"], values["optical_modules"]), (10, 96, 96))
            self.assertAlmostEqual(values["watts"], 6792)
            out = pathlib.Path(folder, "out")
            self.assertEqual(run("fabric", str(path), "-o", str(out)).returncode, 0)
            self.assertTrue((out / "topology.svg").read_text().startswith("<svg"))
            for old, new, said in [("radix: {value: 64", "radix: {value: 1", ["mine.yaml", "radix", "2 to 1000000"]),
                                   ("tiers:", "teirs:", ["unknown key", "did you mean tiers"]),
                                   ("value: 300 W", "value: 300 USD", ["wrong unit", "W"]), ("value: 300 W", "value: -1 W", ["-1 is negative"]),
                                   ("96 accel", "9600 accel", ["the limit is 2048", "would fit: 3 tiers"]),
                                   ("value: 5 m", "value: 9 m", ["aec-800g reaches 7 m"]), ("tiers: {value: 2", "tiers: {value: 2.5", ["whole number"]),
                                   ("aec-800g", "tin-cans", ["unknown component"])]:
                bad = pathlib.Path(folder, "mine.yaml")
                bad.write_text(mine.replace(old, new, 1))
                r = run("fabric", str(bad))
                self.assertEqual(r.returncode, 2, new)
                for words in said:
                    self.assertIn(words, r.stderr)

    def test_fabric_names_and_claims(self):
        names = run("fabric", "nvl576").stdout
        for name in ("gb200-nvl576", "kyber-nvl144", "rubin-ultra-nvl576"):
            self.assertIn(name, names)
        values = json.loads(run("fabric", "upn512", "--format", "json").stdout)["values"]
        self.assertAlmostEqual(values["saving"]["upn512-two-tier-dsp"]["power_of_the_fabric"], 1 - 101632 / 236108.8)
        self.assertIn("null", run("fabric", "atlas950-superpod").stdout)
        more = json.loads(run("fabric", "upn512", "--set", "endpoint_bandwidth=14.4 Tbit/s", "--set", "planes=72", "--format", "json").stdout)
        self.assertEqual((more["values"]["switch_chips"], more["values"]["optical_modules"]), (72, 18432))
        two = next(r for r in more["tables"]["comparison"] if r["design"] == "upn512-two-tier-dsp")  # 36 planes of 16 + 8 chips
        self.assertEqual((two["switch_chips"], two["cables"]), (864, 9216))
        self.assertEqual(run("fabric", "upn512", "--set", "planes=many").returncode, 2)

    def test_datacenter(self):
        with tempfile.TemporaryDirectory() as folder:
            # 50 MW over 1.73 kW (published all in, at the class's PUE of 1.16): 28,901.
            path = self.own_file("datacenter", "my-campus.yaml", folder)
            r = run("datacenter", str(path), "--format", "json", "-o", folder)
            self.assertEqual(r.returncode, 0, r.stderr)
            result = json.loads(r.stdout)
            self.assertEqual(result["values"]["accelerators"], 28901)
            parts = result["values"]["hour"]
            self.assertAlmostEqual(sum(parts[p + "_usd"] for p in ("hardware", "site", "power", "operations", "overhead")), parts["owner_usd"])
            self.assertAlmostEqual(result["values"]["owner_usd_per_mtok"], parts["owner_usd"] / (1500 * 0.0036))
            self.assertGreater(result["values"]["energy"]["gco2_per_mtok"], 0)
            self.assertTrue(pathlib.Path(folder, "tornado.svg").read_text().startswith("<svg"))
            explained = run("datacenter", str(path), "--explain").stdout
            self.assertIn("region-finland electricity", explained)
            text = path.read_text()
            for old, new, said in [("0.8,", "1.2,", "cannot sell more than it has"), ("occupancy", "ocupancy", "did you mean occupancy"),
                                   ("50 MW", "-50 MW", "holds no accelerator"), ("region: finland", "region: mars", "unknown region 'mars'"),
                                   ("0.5}", "1.5}", "a share from 0 to 1")]:
                path.write_text(text.replace(old, new, 1).replace("[0.6, 0.95]", "[0.6, 1.3]"))
                r = run("datacenter", str(path))
                self.assertEqual(r.returncode, 2, new)
                self.assertIn(said, r.stderr)
        for setting, code, said in [("hardware_price=-5 USD", 2, "not negative"), ("electricity=-1 USD/kWh", 2, "not negative"), ("occupancy=90", 2, "write 90 % as 0.9"),
                                    ("region=china", 3, "may not be shipped"), ("supply_check=enforce", 3, "Would fit: build_time=45 month"),
                                    ("pue=0.5", 2, "1 or more"), ("fleet=h100-sxm 0.5", 2, "add up to 1"), ("sitepower=1 W", 2, "unknown key")]:
            r = run("datacenter", "gigawatt-campus", "--set", setting)
            self.assertEqual(r.returncode, code, setting)
            self.assertIn(said, r.stderr.replace("\n           ", " "))
        thousand = json.loads(run("datacenter", "gigawatt-campus", "--set", "accelerators=1000", "--format", "json").stdout)
        self.assertEqual(thousand["values"]["accelerators"], 1000)
        # The file's tokens_per_second is that of its own accelerator.
        other = json.loads(run("datacenter", "gigawatt-campus", "--set", "accelerator=h100-sxm", "--format", "json").stdout)
        self.assertIsNone(other["values"]["owner_usd_per_mtok"])

    def moves(self, verb, base, settings, more=()):
        """Every setting changes the result; a key that cannot is refused."""
        before = run(verb, base, *more, "--format", "json").stdout
        for setting in settings:
            words = [w for one in setting.split(" ; ") for w in ("--set", one)]
            r = run(verb, base, *more, *words, "--format", "json")
            self.assertIn(r.returncode, (0, 3), setting + r.stderr)
            strip = lambda text: {k: v for k, v in json.loads(text).items() if k in ("values", "tables")}
            self.assertNotEqual(strip(before), strip(r.stdout), setting)

    def test_every_key_of_a_network_moves_the_result(self):
        with tempfile.TemporaryDirectory() as folder:
            mine = self.own_file("fabric", "my-cluster.yaml", folder)
            seen = ["switch=switch-64x800g", "endpoint_medium=aec-800g", "leaf_medium=opt-800g-dsp ; endpoint_medium=opt-400g-dr4", "uplink_medium=opt-1600g-dsp",
                    "compare_with=upn512", "endpoints=256", "endpoint_bandwidth=800 Gbit/s", "switch_capacity=25.6 Tbit/s", "radix=64", "tiers=3",
                    "planes=4", "oversubscription=3", "endpoints_per_leaf=32", "chips_per_tray=2", "switch_power=700 W", "switch_price=9000 USD",
                    "switch_latency=300 ns", "module_power=9 W", "module_price=9 USD", "links_per_module=1", "uplink_length=100"]
            self.moves("fabric", str(mine), seen)
            self.moves("fabric", "upn512", ["first_link_length=100"])
            self.moves("fabric", "mi355x-mesh", ["link_bandwidth=100 GB/s"])
            self.moves("fabric", "tpu-v7-pod", ["dimension_1=8 ; dimension_2=48", "dimension_2=48 ; dimension_3=12", "shape=mesh"][:2])
            self.moves("fabric", "tpu-v7-pod", ["dimension_1=4 ; dimension_%d=4" % d for d in (4, 5, 6)])
            r = run("fabric", "atlas950-superpod", "--set", "switch_capacity=102.4 Tbit/s", "--set", "lane_rate=200 Gbit/s", "--set", "tiers=2",
                    "--set", "planes=40", "--format", "json")
            self.assertEqual(json.loads(r.stdout)["values"]["switch_chips"], 40 * (32 + 16))  # 256 a leaf; 32 x 256 / 512
            for base, key in [("tpu-v7-pod", "radix=64"), ("upn512", "dimension_1=8"), ("upn512", "link_bandwidth=1 GB/s"), ("upn512", "uplink_medium=dac-800g"),
                              ("upn512", "oversubscription=2"), ("gb200-nvl72", "module_price=1 USD")]:
                r = run("fabric", base, "--set", key)
                self.assertEqual(r.returncode, 2, key)
                self.assertIn("has no meaning here", r.stderr)

    def test_every_key_of_a_campus_moves_the_result(self):
        self.moves("datacenter", "gigawatt-campus",
                   ["accelerator=gb300-nvl72", "fleet=gb200-nvl72 0.5, h100-sxm 0.5", "region=us-texas", "class=conventional", "business=colocation",
                    "power_billing=net", "load_shape=day ; region=us-texas", "site_power=0.5 GW", "accelerators=1000", "occupancy=0.8", "build_time=30 month",
                    "ramp_time=6 month", "tax=0.3", "debt_share=0.3", "debt_rate=0.05", "overhead=0.1", "cost_of_capital=0.08", "hardware_price=50 kUSD",
                    "hardware_life=6 yr", "site_life=20 yr", "build_cost=10 USD/W", "pue=1.3", "electricity=0.1 USD/kWh", "carbon=100 gCO2/kWh",
                    "grid_water=1 L/kWh", "site_water=1 L/kWh", "operations=0.2 USD/h", "staff_per_megawatt=1 people/MW", "staff_cost=200 kUSD/yr",
                    "site_maintenance=0.02", "spares=0.02", "rent=4 USD/h", "space_rent=200 USD/kW/month", "tokens_per_second=1000 tok/s",
                    "prefill_share=0.5", "decode_batch=8"])
        r = run("datacenter", "gigawatt-campus", "--set", "supply_check=enforce")
        self.assertEqual(r.returncode, 3)
        self.assertEqual(run("datacenter", "gigawatt-campus", "--set", "supply_check=perhaps").returncode, 2)

    def test_catalog(self):
        self.assertIn("h100-sxm", run("catalog", "list").stdout)
        shown = run("catalog", "show", "h100")
        self.assertIn("3.35 TB/s", shown.stdout)
        self.assertIn("source:", shown.stdout)
        self.assertEqual(run("catalog", "sources").returncode, 0)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
