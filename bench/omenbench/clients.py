"""Statements from clients: inserts, COPY, and queries as pgbench sees them."""
import concurrent.futures
import statistics
import time

import numpy as np

from omenbench.data import K
from omenbench.database import no_waiting, vector_tuples
from omenbench.figures import PERCENTILES, medians
from omenbench.host import Busy, say

COPY_CLIENTS = (1, 4)
LATENCY_CLIENTS = (1, 4)


def insert(bench):
    """Into an index over half of the rows; each row of the other half comes once,
    for a vector that is there already would be stored otherwise than a new one."""
    half = bench.data.rows // 2
    script = "INSERT INTO grown SELECT id, embedding FROM items WHERE id = (SELECT nextval('next_row'));"
    runs = [(clients, commit) for commit in ("on", "off") for clients in (1, 10)]
    share = (bench.data.rows - half) // (len(runs) + len(COPY_CLIENTS))
    figures = {}
    for system in bench.working("insert"):
        with bench.attempt("insert", system), bench.open(system) as db:
            db.run("DROP TABLE IF EXISTS grown", "DROP SEQUENCE IF EXISTS next_row",
                   f"CREATE TABLE grown (id int, embedding vector({bench.data.dims}))",
                   f"INSERT INTO grown SELECT id, embedding FROM items WHERE id < {half}", "VACUUM (ANALYZE) grown",
                   f"CREATE SEQUENCE next_row START {half} MINVALUE {half}")
            figures[system] = {"build": bench.create_index(db, "grown", "grown_hnsw", system), "runs": [], "copy": []}
    for run, (clients, commit) in enumerate(runs):
        for system in bench.working("insert"):
            with bench.attempt("insert", system), bench.open(system) as db:
                first = half + run * share
                db.run(f"ALTER SEQUENCE next_row MAXVALUE {first + share - 1} RESTART {first}", "CHECKPOINT")
                lsn = db.value("SELECT pg_current_wal_lsn()")
                result = bench.server.pgbench(
                    db.name, script, ["-n", "-M", "prepared", "-c", str(clients), "-T", str(bench.args.insert_seconds)],
                    bench.session(system, synchronous_commit=commit))
                wal = int(db.value(f"SELECT pg_current_wal_lsn() - '{lsn}'::pg_lsn"))
                result.update(clients=clients, synchronous_commit=commit,
                              wal_bytes_per_row=round(wal / max(result["transactions"], 1)))
                figures[system]["runs"].append(result)
                say(f"{bench.data.key}: {system}, clients {clients}, synchronous_commit {commit}:"
                    f" {result['tps']:.0f} rows/s")
    for run, clients in enumerate(COPY_CLIENTS, len(runs)):
        ids = np.arange(half + run * share, half + (run + 1) * share)
        for system in bench.working("insert"):
            with bench.attempt("insert", system):
                result = copy_into_index(bench, system, ids, clients)
                figures[system]["copy"].append(result)
                say(f"{bench.data.key}: {system}, COPY, clients {clients}: {result['rows_per_second']} rows/s")
    # What the graph is worth afterwards, with the rows inserted by several at a time.
    for system in bench.working("insert"):
        with bench.attempt("insert", system), bench.open(system) as db:
            db.run("VACUUM (ANALYZE) grown", f"SET hnsw.ef_search = {bench.args.latency_ef}")
            nearest = bench.nearest(table="grown")
            used = bench.check_plan(db, system, nearest)
            rows = np.array([i for i, in db.rows("SELECT id FROM grown ORDER BY 1")])
            after = bench.data.recall(bench.found(db, nearest), bench.data.nearest(rows, K))
            samples = [bench.sample(db, nearest) for _ in range(bench.args.repetitions)]
            after.update(medians(samples), samples=samples)
            figures[system]["after"] = {"ef": bench.args.latency_ef, "rows": len(rows), **after, "index_used": used,
                                        "bytes": db.value("SELECT pg_relation_size('grown_hnsw')")}
            db.run("DROP TABLE grown")
            bench.record("insert", system, figures[system])


