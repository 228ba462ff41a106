"""Data sets: base vectors, queries, and the exact nearest rows of each query."""
import contextlib
import gzip
import hashlib
import json
import os

import numpy as np

from omenbench import formats, packages
from omenbench.host import die, say

# Two that Debian has: a package, and the descriptions of its packages. Two that --data-dir has.
DATA = {"fashion-mnist": "l2", "debian-lsa": "cosine", "debian-384": "cosine", "glove-100": "cosine"}
MADE = ["fashion-mnist", "debian-lsa"]
SYNTHETIC = "synthetic"
SYNTHETIC_ROWS = 100000
OPERATORS = {"l2": "<->", "cosine": "<=>", "ip": "<#>", "l1": "<+>", "hamming": "<~>", "jaccard": "<%>"}
OPERATOR_CLASSES = {"l2": "vector_l2_ops", "cosine": "vector_cosine_ops", "ip": "vector_ip_ops"}
K, K_MANY = 10, 100
MAX_QUERIES = 1000
# Rows that are worked on together where all would not be in memory.
ROWS_AT_ONCE = 1000000


class Vectors:
    """Base vectors and queries, and what is exactly true of them."""

    # The groups of the file's rows and of the queries, where the data have some: real metadata to filter by.
    groups = None

    def __init__(self, base, query, metric):
        self.base, self.query, self.metric = base, query, metric
        self.rows, self.dims = base.shape

    def nearest(self, rows=None, k=K_MANY, queries=None):
        """The k nearest of these rows (or of all) for these queries (or all):
        candidates by float, then exactly."""
        queries = np.arange(len(self.query)) if queries is None else queries
        count = self.rows if rows is None else len(rows)
        k = min(k, count)
        near = np.concatenate([self.near(slice(start, start + ROWS_AT_ONCE) if rows is None else rows[start:start + ROWS_AT_ONCE],
                                         5 * k, queries) for start in range(0, count, ROWS_AT_ONCE)], axis=1)
        result = np.empty((len(queries), k), np.int32)
        for i, candidates in enumerate(near):
            distance = self.distances(queries[i], candidates)
            result[i] = candidates[np.lexsort((candidates, distance))[:k]]
        return result

    def near(self, rows, k, queries):
        """The k nearest of these rows by float, or all if there are fewer, in any order."""
        base = self.base[rows]
        k = min(k, len(base))
        square = np.einsum("ij,ij->i", base, base)
        near = np.empty((len(queries), k), np.int64)
        for start in range(0, len(queries), 100):
            product = self.query[queries[start:start + 100]] @ base.T
            rank = {"l2": lambda: square - 2 * product, "cosine": lambda: -product / np.sqrt(square),
                    "ip": lambda: -product}[self.metric]()
            near[start:start + 100] = np.argpartition(rank, k - 1, axis=1)[:, :k]
        return near + (rows.start or 0) if isinstance(rows, slice) else rows[near]

    def distances(self, query, ids):
        q, v = self.query[query].astype(np.float64), self.base[ids].astype(np.float64)
        if self.metric == "l2":
            return np.linalg.norm(v - q, axis=1)
        if self.metric == "ip":
            return -(v @ q)
        return 1 - v @ q / (np.linalg.norm(v, axis=1) * np.linalg.norm(q))

    def recall(self, results, truth, k=K):
        """recall counts what is as near as the right answers, strict_recall the very rows.
        The truth may have fewer than k rows of a query: then these are all there are."""
        near = strict = short = unordered = wanted = 0
        for i, ids in enumerate(results):
            right = truth[i][:k]
            wanted += len(right)
            ids = np.array([x for x in ids if x >= 0], dtype=np.int64)
            if len(ids) < len(right) or len(set(ids)) < len(ids):
                short += 1
            if not len(ids) or not len(right):
                continue
            distance = self.distances(i, ids)
            last = self.distances(i, right).max()
            last += abs(last) * 1e-6 + 1e-12
            near += min(len({x for x, d in zip(ids, distance) if d <= last}), len(right))
            strict += len(set(ids) & set(right))
            # Floats of the server and of this program differ in the last digits.
            unordered += bool((np.diff(distance) < -1e-6 * np.abs(distance[1:]) - 1e-6).any())
        wanted = max(wanted, 1)
        return {"recall": round(near / wanted, 5), "strict_recall": round(strict / wanted, 5),
                "incomplete": short, "unordered": unordered}


