"""Hybrid search beside text alone and vectors alone: how good, how fast.

  PGHOST=/socket/dir PGUSER=postgres bench/hybrid --keep DIR

The server must have omendb; where it has pg_textsearch (in shared_preload_libraries),
BM25 is measured as well. Makes the database bench_hybrid and drops it.

The search is for known items: the packages of a Debian release have a synopsis of one
line and a long description. The rows are the long descriptions, without the synopsis; a
query is the synopsis of a package, and the one right answer that package. Vectors are
latent semantic analysis of the long descriptions; what made them has not seen a synopsis.
nDCG@10 of a query is 1 / log2(1 + rank) of the right answer, 0 beyond rank 10.
"""
import argparse
import csv
import io
import json
import math
import os
import re
import statistics
import sys
import time

import numpy as np
import psycopg2

from omenbench import packages
from omenbench.host import Busy, machine, say, tree_state, TREE, working_directory, write

DATABASE = "bench_hybrid"
WARM_UP = 20
ALL_WORDS = "plainto_tsquery('english', $1)"
ANY_WORD = "replace(plainto_tsquery('english', $1)::text, ' & ', ' | ')::tsquery"
# An arm is an ordinary query that an index answers: (order, condition); the smaller the better.
ARMS = {
    "all words, ts_rank_cd": (f"-ts_rank_cd(words, {ALL_WORDS})", f"words @@ {ALL_WORDS}"),
    "any word, ts_rank_cd": (f"-ts_rank_cd(words, {ANY_WORD})", f"words @@ {ANY_WORD}"),
    "any word, ts_rank": (f"-ts_rank(words, {ANY_WORD}, 1)", f"words @@ {ANY_WORD}"),
    "BM25": ("body <@> to_bm25query($1, 'packages_body_idx')", "true"),
    "vectors": ("embedding <=> $2", "true"),
}


def alone(arm, limit=10):
    """The rows of one arm: id, score."""
    order, condition = ARMS[arm]
    return f"SELECT id, {order} AS score FROM packages WHERE {condition} ORDER BY score LIMIT {limit}"


def fused(arms, length, k=60):
    """The ten best of {arm: weight}, each a list of that length."""
    lists = " UNION ALL ".join(
        f"SELECT id, {weight} * rrf(row_number() OVER (ORDER BY score, id), {k}) AS share FROM ({alone(arm, length)}) list"
        for arm, weight in arms.items())
    return f"SELECT id, sum(share) AS score FROM ({lists}) shares GROUP BY id ORDER BY score DESC, id LIMIT 10"


def reordered(arm, weight, length=50):
    """The first rows of one arm by so much of its score, which is 1 for its first row, and the rest of the cosine."""
    order, condition = ARMS[arm]
    rows = f"SELECT id, {order} AS score, 1 - (embedding <=> $2) AS cosine FROM packages WHERE {condition} ORDER BY score LIMIT {length}"
    return (f"SELECT id, {weight} * coalesce(score / nullif(min(score) OVER (), 0), 0) + {1 - weight:g} * coalesce(cosine, 0) AS score"
            f" FROM ({rows}) list ORDER BY score DESC, id LIMIT 10")


def statements(with_bm25):
    """{what: SQL} of all that is measured."""
    result = {arm: alone(arm) for arm in ARMS if with_bm25 or arm != "BM25"}
    for text in result.copy():
        if text != "vectors":
            result[f"{text} + vectors"] = fused({text: 1, "vectors": 1}, 50)
    best = "BM25" if with_bm25 else "any word, ts_rank"
    for length in (10, 20, 100, 200):
        result[f"{best} + vectors, lists of {length}"] = fused({best: 1, "vectors": 1}, length)
    for weight in (2, 4, 8, 32, 64):
        result[f"{weight} * {best} + vectors"] = fused({best: weight, "vectors": 1}, 50)
    for weight in (0.7, 0.85):
        result[f"{best}, reordered: {weight} * score + {1 - weight:g} * cosine"] = reordered(best, weight)
    for k in (0, 10):
        result[f"{best} + vectors, k = {k}"] = fused({best: 1, "vectors": 1}, 50, k)
    return result


def ndcg(ids, right):
    """Of ten rows, of which one is right."""
    return 1 / math.log2(2 + ids.index(right)) if right in ids else 0.0


def data(directory):
    """(items, vectors of the bodies, vectors of the synopses), made once and kept there."""
    path = f"{directory}/known-items"
    if not os.path.exists(path + ".json"):
        say("the descriptions of Debian's packages, and their analysis")
        items = packages.known_items(*packages.download())
        rows, queries = packages.analysis([x[3] for x in items], packages.DIMENSIONS, [x[2] for x in items])
        np.savez(path + ".npz", rows=rows, queries=queries)
        write(path + ".json", json.dumps(items))
    with open(path + ".json") as f:
        items = json.load(f)
    vectors = np.load(path + ".npz")
    # Texts none of whose words is known have no vector.
    known = np.flatnonzero(np.linalg.norm(vectors["rows"], axis=1) > packages.SHORTEST)
    return [items[i] for i in known], vectors["rows"][known], vectors["queries"][known]


