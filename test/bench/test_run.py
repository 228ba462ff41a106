"""Arguments, resuming, and the tables, without a server."""
import contextlib
import copy
import io
import json
import tempfile
import types
import unittest

from omenbench import bench, command
from omenbench.report import markdown


def point(ef, recall, us):
    return {"ef": ef, "recall": recall, "strict_recall": recall, "recall100": recall, "us": us, "cpu_us": us, "us100": us,
            "incomplete": 0, "unordered": 0, "samples": [{"us": us, "cpu_us": us, "busy": 1.0}],
            "samples100": [{"us": us, "cpu_us": us, "busy": 1.0}]}


class Run(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        self.path = f"{self.directory}/result.json"

    def arguments(self, *given):
        with contextlib.redirect_stderr(io.StringIO()) as error:
            try:
                return command.arguments(list(given))
            except SystemExit as end:
                raise AssertionError(f"{end.code} {error.getvalue()}") from None

    def run_of(self, *given):
        args, former = self.arguments(*given)
        run = bench.Bench(args, self.directory, former)
        run.data = types.SimpleNamespace(key="some", about=lambda: {"rows": 1000, "dims": 3, "metric": "l2"})
        return run

    def interrupted(self):
        run = self.run_of("--json", self.path, "--stages", "load,build,search,growth", "--data", "fashion-mnist")
        run.record("load", "omendb", {})
        run.record("search", "omendb", {"points": [point(10, .9, 50.0)]})
        run.record("growth", "pgvector", {"sizes": [{"rows": 10}], "partial": True})
        run.failures.append(["some", "search", "pgvector", "it failed"])
        run.save()

    def test_resume(self):
        self.interrupted()
        run = self.run_of("--resume", self.path)
        self.assertEqual(run.args.stages, ["load", "build", "search", "growth"])
        self.assertEqual((run.path, run.args.data), (self.path, ["fashion-mnist"]))
        # Finished, failed and therefore to be done again, partial.
        self.assertEqual(run.working("search"), ["pgvector"])
        self.assertEqual(run.working("growth"), ["omendb", "pgvector"])
        self.assertEqual(bench.growth.former_sizes(run, "pgvector"), {"sizes": [{"rows": 10}]})
        run.record("search", "pgvector", {"points": [point(10, .8, 90.0)]})
        with open(self.path) as f:
            data = json.load(f)["data"]["some"]
        self.assertEqual(set(data["search"]), {"omendb", "pgvector"})
        self.assertEqual(len(data["growth"]["pgvector"]["sizes"]), 1)

    def test_what_is_finished_is_not_made_again(self):
        self.interrupted()
        run, made = self.run_of("--resume", self.path), []
        run.each("load", lambda system, always: made.append((system, always)), ["load", "search"], {"load", "search"})
        self.assertEqual(made, [("pgvector", True)])

    def test_what_is_needed_is_there(self):
        self.interrupted()
        run, made = self.run_of("--resume", self.path), []
        run.each("load", lambda system, always: made.append((system, always)), ["load", "latency"], {"load", "latency"})
        self.assertEqual(made, [("omendb", False), ("pgvector", True)])

    def test_another_tree_is_not_mixed(self):
        for path in (["tree"], ["source"], ["machine", "processor"]):
            self.interrupted()
            with open(self.path) as f:
                results = json.load(f)
            inner = results
            for name in path[:-1]:
                inner = inner[name]
            inner[path[-1]] = "another"
            with open(self.path, "w") as f:
                json.dump(results, f)
            with self.subTest(path[-1]), self.assertRaisesRegex(SystemExit, path[-1]):
                self.run_of("--resume", self.path)

    def test_result_of_another_version(self):
        bench.replace(self.path, {"arguments": [], "data": {}})
        with self.assertRaisesRegex(AssertionError, "another version"):
            self.arguments("--resume", self.path)

    def test_resume_takes_no_other_arguments(self):
        self.interrupted()
        with self.assertRaisesRegex(AssertionError, "no others"):
            self.arguments("--resume", self.path, "--rows", "5")

    def test_figures_of_earlier_runs_are_marked_and_not_resumed(self):
        self.interrupted()
        run = self.run_of("--json", f"{self.directory}/other.json", "--data", "fashion-mnist")
        run.record("build", "omendb", {})
        with open(run.path) as f:
            results = json.load(f)
        self.assertTrue(results["data"]["some"]["search"]["omendb"]["kept"])
        self.assertNotIn("omendb", bench.measured_in(results).get("some", {}).get("search", {}))
        self.assertIn("omendb", bench.measured_in(results)["some"]["build"])

    def test_figures_of_other_data_of_that_name_are_left_out(self):
        self.interrupted()
        run = self.run_of("--json", f"{self.directory}/other.json", "--data", "fashion-mnist")
        run.data.about = lambda: {"rows": 2000, "dims": 3, "metric": "l2"}
        run.record("build", "omendb", {})
        with open(run.path) as f:
            self.assertEqual(set(json.load(f)["data"]["some"]), {"about", "build"})
        self.assertEqual(set(run.earlier()["some"]), {"about", "build"})

    def test_a_failure_stops_what_needs_it(self):
        run = self.run_of("--json", self.path, "--data", "fashion-mnist")
        run.failures.append(["some", "build", "omendb", "it failed"])
        self.assertEqual(run.working("search"), ["pgvector"])

    def test_files(self):
        file, other = f"{self.directory}/a.fvecs", f"{self.directory}/b.bvecs"
        for path in (file, other):
            open(path, "w").close()
        self.assertEqual(self.arguments(file, "--metric", "ip")[0].data, [file])
        self.assertEqual(self.arguments("--data", "synthetic", file, "--metric", "ip")[0].data, ["synthetic", file])
        self.assertEqual(self.arguments(file, "--metric", "ip", other)[0].files, [file, other])
        for given, message in [([file], "--metric"), (["--data", "nothing"], "nothing"), ([file + "x"], "none of"),
                               ([f"{self.directory}/b.hdf5"], "no file"), (["--sizes", "9,3"], "ascending"),
                               (["--data", "synthetic", "--queries", file], "single file")]:
            with self.subTest(given), self.assertRaisesRegex(AssertionError, message):
                self.arguments(*given)

    def test_quick_is_a_default(self):
        self.assertEqual(self.arguments("--quick")[0].rows, command.QUICK["rows"])
        self.assertEqual(self.arguments("--quick", "--rows", "77")[0].rows, 77)

    def test_report(self):
        self.interrupted()
        with open(self.path) as f:
            results = json.load(f)
        results["data"]["some"]["search"]["pgvector"] = {"points": [point(10, .90, 100.0), point(20, .99, 300.0)]}
        results["data"]["some"]["search"]["omendb"] = {"points": [point(10, .90, 50.0), point(20, .99, 100.0)]}
        del results["data"]["some"]["growth"]
        text = markdown(results)
        self.assertIn("| 0.900 | 50 | 2.00 | 100 |", text)
        self.assertIn("| 0.990 | 100 | 3.00 | 300 |", text)
        self.assertIn("**pgvector failed** in search of some: it failed", text)
        self.assertNotIn("SYNTHETIC", text)
        made_up = copy.deepcopy(results)
        made_up["data"]["some"]["about"].update(synthetic=True, source="made-up vectors")
        self.assertIn("SYNTHETIC: made-up vectors", markdown(made_up))

    def test_an_interrupted_save_leaves_the_former_file(self):
        bench.replace(self.path, {"a": 1})
        with self.assertRaises(TypeError):
            bench.replace(self.path, {"a": object()})
        with open(self.path) as f:
            self.assertEqual(json.load(f), {"a": 1})
