"""The statements that are timed, and what their rows are compared with: radii, pages."""
import unittest

import numpy as np

from omenbench import pages, radius
from omenbench.data import Vectors
from omenbench.statements import Nearest, Prepared, Within


class Session:
    """Of the server: it notes what it is asked."""

    def __init__(self, *answers):
        self.statements, self.answers = [], list(answers)

    def run(self, *statements):
        self.statements += statements

    def rows(self, statement):
        self.run(statement)
        return self.answers.pop(0)

    def value(self, statement):
        return self.rows(statement)[0][0]

    def seconds(self, statement):
        self.run(statement)
        return 0.25


class Statements(unittest.TestCase):
    def test_nearest(self):
        nearest = Nearest("l2", 7)
        self.assertEqual(nearest.counting, "SELECT count(*) FROM q q, LATERAL (SELECT id FROM items WHERE true"
                         " ORDER BY items.embedding <-> q.embedding LIMIT 10) r WHERE q.id < 7")
        self.assertEqual(nearest.collecting, "SELECT ARRAY(SELECT id FROM items WHERE true"
                         " ORDER BY items.embedding <-> q.embedding LIMIT 10) FROM q q WHERE q.id < 7 ORDER BY q.id")
        self.assertEqual(nearest.found(Session([([3, 1],), ([2],)])), [[3, 1], [2]])

    def test_page(self):
        self.assertIn("LIMIT 10 OFFSET 30)", Nearest("l2", 7, offset=30).counting)

    def test_shown_distance_is_read(self):
        shown = Nearest("cosine", 7, shown=True)
        self.assertIn("SELECT sum(r.distance) FROM", shown.counting)
        self.assertIn("SELECT id, items.embedding <=> q.embedding AS distance FROM items", shown.counting)
        self.assertNotIn("distance", Nearest("cosine", 7).counting)

    def test_prepared(self):
        search, session = Prepared("SELECT 1", [(3, 4), (5, 6)]), Session([(9,), (8,)], [])
        self.assertEqual(search.found(session), [[9, 8], []])
        self.assertEqual(session.statements[:2], ["DEALLOCATE ALL", "SET plan_cache_mode = 'force_generic_plan'"])
        self.assertEqual(session.statements[2:], ["PREPARE nearest(int, int) AS SELECT 1", "EXECUTE nearest(3, 4)", "EXECUTE nearest(5, 6)"])
        self.assertEqual(search.seconds(Session()), 0.5)
        session = Session([("plan",)])
        self.assertEqual(search.plans(session), ["plan"])
        self.assertEqual(session.statements[-1], "EXPLAIN (FORMAT json) EXECUTE nearest(3, 4)")

    def test_within(self):
        within = Within("l2", 5, False, 1000)
        self.assertTrue(within.counting.endswith("(SELECT id FROM items WHERE items.embedding <-> q.embedding < radii.r OFFSET 0) r"))
        self.assertIn("ORDER BY items.embedding <-> q.embedding LIMIT 1000) FROM q JOIN radii USING (id) ORDER BY q.id",
                      Within("l2", 5, True, 1000).collecting)


class Radius(unittest.TestCase):
    def setUp(self):
        generator = np.random.default_rng(4)
        self.data = Vectors(*(generator.standard_normal((count, 3), np.float32) for count in (500, 6)), "l2")
        self.distances = [radius.all_distances(self.data, query) for query in range(6)]

    def test_so_many_rows_lie_within(self):
        for count in (0, 1, 10, 499, 500, 600):
            circles = radius.Circles(self.distances, count)
            for query, (r, (surely, perhaps)) in enumerate(zip(circles.radii, circles.rows)):
                within = np.flatnonzero(np.linalg.norm(self.data.base - self.data.query[query], axis=1) < r)
                self.assertEqual((set(within), len(within)), (surely, min(count, 500)))
                self.assertEqual(surely, perhaps)

    def test_none_lies_within_although_one_is_the_query(self):
        circles = radius.Circles([(np.array([0.0, 1.0]), np.array([7, 8]))], 0)
        self.assertLess(circles.radii[0], 0)
        self.assertEqual(circles.rows, [(set(), set())])

    def test_negative_distances(self):
        circles = radius.Circles([(np.array([-5.0, -3.0, -1.0]), np.array([1, 2, 3]))], 0)
        self.assertLess(circles.radii[0], -5)
        self.assertEqual(radius.Circles([(np.array([-5.0, -3.0, -1.0]), np.array([1, 2, 3]))], 2).rows, [({1, 2}, {1, 2})])

    def test_what_floats_cannot_tell_is_neither_missing_nor_wrong(self):
        distance = np.array([1.0, 1.0 + 1e-9, 1.0 + 2e-9, 2.0])
        circles = radius.Circles([(distance, np.array([1, 2, 3, 4]))], 2)
        self.assertEqual(circles.rows, [(set(), {1, 2, 3})])
        self.assertEqual(circles.compare([[2, 3]])["wrong"], 0)

    def test_compare(self):
        circles = radius.Circles([(np.array([1.0, 2.0, 3.0]), np.array([4, 5, 6]))] * 2, 2)
        self.assertEqual(circles.compare([[4, 5], [5, 4]]), {"recall": 1.0, "wrong": 0, "rows": 2.0, "within": 2.0})
        self.assertEqual(circles.compare([[4], []]), {"recall": 0.25, "wrong": 0, "rows": 0.5, "within": 2.0})
        # One that lies outside, one twice.
        self.assertEqual(circles.compare([[4, 5, 6], [4, 4]])["wrong"], 2)
        self.assertEqual(radius.Circles([(np.array([1.0]), np.array([4]))], 0).compare([[]])["recall"], 1.0)


class Pages(unittest.TestCase):
    def test_compare(self):
        self.assertEqual(pages.compare_pages([[1, 2, 3, 4]], [[1, 2, 3, 4]]), {"twice": 0, "missing": 0, "rows": 4.0})
        self.assertEqual(pages.compare_pages([[1, 2, 2, 4], [5, 6]], [[1, 2, 3, 4], [6, 5, 7]]), {"twice": 1, "missing": 2, "rows": 3.0})

    def test_strategies_are_for_filters(self):
        self.assertEqual(list(pages.settings_of("omendb")), ["default"])
        self.assertEqual(list(pages.settings_of("pgvector")), ["default", "strict_order", "relaxed_order"])
