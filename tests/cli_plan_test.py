"""Plans, and what rests on them, on the command line: exit codes, messages, files."""
import json
import pathlib
import subprocess
import tempfile

import cli


class Plan(cli.Cli):
    QUESTION = ["--model", "llama-3.1-8b", "--accelerator", "h100-sxm", "--max-gpus", "2", "--isl", "500", "--osl", "20", "--tpot", "10",
                "--max-num-seqs", "32", "--max-num-batched-tokens", "1024"]

    def test_plan(self):
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder) / "out"
            got = cli.run("plan", *self.QUESTION, "--objective", "tok/s/gpu", "--format", "json", "-o", str(out))
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
        page = cli.run("plan", *self.QUESTION)
        self.assertLessEqual(max(len(line) for line in page.stdout.splitlines()), 100)
        self.assertEqual(cli.run("plan", *self.QUESTION, "--threads", "1").stdout, page.stdout)

    def test_tenants_share_a_fleet(self):
        words = ("plan", "--accelerator", "h100-sxm", "--max-gpus", "8", "--isl", "1000", "--osl", "200", "--ttft", "1000", "--tpot", "30", "--format", "json")
        got = cli.run(*words, "--tenant", "chat,llama-3.1-8b,40,0.8,14", "tools,llama-3.1-8b,20,0.5,2", "nightly,llama-3.1-8b,10,batch,priority=3")
        self.assertEqual(got.returncode, 0, got.stderr)
        answer = json.loads(got.stdout)
        self.assertLess(answer["values"]["shared"]["accelerators"], answer["values"]["dedicated"]["accelerators"])
        rows = answer["tables"]["together"]
        peak = [r for r in rows if r["hour"] == 14]
        self.assertEqual({r["tenant"] for r in peak}, {"chat", "tools"})  # the busiest hour leaves batch work no room
        self.assertTrue(all(r["tpot_ms"] <= 30 and r["ttft_ms"] <= 1000 for r in rows))  # limits hold together, too
        night = next(r for r in rows if r["hour"] == 0 and r["tenant"] == "nightly")
        self.assertAlmostEqual(night["rate"], 20, delta=1e-9)  # twice the mean: half of the day has room
        refused = cli.run(*words, "--tenant", "chat,llama-3.1-8b,40", "--prefix-hit-rate", "0.5")
        self.assertEqual(refused.returncode, 2)

    def test_plan_is_what_simulate_says(self):  # one engine, one step model, one memory rule
        for engine in ("vllm", "sglang", "trtllm"):
            model = ["--model", "qwen3-30b-a3b", "--accelerator", "h100-sxm", "--engine", engine, "--isl", "500", "--osl", "20"]
            placed = ["--tp", "2", "--dp", "2", "--ep", "4"]
            best = json.loads(cli.run("plan", *model, *placed, "--max-gpus", "4", "--max-concurrency", "24", "--format", "json").stdout)["values"]["best"]
            alone = cli.run("simulate", *model, *placed, "--concurrency", str(int(best["concurrency"])), "--format", "json")
            values = json.loads(alone.stdout)["values"]
            self.assertAlmostEqual(values["ttft"]["mean_ms"], best["ttft_mean_ms"], places=6)
            self.assertAlmostEqual(values["tpot"]["p99_ms"], best["tpot_p99_ms"], places=6)
            self.assertAlmostEqual(values["throughput"]["requests_per_s"], best["requests_per_s"], places=6)

    def test_plan_says_no(self):
        no = cli.run("plan", *self.QUESTION, "--ttft", "0.01")
        self.assertEqual(no.returncode, 3)
        self.assertIn("TTFT limit", no.stderr)
        unknown = cli.run("plan", *self.QUESTION[:2], "--accelerator", "h900", *self.QUESTION[4:])
        self.assertEqual(unknown.returncode, 3)
        self.assertIn("unknown accelerator 'h900'", unknown.stderr)
        self.assertIn("did you mean", unknown.stderr)
        power = cli.run("plan", *self.QUESTION, "--max-power", "0.5")
        self.assertEqual(power.returncode, 3)
        self.assertRegex(power.stderr.replace("\n", " "), r"kW against +--max-power 0\.5")
        sizes = cli.run("plan", *self.QUESTION, "--tp", "4")
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
            got = cli.run("plan", *words, "--objective", "tok/s/gpu")
            self.assertEqual(got.returncode, 0, got.stderr)
            self.assertIn("nobody measured this chip", got.stdout)
            refused = cli.run("plan", *words)  # dollars, without a price
            self.assertEqual(refused.returncode, 2)
            self.assertIn("price of my-chip", refused.stderr)

    def test_savings_and_edge(self):
        words = [*self.QUESTION, "--weights", "fp8"]
        page = cli.run("savings", *words)
        self.assertEqual(page.returncode, 0, page.stderr)
        self.assertIn("Shapley", page.stdout)
        self.assertLessEqual(max(len(line) for line in page.stdout.splitlines()), 100)
        edge = cli.run("edge", *words, "--device", "rtx-4090", "--device-model", "qwen3-8b")
        self.assertEqual(edge.returncode, 0, edge.stderr)
        self.assertIn("on the device", edge.stdout)


if __name__ == "__main__":
    cli.main()