def copy_into_index(bench, system, ids, clients):
    """As many sessions, each with one COPY of its part of the rows."""
    parts = [vector_tuples(part, bench.data.base[part]) for part in np.array_split(ids, clients)]
    with bench.open(system) as db, concurrent.futures.ThreadPoolExecutor(clients) as pool:
        db.run("CHECKPOINT")
        lsn = db.value("SELECT pg_current_wal_lsn()")
        with no_waiting():
            sessions = [bench.open(system) for _ in parts]
            with Busy() as busy:
                start = time.perf_counter()
                ended = list(pool.map(lambda session, part: session.copy_at_once("grown", part), sessions, parts))
                seconds = time.perf_counter() - start
            for session in sessions:
                session.connection.close()
        wal = int(db.value(f"SELECT pg_current_wal_lsn() - '{lsn}'::pg_lsn"))
    return {"clients": len(ended), "rows": len(ids), "seconds": round(seconds, 3), "rows_per_second": round(len(ids) / seconds),
            "wal_bytes_per_row": round(wal / len(ids)), "busy": busy.cpus}


def latency(bench):
    """Prepared statements, one a query. What a statement of any kind costs is measured
    by one that fetches the query vector's row alone; then percentiles, see runs."""
    ef = bench.args.latency_ef
    x = f"\\set x random(0, {len(bench.data.query) - 1})\n"
    query = x + (f"SELECT id FROM items ORDER BY embedding {bench.operator()}"
                 f" (SELECT embedding FROM q WHERE id = :x) LIMIT {K};")
    scripts = {"query": query, "trivial": x + "SELECT id FROM q WHERE id = :x;"}
    nearest = bench.nearest()
    samples = {s: {"statement": [], "query": [], "trivial": []} for s in bench.systems}
    crowd = {s: [] for s in bench.systems}
    with bench.sessions("latency") as sessions:
        for system in bench.working("latency"):
            with bench.attempt("latency", system):
                db = sessions[system]
                db.run(f"SET hnsw.ef_search = {ef}")
                bench.check_plan(db, system, nearest)
                bench.sample(db, nearest)
        for _ in range(bench.args.repetitions):
            for system in bench.working("latency"):
                with bench.attempt("latency", system):
                    samples[system]["statement"].append(bench.sample(sessions[system], nearest)["us"])
            for name, script in scripts.items():
                for system in bench.working("latency"):
                    with bench.attempt("latency", system):
                        result = pgbench(bench, system, script, ef, 1, bench.args.latency_seconds if name == "query" else 1)
                        samples[system][name].append(round(1e6 / result["tps"], 1))
                        crowd[system].append(result["busy"])
        runs = percentile_runs(bench, query)
    for system in bench.working("latency"):
        us = {f"us_{name}": statistics.median(values) for name, values in samples[system].items()}
        us["us_overhead"] = round(us["us_query"] - us["us_statement"], 1)
        bench.record("latency", system, {"ef": ef, **us, "busy": min(crowd[system]), "samples": samples[system],
                                         "runs": runs[system]})


def percentile_runs(bench, script):
    runs = {s: [] for s in bench.systems}
    for ef in bench.args.latency_efs:
        for clients in LATENCY_CLIENTS:
            for system in bench.working("latency"):
                runs[system].append({"clients": clients, "ef": ef, "samples": []})
            for _ in range(bench.args.repetitions):
                for system in bench.working("latency"):
                    with bench.attempt("latency", system):
                        result = pgbench(bench, system, script, ef, clients, bench.args.latency_seconds, log=True)
                        runs[system][-1]["samples"].append({"qps": result.pop("tps"), **result})
            for system in bench.working("latency"):
                run = runs[system][-1]
                run.update(medians(run["samples"], "qps", *PERCENTILES))
                say(f"{bench.data.key}: {system} ef {ef}, clients {clients}: {run['qps']:.0f} queries/s,"
                    f" p50 {run['p50_us']:.0f}, p99 {run['p99_us']:.0f} us")
    return runs


def pgbench(bench, system, script, ef, clients, seconds, log=False):
    return bench.server.pgbench(bench.database_name(system), script,
                                ["-n", "-M", "prepared", "-c", str(clients), "-T", str(seconds)],
                                bench.session(system, **{"hnsw.ef_search": ef}), log=log)
