"""FAISS's side of bench/index, in one thread; arguments and output are those of
hnswlib_curve.cpp. The queries go to FAISS in one call, so that Python costs nothing."""
import os
import sys
import time

import faiss
import numpy as np

from formats import read_fbin


def vectors(path, rows, metric):
    found = np.array(read_fbin(path)[:rows], np.float32)
    if metric == "cosine":  # is the inner product of vectors of length 1
        faiss.normalize_L2(found)
    return found


def peak_bytes():
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmHWM:"))


def main():
    base_file, rows, query_file, metric, m, ef_construction, graph, results, repetitions, *efs = sys.argv[1:]
    faiss.omp_set_num_threads(1)
    query = vectors(query_file, None, metric)
    if os.path.exists(graph):
        index = faiss.read_index(graph)
    else:
        base = vectors(base_file, int(rows), metric)
        index = faiss.IndexHNSWFlat(base.shape[1], int(m), faiss.METRIC_L2 if metric == "l2" else faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = int(ef_construction)
        start = time.perf_counter()
        index.add(base)
        print("build %.3f %d" % (time.perf_counter() - start, peak_bytes()))
        faiss.write_index(index, graph)
    with open(results, "wb") as f:
        for ef in efs:
            index.hnsw.efSearch = int(ef)
            for k in (10, 100):
                samples = []
                for _ in range(1 + int(repetitions)):
                    start, cpu = time.perf_counter(), time.process_time()
                    found = index.search(query, k)[1]
                    samples += [time.perf_counter() - start, time.process_time() - cpu]
                print("ef", ef, k, *("%.1f" % (x / len(query) * 1e6) for x in samples[2:]))  # the first warmed up
                f.write(found.astype("<i4").tobytes())


main()