def text_of(vector):
    return "[" + ",".join(f"{x:.6g}" for x in vector) + "]"


def load(connection, items, rows):
    """The table and its indexes: whether there is one for BM25."""
    cursor = connection.cursor()
    cursor.execute("CREATE EXTENSION omendb; CREATE TABLE packages (id int PRIMARY KEY, package text, section text, body text,"
                   f" embedding vector({packages.DIMENSIONS}), words tsvector GENERATED ALWAYS AS (to_tsvector('english', body)) STORED)")
    table = io.StringIO()
    csv.writer(table).writerows([i, package, section, body, text_of(vector)] for i, ((package, section, _, body), vector) in enumerate(zip(items, rows)))
    table.seek(0)
    cursor.copy_expert("COPY packages FROM STDIN (FORMAT csv)", table)
    cursor.execute("SET maintenance_work_mem = '1GB'; CREATE INDEX ON packages USING gin (words);"
                   " CREATE INDEX ON packages USING hnsw (embedding vector_cosine_ops)")
    cursor.execute("SELECT FROM pg_available_extensions WHERE name = 'pg_textsearch'")
    with_bm25 = cursor.rowcount > 0
    if with_bm25:
        cursor.execute("CREATE EXTENSION pg_textsearch; CREATE INDEX ON packages USING bm25 (body) WITH (text_config = 'english')")
    connection.commit()
    connection.autocommit = True
    cursor.execute("VACUUM ANALYZE packages")
    return with_bm25


def backend():
    """The process of the server that answers us; None where it is on another machine."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline") as f:
                if re.match(rf"postgres: .*\b{DATABASE} \[local\]", f.read()):
                    return pid
        except OSError:
            pass  # it has ended
    return None


def processor(pid):
    """Milliseconds that it has run."""
    with open(f"/proc/{pid}/schedstat") as f:
        return int(f.read().split()[0]) / 1e6


def measure(cursor, sql, queries, pid):
    """nDCG@10, found at all, milliseconds of the backend's processor (median and 95th percentile) and
    in all (median). queries: (words, vector, right id)."""
    cursor.execute("DEALLOCATE ALL; SET plan_cache_mode = force_custom_plan")
    # A statement that does not use $1 has it all the same.
    cursor.execute(f"PREPARE q(text, vector) AS {sql}")
    for words, vector, _ in queries[:WARM_UP]:
        cursor.execute("EXECUTE q(%s, %s)", (words, vector))
    gains, times, ran = [], [], []
    for words, vector, right in queries:
        before, start = processor(pid), time.perf_counter()
        cursor.execute("EXECUTE q(%s, %s)", (words, vector))
        ids = [row[0] for row in cursor.fetchall()]
        times.append(1000 * (time.perf_counter() - start))
        ran.append(processor(pid) - before)
        gains.append(ndcg(ids, right))
    ran.sort()
    return {"ndcg": statistics.mean(gains), "found": sum(x > 0 for x in gains) / len(gains),
            "median": statistics.median(ran), "p95": ran[int(0.95 * len(ran))], "wall": statistics.median(times)}


def main():
    parser = argparse.ArgumentParser(prog="bench/hybrid", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", metavar="DIR", help="where the data stay for the next run")
    parser.add_argument("--only", metavar="NAME", action="append", help="only the line of this name, or of these")
    parser.add_argument("--queries", type=int, default=400, metavar="N", help="so many of the synopses, seeded (default: 400)")
    args = parser.parse_args()
    with working_directory(args.keep) as directory:
        items, rows, vectors = data(directory)
    usable = np.flatnonzero(np.linalg.norm(vectors, axis=1) > packages.SHORTEST)
    chosen = np.sort(np.random.default_rng(4).choice(usable, min(args.queries, len(usable)), replace=False))
    queries = [(items[i][2], text_of(vectors[i]), int(i)) for i in chosen]
    admin = psycopg2.connect(dbname="postgres")
    admin.autocommit = True
    admin.cursor().execute(f"CREATE DATABASE {DATABASE}")
    connection = psycopg2.connect(dbname=DATABASE)
    try:
        say(f"{len(items)} rows")
        with_bm25 = load(connection, items, rows)
        pid = backend() or sys.exit("bench/hybrid: the server is not on this machine, or not reached by a socket")
        cursor = connection.cursor()
        cursor.execute("SHOW server_version")
        print(f"omendb {tree_state(TREE)}, PostgreSQL {cursor.fetchone()[0]}, {machine()['processor']};"
              f" {len(items)} rows, {len(queries)} queries\n\n"
              "| | nDCG@10 | found | ms of processor | 95 % | ms in all | processors busy |\n|---|---:|---:|---:|---:|---:|---:|")
        for name, sql in statements(with_bm25).items():
            if args.only and name not in args.only:
                continue
            with Busy() as busy:
                found = measure(cursor, sql, queries, pid)
            print(f"| {name} | {found['ndcg']:.3f} | {found['found']:.3f} | {found['median']:.2f} | {found['p95']:.2f}"
                  f" | {found['wall']:.2f} | {busy.cpus:.1f} |", flush=True)
    finally:
        connection.close()
        admin.cursor().execute(f"DROP DATABASE {DATABASE}")
