"""debian-lsa, of few packages: what is read of the lists, and the vectors made of it."""
import os
import tempfile
import types
import unittest
from unittest import mock

import numpy as np

from omenbench import packages
from omenbench.data import Data

LIST = """\
Package: one
Section: games
Description: short
Description-md5: a1

Package: two
Section: math
Description: the short one: kept
 with a second line

Package: three
Section: math
Description-md5: b2
"""
TRANSLATIONS = """\
Package: one
Description-md5: a1
Description-en: A game
 of two lines
 .
 and a paragraph

Package: three
Description-md5: b2
Description-en: Numbers
"""
WORDS = ("mail editor compiler browser kernel music video image puzzle card chess font theme icon shell network"
         " printer scanner database index vector graph tree queue stack hash sort merge search filter").split()


def many(count):
    """Lists of count packages in four sections, each described by four words, and one by none."""
    generator = np.random.default_rng(7)
    stanzas = [f"Package: p{i}\nSection: s{i % 4}\nDescription: {' '.join(generator.choice(WORDS, 4, replace=False))}\n"
               for i in range(count)]
    return "\n".join([*stanzas, "Package: none\nSection: s0\nDescription: zzz\n"]), ""


class Packages(unittest.TestCase):
    def test_long_descriptions_come_before_short_ones(self):
        self.assertEqual(packages.descriptions(LIST, TRANSLATIONS),
                         (["games", "math", "math"],
                          ["A game\nof two lines\n.\nand a paragraph", "the short one: kept\nwith a second line", "Numbers"]))

    def test_known_items(self):
        translations = TRANSLATIONS + """
Package: four
Description-md5: c3
Description-en: Numbers
 the same synopsis

Package: five
Description-md5: d4
Description-en: Another game
 of two lines
 .
 and a paragraph

Package: six
Description-md5: e5
Description-en: Cards
 to play with
"""
        names = {"four": "c3", "five": "d4", "six": "e5"}
        more = "".join(f"\nPackage: {name}\nSection: games\nDescription-md5: {md5}\n" for name, md5 in names.items())
        # Two has no long description, three none beside its synopsis, five the body of one.
        self.assertEqual(packages.known_items(LIST + more, translations),
                         [["one", "games", "A game", "of two lines and a paragraph"],
                          ["four", "games", "Numbers", "the same synopsis"], ["six", "games", "Cards", "to play with"]])

    def test_a_data_set(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        arguments = types.SimpleNamespace(cache=directory.name, data_dir="", rows=0, queries=None, metric=None)
        with mock.patch.object(packages, "download", return_value=many(400)) as download, \
                mock.patch.object(packages, "DIMENSIONS", 12), mock.patch("omenbench.data.MAX_QUERIES", 40):
            for _ in range(2):  # the second from the cache
                data = Data("debian-lsa", arguments)
        download.assert_called_once()
        # The package without a known word has no direction, and is left out.
        self.assertEqual((data.base.shape, data.query.shape, data.metric), ((360, 12), (40, 12), "cosine"))
        self.assertIn("400 packages of Debian", data.source)
        rows, queries = data.groups
        self.assertEqual((len(rows), len(queries)), (360, 40))
        self.assertEqual(np.bincount(np.concatenate([rows, queries])).tolist(), [100] * 4)
        self.assertFalse([x for x in os.listdir(directory.name) if x.endswith(".new")])

    def test_texts_of_the_same_words_are_near(self):
        _, texts = packages.descriptions(*many(400))
        vectors = packages.analysis(texts, 12)
        self.assertEqual((vectors.shape, vectors.dtype), ((401, 12), np.float32))
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-30)
        common = [len(set(texts[0].split()) & set(text.split())) for text in texts]
        cosine = vectors @ vectors[0]
        near, far = ([x for x, c in zip(cosine[1:], common[1:]) if enough(c)] for enough in (lambda c: c > 1, lambda c: c == 0))
        self.assertGreater(np.mean(near), np.mean(far) + 0.3)
