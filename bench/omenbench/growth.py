"""What takes long: more rows, rows that go and come back, many dimensions."""
import contextlib
import time

import numpy as np

from omenbench.data import K, Vectors
from omenbench.figures import medians
from omenbench.host import say


def growth(bench):
    """Builds and searches over more and more rows. Up to the data's own number they are
    its rows in random order; beyond, the same again with noise, so that this is no real
    data, but as clustered as such."""
    data, args = bench.data, bench.args
    sizes = [data.rows, data.rows * args.times] if args.times else args.sizes
    figures = {s: {"noise": args.noise, "real_rows": data.rows, **former_sizes(bench, s)} for s in bench.working("growth")}
    for size in sizes:
        todo = [s for s in bench.working("growth") if all(x["rows"] != size for x in figures[s]["sizes"])]
        if not todo:
            continue
        vectors = Vectors(repeated(data, size, args.noise), data.query, data.metric)
        say(f"{data.key}: exact neighbours among {size} rows")
        truth = vectors.nearest()
        with contextlib.ExitStack() as stack:
            sessions = {}
            for system in todo:
                with bench.attempt("growth", system):
                    db = stack.enter_context(bench.open(system))
                    say(f"{data.key}: growth, {system}, {size} rows")
                    figures[system]["sizes"].append({"rows": size, "build": bench.grown(db, system, vectors), "points": []})
                    bench.check_plan(db, system, bench.nearest(table="grown"))
                    sessions[system] = db
            search_grown(bench, sessions, {s: figures[s]["sizes"][-1]["points"] for s in sessions}, vectors, truth)
            for system in bench.working("growth"):
                if system in sessions:
                    # The sizes so far: what an interrupt leaves of the next is not to be taken for measured.
                    bench.record("growth", system, {**figures[system], "sizes": list(figures[system]["sizes"]),
                                                    "partial": size != sizes[-1]})
                    with bench.attempt("growth", system):
                        sessions[system].run("DROP TABLE grown")


def former_sizes(bench, system):
    former = bench.former.get(bench.data.key, {}).get("growth", {}).get(system, {})
    return {"sizes": list(former.get("sizes", []))}


def repeated(data, rows, noise):
    """The first rows of an endless sequence that starts with the data's own."""
    generator = np.random.default_rng(1)
    order = generator.permutation(data.rows)
    base = np.empty((rows, data.dims), np.float32)
    for start in range(0, rows, data.rows):
        some = data.base[order[:rows - start]]
        if start:
            length = np.linalg.norm(some, axis=1, keepdims=True) * noise / data.dims ** 0.5
            some = some + generator.standard_normal(some.shape, np.float32) * length
        base[start:start + len(some)] = some
    return base


def search_grown(bench, sessions, points, vectors, truth):
    """The points of one size, the systems by turns."""
    nearest = bench.nearest(table="grown")

    def turn():
        return [s for s in bench.working("growth") if s in sessions]

    for ef in bench.args.ef:
        for system in turn():
            with bench.attempt("growth", system):
                sessions[system].run(f"SET hnsw.ef_search = {ef}")
                recall = vectors.recall(bench.found(sessions[system], nearest), truth)
                points[system].append({"ef": ef, **recall, "samples": []})
        for _ in range(bench.args.repetitions):
            for system in turn():
                with bench.attempt("growth", system):
                    points[system][-1]["samples"].append(bench.sample(sessions[system], nearest))
        for system in turn():
            point = points[system][-1]
            point.update(medians(point["samples"]))
            say(f"{vectors.rows} rows, {system} ef {ef}: recall {point['recall']:.4f}, {point['us']:.0f} us")


def churn(bench):
    """Recall and speed while a fifth of the rows goes and comes back, ten times."""
    generator = np.random.default_rng(2)
    rounds = [generator.choice(bench.data.rows, bench.data.rows // 5, replace=False).tolist() for _ in range(10)]
    states = {s: [] for s in bench.systems}
    nearest = bench.nearest(table="grown")

    def state(system, db, **more):
        samples = [bench.sample(db, nearest) for _ in range(bench.args.repetitions)]
        figures = {**bench.data.recall(bench.found(db, nearest), bench.data.truth), **medians(samples), "samples": samples,
                   "bytes": db.value("SELECT pg_relation_size('grown_hnsw')"), **more}
        say(f"{bench.data.key}: churn, {system}: recall {figures['recall']:.4f}, {figures['us']:.0f} us")
        states[system].append(figures)

    with contextlib.ExitStack() as stack:
        sessions = {}
        for system in bench.working("churn"):
            with bench.attempt("churn", system):
                db = stack.enter_context(bench.open(system, **{"hnsw.ef_search": bench.args.latency_ef}))
                bench.grown(db, system, bench.data)
                state(system, db)
                sessions[system] = db
        for ids in rounds:
            for system in bench.working("churn"):
                with bench.attempt("churn", system):
                    db = sessions[system]
                    db.rows("WITH gone AS (DELETE FROM grown WHERE id = ANY (%s) RETURNING 1) SELECT count(*) FROM gone", ids)
                    vacuum = db.seconds("VACUUM grown")
                    start = time.perf_counter()
                    db.rows("WITH back AS (INSERT INTO grown SELECT id, embedding FROM items WHERE id = ANY (%s)"
                            " RETURNING 1) SELECT count(*) FROM back", ids)
                    state(system, db, vacuum_seconds=vacuum, insert_seconds=time.perf_counter() - start)
        for system in bench.working("churn"):
            bench.record("churn", system, {"ef": bench.args.latency_ef, "states": states[system]})
            with bench.attempt("churn", system):
                sessions[system].run("DROP TABLE grown")


def wide(bench):
    """Bytes a row and recall with 1,536 dimensions: the data's, spread by a random matrix."""
    generator, rows = np.random.default_rng(3), min(20000, bench.data.rows)
    spread = generator.standard_normal((bench.data.dims, 1536), np.float32)
    vectors = Vectors(bench.data.base[:rows] @ spread, bench.data.query @ spread, bench.data.metric)
    truth = vectors.nearest(k=K)
    nearest = bench.nearest(table="grown", query_table="wide_q")
    for system in bench.working("wide"):
        with bench.attempt("wide", system), bench.open(system, **{"hnsw.ef_search": bench.args.latency_ef}) as db:
            figures = {}
            db.run("CREATE TEMP TABLE wide_q (id int, embedding vector(1536))")
            bench.copy_in(db, "wide_q", vectors.query)
            given = bench.args.reloptions
            for name, options in [("default", given), ("compact", given + ["compact=true"])][:2 if system == "omendb" else 1]:
                bench.args.reloptions = options
                build = bench.grown(db, system, vectors)
                bench.args.reloptions = given
                recall = vectors.recall(bench.found(db, nearest), truth)
                samples = [bench.sample(db, nearest) for _ in range(bench.args.repetitions)]
                figures[name] = {**build, **recall, **medians(samples), "samples": samples}
            db.run("DROP TABLE grown")
            bench.record("wide", system, {"ef": bench.args.latency_ef, "rows": rows, **figures})
