"""Networks and data centres on the command line: exit codes, messages, files."""
import json
import pathlib
import tempfile

import cli


class Network(cli.Cli):
    def own_file(self, verb, name, folder):
        """The example file that the verb's help prints, as a person would copy it."""
        text = cli.run(verb, "--help").stdout
        lines = text[text.index("A whole " + name):].split("\n")[1:]
        path = pathlib.Path(folder, name)
        path.write_text("\n".join(l[2:] for l in lines if l.startswith("  ")) + "\n")
        return path

    def moves(self, verb, base, settings, more=()):
        """Every setting changes the result; a key that cannot is refused."""
        before = cli.run(verb, base, *more, "--format", "json").stdout
        for setting in settings:
            words = [w for one in setting.split(" ; ") for w in ("--set", one)]
            r = cli.run(verb, base, *more, *words, "--format", "json")
            self.assertIn(r.returncode, (0, 3), setting + r.stderr)
            strip = lambda text: {k: v for k, v in json.loads(text).items() if k in ("values", "tables")}
            self.assertNotEqual(strip(before), strip(r.stdout), setting)

    def test_schemas_of_files(self):
        for verb, fact in (("fabric", "endpoint_bandwidth"), ("datacenter", "site_power")):
            schema = json.loads(cli.run(verb, "--schema").stdout)
            self.assertEqual(set(schema["properties"]), {"name", "title", "aliases", "attributes", "defaults", "facts"})
            self.assertIn(fact, schema["properties"]["facts"]["properties"])
            self.assertNotIn(fact, schema["properties"]["attributes"]["properties"])
            self.assertEqual(cli.run(verb).returncode, 2)
        for setting, said in (("region=mars", "--set region: unknown region"), ("rent=-1 USD/h", "--set rent: '-1 USD/h'"), ("ramp_time=100 yr", "--set ramp_time"), ("occupancy=1.2", "build more")):
            wrong = cli.run("datacenter", "gigawatt-campus", "--set", setting)
            self.assertEqual(wrong.returncode, 2)
            self.assertIn(said, wrong.stderr)

    def test_expert_exchange(self):
        def us(*more):
            rows = json.loads(cli.run("fabric", "gb200-nvl72", "--format", "json", *more).stdout)["tables"]["collectives"]
            return [row["time_us"] for row in rows if row["operation"] == "expert dispatch"]

        # Measured on GB200: 64 ranks, 7,168 bf16 values a token, top 8, balanced.
        for got, measured in zip(us("--routing", "balanced", "--tokens", "128", "1024", "65536"), (40.9, 222, 14927)):
            self.assertAlmostEqual(got / measured, 1, delta=0.07)
        self.assertLess(us("--dispatch-format", "fp8")[1], us()[1])
        self.assertLess(us("--ep", "8")[1], us()[1])
        for words in (("gb200-nvl72", "--ep", "73"), ("gb200-nvl72", "--tokens", "x"), ("hgx-h100", "--routing", "balanced")):
            self.assertEqual(cli.run("fabric", *words).returncode, 2, words)

    def test_income_pages(self):
        model = json.loads(cli.run("datacenter", "income-model", "--format", "json").stdout)["tables"]
        at = {row["occupancy_pct"]: row for row in model["income"]}
        self.assertAlmostEqual(at[50]["net_margin_pct"], 0, delta=1e-9)
        self.assertAlmostEqual(at[90]["gross_margin_pct"], 53.33, delta=0.01)
        self.assertAlmostEqual(at[90]["net_margin_pct"], 34, delta=0.01)
        gds = json.loads(cli.run("datacenter", "gds-2024", "--format", "json").stdout)["tables"]
        self.assertEqual(gds["account"][-1]["kcny"], -770912)
        for row in gds["break_even"]:  # published accounts give 79 to 81 %
            self.assertTrue(78.5 < row["break_even_pct"] < 81, row)
        self.assertEqual(cli.run("datacenter", "income-model", "--set", "occupancy=0.5").returncode, 2)

    def test_fabric(self):
        values = json.loads(cli.run("fabric", "gb200-nvl72", "--format", "json").stdout)["values"]
        self.assertEqual(values["switch_chips"], 18)
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "mine.yaml")
            text = ("name: mine\ndefaults: {kind: spec, source: mine, read: 2026-01-01, confidence: D}\nfacts:\n  endpoints: {value: %d accel}\n"
                    "  endpoint_bandwidth: {value: 400 Gbit/s}\n  switch_capacity: {value: 25.6 Tbit/s}\n  radix: {value: 64 port}\n  tiers: {value: 2 count}\n")
            path.write_text(text % 1024)
            values = json.loads(cli.run("fabric", str(path), "--format", "json").stdout)["values"]
            self.assertEqual(values["switch_chips"], 48)  # 1,024 / 32 = 32 leaves, 32 x 32 / 64 = 16 spines
            path.write_text(text % 4096)
            r = cli.run("fabric", str(path))
            self.assertEqual(r.returncode, 2)
            self.assertIn("the limit is 2048", r.stderr)
            self.assertIn("3 tiers", r.stderr)

    def test_fabric_from_the_help_text(self):
        with tempfile.TemporaryDirectory() as folder:
            # 512 on 128 ports: 8 leaves of 64, 8 x 64 / 128 = 4 spines; 512 x 400G over 800G cables: 256; uplinks 256 x 2 modules.
            # 12 x 500 W + 256 cables x 2 ends x 0.15 W + 512 x 8.5 W = 10,428.8 W.
            path = self.own_file("fabric", "my-cluster.yaml", folder)
            values = json.loads(cli.run("fabric", str(path), "--format", "json").stdout)["values"]
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
            values = json.loads(cli.run("fabric", str(path), "--format", "json").stdout)["values"]
            self.assertEqual((values["switch_chips"], values["cables"], values["optical_modules"]), (10, 96, 96))
            self.assertAlmostEqual(values["watts"], 6792)
            out = pathlib.Path(folder, "out")
            self.assertEqual(cli.run("fabric", str(path), "-o", str(out)).returncode, 0)
            self.assertTrue((out / "topology.svg").read_text().startswith("<svg"))
            for old, new, said in [("radix: {value: 64", "radix: {value: 1", ["mine.yaml", "radix", "2 to 1000000"]),
                                   ("tiers:", "teirs:", ["unknown key", "did you mean tiers"]),
                                   ("value: 300 W", "value: 300 USD", ["wrong unit", "W"]), ("value: 300 W", "value: -1 W", ["-1 is negative"]),
                                   ("96 accel", "9600 accel", ["the limit is 2048", "would fit: 3 tiers"]),
                                   ("value: 5 m", "value: 9 m", ["aec-800g reaches 7 m"]), ("tiers: {value: 2", "tiers: {value: 2.5", ["whole number"]),
                                   ("aec-800g", "tin-cans", ["unknown component"])]:
                bad = pathlib.Path(folder, "mine.yaml")
                bad.write_text(mine.replace(old, new, 1))
                r = cli.run("fabric", str(bad))
                self.assertEqual(r.returncode, 2, new)
                for words in said:
                    self.assertIn(words, r.stderr)

    def test_fabric_names_and_claims(self):
        names = cli.run("fabric", "nvl576").stdout
        for name in ("gb200-nvl576", "kyber-nvl144", "rubin-ultra-nvl576"):
            self.assertIn(name, names)
        values = json.loads(cli.run("fabric", "upn512", "--format", "json").stdout)["values"]
        self.assertAlmostEqual(values["saving"]["upn512-two-tier-dsp"]["power_of_the_fabric"], 1 - 101632 / 236108.8)
        self.assertIn("null", cli.run("fabric", "atlas950-superpod").stdout)
        more = json.loads(cli.run("fabric", "upn512", "--set", "endpoint_bandwidth=14.4 Tbit/s", "--set", "planes=72", "--format", "json").stdout)
        self.assertEqual((more["values"]["switch_chips"], more["values"]["optical_modules"]), (72, 18432))
        two = next(r for r in more["tables"]["comparison"] if r["design"] == "upn512-two-tier-dsp")  # 36 planes of 16 + 8 chips
        self.assertEqual((two["switch_chips"], two["cables"]), (864, 9216))
        self.assertEqual(cli.run("fabric", "upn512", "--set", "planes=many").returncode, 2)

    def test_datacenter(self):
        with tempfile.TemporaryDirectory() as folder:
            # 50 MW over 1.73 kW (published all in, at the class's PUE of 1.16): 28,901.
            path = self.own_file("datacenter", "my-campus.yaml", folder)
            r = cli.run("datacenter", str(path), "--format", "json", "-o", folder)
            self.assertEqual(r.returncode, 0, r.stderr)
            result = json.loads(r.stdout)
            self.assertEqual(result["values"]["accelerators"], 28901)
            parts = result["values"]["hour"]
            self.assertAlmostEqual(sum(parts[p + "_usd"] for p in ("hardware", "site", "power", "operations", "overhead")), parts["owner_usd"])
            self.assertAlmostEqual(result["values"]["owner_usd_per_mtok"], parts["owner_usd"] / (1500 * 0.0036))
            self.assertGreater(result["values"]["energy"]["gco2_per_mtok"], 0)
            self.assertTrue(pathlib.Path(folder, "tornado.svg").read_text().startswith("<svg"))
            explained = cli.run("datacenter", str(path), "--explain").stdout
            self.assertIn("region-finland electricity", explained)
            text = path.read_text()
            for old, new, said in [("0.8,", "1.2,", "cannot sell more than it has"), ("occupancy", "ocupancy", "did you mean occupancy"),
                                   ("50 MW", "-50 MW", "holds no accelerator"), ("region: finland", "region: mars", "unknown region 'mars'"),
                                   ("0.5}", "1.5}", "a share from 0 to 1")]:
                path.write_text(text.replace(old, new, 1).replace("[0.6, 0.95]", "[0.6, 1.3]"))
                r = cli.run("datacenter", str(path))
                self.assertEqual(r.returncode, 2, new)
                self.assertIn(said, r.stderr)
        for setting, code, said in [("hardware_price=-5 USD", 2, "not negative"), ("electricity=-1 USD/kWh", 2, "not negative"), ("occupancy=90", 2, "write 90 % as 0.9"),
                                    ("region=china", 3, "may not be shipped"), ("supply_check=enforce", 3, "Would fit: build_time=45 month"),
                                    ("pue=0.5", 2, "1 or more"), ("fleet=h100-sxm 0.5", 2, "add up to 1"), ("sitepower=1 W", 2, "unknown key")]:
            r = cli.run("datacenter", "gigawatt-campus", "--set", setting)
            self.assertEqual(r.returncode, code, setting)
            self.assertIn(said, r.stderr.replace("\n           ", " "))
        thousand = json.loads(cli.run("datacenter", "gigawatt-campus", "--set", "accelerators=1000", "--format", "json").stdout)
        self.assertEqual(thousand["values"]["accelerators"], 1000)
        # The file's tokens_per_second is that of its own accelerator.
        other = json.loads(cli.run("datacenter", "gigawatt-campus", "--set", "accelerator=h100-sxm", "--format", "json").stdout)
        self.assertIsNone(other["values"]["owner_usd_per_mtok"])

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
            r = cli.run("fabric", "atlas950-superpod", "--set", "switch_capacity=102.4 Tbit/s", "--set", "lane_rate=200 Gbit/s", "--set", "tiers=2",
                    "--set", "planes=40", "--format", "json")
            self.assertEqual(json.loads(r.stdout)["values"]["switch_chips"], 40 * (32 + 16))  # 256 a leaf; 32 x 256 / 512
            for base, key in [("tpu-v7-pod", "radix=64"), ("upn512", "dimension_1=8"), ("upn512", "link_bandwidth=1 GB/s"), ("upn512", "uplink_medium=dac-800g"),
                              ("upn512", "oversubscription=2"), ("gb200-nvl72", "module_price=1 USD")]:
                r = cli.run("fabric", base, "--set", key)
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
        r = cli.run("datacenter", "gigawatt-campus", "--set", "supply_check=enforce")
        self.assertEqual(r.returncode, 3)
        self.assertEqual(cli.run("datacenter", "gigawatt-campus", "--set", "supply_check=perhaps").returncode, 2)


if __name__ == "__main__":
    cli.main()
