"""hnswlib and FAISS, each a program of its own, in one thread, with its graph in the cache."""
import contextlib
import hashlib
import json
import os
import subprocess
import sys
import tempfile

import numpy as np

from omenbench.data import K, K_MANY
from omenbench.figures import medians
from omenbench.host import Busy, Failure, now, package_version, quiet, say, write

EF = [16, 24, 32, 48, 64, 96, 128, 192, 256, 400]
M, EF_CONSTRUCTION = 16, 200
HERE = os.path.dirname(os.path.abspath(__file__))


def hnswlib(bench):
    if bench.takes_part("hnswlib"):
        program, source = f"{bench.args.cache}/hnswlib_curve", f"{HERE}/hnswlib_curve.cpp"
        if not os.path.exists(program) or os.path.getmtime(program) < os.path.getmtime(source):
            quiet(["g++", "-O3", "-march=native", "-std=c++17", source, "-o", program])
        curve(bench, "hnswlib", [program], "libhnswlib-dev")


def faiss(bench):
    if bench.takes_part("faiss"):
        curve(bench, "faiss", [sys.executable, "-B", f"{HERE}/faiss_curve.py"], "python3-faiss")


def curve(bench, name, program, package):
    """Both programs take the same arguments and print the same, see hnswlib_curve.cpp."""
    data, args = bench.data, bench.args
    digest = hashlib.sha256(json.dumps(data.signature).encode()).hexdigest()[:8]
    graph = f"{args.cache}/{data.name}-{data.rows}-{digest}-m{M}-{EF_CONSTRUCTION}.{name}"
    build_record = f"{graph}.json"
    if not os.path.exists(build_record):  # unfinished
        with contextlib.suppress(FileNotFoundError):
            os.remove(graph)
    efs = bench.args.library_ef or EF
    with bench.attempt(name, name), tempfile.NamedTemporaryFile() as results:
        command = [*program, data.base_file, data.rows, data.query_file, data.metric, M, EF_CONSTRUCTION,
                   graph, results.name, args.repetitions, *efs]
        with Busy() as busy:
            ended = subprocess.run([str(x) for x in command], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if ended.returncode:
            raise Failure(ended.stderr or f"{program[-1]}: exit status {ended.returncode}")
        found = np.fromfile(results.name, "<i4")
        points = {}
        for line in ended.stdout.splitlines():
            word, *figures = line.split()
            if word == "build":
                seconds, peak = float(figures[0]), int(figures[1])
                write(build_record, json.dumps({
                    "time": now(), "seconds": seconds, "rows": data.rows, "rows_per_second": round(data.rows / seconds),
                    "bytes": os.path.getsize(graph), "bytes_per_row": round(os.path.getsize(graph) / data.rows, 1),
                    "peak_memory_bytes": peak, "peak_memory_how": "VmHWM of the program, its copy of the data included",
                    "workers": 0, "options": f"M = {M}, efConstruction = {EF_CONSTRUCTION}, one thread"}))
                continue
            ef, k = int(figures[0]), int(figures[1])
            pairs = zip(figures[2::2], figures[3::2])
            samples = [{"us": float(us), "cpu_us": float(cpu), "busy": busy.cpus} for us, cpu in pairs]
            ids, found = np.split(found, [len(data.query) * k])
            recall = data.recall(ids.reshape(-1, k), data.truth, k)
            if k == K:
                points[ef] = {"ef": ef, **recall, **medians(samples), "samples": samples}
            else:
                points[ef].update(recall100=recall["recall"], us100=medians(samples)["us"], samples100=samples)
        with open(build_record) as f:
            bench.record("build", name, json.load(f))
        bench.record("search", name, {"points": list(points.values()), "version": package_version(package)})
        for point in points.values():
            say(f"{data.key}: {name} ef {point['ef']}: recall {point['recall']:.4f}, {point['us']:.0f} us,"
                f" @{K_MANY} {point['recall100']:.4f}")
