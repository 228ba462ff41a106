"""What is read of pgbench's logs and of processes, and rows for COPY."""
import os
import struct
import tempfile
import unittest
from unittest import mock

import numpy as np

from omenbench.database import memory_of, truth_tuples, vector_tuples
from omenbench.host import Failure
from omenbench.server import logged_times, source_files, subprocess, update_files, why_no_namespace


class Logs(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name

    def write(self, name, text):
        os.makedirs(os.path.dirname(f"{self.directory}/{name}"), exist_ok=True)
        with open(f"{self.directory}/{name}", "w") as f:
            f.write(text)

    def test_all_threads_count_once(self):
        self.write("pgbench.7", "0 0 150 0 1700000000 1\n0 1 90 0 1700000000 9\n")
        self.write("pgbench.7.1", "1 0 30 0 1700000000 5\n")
        self.write("other", "1 0 999 0 1700000000 5\n")
        self.assertEqual(sorted(logged_times(self.directory)), [30, 90, 150])
        self.assertEqual(os.listdir(self.directory), ["other"])

    def test_no_log_is_a_failure(self):
        with self.assertRaises(Failure):
            logged_times(self.directory)
        self.write("pgbench.7", "")
        with self.assertRaises(Failure):
            logged_times(self.directory)

    def test_only_what_differs_is_written(self):
        self.write("from/Makefile", "all:\n")
        self.write("from/src/a.c", "a")
        self.write("to/Makefile", "all:\n")
        self.write("to/src/b.c", "b")
        os.utime(f"{self.directory}/to/Makefile", (1, 1))
        update_files(f"{self.directory}/to", source_files(f"{self.directory}/from"))
        self.assertEqual(source_files(f"{self.directory}/to"), {"Makefile": b"all:\n", "src/a.c": b"a"})
        self.assertEqual(os.path.getmtime(f"{self.directory}/to/Makefile"), 1)


class Namespace(unittest.TestCase):
    def test_why_there_is_none(self):
        for returncode, reason in [(0, "as in a plain chroot"), (1, "this machine allows no namespace")]:
            with mock.patch.object(subprocess, "run", return_value=mock.Mock(returncode=returncode)):
                self.assertIn(reason, why_no_namespace())


class Processes(unittest.TestCase):
    def test_memory(self):
        before = memory_of([os.getpid()])
        more = np.ones(8_000_000)
        self.assertAlmostEqual(memory_of([os.getpid()]) - before, more.nbytes, delta=4e6)

    def test_memory_of_a_process_that_ended(self):
        child = os.fork()
        if not child:
            os._exit(0)
        os.waitpid(child, 0)
        self.assertEqual(memory_of([child]), 0)


class Tuples(unittest.TestCase):
    def test_vector(self):
        row, = vector_tuples([7], np.array([[1, 2]], np.float32))
        self.assertEqual(row.tobytes(), struct.pack(">hiiihhff", 2, 4, 7, 12, 2, 0, 1, 2))

    def test_vector_and_numbers(self):
        row, = vector_tuples([7], np.array([[1, 2]], np.float32), np.array([[5, 6]]))
        self.assertEqual(row.tobytes(), struct.pack(">hiiihhffiiii", 4, 4, 7, 12, 2, 0, 1, 2, 4, 5, 4, 6))

    def test_truth(self):
        row, = truth_tuples(np.array([[3, 4]]))
        self.assertEqual(row.tobytes(), struct.pack(">hiiiiiiiiiiii", 2, 4, 0, 36, 1, 0, 23, 2, 1, 4, 3, 4, 4))
