"""The exact neighbours, recall with ties, and filters, over few rows."""
import types
import tempfile
import unittest

import numpy as np

from omenbench import filters
from omenbench.data import Data, Vectors


class Recall(unittest.TestCase):
    def setUp(self):
        # Rows 1 to 4 are as far from the query as each other.
        base = np.array([[0, 0], [1, 0], [0, 1], [-1, 0], [0, -1], [3, 0]], np.float32)
        self.vectors = Vectors(base, np.zeros((1, 2), np.float32), "l2")
        self.truth = [[0, 1]]

    def recall(self, *ids, k=2):
        return self.vectors.recall([list(ids)], self.truth, k)

    def test_the_very_rows(self):
        self.assertEqual(self.recall(0, 1), {"recall": 1, "strict_recall": 1, "incomplete": 0, "unordered": 0})

    def test_a_tie_counts(self):
        found = self.recall(0, 4)
        self.assertEqual((found["recall"], found["strict_recall"]), (1, .5))

    def test_what_is_farther_does_not(self):
        found = self.recall(0, 5)
        self.assertEqual((found["recall"], found["strict_recall"]), (.5, .5))

    def test_more_rows_than_wanted_do_not_add_up(self):
        self.assertEqual(self.recall(0, 1, 2, 3)["recall"], 1)

    def test_too_few(self):
        self.assertEqual((self.recall(0)["recall"], self.recall(0)["incomplete"]), (.5, 1))
        self.assertEqual((self.recall(0, -1)["recall"], self.recall(0, -1)["incomplete"]), (.5, 1))
        self.assertEqual((self.recall()["recall"], self.recall()["incomplete"]), (0, 1))

    def test_a_row_twice(self):
        self.assertEqual((self.recall(0, 0)["recall"], self.recall(0, 0)["incomplete"]), (.5, 1))

    def test_order(self):
        self.assertEqual(self.recall(1, 0)["unordered"], 1)

    def test_fewer_rows_than_k_are_there(self):
        three = Vectors(self.vectors.base, np.zeros((3, 2), np.float32), "l2")
        found = three.recall([[0, 1], [5], []], [[0, 1], [5], []], 10)
        self.assertEqual((found["recall"], found["incomplete"]), (1, 0))

    def test_inner_product(self):
        vectors = Vectors(self.vectors.base, np.array([[1, 0]], np.float32), "ip")
        self.assertEqual(vectors.nearest(k=2).tolist(), [[5, 1]])
        self.assertEqual(vectors.recall([[5, 1]], [[5, 1]], 2)["recall"], 1)
        self.assertEqual(vectors.recall([[5, 0]], [[5, 1]], 2)["recall"], .5)


class Nearest(unittest.TestCase):
    def test_against_all_distances(self):
        generator = np.random.default_rng(1)
        for metric in ("l2", "cosine", "ip"):
            vectors = Vectors(generator.standard_normal((900, 7), np.float32) + 1,
                              generator.standard_normal((130, 7), np.float32), metric)
            some = np.arange(0, 900, 3)
            for rows in (None, some):
                ids = np.arange(900) if rows is None else rows
                right = [ids[np.argsort(vectors.distances(i, ids), kind="stable")[:10]] for i in range(130)]
                with self.subTest(metric, some=rows is not None):
                    np.testing.assert_array_equal(vectors.nearest(rows, 10), right)
                    np.testing.assert_array_equal(vectors.nearest(rows, 10, np.array([7, 99])), [right[7], right[99]])

    def test_fewer_rows_than_asked(self):
        vectors = Vectors(np.eye(3, dtype=np.float32), np.eye(3, dtype=np.float32), "l2")
        self.assertEqual(vectors.nearest().tolist(), [[0, 1, 2], [1, 0, 2], [2, 0, 1]])


