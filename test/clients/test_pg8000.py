#!/usr/bin/python3
"""pg8000: a driver of its own in Python, which prepares each statement and knows
the types only by their text."""
import io
import os

import pg8000

import support
from support import BITS, BIT_OPERATORS, BIT_QUERY, QUERY, VECTORS, VECTOR_OPERATORS, check, check_near


def test():
    db = pg8000.connect(user=os.environ["PGUSER"], database=os.environ["PGDATABASE"],
                        unix_sock=os.environ["PGHOST"] + "/.s.PGSQL.5432")
    db.autocommit = True
    cur = db.cursor()
    cur.execute("CREATE EXTENSION IF NOT EXISTS vector")
    cur.execute("CREATE TABLE items (id int PRIMARY KEY, embedding vector(3), half halfvec(3), bits bit(5))")
    for opclass in VECTOR_OPERATORS.values():
        cur.execute(f"CREATE INDEX ON items USING hnsw (embedding {opclass})")
    for opclass in BIT_OPERATORS.values():
        cur.execute(f"CREATE INDEX ON items USING hnsw (bits {opclass})")

    for i, v in VECTORS.items():
        text = v and support.to_text(v)
        cur.execute("INSERT INTO items VALUES (%s, %s::vector, %s::halfvec, %s::bit(5))", (i, text, text, BITS[i]))
    cur.execute("SELECT id, embedding, half FROM items ORDER BY id")
    got = [(i, v and support.from_text(v), h and support.from_text(h)) for i, v, h in cur.fetchall()]
    check("values come back, NULL too", got, [(i, v, v) for i, v in VECTORS.items()])

    query = support.to_text(QUERY)
    cur.execute("SET enable_seqscan = off")
    for operator in VECTOR_OPERATORS:
        statement = f"SELECT id FROM items ORDER BY embedding {operator} %s::vector LIMIT 4"
        for _ in range(7):
            cur.execute(statement, (query,))
        check(f"order by {operator}", [row[0] for row in cur.fetchall()], support.nearest(operator))
        cur.execute("EXPLAIN " + statement, (query,))
        support.check_uses(f"order by {operator} uses an index", cur.fetchall(), "items_embedding_idx")
        cur.execute(f"SELECT embedding {operator} %s::vector FROM items WHERE id = 2", (query,))
        check_near(f"distance by {operator}", cur.fetchone()[0], support.distance(operator, 2))
    for operator in BIT_OPERATORS:
        cur.execute(f"SELECT id FROM items ORDER BY bits {operator.replace('%', '%%')} %s::bit(5) LIMIT 4", (BIT_QUERY,))
        check(f"order by {operator}", [row[0] for row in cur.fetchall()], support.nearest(operator))

    cur.execute("SELECT %s::float8[]::vector, %s::vector::real[]", (list(QUERY), query))
    got = cur.fetchone()
    check("float8[] becomes vector, and vector real[]", (support.from_text(got[0]), list(got[1])), (QUERY, list(QUERY)))

    copied = io.BytesIO()
    cur.execute("COPY (SELECT * FROM items ORDER BY id) TO STDOUT", stream=copied)
    copied.seek(0)
    cur.execute("CREATE TABLE copy (LIKE items)")
    cur.execute("COPY copy FROM STDIN", stream=copied)
    cur.execute("SELECT count(*) FROM copy JOIN items ON copy IS NOT DISTINCT FROM items")
    check("COPY out and in", cur.fetchone()[0], len(VECTORS))

    try:
        cur.execute("INSERT INTO items (id, embedding) VALUES (9, %s::vector)", ("[1,2]",))
        error = None
    except pg8000.ProgrammingError as e:
        error = [word for word in ("22000", "expected 3 dimensions, not 2") if word in e.args]
    check("an error with SQLSTATE and message", error, ["22000", "expected 3 dimensions, not 2"])


support.run(test, f"pg8000 {pg8000.__version__}")
