"""bench/hybrid: its measure, and the statements that it makes."""
import math
import unittest

from omenbench import hybrid


class Hybrid(unittest.TestCase):
    def test_ndcg_of_one_right_row(self):
        ids = list(range(10))
        self.assertEqual(hybrid.ndcg(ids, 0), 1)
        self.assertAlmostEqual(hybrid.ndcg(ids, 1), 1 / math.log2(3))
        self.assertAlmostEqual(hybrid.ndcg(ids, 9), 1 / math.log2(11))
        self.assertEqual(hybrid.ndcg(ids, 10), 0)
        self.assertEqual(hybrid.ndcg([], 0), 0)

    def test_without_bm25_nothing_asks_for_it(self):
        without, both = hybrid.statements(False), hybrid.statements(True)
        self.assertFalse([sql for sql in without.values() if "bm25" in sql])
        self.assertIn("BM25 + vectors", both)
        self.assertLessEqual({"all words, ts_rank_cd", "vectors", "all words, ts_rank_cd + vectors"}, set(without))

    def test_a_limit_for_each_list(self):
        sql = hybrid.fused({"any word, ts_rank": 2, "vectors": 1}, 30, 10)
        self.assertEqual(sql.count("LIMIT 30"), 2)
        self.assertEqual(sql.count("LIMIT 10"), 1)
        self.assertEqual(sql.count("2 * rrf("), 1)
        self.assertEqual(sql.count(", 10) AS share"), 2)

    def test_reordered_by_a_share_of_the_best_score(self):
        sql = hybrid.reordered("BM25", 0.85)
        self.assertIn("0.85 * coalesce(score / nullif(min(score) OVER (), 0), 0) + 0.15 * coalesce(cosine, 0)", sql)
        self.assertEqual(sql.count("LIMIT 50"), 1)
        self.assertIn(sql, hybrid.statements(True).values())