class Files(unittest.TestCase):
    """Data sets from files: queries held out, given, or in the file."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        self.rows = np.random.default_rng(2).standard_normal((300, 4), np.float32)
        self.arguments = types.SimpleNamespace(cache=f"{self.directory}/cache", data_dir=self.directory, rows=0, dims=6,
                                               queries=None, metric="l2")

    def fvecs(self, name, rows):
        path = f"{self.directory}/{name}"
        with open(path, "wb") as f:
            for row in rows:
                f.write(np.int32(len(row)).tobytes() + row.tobytes())
        return path

    def hdf5(self, neighbors):
        import h5py
        path = f"{self.directory}/some.hdf5"
        with h5py.File(path, "w") as file:
            file["train"], file["test"], file["neighbors"] = self.rows[10:], self.rows[:10], neighbors
            file.attrs["distance"] = "angular"
        return path

    def test_held_out(self):
        for _ in range(2):  # the second from the cache
            data = Data(self.fvecs("some.fvecs", self.rows), self.arguments)
            self.assertEqual((data.key, len(data.base), len(data.query)), ("some", 270, 30))
            together = np.concatenate([data.base, data.query])
            self.assertEqual({tuple(x) for x in together}, {tuple(x) for x in self.rows})

    def test_queries_given(self):
        self.arguments.queries = self.fvecs("q.fvecs", self.rows[:5])
        data = Data(self.fvecs("some.fvecs", self.rows), self.arguments)
        self.assertEqual((len(data.base), len(data.query)), (300, 5))
        self.assertEqual(data.truth[:, 0].tolist(), [0, 1, 2, 3, 4])

    def test_hdf5(self):
        right = Vectors(self.rows[10:], self.rows[:10], "cosine").nearest()
        self.arguments.metric = None
        data = Data(self.hdf5(right), self.arguments)
        self.assertEqual((data.key, data.metric, len(data.base), len(data.query)), ("some", "cosine", 290, 10))
        np.testing.assert_array_equal(data.truth, right)

    def test_hdf5_that_is_wrong(self):
        self.arguments.metric = None
        with self.assertRaisesRegex(SystemExit, "disagrees"):
            Data(self.hdf5(np.zeros((10, 100), np.int32)), self.arguments)

    def test_hdf5_of_another_metric(self):
        with self.assertRaisesRegex(SystemExit, "cosine, not l2"):
            Data(self.hdf5(np.zeros((10, 100), np.int32)), self.arguments)

    def test_synthetic_is_called_so(self):
        self.arguments.rows = 500
        data = Data("synthetic", self.arguments)
        self.assertEqual((data.base.shape, data.about()["synthetic"]), ((500, 6), True))
        self.assertEqual(data.key, "synthetic:500")


class Filters(unittest.TestCase):
    def setUp(self):
        generator = np.random.default_rng(3)
        base, query = (generator.standard_normal((count, 3), np.float32) for count in (3000, 20))
        self.data = Vectors(base, query, "l2")
        self.rows, self.queries = filters.columns(self.data)

    def test_shape(self):
        self.assertEqual(self.rows.shape, (3000, len(filters.COLUMNS)))
        self.assertEqual(self.queries.shape, (20, len(filters.QUERY_COLUMNS)))

    def test_independent_rows_are_exactly_as_many(self):
        self.assertEqual([(self.rows[:, 0] < n).sum() for n in (5000, 1000, 100, 10, 1)], [1500, 300, 30, 3, 1])

    def cases(self, kind, selectivity):
        return filters.Case(self.data, kind, selectivity, self.rows, self.queries, 20)

    def test_truth_matches(self):
        case = self.cases("independent", 0.01)
        self.assertEqual((case.where, case.column), ("items.n < 100", "n"))
        self.assertTrue(all((self.rows[right, 0] < 100).all() and len(right) == 10 for right in case.truth))
        # Fewer rows than are asked for.
        self.assertTrue(all(len(right) == 1 for right in self.cases("independent", 0.0001).truth))
        case = self.cases("correlated", 0.1)
        self.assertEqual((case.where, case.column), ("items.c10 = q.near10", "c10"))
        self.assertEqual(case.where_of_one, "items.c10 = (SELECT near10 FROM q WHERE id = :x)")
        for i, right in enumerate(case.truth):
            near = self.queries[i, filters.QUERY_COLUMNS.index("near10")]
            matching = np.flatnonzero(self.rows[:, filters.COLUMNS.index("c10")] == near)
            distance = self.data.distances(i, matching)
            np.testing.assert_array_equal(right, matching[np.argsort(distance, kind="stable")[:10]])

    def test_kinds(self):
        kinds = filters.kinds_of(self.data)
        self.assertEqual([share for kind, share in kinds if kind == "independent"], [0.5, 0.1, 0.01, 0.001, 0.0001])
        self.assertEqual([share for kind, share in kinds if kind == "anticorrelated"], [0.5, 0.1, 0.01, 0.001])
        self.assertFalse([kind for kind, _ in kinds if kind in ("metadata", "tenant")])
        self.assertEqual(filters.kinds_of(self.data, ["correlated", "independent"], [0.1, 0.0001]),
                         [("correlated", 0.1), ("independent", 0.1), ("independent", 0.0001)])

    def test_tenants(self):
        own = self.rows[:, filters.COLUMNS.index("tenant")]
        sizes = np.bincount(own, minlength=filters.TENANTS)
        # The first has an eighth of all rows, the hundredth a hundredth of that.
        self.assertTrue(300 < sizes[0] < 500 and sizes[99] < 20, sizes)
        large, small = (filters.TenantCase(self.data, ranks, self.rows, 20) for ranks in ((1, 3), (301, 1000)))
        self.assertTrue(set(large.wanted) <= {0, 1, 2} and set(small.wanted) <= set(range(300, 1000)))
        self.assertGreater(large.selectivity, 20 * small.selectivity)
        self.assertGreater(small.matching, 0)
        for case in (large, small):
            for i, (tenant, right) in enumerate(zip(case.wanted, case.truth)):
                matching = np.flatnonzero(own == tenant)
                np.testing.assert_array_equal(right, matching[np.argsort(self.data.distances(i, matching), kind="stable")[:10]])

    def test_tenants_are_asked_for_by_values_that_the_plan_does_not_know(self):
        case = filters.TenantCase(self.data, (1, 3), self.rows, 20)
        search = case.search(types.SimpleNamespace(operator=lambda: "<->"))
        self.assertRegex(search.statement, r"^SELECT id FROM items WHERE tenant = \$1 ORDER BY embedding <-> .* LIMIT 10$")
        self.assertEqual(search.executions, [f"EXECUTE nearest({tenant}, {i})" for i, tenant in enumerate(case.wanted)])

    def test_metadata(self):
        self.data = Vectors(self.data.base, self.data.query, "l2")
        self.data.groups = np.arange(3000) % 4, np.arange(20) % 2
        self.rows, self.queries = filters.columns(self.data)
        case = self.cases("metadata", None)
        self.assertEqual((case.selectivity, case.matching), (0.25, 750))
        self.assertEqual(case.where, "items.grp = q.grp")
        for i, right in enumerate(case.truth):
            matching = np.arange(i % 2, 3000, 4)
            np.testing.assert_array_equal(right, matching[np.argsort(self.data.distances(i, matching), kind="stable")[:10]])

    def test_kinds_are_near_and_far(self):
        def mean_distance(kind):
            return np.mean([self.data.distances(i, right).mean() for i, right in enumerate(self.cases(kind, 0.1).truth)])

        self.assertLess(mean_distance("correlated"), mean_distance("independent"))
        self.assertLess(mean_distance("independent"), mean_distance("anticorrelated"))

    def test_without_an_index_there_is_no_bitmap(self):
        self.assertEqual(list(filters.settings_of("omendb", False)), ["default", "graph", "exact"])
        self.assertEqual(list(filters.settings_of("omendb", True)), ["default", "graph", "bitmap", "exact"])

    def test_slow_statements_are_timed_less_often(self):
        slow, quick = [{"us": 37000.0}], [{"us": 900.0}, {"us": 1100.0}]
        self.assertTrue(filters.took_enough(slow, 200))
        self.assertFalse(filters.took_enough(quick, 200))
        self.assertFalse(filters.took_enough([], 200))
