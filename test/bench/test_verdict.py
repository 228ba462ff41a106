"""The last lines of a run: what they say of the results that are kept, and of a few made up."""
import glob
import json
import os
import unittest

from omenbench.verdict import verdict

KEPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "benchmarks")


def results(stages, failures=()):
    about = {"rows": 20000, "dims": 784, "metric": "l2"}
    return {"data": {"fashion-mnist": {"about": about, **stages}}, "failures": list(failures)}


def pair(ours, theirs):
    return {"omendb": ours, "pgvector": theirs}


class Verdict(unittest.TestCase):
    def test_every_stage(self):
        def search(*points):
            return {"points": [{"recall": recall, "us": us} for recall, us in points]}

        def runs(name, *rates):
            return {"ef": 40, "runs": [{"clients": c, "ef": ef, "synchronous_commit": commit, name: rate} for c, ef, commit, rate in rates]}

        def filters(*shorts):
            return {"cases": [{"setting": setting, "short": short} for setting, short in shorts]}

        lines = verdict(results({
            "build": pair({"seconds": 2.0, "bytes": 83e6}, {"seconds": 9.0, "bytes": 82e6}),
            "search": pair(search((.96, 50), (.992, 80)), search((.94, 500), (.993, 900))),
            "latency": pair(runs("qps", (1, 40, "", 3000), (4, 40, "", 8000), (4, 80, "", 1)), runs("qps", (4, 40, "", 2000))),
            "insert": pair(runs("tps", (10, 0, "off", 1), (10, 0, "on", 1500)), runs("tps", (10, 0, "on", 500))),
            "filter": pair(filters(("default", 0), ("default", 0), ("graph", 9)), filters(("default", 0), ("default", 7), ("strict_order", 0)))}))
        self.assertEqual(lines[0], "")
        self.assertEqual([line.split("  ")[-1].strip() for line in lines[1:]],
                         ["omendb beside pgvector: fashion-mnist, 20,000 rows x 784, l2", "4.5 times (2.0 s, 9.0 s)", "1.01 times (83.0 MB, 82.0 MB)",
                          "11.2 times (78.1 us, 877 us)", "4.0 times (8000 a s, 2000 a s)", "3.0 times (1500 a s, 500 a s)", "2 of 2; pgvector 1 of 2"])

    def test_a_bound(self):
        lines = verdict(results({"search": pair({"points": [{"recall": .999, "us": 50}]}, {"points": [{"recall": .9, "us": 300}, {"recall": .999, "us": 900}]})}))
        self.assertIn("at least ", lines[-1])

    def test_matrix(self):
        def graphs(*recalls):
            return {"graphs": [{"class": "bit_hamming_ops", "data": "bits", "way": "build", "m": 4, "ef_construction": 16,
                                "recall": {"default": {str(ef): recall for ef, recall in enumerate(recalls)}}}]}

        lines = verdict(results({"matrix": pair(graphs(.9, .95, .8), graphs(.9, .955, .9))}))
        self.assertEqual(lines[-1], "  recall below by more than 0.01              1 of 3, at worst by 0.100")
        lines = verdict(results({"matrix": pair(graphs(.9), graphs(.8))}))
        self.assertEqual(lines[-1], "  recall below by more than 0.01              0 of 1")

    def test_alone(self):
        self.assertEqual(verdict(results({"build": {"omendb": {"seconds": 1, "bytes": 1}}})), [])

    def test_failures(self):
        lines = verdict(results({"build": pair({"seconds": 2.0, "bytes": 83e6}, {"seconds": 9.0, "bytes": 82e6})}, [("k", "s", "x", "")]))
        self.assertEqual(lines[-1], "Failed: 1 (see above).")

    def test_what_is_kept(self):
        told = 0
        for path in glob.glob(os.path.join(KEPT, "*.json")):
            with self.subTest(os.path.basename(path)), open(path) as f:
                lines = verdict(json.load(f))
                told += bool(lines)
                self.assertLessEqual(max(map(len, lines), default=0), 80)
        self.assertGreater(told, 3)
