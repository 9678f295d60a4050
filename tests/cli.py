"""What tests of the command line share. Usage of each: TEST.py JEVONS SOURCE_DIR"""
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

JEVONS, SOURCE = sys.argv[1], pathlib.Path(sys.argv[2])
EXAMPLE = str(SOURCE / "examples/llama-3.1-70b-chat.yaml")
QUICK = ("--set", "savings.ledger=false")  # a page of run without the plans of every combination of techniques
SMALL = ("simulate", "--model", "llama-3.1-8b", "--accelerator", "h100-sxm", "--isl", "1000", "--osl", "200")


def run(*words, **more):
    return subprocess.run([JEVONS, *words], capture_output=True, text=True, timeout=60, **more)


class Cli(unittest.TestCase):
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


def main():
    unittest.main(argv=sys.argv[:1])
