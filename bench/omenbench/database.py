"""Sessions of the server, rows in COPY's binary format, and what a build takes meanwhile."""
import contextlib
import glob
import io
import os
import select
import threading
import time

import numpy as np
import psycopg2
import psycopg2.extensions


def wait_for_server(connection):
    """psycopg2's own way of waiting lets no signal through until the statement ends."""
    while (state := connection.poll()) != psycopg2.extensions.POLL_OK:
        reading = state == psycopg2.extensions.POLL_READ
        select.select([connection] if reading else [], [] if reading else [connection], [])


psycopg2.extensions.set_wait_callback(wait_for_server)


class Database:
    """A session. The names of databases, tables and settings here need no quoting."""

    def __init__(self, dsn, name, settings={}):
        self.connection = psycopg2.connect(f"{dsn} dbname={name}")
        self.connection.autocommit = True
        self.cursor = self.connection.cursor()
        self.name = name
        for item in settings.items():
            self.run("SET %s = '%s'" % item)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def run(self, *statements):
        for statement in statements:
            self.cursor.execute(statement)

    def rows(self, statement, *parameters):
        self.cursor.execute(statement, parameters or None)
        return self.cursor.fetchall()

    def value(self, statement, *parameters):
        rows = self.rows(statement, *parameters)
        return rows[0][0] if rows else None

    def seconds(self, statement):
        start = time.perf_counter()
        self.cursor.execute(statement)
        return time.perf_counter() - start

    def cpu_seconds(self):
        """Of the server's process, if it is one of this machine: where others work
        as well it says more than the clock on the wall."""
        try:
            with open(f"/proc/{self.connection.info.backend_pid}/schedstat") as f:
                return int(f.read().split()[0]) / 1e9
        except OSError:
            return 0

    def copy_in(self, table, tuples):
        """Binary COPY of a structured array, see vector_tuples and truth_tuples."""
        with no_waiting():
            for start in range(0, len(tuples), 10000):
                self.copy_at_once(table, tuples[start:start + 10000])

    def copy_at_once(self, table, tuples):
        stream = io.BytesIO(b"PGCOPY\n\xff\r\n\0" + bytes(8) + tuples.tobytes() + b"\xff\xff")
        self.cursor.copy_expert(f"COPY {table} FROM STDIN (FORMAT binary)", stream)


@contextlib.contextmanager
def no_waiting():
    """psycopg2 knows no COPY with a function that waits."""
    psycopg2.extensions.set_wait_callback(None)
    try:
        yield
    finally:
        psycopg2.extensions.set_wait_callback(wait_for_server)


def vector_tuples(ids, vectors, numbers=None):
    """(int, vector, int...) tuples in COPY's binary format, in network byte order."""
    dims, more = vectors.shape[1], 0 if numbers is None else numbers.shape[1]
    layout = [("fields", ">i2"), ("size1", ">i4"), ("id", ">i4"),
              ("size2", ">i4"), ("dims", ">i2"), ("unused", ">i2"), ("values", ">f4", (dims,)),
              ("numbers", [("size", ">i4"), ("value", ">i4")], (more,))]
    tuples = np.zeros(len(ids), dtype=layout)
    tuples["fields"], tuples["size1"], tuples["size2"], tuples["dims"] = 2 + more, 4, 4 + 4 * dims, dims
    tuples["id"], tuples["values"] = ids, vectors
    if more:
        tuples["numbers"]["size"], tuples["numbers"]["value"] = 4, numbers
    return tuples


def truth_tuples(truth):
    """(int, int[]) tuples: the array's dimensions, nulls, type, length, lower bound, elements."""
    layout = [("fields", ">i2"), ("size1", ">i4"), ("id", ">i4"), ("size2", ">i4"),
              ("array", ">i4", 5), ("elements", [("size", ">i4"), ("value", ">i4")], truth.shape[1])]
    tuples = np.zeros(len(truth), dtype=layout)
    tuples["fields"], tuples["size1"], tuples["size2"] = 2, 4, 20 + 8 * truth.shape[1]
    tuples["id"], tuples["array"] = np.arange(len(truth)), (1, 0, 23, truth.shape[1], 1)
    tuples["elements"]["size"], tuples["elements"]["value"] = 4, truth
    return tuples


class Watch:
    """Of a build: how many parallel workers it had at most, for a planner that thinks
    otherwise than we asked would make the times incomparable, and the most memory of
    its own: private memory of its processes and the dynamic shared memory they map."""

    HOW = "largest sum, looked at 20 times a second, of RssAnon of the build's processes and their dynamic shared memory"

    def __init__(self, dsn, leader):
        self.dsn, self.leader, self.workers, self.peak_bytes, self.done = dsn, leader, 0, 0, threading.Event()

    def __enter__(self):
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()

    def watch(self):
        with Database(self.dsn, "postgres") as db:
            while not self.done.wait(0.05):
                workers = [pid for pid, in db.rows("SELECT pid FROM pg_stat_activity WHERE leader_pid = %s", self.leader)]
                self.workers = max(self.workers, len(workers))
                self.peak_bytes = max(self.peak_bytes, memory_of([self.leader, *workers]))


def memory_of(pids):
    """0 if these are no processes of this machine, or not ours to look at."""
    private, segments = 0, set()
    for pid in pids:
        # A worker may end at any time.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            with open(f"/proc/{pid}/status") as f:
                private += next((int(line.split()[1]) * 1024 for line in f if line.startswith("RssAnon:")), 0)
            with open(f"/proc/{pid}/maps") as f:
                segments.update(int(line.split()[4]) for line in f if "/PostgreSQL." in line)
    shared = 0
    for path in glob.glob("/dev/shm/PostgreSQL.*"):
        with contextlib.suppress(FileNotFoundError):
            status = os.stat(path)
            shared += status.st_blocks * 512 * (status.st_ino in segments)
    return private + shared
