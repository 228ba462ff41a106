"""The recall matrix: omendb's recall beside pgvector's with the same parameters, for each operator class, kind of
data, way of making the index, and m. Its rows are made up; recall depends on no other work of the machine."""
import concurrent.futures
import contextlib
import io
import itertools
import time

import numpy as np

from omenbench import EXTENSIONS, MATRIX_CLASSES, MATRIX_WAYS
from omenbench.data import K
from omenbench.database import Database, no_waiting
from omenbench.host import say
from omenbench.madeup import MadeUp
from omenbench.statements import Nearest

CHURN_ROUNDS = 3
# hnsw.iterative_scan; pgvector's default is off.
SETTINGS = {"omendb": ["default", "off"], "pgvector": ["default"]}
# One row a statement, in the order of the numbers.
INSERT_SINGLY = """CREATE FUNCTION insert_singly(ids int[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    one int;
BEGIN
    FOREACH one IN ARRAY ids LOOP
        INSERT INTO graph SELECT id, embedding FROM items WHERE id = one;
    END LOOP;
END $$"""
INSERT_TOGETHER = """WITH new AS (
    INSERT INTO graph SELECT id, embedding FROM unnest(%s) WITH ORDINALITY chosen (id, place) JOIN items USING (id) ORDER BY place
    RETURNING 1)
SELECT count(*) FROM new"""


class MatrixData:
    """Stands where a data set does in a run and its results."""

    key = "matrix"

    def __init__(self, args):
        self.args = args

    def about(self):
        args = self.args
        return {"rows": args.matrix_rows, "dims": args.matrix_dims, "metric": "every metric", "queries": args.matrix_queries,
                "synthetic": True, "source": "made-up vectors, fixed seeds"}


def groups(args):
    """(operator class, kind of data) of what is asked for."""
    return [(name, kind) for name in args.matrix_classes for kind in MATRIX_CLASSES[name][2] if kind in args.matrix_data]


def matrix(bench):
    former = {s: former_graphs(bench, s) for s in bench.working("matrix")}
    graphs = {s: list(former[s]) for s in former}
    prepare(bench)
    todo = groups(bench.args)
    for done, (name, kind) in enumerate(todo, 1):
        systems = [s for s in bench.working("matrix") if not any((g["class"], g["data"]) == (name, kind) for g in former[s])]
        if systems:
            vectors = MadeUp(name, kind, bench.args.matrix_rows, bench.args.matrix_queries, bench.args.matrix_dims)
            # The systems at once, each in a session of its own database: a snapshot in the same one would keep VACUUM from dead rows.
            with contextlib.ExitStack() as stack, concurrent.futures.ThreadPoolExecutor() as pool:
                sessions = {}
                for system in systems:
                    with bench.attempt("matrix", system):
                        sessions[system] = stack.enter_context(bench.open(system, enable_seqscan="off"))
                        load(sessions[system], vectors)
                made = {s: pool.submit(graphs_of, bench, sessions[s], s, name, kind, vectors) for s in sessions}
                try:
                    for system in made:
                        with bench.attempt("matrix", system):
                            graphs[system] += made[system].result()
                except BaseException:
                    # An interrupt does not wait for the statements.
                    for db in sessions.values():
                        db.connection.cancel()
                    raise
        for system in bench.working("matrix"):
            bench.record("matrix", system, {"graphs": list(graphs[system]), "partial": done < len(todo)})


def former_graphs(bench, system):
    return bench.former.get(bench.data.key, {}).get("matrix", {}).get(system, {}).get("graphs", [])


def prepare(bench):
    for system in bench.working("matrix"):
        with bench.attempt("matrix", system):
            name = bench.database_name(system)
            with Database(bench.server.dsn, "postgres") as db:
                db.run(f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name} TEMPLATE template0")
            with bench.open(system) as db:
                db.run(f"CREATE EXTENSION {EXTENSIONS[system]}", INSERT_SINGLY)


