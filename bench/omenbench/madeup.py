"""Small made-up data for the recall matrix: kinds of data that are hard in different ways, as each type stores
them, and the exact distances of every operator class."""
import zlib

import numpy as np

from omenbench import MATRIX_CLASSES
from omenbench.data import Vectors

BITS = 256
# What a sparse row keeps of its dimensions.
SPARSE = 8

def clusters(generator, rows, queries, dims):
    """Gaussian clusters, a few large and many small, as real rows are. Sorted: one cluster after another."""
    count = max(10, rows // 500)
    share = 1 / np.arange(1, count + 1)
    own = generator.choice(count, rows + queries, p=share / share.sum())
    all_of_them = generator.standard_normal((count, dims))[own] + 0.6 * generator.standard_normal((rows + queries, dims))
    return all_of_them, np.argsort(own[:rows], kind="stable")


def far(generator, rows, queries, dims):
    """40 clusters, each ten times as far from the others as it is wide. Sorted: one cluster after another."""
    own = generator.integers(40, size=rows + queries)
    all_of_them = 10 * generator.standard_normal((40, dims))[own] + generator.standard_normal((rows + queries, dims))
    return all_of_them, np.argsort(own[:rows], kind="stable")


def twins(generator, rows, queries, dims):
    """Clusters, where the last tenth of the rows are near copies of the first tenth, and every other query is near
    such a pair. Sorted: each copy after its row, one cluster after another."""
    all_of_them, order = clusters(generator, rows, queries, dims)
    tenth = rows // 10
    all_of_them[rows - tenth:rows] = all_of_them[:tenth] + 0.01 * generator.standard_normal((tenth, dims))
    near = np.arange(rows, rows + queries, 2)
    all_of_them[near] = all_of_them[generator.integers(tenth, size=len(near))] + 0.2 * generator.standard_normal((len(near), dims))
    order = order[order < rows - tenth]
    pairs = np.stack([order, np.where(order < tenth, order + rows - tenth, -1)], axis=1).ravel()
    return all_of_them, pairs[pairs >= 0]


def lengths(generator, rows, queries, dims):
    """Clusters, where a row is up to a hundred times as long as another. Sorted: the shortest first."""
    all_of_them, _ = clusters(generator, rows, queries, dims)
    all_of_them *= np.exp(generator.standard_normal((rows + queries, 1)))
    return all_of_them, np.argsort(np.linalg.norm(all_of_them[:rows], axis=1), kind="stable")


def hubs(generator, rows, queries, dims):
    """One cloud, where the fiftieth part of the rows lie near its middle, and so nearer to most rows than their
    neighbours. Sorted: those in the middle first."""
    cloud = generator.standard_normal((rows + queries, dims))
    cloud[generator.permutation(rows)[:rows // 50]] *= 0.3
    order = np.argsort(np.linalg.norm(cloud[:rows], axis=1), kind="stable")
    return cloud + 0.5, order


def bits(generator, rows, queries, dims):
    """Random bits, whatever the number of dimensions. Sorted: as numbers."""
    all_of_them = generator.integers(2, size=(rows + queries, BITS)).astype(float)
    return all_of_them, np.lexsort(all_of_them[:rows, ::-1].T)


KINDS = {function.__name__: function for function in (clusters, far, twins, lengths, hubs, bits)}


class MadeUp(Vectors):
    """Rows and queries of one kind for one operator class, the same at every call. `order` has the rows' numbers in
    sorted order, `shuffled` in random order."""

    def __init__(self, operator_class, kind, rows, queries, dims):
        self.type, metric, _ = MATRIX_CLASSES[operator_class]
        # The same rows for all classes.
        generator = np.random.default_rng(zlib.crc32(kind.encode()))
        all_of_them, self.order = KINDS[kind](generator, rows, queries, dims)
        all_of_them = STORED[self.type](all_of_them, generator)
        super().__init__(all_of_them[:rows], all_of_them[rows:], metric)
        self.shuffled = generator.permutation(rows)
        self.exact = exact_distances(self.base, self.query, metric)

    def distances(self, query, ids):
        return self.exact[query, ids]

    def nearest(self, rows=None, k=10, queries=None):
        assert rows is None and queries is None
        return np.argsort(self.exact, axis=1, kind="stable")[:, :k]

    def type_name(self):
        return f"{self.type}({self.dims})"

    def texts(self, vectors):
        return [TEXTS[self.type](row) for row in vectors]


def stored_bits(rows, generator):
    """By random planes through the middle of all rows; bits are bits."""
    if rows.shape[1] == BITS and np.isin(rows, (0, 1)).all():
        return rows
    return ((rows - rows.mean(axis=0)) @ generator.standard_normal((rows.shape[1], BITS)) > 0).astype(float)


def stored_sparse(rows, generator):
    """The largest elements of each row."""
    kept = np.argpartition(-np.abs(rows), SPARSE - 1, axis=1)[:, :SPARSE]
    sparse = np.zeros(rows.shape, np.float32)
    np.put_along_axis(sparse, kept, np.take_along_axis(rows, kept, axis=1), axis=1)
    return sparse.astype(float)


STORED = {"vector": lambda rows, generator: rows.astype(np.float32).astype(float),
          "halfvec": lambda rows, generator: rows.astype(np.float16).astype(float),
          "sparsevec": stored_sparse, "bit": stored_bits}
# Nine digits give the same float again.
TEXTS = {"vector": lambda row: "[" + ",".join(f"{x:.9g}" for x in row) + "]",
         "sparsevec": lambda row: "{" + ",".join(f"{i + 1}:{row[i]:.9g}" for i in np.flatnonzero(row)) + f"}}/{len(row)}",
         "bit": lambda row: "".join("1" if x else "0" for x in row)}
TEXTS["halfvec"] = TEXTS["vector"]


def exact_distances(base, query, metric):
    """Of every row from every query."""
    product = query @ base.T
    if metric == "ip":
        return -product
    if metric == "cosine":
        return 1 - product / np.linalg.norm(query, axis=1)[:, None] / np.linalg.norm(base, axis=1)
    if metric == "l2":
        # Not by the product, which would lose the last digits.
        return np.stack([np.sqrt(((base - q) ** 2).sum(axis=1)) for q in query])
    if metric == "l1":
        return np.stack([np.abs(base - q).sum(axis=1) for q in query])
    either = query.sum(axis=1)[:, None] + base.sum(axis=1) - product
    return either - product if metric == "hamming" else 1 - product / np.maximum(either, 1)
