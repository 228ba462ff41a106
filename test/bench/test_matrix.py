"""The recall matrix without a server: its data, their exact distances, what is done in which order, and the tables."""
import types
import unittest
import warnings

import numpy as np

from omenbench import MATRIX_CLASSES, MATRIX_DATA, madeup, matrix
from omenbench.figures import matrix_cells
from omenbench.report import report_matrix


class Data(unittest.TestCase):
    def test_same_at_every_call_and_for_every_class(self):
        one, same, other = (madeup.MadeUp(name, "clusters", 300, 20, 16) for name in ("vector_l2_ops", "vector_l2_ops", "vector_ip_ops"))
        for again in (same, other):
            np.testing.assert_array_equal(one.base, again.base)
            np.testing.assert_array_equal(one.query, again.query)
            np.testing.assert_array_equal(one.shuffled, again.shuffled)

    def test_every_kind(self):
        for name, (_, _, kinds) in MATRIX_CLASSES.items():
            for kind in kinds:
                with self.subTest(f"{name} {kind}"):
                    self.assertIn(kind, MATRIX_DATA)
                    vectors = madeup.MadeUp(name, kind, 300, 20, 16)
                    dims = madeup.BITS if vectors.type == "bit" else 16
                    self.assertEqual((vectors.base.shape, vectors.query.shape), ((300, dims), (20, dims)))
                    for order in (vectors.order, vectors.shuffled):
                        self.assertEqual(sorted(order.tolist()), list(range(300)))
                    self.assertNotEqual(vectors.order.tolist(), vectors.shuffled.tolist())
                    truth = vectors.nearest()
                    self.assertEqual(vectors.recall(truth, truth)["recall"], 1)
                    self.assertLess(vectors.recall(np.tile(np.arange(10), (20, 1)), truth)["recall"], 0.6)

    def test_twins_are_near_and_inserted_one_after_the_other(self):
        vectors = madeup.MadeUp("vector_l2_ops", "twins", 300, 20, 16)
        near = np.linalg.norm(vectors.base[:30] - vectors.base[270:], axis=1)
        self.assertLess(near.max(), 0.1)
        place = np.argsort(vectors.order)
        np.testing.assert_array_equal(place[270:], place[:30] + 1)

    def test_far_clusters_are_sorted_by_cluster(self):
        vectors = madeup.MadeUp("vector_l2_ops", "far", 300, 20, 16)
        steps = np.linalg.norm(np.diff(vectors.base[vectors.order], axis=0), axis=1)
        self.assertEqual(int((steps > 20).sum()), 39)

    def test_as_the_type_stores_them(self):
        half, sparse, bit = (madeup.MadeUp(name, "clusters", 300, 20, 16) for name in ("halfvec_l2_ops", "sparsevec_l2_ops", "bit_hamming_ops"))
        np.testing.assert_array_equal(half.base, half.base.astype(np.float16))
        self.assertEqual(set((sparse.base != 0).sum(axis=1)), {madeup.SPARSE})
        self.assertEqual(set(np.unique(bit.base)), {0, 1})
        self.assertEqual(half.texts(np.array([[0.5, -2]])), ["[0.5,-2]"])
        self.assertEqual(sparse.texts(np.array([[0, 0.5, 0, -2]])), ["{2:0.5,4:-2}/4"])
        self.assertEqual(bit.texts(np.array([[0, 1, 1]])), ["011"])
        self.assertEqual([x.type_name() for x in (half, sparse, bit)], ["halfvec(16)", "sparsevec(16)", "bit(256)"])

    def test_distances(self):
        base, query = np.array([[1, 0, 1, 1], [0, 0, 1, 0], [0, 0, 0, 0]], float), np.array([[1, 1, 1, 0]], float)
        for metric, right in [("l2", [2 ** .5, 2 ** .5, 3 ** .5]), ("ip", [-2, -1, 0]), ("l1", [2, 2, 3]), ("hamming", [2, 2, 3]),
                              ("jaccard", [.5, 2 / 3, 1])]:
            with self.subTest(metric):
                np.testing.assert_allclose(madeup.exact_distances(base, query, metric), [right])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            np.testing.assert_allclose(madeup.exact_distances(base[:2], query, "cosine"), [[1 - 2 / 3, 1 - 1 / 3 ** .5]])


class Session:
    """Of the server: it notes what it is asked."""

    def __init__(self):
        self.asked = []

    def run(self, *statements):
        self.asked += [(statement,) for statement in statements]

    def rows(self, statement, *parameters):
        self.asked.append((statement, *parameters))


