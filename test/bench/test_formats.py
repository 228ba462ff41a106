"""Files of vectors: what is read is what was written, and what is damaged is told."""
import tempfile
import unittest

import h5py
import numpy as np

from omenbench import formats

ROWS = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 255], [0, 1, 0]], np.float32)


class Formats(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = f"{directory.name}/vectors"

    def written(self, suffix, content):
        with open(self.path + suffix, "wb") as f:
            f.write(content)
        return self.path + suffix

    def vecs(self, element):
        return b"".join(np.int32(3).tobytes() + row.astype(element).tobytes() for row in ROWS)

    def hdf5(self, **attributes):
        with h5py.File(self.path + ".hdf5", "w") as file:
            file["train"], file["test"] = ROWS, ROWS[:1]
            for name, value in attributes.items():
                file.attrs[name] = value
        return self.path + ".hdf5"

    def test_fbin(self):
        content = np.array([4, 3], "<i4").tobytes() + ROWS.tobytes()
        np.testing.assert_array_equal(formats.read(self.written(".fbin", content)), ROWS)

    def test_fbin_written(self):
        formats.write_fbin(self.path + ".fbin", ROWS)
        np.testing.assert_array_equal(formats.read(self.path + ".fbin"), ROWS)

    def test_fbin_of_chosen_rows(self):
        formats.write_fbin(self.path + ".fbin", ROWS, np.array([1, 3]))
        np.testing.assert_array_equal(formats.read(self.path + ".fbin"), ROWS[[1, 3]])

    def test_fbin_in_several_pieces(self):
        many = np.arange(formats.AT_ONCE * 2 + 5, dtype=np.float32).reshape(-1, 1)
        formats.write_fbin(self.path + ".fbin", many)
        np.testing.assert_array_equal(formats.read(self.path + ".fbin"), many)
        chosen = np.arange(0, len(many), 2)
        formats.write_fbin(self.path + ".fbin", many, chosen)
        np.testing.assert_array_equal(formats.read(self.path + ".fbin"), many[chosen])

    def test_fvecs(self):
        np.testing.assert_array_equal(formats.read(self.written(".fvecs", self.vecs("<f4"))), ROWS)

    def test_bvecs(self):
        found = formats.read(self.written(".bvecs", self.vecs("u1")))
        np.testing.assert_array_equal(found, ROWS)
        formats.write_fbin(self.path + ".fbin", found)
        np.testing.assert_array_equal(formats.read(self.path + ".fbin"), ROWS)

    def test_truncated_files(self):
        fbin = np.array([4, 3], "<i4").tobytes() + ROWS.tobytes()
        for suffix, content in [(".fbin", fbin), (".fvecs", self.vecs("<f4")), (".bvecs", self.vecs("u1"))]:
            for size in (0, 3, len(content) - 1):
                with self.subTest(suffix, size=size), self.assertRaises(formats.FormatError):
                    formats.read(self.written(suffix, content[:size]))

    def test_rows_of_different_dimensions(self):
        content = bytearray(self.vecs("<f4"))
        content[16] = 2
        with self.assertRaises(formats.FormatError):
            formats.read(self.written(".fvecs", bytes(content)))

    def test_unknown_name(self):
        with self.assertRaises(formats.FormatError):
            formats.read(self.written(".npy", b""))

    def test_hdf5(self):
        for stated, metric in [("euclidean", "l2"), ("angular", "cosine"), (b"angular", "cosine"), ("ip", "ip")]:
            with self.subTest(stated):
                file, found = formats.open_hdf5(self.hdf5(distance=stated))
                with file:
                    self.assertEqual(found, metric)
                    np.testing.assert_array_equal(file["train"][:], ROWS)

    def test_hdf5_without_distance(self):
        file, metric = formats.open_hdf5(self.hdf5())
        file.close()
        self.assertIsNone(metric)

    def test_hdf5_of_another_kind(self):
        with self.assertRaisesRegex(formats.FormatError, "jaccard"):
            formats.open_hdf5(self.hdf5(distance="jaccard"))
        with h5py.File(self.path + ".hdf5", "w") as file:
            file["test"] = ROWS
        with self.assertRaisesRegex(formats.FormatError, "train"):
            formats.open_hdf5(self.path + ".hdf5")
        with self.assertRaises(formats.FormatError):
            formats.open_hdf5(self.written(".hdf5", b"no such thing"))