class Data(Vectors):
    """A data set by its name or its file."""

    def __init__(self, name, args):
        self.cache = args.cache
        os.makedirs(self.cache, exist_ok=True)
        try:
            self.find(name, args)
            base, query = formats.read_fbin(self.base_file), formats.read_fbin(self.query_file)
        except formats.FormatError as error:
            die(error)
        if base.shape[1] != query.shape[1]:
            die(f"{name}: vectors of {base.shape[1]} dimensions, queries of {query.shape[1]}")
        self.complete = not 0 < args.rows < len(base)
        super().__init__(base if self.complete else base[:args.rows], query, self.metric)
        self.key = self.name if not args.rows or self.complete and name != SYNTHETIC else f"{self.name}:{self.rows}"
        status = os.stat(self.base_file)
        self.signature = [self.name, self.metric, self.rows, status.st_size, int(status.st_mtime)]
        self.truth = self.cached_truth()

    def about(self):
        about = {"rows": self.rows, "dims": self.dims, "metric": self.metric, "queries": len(self.query),
                 "source": self.source}
        return {**about, "synthetic": True} if self.name == SYNTHETIC else about

    def find(self, name, args):
        """Sets name, metric, source, groups, and the fbin files, which it makes where there are none."""
        self.name, self.source, self.published = name, name, None
        if name == SYNTHETIC:
            self.make_synthetic(args)
        elif name in DATA:
            self.metric = DATA[name]
            directory = args.data_dir
            if name in MADE:
                directory = self.cache
            if name == "fashion-mnist":
                self.convert_fashion_mnist()
            elif name == "debian-lsa":
                self.make_debian_lsa()
            self.base_file, self.query_file = (f"{directory}/{name}.{part}.fbin" for part in ("base", "query"))
            self.published = f"{directory}/{name}.gt.ibin"
        else:
            self.convert_file(os.path.abspath(name), args.queries, args.metric)

    def files(self, *identity):
        """The two files in the cache for what is identified so, and whether they are there."""
        digest = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:8]
        self.base_file, self.query_file = (f"{self.cache}/{self.name}-{digest}.{part}.fbin" for part in ("base", "query"))
        return os.path.exists(self.base_file) and os.path.exists(self.query_file)

    def convert_fashion_mnist(self):
        for part, source, count in [("base", "train", 60000), ("query", "t10k", MAX_QUERIES)]:
            target = f"{self.cache}/{self.name}.{part}.fbin"
            if not os.path.exists(target):
                with gzip.open(f"/usr/share/datasets/{self.name}/{source}-images-idx3-ubyte.gz") as f:
                    formats.write_fbin(target, np.frombuffer(f.read(), np.uint8, offset=16).reshape(-1, 784)[:count])

    def make_debian_lsa(self):
        if not os.path.exists(f"{self.cache}/{self.name}.base.fbin"):
            packages.make(f"{self.cache}/{self.name}", MAX_QUERIES)
        with np.load(f"{self.cache}/{self.name}.npz") as stored:
            self.source, self.groups = str(stored["source"]), (stored["rows"], stored["queries"])

    def convert_file(self, path, queries, metric):
        stem, suffix = os.path.splitext(os.path.basename(path))
        self.name, self.source, self.metric = stem.removesuffix(".base").removesuffix("_base"), path, metric
        identity = [[p, os.path.getsize(p), int(os.path.getmtime(p))] for p in (path, queries) if p]
        if suffix in formats.HDF5:
            self.convert_hdf5(path, metric, identity)
            return
        present, rows = self.files(*identity), formats.read(path)
        if not present and queries:
            formats.write_fbin(self.query_file, formats.read(queries)[:MAX_QUERIES])
        elif not present:
            # Held out: they are no rows of the base then.
            held_out = np.sort(np.random.default_rng(4).choice(len(rows), min(MAX_QUERIES, len(rows) // 10), replace=False))
            formats.write_fbin(self.query_file, rows, held_out)
            formats.write_fbin(self.base_file, rows, np.setdiff1d(np.arange(len(rows)), held_out))
        if queries and suffix == ".fbin":
            self.base_file = path
        elif not os.path.exists(self.base_file):
            formats.write_fbin(self.base_file, rows)
        self.source += f", queries of {os.path.abspath(queries)}" if queries else ", queries held out of it"

    def convert_hdf5(self, path, metric, identity):
        file, stated = formats.open_hdf5(path)
        with file:
            if metric and stated and metric != stated:
                die(f"{path}: its metric is {stated}, not {metric}")
            self.metric = stated or metric
            present = self.files(*identity)
            self.published = self.base_file.replace(".base.fbin", ".gt.ibin")
            if present:
                return
            if "neighbors" in file:
                near = np.asarray(file["neighbors"][:MAX_QUERIES], "<i4")
                with open(self.published, "wb") as f:
                    f.write(np.array(near.shape, "<i4").tobytes() + near.tobytes())
            formats.write_fbin(self.query_file, file["test"][:MAX_QUERIES])
            formats.write_fbin(self.base_file, file["train"])

    def make_synthetic(self, args):
        """Gaussian clusters, a few large and many small, as real rows are; queries of the same."""
        rows, dims = args.rows or SYNTHETIC_ROWS, args.dims
        self.metric = args.metric or "l2"
        self.source = f"made-up vectors: {dims} dimensions, clustered gaussian, seed 5"
        if self.files(rows, dims):
            return
        generator, clusters = np.random.default_rng(5), max(10, rows // 500)
        share = 1 / np.arange(1, clusters + 1)
        centres = generator.standard_normal((clusters, dims), np.float32)
        for path, count in [(self.query_file, MAX_QUERIES), (self.base_file, rows)]:
            parts = (min(ROWS_AT_ONCE, count - start) for start in range(0, count, ROWS_AT_ONCE))
            formats.write_fbin_parts(path, count, dims, (
                centres[generator.choice(clusters, part, p=share / share.sum())] + 0.6 * generator.standard_normal((part, dims), np.float32)
                for part in parts))

    def cached_truth(self):
        path = f"{self.cache}/{self.name}-{self.metric}-{self.rows}.npz"
        signature = [str(x) for x in self.signature]
        with contextlib.suppress(FileNotFoundError), np.load(path) as stored:
            if list(stored["signature"]) == signature:
                return stored["truth"]
        say(f"{self.key}: exact neighbours of {len(self.query)} queries")
        truth = self.nearest()
        if self.complete and self.published and os.path.exists(self.published):
            rows, k = np.fromfile(self.published, "<i4", 2)
            theirs = np.fromfile(self.published, "<i4", offset=8).reshape(rows, k)[:, :K_MANY]
            # Theirs may come of floats, and mistake the last of a hundred.
            if self.recall(theirs, truth, min(k, K_MANY))["recall"] < 0.999:
                die(f"{self.published} disagrees with what was computed")
        np.savez(path, truth=truth, signature=signature)
        return truth