class Ways(unittest.TestCase):
    def made(self, way, before=None):
        session = Session()
        vectors = types.SimpleNamespace(rows=10, shuffled=np.arange(10)[::-1], order=np.arange(10))
        matrix.make(session, way, before, vectors, "CREATE INDEX")
        self.assertEqual(session.asked[-1], ("ANALYZE graph",))
        return session.asked[:-1]

    def test_build_and_inserts(self):
        empty = [("DROP INDEX IF EXISTS graph_hnsw",), ("TRUNCATE graph",)]
        shuffled, order = list(range(9, -1, -1)), list(range(10))
        self.assertEqual(self.made("build"), [*empty, (matrix.INSERT_TOGETHER, shuffled), ("CREATE INDEX",)])
        self.assertEqual(self.made("batch"), [*empty, ("CREATE INDEX",), (matrix.INSERT_TOGETHER, shuffled)])
        self.assertEqual(self.made("single"), [*empty, ("CREATE INDEX",), ("SELECT insert_singly(%s)", shuffled)])
        self.assertEqual(self.made("sorted", "single"), [*empty, ("CREATE INDEX",), ("SELECT insert_singly(%s)", order)])

    def test_churn_goes_on_with_what_was_built(self):
        self.assertEqual(self.made("churn")[:4], self.made("build"))
        rounds = self.made("churn", "build")
        self.assertEqual(rounds, self.made("churn")[4:])
        self.assertEqual(len(rounds), 3 * matrix.CHURN_ROUNDS)
        for (_, gone), vacuum, (_, back) in zip(rounds[::3], rounds[1::3], rounds[2::3]):
            self.assertEqual((len(set(gone)), gone), (2, back))
            self.assertIn("VACUUM", vacuum[0])

    def test_pgvector_has_no_batch(self):
        self.assertEqual(matrix.ways("omendb", ["batch", "build"]), ["build", "batch"])
        self.assertEqual(matrix.ways("pgvector", ["batch", "build"]), ["build", "single"])
        self.assertEqual(matrix.ways("pgvector", ["batch", "single"]), ["single"])

    def test_groups(self):
        args = types.SimpleNamespace(matrix_classes=["bit_hamming_ops", "sparsevec_l2_ops"], matrix_data=["clusters", "bits"])
        self.assertEqual(matrix.groups(args), [("bit_hamming_ops", "bits"), ("bit_hamming_ops", "clusters"), ("sparsevec_l2_ops", "clusters")])


def graph(way, recall, off=None, **more):
    settings = {"default": recall} if off is None else {"default": recall, "off": off}
    return {"class": "vector_l2_ops", "data": "far", "way": way, "m": 4, "ef_construction": 16, "index_used": True, "recall": settings, **more}


class Tables(unittest.TestCase):
    def systems(self):
        ours = [graph("build", {"20": .9, "40": .95}, {"20": .9, "40": .95}), graph("batch", {"20": .8, "40": .9}, {"20": .81, "40": .9})]
        theirs = [graph("build", {"20": .91, "40": .94}), graph("single", {"20": .9, "40": .9}), graph("sorted", {"20": 1, "40": 1})]
        return {"omendb": {"graphs": ours, "partial": False}, "pgvector": {"graphs": theirs, "partial": False}}

    def test_cells(self):
        systems = self.systems()
        cells = matrix_cells(systems["omendb"], systems["pgvector"])
        self.assertEqual([(c["way"], c["ef"], c["below"]) for c in cells], [("build", 20, .01), ("build", 40, -.01), ("batch", 20, .1), ("batch", 40, 0)])

    def test_worst_first(self):
        lines = report_matrix(self.systems())
        self.assertEqual(lines[2:5], ["| vector_l2_ops | far | batch | 4 | 16 | 20 | 0.1000 | 0.8000 | 0.9000 | 0.8100 |",
                                      "| vector_l2_ops | far | build | 4 | 16 | 20 | 0.0100 | 0.9000 | 0.9100 | 0.9000 |", ""])
        self.assertIn("| all | 4 | 2 | 1 | 1 | 0.1000 | 0.8875 | 0.9125 |", lines)
        self.assertIn("| all, iterative_scan off | 4 | 2 | 1 | 1 | 0.0900 | 0.8900 | 0.9125 |", lines)
        self.assertIn("| batch | 2 | 1 | 1 | 1 | 0.1000 | 0.8500 | 0.9000 |", lines)
        self.assertIn("| ef 40 | 2 | 0 | 0 | 0 |  | 0.9250 | 0.9200 |", lines)

    def test_what_is_missing_is_said(self):
        systems = self.systems()
        systems["omendb"]["partial"], systems["pgvector"]["graphs"][0]["index_used"] = True, False
        text = "\n".join(report_matrix(systems))
        self.assertIn("**Not complete**: omendb.", text)
        self.assertIn("**NO INDEX**: pgvector, vector_l2_ops, far, build, m 4.", text)
        self.assertIn("| omendb | 2 |", "\n".join(report_matrix({"omendb": systems["omendb"]})))
