"""Files of vectors: reading the formats in which data sets are published, writing fbin."""
import os

import numpy as np

# What ann-benchmarks calls its distances.
HDF5_METRICS = {"euclidean": "l2", "angular": "cosine", "dot": "ip", "ip": "ip"}
HDF5 = (".hdf5", ".h5")
SUFFIXES = (".fbin", ".fvecs", ".bvecs", *HDF5)
AT_ONCE = 20000


class FormatError(Exception):
    """A file that is not what its name says."""


def read(path):
    """The rows of an fbin, fvecs or bvecs file, mapped, not read."""
    suffix = os.path.splitext(path)[1]
    if suffix == ".fbin":
        return read_fbin(path)
    if suffix == ".fvecs":
        return read_vecs(path, "<f4")
    if suffix == ".bvecs":
        return read_vecs(path, "u1")
    raise FormatError(f"{path}: the name does not end in .fbin, .fvecs or .bvecs")


def read_fbin(path):
    """Two int32, rows and dimensions, then the rows' float32."""
    head = np.fromfile(path, "<i4", 2)
    if len(head) < 2 or head.min() < 1 or os.path.getsize(path) != 8 + 4 * int(head[0]) * int(head[1]):
        raise FormatError(f"{path}: the size is not that of the rows and dimensions in its header")
    return np.memmap(path, "<f4", "r", 8, tuple(head))


def read_vecs(path, element):
    """Before each row its dimensions, an int32."""
    head = np.fromfile(path, "<i4", 1)
    if len(head) < 1 or head[0] < 1:
        raise FormatError(f"{path}: no row")
    row = np.dtype([("dims", "<i4"), ("values", element, (int(head[0]),))])
    if os.path.getsize(path) % row.itemsize:
        raise FormatError(f"{path}: the size is no multiple of a row of {head[0]} dimensions")
    rows = np.memmap(path, row, "r")
    if (rows["dims"] != head[0]).any():
        raise FormatError(f"{path}: not all rows have {head[0]} dimensions")
    return rows["values"]


def write_fbin(path, rows, chosen=None):
    """These rows, or of them those with the chosen numbers."""
    count = len(rows) if chosen is None else len(chosen)
    parts = (slice(start, min(start + AT_ONCE, count)) for start in range(0, count, AT_ONCE))
    write_fbin_parts(path, count, rows.shape[1], (rows[some if chosen is None else chosen[some]] for some in parts))


def write_fbin_parts(path, count, dims, parts):
    """As many rows, in arrays that follow one another."""
    with open(path + ".new", "wb") as f:
        f.write(np.array((count, dims), "<i4").tobytes())
        for part in parts:
            f.write(np.asarray(part).astype("<f4").tobytes())
    os.replace(path + ".new", path)


def open_hdf5(path):
    """(file, metric) of a file as ann-benchmarks makes them; it is to be closed."""
    import h5py
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise FormatError(f"{path}: {error}") from error
    distance = file.attrs.get("distance")
    if isinstance(distance, bytes):
        distance = distance.decode()
    if distance is not None and distance not in HDF5_METRICS:
        raise FormatError(f"{path}: its distance is {distance}, which is none of {','.join(HDF5_METRICS)}")
    for name in ("train", "test"):
        if name not in file:
            raise FormatError(f"{path}: no data set {name}")
    return file, HDF5_METRICS.get(distance)
