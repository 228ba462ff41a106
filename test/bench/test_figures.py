"""Percentiles, medians, and what a system needs for a recall between two measured ones."""
import unittest

from omenbench import figures


def points(*pairs):
    return [{"recall": recall, "us": us} for recall, us in pairs]


class Figures(unittest.TestCase):
    def test_percentile(self):
        values = list(range(100, 0, -1))
        self.assertEqual([figures.percentile(values, p) for p in (1, 50, 95, 99, 100)], [1, 50, 95, 99, 100])

    def test_percentile_of_few(self):
        self.assertEqual(figures.percentile([7], 50), 7)
        self.assertEqual(figures.percentile([7, 9], 50), 7)
        self.assertEqual(figures.percentile([7, 9], 51), 9)
        self.assertEqual(figures.percentile([1, 2, 3], 99), 3)

    def test_percentiles(self):
        self.assertEqual(figures.percentiles(range(1, 1001)), {"p50_us": 500, "p95_us": 950, "p99_us": 990})

    def test_medians(self):
        samples = [{"us": 9, "cpu_us": 1}, {"us": 1, "cpu_us": 3}, {"us": 2, "cpu_us": 2}]
        self.assertEqual(figures.medians(samples), {"us": 2, "cpu_us": 2})
        self.assertEqual(figures.medians(samples[:2], "us"), {"us": 5})

    def test_frontier(self):
        self.assertEqual(figures.frontier(points((.9, 10), (.8, 20), (.95, 30), (.95, 40))), [(.9, 10), (.95, 30)])
        self.assertEqual(figures.frontier([{"recall100": .5, "us100": 7}], "us100", "recall100"), [(.5, 7)])

    def test_interpolation(self):
        curve = figures.frontier(points((.9, 10), (.95, 30)))
        us, bound = figures.us_at(curve, .925)
        self.assertAlmostEqual(us, 20)
        self.assertFalse(bound)
        self.assertEqual(figures.us_at(curve, .95), (30, False))

    def test_beyond_the_curve(self):
        curve = figures.frontier(points((.9, 10), (.95, 30)))
        self.assertEqual(figures.us_at(curve, .8), (10, True))
        self.assertEqual(figures.us_at(curve, .9), (10, False))
        self.assertIsNone(figures.us_at(curve, .951))
        self.assertIsNone(figures.us_at([], .9))

    def test_the_best_of_what_was_forced(self):
        def case(setting, us, recall=.95, kind="independent"):
            return {"setting": setting, "us": us, "recall": recall, "kind": kind, "samples": [{"us": us, "busy": 1.0}]}

        def beside(*cases):
            return [(us, best, of_best, dear) for _, us, best, of_best, dear, _ in figures.beside_best(cases, ["graph", "exact"], ["kind", "ef"])]

        self.assertEqual(beside(case("default", 400), case("graph", 200), case("exact", 900)), [(400, "graph", 200, False)])
        self.assertEqual(beside(case("default", 401), case("graph", 200), case("exact", 900)), [(401, "graph", 200, True)])
        # What finds less is no alternative, nor is another system's setting, nor another filter.
        self.assertEqual(beside(case("default", 900), case("graph", 200, .93), case("exact", 800)), [(900, "exact", 800, False)])
        self.assertEqual(beside(case("default", 900), case("strict_order", 100), case("exact", 800)), [(900, "exact", 800, False)])
        self.assertEqual(beside(case("default", 900), case("exact", 100, kind="metadata")), [])
        self.assertEqual(beside(case("default", 900)), [])

    def test_the_best_of_what_was_disturbed(self):
        def case(setting, us, cpu_us, busy):
            return {"setting": setting, "us": us, "cpu_us": cpu_us, "recall": .95, "samples": [{"us": us, "busy": busy}] * 2}

        def beside(*cases):
            return [rest for _, *rest in figures.beside_best(cases, ["graph"], [])]

        self.assertEqual(beside(case("default", 900, 200, 1.0), case("graph", 300, 190, 1.0)), [[900, "graph", 300, True, "us"]])
        self.assertEqual(beside(case("default", 900, 200, 1.0), case("graph", 300, 190, 2.0)), [[200, "graph", 190, False, "cpu_us"]])

    def test_quiet_enough(self):
        quiet, loud = {"us": 100, "busy": 1.0}, {"us": 100, "busy": 2.0}
        self.assertTrue(figures.quiet_enough([quiet, quiet]))
        self.assertFalse(figures.quiet_enough([loud, loud]))
        self.assertFalse(figures.quiet_enough([quiet, {"us": 110, "busy": 1.0}]))
