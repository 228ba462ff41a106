"""Arguments, resuming, and the tables, without a server."""
import contextlib
import copy
import io
import json
import tempfile
import types
import unittest
import unittest.mock

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

    def test_matrix(self):
        """Of its own data: once, whatever --data says, and after what was measured before."""
        args = self.arguments("--stages", "matrix")[0]
        self.assertEqual((args.data, args.matrix_m, args.matrix_ef), ([], [[4, 16], [4, 64], [16, 64]], [20, 40, 100]))
        self.assertEqual(self.arguments("--stages", "matrix,build", "--matrix-m", "8:32")[0].data, command.NAMES[:4])
        for given, message in [(["--matrix-m", "8"], "--matrix-m"), (["--matrix-data", "far,near"], "--matrix-data: near"),
                               (["--matrix-ways", "copy"], "--matrix-ways: copy"), (["--matrix-classes", "vector_ops"], "--matrix-classes: vector_ops")]:
            with self.subTest(given), self.assertRaisesRegex(AssertionError, message):
                self.arguments("--stages", "matrix", *given)
        run, called = self.run_of("--json", self.path, "--stages", "matrix"), []
        with unittest.mock.patch.dict(bench.FUNCTIONS, matrix=lambda of: called.append((of.data.key, of.data.about()["synthetic"]))):
            run.run()
            self.assertEqual(called, [("matrix", True)])
            for system in ("omendb", "pgvector"):
                run.record("matrix", system, {"graphs": [], "partial": system == "omendb"})
            again = self.run_of("--resume", self.path)
            again.run()
            self.assertEqual((len(called), again.working("matrix")), (2, ["omendb"]))

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

    def filter_case(self, setting, us, **more):
        return {"kind": "tenant", "selectivity": 0.0003, "matching_rows": 20, "setting": setting, "filter_index": True, "ef": 40,
                "recall": .95, "rows": 9.5, "short": 0, "us": us, "index_used": True, "samples": [{"us": us, "busy": 1.0}], **more}

    def report_of(self, **stages):
        self.interrupted()
        with open(self.path) as f:
            results = json.load(f)
        results["data"]["some"] = {"about": results["data"]["some"]["about"], **stages}
        return markdown(results)

    def test_report_of_filters(self):
        cases = [self.filter_case("default", 900, p50_us=800, p95_us=950, p99_us=990), self.filter_case("exact", 500), self.filter_case("graph", 700)]
        text = self.report_of(filter={"omendb": {"cases": cases}})
        self.assertIn("| tenant | 0.03% | 20 | yes | omendb | exact | 40 | 0.9500 | 9.50 | 0 | 500 (500-500) | - |  |  |  |  |", text)
        self.assertIn("| tenant | 0.03% | yes | omendb | 40 | 900 | 500 | exact | 1.80 |  | TOO MUCH |", text)
        self.assertIn("More than 1.5 times the best and 100 us: 1 of 1.", text)
        # Of a run of before there were strategies.
        old = self.filter_case("default", 900, p50_us=800, p95_us=950, p99_us=990)
        del old["filter_index"]
        text = self.report_of(filter={"omendb": {"cases": [old]}, "pgvector": {"cases": [{**old, "setting": "strict_order", "us": 1800}]}})
        self.assertIn("| tenant | 0.03% | 20 | no | omendb | default | 40 | 0.9500 | 9.50 | 0 | 900 (900-900) | 2.00 | 800 | 950 | 990 |  |", text)
        self.assertNotIn("choice of strategy", text)

    def test_report_of_radius(self):
        def case(setting, within, us, **more):
            return {"setting": setting, "within": within, "recall": .99, "rows": within, "wrong": 0, "us": us, "index_used": True,
                    "samples": [{"us": us}], **more}

        text = self.report_of(radius={"omendb": {"ef": 40, "cases": [case("default", 1000.0, 50), case("sequential scan", 1000.0, 900, index_used=False), case("default", 10.0, 5)]},
                                      "pgvector": {"ef": 40, "cases": [case("off", 1000.0, 300, recall=.04, rows=40, wrong=2)]}})
        self.assertIn("| 1,000 | omendb | default | 0.9900 | 1,000.0 |  | 50 (50-50) | 18.00 |  |", text)
        self.assertIn("| 1,000 | pgvector | off | 0.0400 | 40.0 | 2 | 300 (300-300) | 3.00 |  |", text)
        self.assertIn("| 10 | omendb | default | 0.9900 | 10.0 |  | 5 (5-5) | - |  |", text)
        self.assertLess(text.index("| 10 | omendb"), text.index("| 1,000 | omendb"))

    def test_report_of_pages_and_distances(self):
        samples = [{"us": 10}, {"us": 30}]
        text = self.report_of(
            pages={"omendb": {"pages": 20, "ef": 40, "cases": [
                {"setting": "default", "rows": 200.0, "twice": 3, "missing": 4, "us10": 20, "us100": 50, "us_last": 90, "recall100": .97,
                 "index_used": False, "samples10": samples, "samples100": samples, "samples_last": samples}]}},
            distance={"omendb": {"ef": 40, "us_hidden": 20, "us_shown": 25, "samples": {"hidden": samples, "shown": samples}}})
        self.assertIn("| omendb | default | 200.0 | 3 | 4 | 20 (10-30) | 50 (10-30) | 2.50 | 0.9700 | 90 (10-30) | not by the index |", text)
        self.assertIn("| omendb | 40 | 20 (10-30) | 25 (10-30) | 1.25 |", text)

    def test_an_interrupted_save_leaves_the_former_file(self):
        bench.replace(self.path, {"a": 1})
        with self.assertRaises(TypeError):
            bench.replace(self.path, {"a": object()})
        with open(self.path) as f:
            self.assertEqual(json.load(f), {"a": 1})
