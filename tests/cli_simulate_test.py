"""Simulations and replays on the command line: exit codes, messages, files."""
import json
import pathlib
import tempfile

import cli


class Simulate(cli.Cli):
    def test_replay(self):
        with tempfile.TemporaryDirectory() as folder:
            log, meta = pathlib.Path(folder) / "a_requests.jsonl", pathlib.Path(folder) / "a_meta.json"
            times = [{"queued_ts": 9 + i, "scheduled_ts": 9 + i, "first_token_ts": 9.1 + i, "last_token_ts": 10.1 + i} for i in range(2)]
            log.write_text("".join(json.dumps({"request_id": str(i), "input_toks": 500, "output_toks": 101, "arrival_time": 5.0 + i, **t}) + "\n"
                                   for i, t in enumerate(times)))
            meta.write_text(json.dumps({"model": "meta-llama/Llama-3.1-8B", "hardware": {"device_name": "NVIDIA H100 80GB HBM3"}}))
            done = cli.run("validate", str(log), "--format", "json")
            self.assertEqual(done.returncode, 0, done.stderr)
            got = json.loads(done.stdout)
            self.assertEqual(list(got)[:5], ["ttft_mean_error", "tpot_mean_error", "makespan_error", "ttft_ks", "tpot_ks"])
            self.assertAlmostEqual(got["tpot_mean_error"], got["tpot_mean_s"] / 0.01 - 1, 5)
            self.assertIn("TTFT, mean", cli.run("validate", str(log)).stdout)
            wrong = cli.run("validate", str(log), "--profile", str(meta))
            self.assertEqual(wrong.returncode, 2)
            self.assertIn("a_meta.json:1", wrong.stderr)

    def test_simulate(self):
        words = (*cli.SMALL, "--request-rate", "2", "--num-requests", "500", "--format", "json")
        first = cli.run(*words)
        self.assertEqual(first.returncode, 0, first.stderr)
        self.assertEqual(first.stdout, cli.run(*words).stdout)
        self.assertNotEqual(first.stdout, cli.run(*words, "--seed", "2").stdout)
        r = json.loads(first.stdout)["values"]
        self.assertEqual(r["requests"]["finished"], 500)
        # Mean E2E = TTFT + 199 TPOT: every request has 200 output tokens.
        self.assertAlmostEqual(r["e2e"]["mean_ms"], r["ttft"]["mean_ms"] + 199 * r["tpot"]["mean_ms"], delta=1e-6 * r["e2e"]["mean_ms"])
        self.assertAlmostEqual(r["throughput"]["output_tok_s"], 200 * r["throughput"]["requests_per_s"], delta=1e-6)

    def test_simulated_energy(self):
        words = (*cli.SMALL, "--request-rate", "2", "--num-requests", "200", "--format", "json")
        us, germany, sweden = (json.loads(cli.run(*words, "--region", r).stdout)["values"]["energy"] for r in ("us", "germany", "sweden"))
        self.assertAlmostEqual(us["joules"], us["joules_per_output_token"] * 200 * 200, delta=1e-6 * us["joules"])
        # gCO2 of a kilowatt-hour; the water behind one is known of the United States alone.
        for values, grams in ((us, 367), (germany, 381), (sweden, 36)):
            self.assertAlmostEqual(values["gco2_per_output_mtok"], values["wh_per_output_token"] * 1e3 * grams, delta=1e-6 * grams)
        self.assertIsNone(sweden["litres_per_output_mtok"])
        lossy = json.loads(cli.run(*words, "--site-class", "conventional").stdout)["values"]["energy"]
        self.assertAlmostEqual(lossy["joules"] / us["joules"], 1.56 / 1.16, delta=1e-9)  # by PUE
        for flag in ("--region", "--site-class"):
            wrong = cli.run(*words, flag, "atlantis")
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
            got = cli.run(*call)
            self.assertEqual(got.returncode, 0, got.stderr)
            self.assertEqual(got.stdout, cli.run(*call).stdout)
            r = json.loads(got.stdout)["values"]
            self.assertEqual(r["requests"]["finished"], 600, call)
            seen.add((r["e2e"]["mean_ms"], r["ttft"]["mean_ms"]))
        self.assertEqual(len(seen), 9)  # each option moves the result
        r = json.loads(cli.run(*split).stdout)["values"]
        # 2,000 tokens x 32 layers x 8 heads x 128 x 2 (keys, values) x 2 bytes, 600 times
        self.assertAlmostEqual(r["handover"]["bytes"], 600 * 2000 * 131072, delta=1)
        for call, said in (((*words, "--pools", "prefill:h100-sxm"), "prefill without decode"),
                           ((*words, "--pools", "h100-sxm:tp=x"), "no count"),
                           ((*words, "--pools", "h100-sxm", "--tp", "2"), "beside pools"),
                           ((*words, "--accelerator", "h100-sxm", "--kv-transfer-layerwise"), "no effect"),
                           ((*words, "--accelerator", "h100-sxm", "--set", "failures.repair=1"), "no effect"),
                           ((*words, "--accelerator", "h100-sxm", "--min-replicas", "2"), "no effect"),
                           ((*words, "--accelerator", "h100-sxm", "--warmup-request-count", "5"), "no effect")):
            got = cli.run(*call)
            self.assertEqual(got.returncode, 2, call)
            self.assertIn(said, got.stderr)

    def test_simulate_tenants_and_replications(self):
        words = ("simulate", "--model", "llama-3.1-8b", "--accelerator", "h100-sxm", "--request-rate", "10", "--num-requests", "500", "--osl", "100", "--format", "json")
        got = cli.run(*words, "--tenants", "chat:share=3:isl=500:ttft=200 batch:share=1:isl=4000:osl=300:priority=9", "--scheduling-policy", "priority", "--replications", "3")
        self.assertEqual(got.returncode, 0, got.stderr)
        tables = json.loads(got.stdout)["tables"]
        chat, batch = tables["tenants"]
        self.assertEqual(chat["requests"] + batch["requests"], 500)
        self.assertGreater(chat["slo_attainment"], 0.5)
        self.assertIsNone(batch["slo_attainment"])
        usd = json.loads(got.stdout)["values"]["cost"]["usd"]
        self.assertAlmostEqual(chat["usd"] + batch["usd"], usd, delta=1e-9 * usd)  # classes of token add up to the bill
        self.assertEqual(len(tables["replications"]), 5)
        wrong = cli.run(*words, "--tenants", "chat:shar=1")
        self.assertEqual(wrong.returncode, 2)
        self.assertIn("'shar'", wrong.stderr)

    def test_one_tenant_under_priorities(self):
        got = cli.run(*cli.SMALL, "--request-rate", "2", "--num-requests", "100", "--tenants", "chat:isl=500", "--scheduling-policy", "priority")
        self.assertEqual(got.returncode, 0, got.stderr)

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
            got = cli.run(*words, *more)
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
            got = cli.run(*words, *more)
            self.assertEqual(got.returncode, 2, more)
            self.assertIn(said, got.stderr)
        got = cli.run(*cli.SMALL, "--request-rate", "1", "--kv-offloading-size", "20")
        self.assertEqual(got.returncode, 2)
        self.assertIn("share no prefixes", got.stderr)

    def test_simulate_expert_imbalance(self):
        words = ("simulate", "--model", "qwen3-235b-a22b", "--accelerator", "h200-sxm", "--tp", "8", "--ep", "8", "--isl", "1000", "--osl", "100",
                 "--concurrency", "32", "--num-requests", "64", "--format", "json")
        even, uneven = (json.loads(cli.run(*words, "--expert-imbalance", x).stdout)["values"]["tpot"]["mean_ms"] for x in ("1", "2"))
        self.assertGreater(uneven, 1.1 * even)
        self.assertIn("1 to 8", cli.run(*words, "--expert-imbalance", "9").stderr)
        self.assertIn("ep above 1", cli.run(*cli.SMALL, "--request-rate", "1", "--expert-imbalance", "2").stderr)

    def test_simulate_adapters(self):
        words = (*cli.SMALL, "--request-rate", "10", "--num-requests", "300", "--adapters", "9", "--enable-lora", "--format", "json")
        seen = set()
        for more in ((), ("--max-loras", "4"), ("--max-loras", "4", "--max-lora-rank", "64"), ("--max-loras", "4", "--max-cpu-loras", "9"),
                     ("--max-loras", "4", "--adapter-skew", "1.5")):
            got = cli.run(*words, *more)
            self.assertEqual(got.returncode, 0, got.stderr)
            r = json.loads(got.stdout)["values"]
            self.assertGreater(r["lora"]["loads"], 8)
            seen.add((r["ttft"]["mean_ms"], r["tpot"]["mean_ms"]))
        self.assertEqual(len(seen), 5)  # each option moves the result

    def test_simulate_closed_loop_follows_littles_law(self):
        r = json.loads(cli.run(*cli.SMALL, "--concurrency", "8", "--num-requests", "2000", "--format", "json").stdout)["values"]
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
            got = cli.run(*cli.SMALL, *words)
            self.assertEqual(got.returncode, 2, words)
            self.assertIn(said, got.stderr)
        big = cli.run("simulate", "--model", "llama-3.1-70b", "--accelerator", "h100-sxm", "--isl", "9", "--osl", "9", "--request-rate", "1")
        self.assertEqual(big.returncode, 3)
        self.assertIn("memory binds", big.stderr)

    def test_simulate_writes_requests_and_trace(self):
        with tempfile.TemporaryDirectory() as folder:
            got = cli.run(*cli.SMALL, "--concurrency", "4", "--goodput", "ttft:100", "tpot:50", "-o", folder + "/out", "--trace", folder + "/t.json")
            self.assertEqual(got.returncode, 0, got.stderr)
            rows = pathlib.Path(folder, "out/requests.csv").read_text().splitlines()
            self.assertEqual(len(rows), 41)
            self.assertEqual(len(pathlib.Path(folder, "out/requests.jsonl").read_text().splitlines()), 40)
            self.assertIn("traceEvents", json.loads(pathlib.Path(folder, "t.json").read_text()))


if __name__ == "__main__":
    cli.main()