def load(db, vectors):
    db.run("DROP TABLE IF EXISTS items, q, graph")
    for table, rows in [("items", vectors.base), ("q", vectors.query)]:
        db.run(f"CREATE TABLE {table} (id int PRIMARY KEY, embedding {vectors.type_name()})")
        lines = "".join(f"{i}\t{text}\n" for i, text in enumerate(vectors.texts(rows)))
        with no_waiting():
            db.cursor.copy_expert(f"COPY {table} FROM STDIN", io.StringIO(lines))
    db.run(f"CREATE TABLE graph (id int PRIMARY KEY, embedding {vectors.type_name()})", "VACUUM (ANALYZE, FREEZE) items, q")


def graphs_of(bench, db, system, name, kind, vectors):
    """Of one class and kind of data, each way and each pair of parameters: {..., "recall": {setting: {ef: recall}}}."""
    graphs, truth, start, cpu_start = [], vectors.nearest(k=K), time.perf_counter(), db.cpu_seconds()
    for m, ef_construction in bench.args.matrix_m:
        before = None
        for way in ways(system, bench.args.matrix_ways):
            cpu = db.cpu_seconds()
            make(db, way, before, vectors, index_statement(bench, system, name, m, ef_construction))
            before = way
            graphs.append({"class": name, "data": kind, "way": way, "m": m, "ef_construction": ef_construction,
                           "cpu_seconds": round(db.cpu_seconds() - cpu, 2), "bytes": db.value("SELECT pg_relation_size('graph_hnsw')"),
                           **searched(bench, db, system, vectors, truth)})
    say(f"matrix: {name}, {kind}, {system}: {time.perf_counter() - start:.1f} s, {db.cpu_seconds() - cpu_start:.1f} of processor")
    return graphs


def ways(system, asked):
    """For pgvector the rows of one statement are single rows, one after another."""
    wanted = {"single" if way == "batch" and system == "pgvector" else way for way in asked}
    return [way for way in MATRIX_WAYS if way in wanted]


def index_statement(bench, system, name, m, ef_construction):
    options = [f"m = {m}", f"ef_construction = {ef_construction}"]
    if system == "omendb":
        options += [x.replace("=", " = ", 1) for x in bench.args.reloptions]
    return f"CREATE INDEX graph_hnsw ON graph USING hnsw (embedding {name}) WITH ({', '.join(options)})"


def make(db, way, before, vectors, create_index):
    """Table and index with all rows, in one of the ways; `before` says what they are of."""
    shuffled, order = vectors.shuffled.tolist(), vectors.order.tolist()
    if way != "churn" or before != "build":
        db.run("DROP INDEX IF EXISTS graph_hnsw", "TRUNCATE graph")
        if way in ("build", "churn"):
            db.rows(INSERT_TOGETHER, shuffled)
        db.run(create_index)
    if way == "batch":
        db.rows(INSERT_TOGETHER, shuffled)
    elif way in ("single", "sorted"):
        db.rows("SELECT insert_singly(%s)", order if way == "sorted" else shuffled)
    elif way == "churn":
        generator = np.random.default_rng(2)
        for _ in range(CHURN_ROUNDS):
            ids = generator.choice(vectors.rows, vectors.rows // 5, replace=False).tolist()
            db.rows("WITH gone AS (DELETE FROM graph WHERE id = ANY (%s) RETURNING 1) SELECT count(*) FROM gone", ids)
            db.run("VACUUM (INDEX_CLEANUP on) graph")
            db.rows("SELECT insert_singly(%s)", ids)
    db.run("ANALYZE graph")


def searched(bench, db, system, vectors, truth):
    nearest = Nearest(vectors.metric, len(vectors.query), table="graph")
    recall, incomplete = {}, 0
    for setting, ef in itertools.product(SETTINGS[system], bench.args.matrix_ef):
        db.run("RESET hnsw.iterative_scan" if setting == "default" else f"SET hnsw.iterative_scan = {setting}", f"SET hnsw.ef_search = {ef}")
        figures = vectors.recall(nearest.found(db), truth)
        recall.setdefault(setting, {})[str(ef)] = figures["recall"]
        incomplete += figures["incomplete"]
    return {"recall": recall, "incomplete": incomplete, "index_used": bench.uses_index(db, nearest)}
