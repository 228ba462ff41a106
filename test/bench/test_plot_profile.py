"""bench/plot and bench/profile, without a server."""
import collections
import contextlib
import importlib.machinery
import importlib.util
import io
import json
import os
import sys
import tempfile
import unittest
from unittest import mock

BENCH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../bench")


def program(name):
    loader = importlib.machinery.SourceFileLoader(f"bench_{name}", f"{BENCH}/{name}")
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


plot, profile = program("plot"), program("profile")


def points(factor):
    return [{"ef": ef, "recall": recall, "recall100": recall - 0.05, "us": factor * us}
            for ef, recall, us in [(10, 0.90, 130.0), (20, 0.94, 100.0), (40, 0.98, 200.0), (80, 0.98, 300.0), (160, 0.995, 500.0)]]


def result(stages, name="tiny"):
    return {"time": "2026-11-21T09:00:00", "machine": {"processor": "Some CPU", "processors": 2}, "tree": "abc1234",
            "server": "PostgreSQL 17.11 (Debian)", "failures": [],
            "data": {name: {"about": {"rows": 1000, "dims": 8, "metric": "l2"}, **stages}}}


SEARCH = {"pgvector": {"points": points(6), "kept": True, "time": "2026-11-01T00:00:00"}, "omendb": {"points": points(1)}}
ALL = {
    "load": {"omendb": {"seconds": 1}},
    "search": SEARCH,
    "growth": {"omendb": {"sizes": [{"rows": rows, "build": {"seconds": rows / 100}, "points": points(rows / 1000)}
                                    for rows in (1000, 10000)]}},
    "filter": {"omendb": {"cases": [{"kind": kind, "selectivity": share, "setting": "default", "ef": 40, "recall": 0.9,
                                     "rows": 10, "short": share < 0.1, "us": 100, "p50_us": 90, "p95_us": 150, "p99_us": 200}
                                    for kind in ("independent", "correlated") for share in (0.01, 0.1, 0.5)]}},
    "churn": {"omendb": {"ef": 40, "states": [{"recall": 0.98, "us": 100}, {"recall": 0.97, "us": 100}]}},
    "latency": {"omendb": {"runs": [{"clients": n, "ef": 40, "qps": 1000 * n, "p50_us": 100, "p95_us": 200, "p99_us": 300}
                                    for n in (1, 2)]}},
}
PANELS = {"search": 2, "growth": 2, "filter": 4, "churn": 1, "latency": 2}


class Plot(unittest.TestCase):
    def draw(self, results):
        """The files' names and contents."""
        with tempfile.TemporaryDirectory() as directory:
            path = f"{directory}/result.json"
            with open(path, "w") as f:
                json.dump(results, f)
            with mock.patch.object(sys, "argv", ["bench/plot", path, f"{directory}/out"]), \
                    contextlib.redirect_stdout(io.StringIO()) as said:
                plot.main()
            found = {}
            for name in os.listdir(f"{directory}/out"):
                with open(f"{directory}/out/{name}", "rb") as f:
                    found[name] = f.read()
            self.assertEqual(sorted(os.path.basename(line) for line in said.getvalue().split()), sorted(found))
        return found

    def test_a_level_is_interpolated_on_the_frontier(self):
        curve = plot.of_index.frontier(points(1), "us")
        self.assertEqual(curve, [(0.94, 100.0), (0.98, 200.0), (0.995, 500.0)])
        us, bound = plot.of_index.us_at(curve, 0.97)
        self.assertAlmostEqual(us, 175.0)
        self.assertFalse(bound)
        self.assertEqual(plot.of_index.us_at(curve, 0.90), (100.0, True))
        self.assertIsNone(plot.of_index.us_at(curve, 0.999))

    def test_every_stage_makes_a_figure(self):
        files = self.draw(result(ALL))
        self.assertEqual(sorted(files), sorted(f"tiny-{stage}.{kind}" for stage in
                                               ("search", "growth", "filter", "churn", "latency") for kind in ("svg", "png")))
        for name, content in files.items():
            self.assertTrue(content.startswith(b"\x89PNG" if name.endswith("png") else b"<?xml"), name)
        # As many panels as say where the good results are.
        self.assertEqual({name: content.count(b"<!-- better: ") for name, content in files.items() if name.endswith("svg")},
                         {f"tiny-{stage}.svg": panels for stage, panels in PANELS.items()})

    def test_the_svg_is_the_same_each_time(self):
        some = result({stage: ALL[stage] for stage in ("search", "churn")})
        first, second = self.draw(some), self.draw(some)
        self.assertEqual(first, second)
        self.assertNotIn(b"dc:date", first["tiny-search.svg"])

    def test_what_is_missing_is_skipped(self):
        old_latency = {"omendb": {"ef": 40, "us_query": 100}}
        no_recall100 = {"hnswlib": {"points": [{"ef": 16, "recall": 0.9, "us": 50}]}}
        files = self.draw(result({"search": no_recall100, "latency": old_latency, "build": {"omendb": {"seconds": 1}}}))
        self.assertEqual(sorted(files), ["tiny-search.png", "tiny-search.svg"])

    def test_a_point_that_was_not_timed_is_skipped(self):
        """As a system leaves it that failed in the middle."""
        failed = {"omendb": {"points": [*points(1), {"ef": 320, "recall": 0.999, "samples": []}]}}
        sizes = {"omendb": {"sizes": [{"rows": 1000, "points": failed["omendb"]["points"]}]}}
        self.assertEqual(len(self.draw(result({"search": failed, "growth": sizes}))), 4)

    def test_a_hundred_rows_have_their_own_time(self):
        search = {"omendb": {"points": [{"ef": 40, "recall": 0.9, "us": 100, "recall100": 0.8, "us100": 250}]}}
        plot.install()
        figure = plot.draw_search(search, {})
        drawn = [[tuple(point) for line in axis.lines for point in line.get_xydata()] for axis in figure.axes]
        plot.plt.close(figure)
        self.assertEqual(drawn, [[(0.9, 10000.0)], [(0.8, 4000.0)]])

    def test_of_filters_forced_strategies_and_tenants_are_not_drawn(self):
        case = ALL["filter"]["omendb"]["cases"][0]
        cases = [{**case, "us": us, "p50_us": us, **more} for us, more in
                 [(100, {}), (200, {"filter_index": True}), (300, {"setting": "graph"}), (400, {"kind": "tenant"})]]
        plot.install()
        figure = plot.draw_filter({"omendb": {"cases": cases}}, {})
        lines = {line.get_label(): line.get_ydata()[0] for line in figure.axes[0].lines}
        plot.plt.close(figure)
        self.assertEqual(lines, {"omendb, default": 100, "omendb, default, its index": 200})

    def test_nothing_to_draw_is_an_error(self):
        with self.assertRaisesRegex(SystemExit, "nothing to draw"):
            self.draw(result({"build": {"omendb": {"seconds": 1}}}))

    def test_a_name_becomes_a_file_name(self):
        self.assertIn("a-b-5000-search.svg", self.draw(result({"search": SEARCH}, "a/b:5000")))

    def test_the_title(self):
        text = plot.title(result({}, "x-synthetic"), "x-synthetic", {"rows": 12345, "dims": 8, "metric": "l2"}, "search", SEARCH)
        for part in ("SYNTHETIC DATA", "12,345 x 8, l2", "Some CPU, 2 processors", "2026-11-21", "pgvector of 2026-11-01"):
            self.assertIn(part, text)
        self.assertIn("SYNTHETIC", plot.title(result({}), "x", {"rows": 1, "dims": 8, "metric": "l2", "synthetic": True}, "search", {}))
        self.assertIn("not finished: omendb", plot.title(result({}), "x", {"rows": 1, "dims": 8, "metric": "l2"}, "growth",
                                                         {"omendb": {"partial": True}, "pgvector": {"partial": False}}))
        self.assertNotIn("SYNTHETIC", plot.title(result({}), "tiny", {"rows": 1, "dims": 8, "metric": "l2"}, "search", {}))

    def test_only_root_installs(self):
        with mock.patch.object(plot.importlib.util, "find_spec", return_value=None), \
                mock.patch.object(os, "geteuid", return_value=1000):
            with self.assertRaisesRegex(SystemExit, "as root, please: apt-get install python3-matplotlib"):
                plot.install()


def chain(*functions):
    """Of names as perf and addr2line give them, innermost first."""
    return [profile.Frame(name, ":" in name, False) for name in functions]


SCAN = ["graph/search.c:omendb_search_run", "graph/search.c:omendb_search_settle", "am/hnswscan.c:hnsw_get_tuple",
        "index_getnext_tid", "standard_ExecutorRun", "PostgresMain", "main"]
INSERT = ["write/hnswinsert.c:insert_record", "write/hnswinsert.c:hnsw_insert", "index_insert", "standard_ExecutorRun", "main"]
VISIT = ["graph/array.c:omendb_step_fill", "page/store.c:store_visit"]
BACK = ["write/hnswedges.c:hnsw_edge_back", "write/hnswinsert.c:edge_all_back"]


class Profile(unittest.TestCase):
    def test_parts(self):
        for part, functions in [
                (profile.BUFFERS, ["LockBufHdr", "ReadRecentBuffer", "compat.h:omendb_read_recent_buffer", *VISIT[1:], *SCAN]),
                (profile.BUFFERS, ["page/pagecheck.c:omendb_page_check", *VISIT[1:], *SCAN]),
                (profile.CODE_SCAN, ["kernel/code_avx512.c:load_two", "kernel/code_avx512.c:code_sums_vbmi",
                                     "code/edge.c:omendb_query_estimates", *VISIT, *SCAN]),
                (profile.OWN, ["kernel/int16_template.h:l2sq_f32_i16", *VISIT, *SCAN]),
                (profile.COPY, ["[libc.so.6]", "memcpy", *VISIT, *SCAN]),
                (profile.BEAM, ["[libc.so.6]", "memmove", "graph/search.c:insert", *SCAN]),
                (profile.RECHECK, ["kernel/dense_template.h:cosine_f32", "types/distance.c:omendb_sql_vector_cosine_distance",
                                   "ExecInterpExpr", "main"]),
                (profile.CHOICE, ["kernel/int16_template.h:l2sq_i16", "graph/neighbours.c:pair_distance",
                                  "graph/select.c:omendb_select", "write/hnswinsert.c:plan_level", *INSERT]),
                (profile.BACK, ["kernel/kernel_avx2.c:hamming", "graph/neighbours.c:omendb_edge_options", *BACK, *INSERT]),
                (profile.GENERIC_WAL, ["[postgres]", "GenericXLogFinish", "page/change.c:omendb_record_put_edge", *BACK, *INSERT]),
                (profile.WAL, ["XLogInsertRecord", "XLogInsert", "GenericXLogFinish", *BACK, *INSERT]),
                (profile.WAL, ["XLogInsertRecord", "XLogInsert", "heap_insert", "ExecInsert", "main"]),
                (profile.HEAP, ["LWLockAcquire", "ReadBufferExtended", "heapam_index_fetch_tuple", "ExecScan", "main"]),
                (profile.EXECUTOR, ["AllocSetAlloc", "ExecScan", "main"])]:
            self.assertEqual(profile.classify(chain(*functions)), part, functions)

    def test_what_no_rule_knows_is_not_known(self):
        # In a file of its own, though what calls it is known; and a chain that was cut off.
        self.assertEqual(profile.classify(chain("filter/admit.c:omendb_admit", *SCAN)), profile.NOT_KNOWN)
        self.assertEqual(profile.classify(chain("[libc.so.6]")), profile.NOT_KNOWN)
        self.assertEqual(profile.classify(chain("?:code_sums_vbmi", *SCAN[3:])), profile.NOT_KNOWN)

    def test_shares_add_up(self):
        for counts in ({"a": 1, "b": 1, "c": 1}, {"a": 1, "b": 998, "c": 3}, dict(enumerate([7] * 13)), {"a": 5}):
            shares = profile.shares(collections.Counter(counts))
            self.assertEqual(round(sum(shares.values()), 6), 100.0, counts)
            for key, share in shares.items():
                self.assertLess(abs(share - 100 * counts[key] / sum(counts.values())), 0.1)
        self.assertEqual(profile.shares(collections.Counter()), {})

    def test_the_table_has_every_sample(self):
        chains = [chain("graph/search.c:insert", *SCAN)] * 5 + [chain("filter/admit.c:omendb_admit", *SCAN)] * 2 + \
            [chain(f"f{i}", "ExecScan", "main") for i in range(4)]
        text = profile.report("title", chains, 2)
        self.assertIn("| **not known** | | **18.2** |", text)
        self.assertIn("`filter/admit.c:omendb_admit`", text)
        self.assertIn("| | 2 others | 18.2 |", text)
        self.assertIn("| all | 11 samples | 100.0 |", text)
        bold = [float(line.split("**")[3]) for line in text.splitlines() if line.startswith("| **")]
        self.assertEqual(round(sum(bold), 6), 100.0)
        self.assertLess(text.index("beam"), text.index("not known"))

    def test_names(self):
        self.assertEqual(profile.name_of(chain("kernel/a.c:load", "kernel/a.c:sums", "code/codec.c:x")), "kernel/a.c:sums")
        self.assertEqual(profile.name_of(chain("[libc.so.6]", "memmove", "graph/search.c:insert")),
                         "[libc.so.6] below memmove, for graph/search.c:insert")
        self.assertEqual(profile.name_of(chain("[postgres]", "graph/search.c:insert", "ExecScan")),
                         "[postgres], for graph/search.c:insert")
        self.assertEqual(profile.name_of(chain("[postgres]", "ExecScan")), "[postgres] below ExecScan")

    def test_perf_script_is_read(self):
        text = ("29396 \n\t          4b2fe0 LockBufHdr (/usr/lib/postgresql/17/bin/postgres)\n"
                "\t           31f38 store_read@@V1 (/usr/lib/postgresql/17/lib/omendb.so)\n"
                "\t           31f40 memmove@plt (/usr/lib/postgresql/17/lib/omendb.so)\n"
                "\t          354329 [unknown] (/usr/lib/postgresql/17/bin/postgres)\n\n"
                "29396 \n\tffffffff81000000 do_syscall_64 ([kernel.kallsyms])\n\t               0 [unknown] ([unknown])\n\n")
        self.assertEqual(profile.parse_script(text), [
            [(0x4b2fe0, "LockBufHdr", False), (0x31f38, "store_read", True), (0x31f40, "memmove", False),
             (0x354329, "[postgres]", False)],
            [(0xffffffff81000000, "do_syscall_64", False), (0, "[unknown]", False)]])

    def test_addr2line_is_read(self):
        text = ("0x0000000000020710\n_mm512_loadu_ps\n/usr/lib/gcc/include/avx512fintrin.h:42\n"
                "memcpy\n/usr/include/bits/string_fortified.h:29 (discriminator 3)\n"
                "insert\n/mnt/build/src/graph/search.c:170 (discriminator 1)\nstart\n/mnt/build/src/omendb.c:?\n"
                "0x0000000000000010\n??\n??:0\n")
        self.assertEqual(profile.parse_addr2line(text),
                         {0x20710: ["memcpy", "graph/search.c:insert", "omendb.c:start"], 0x10: []})

    def test_segments_of_a_file(self):
        segments = profile.elf_segments(sys.executable)
        self.assertTrue(any(offset == 0 for offset, _, _ in segments))
        with tempfile.NamedTemporaryFile() as f:
            with self.assertRaises(profile.NoPerf):
                profile.elf_segments(f.name)

    def test_missing_perf_is_said(self):
        with mock.patch.object(profile.shutil, "which", return_value=None):
            with self.assertRaisesRegex(profile.NoPerf, "linux-perf"):
                profile.find_perf()

