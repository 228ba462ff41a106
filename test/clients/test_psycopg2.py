#!/usr/bin/python3
"""psycopg2: text, through adapters and typecasters made of the types' oids."""
import io

import psycopg2
from psycopg2.extensions import AsIs, new_array_type, new_type, register_adapter, register_type
from psycopg2.extras import execute_values

import support
from support import BITS, BIT_OPERATORS, BIT_QUERY, QUERY, VECTORS, VECTOR_OPERATORS, check, check_near


class Vector(tuple):
    pass


def register(db):
    register_adapter(Vector, lambda vector: AsIs("'" + support.to_text(vector) + "'"))
    with db.cursor() as cur:
        for name in "vector", "halfvec":
            cur.execute("SELECT typname, oid, typarray FROM pg_type WHERE oid = %s::regtype", (name,))
            _, oid, array_oid = cur.fetchone()
            one = new_type((oid,), name, lambda text, _: None if text is None else support.from_text(text))
            register_type(one, db)
            register_type(new_array_type((array_oid,), name + "[]", one), db)


def test():
    db = psycopg2.connect("")
    db.autocommit = True
    cur = db.cursor()
    cur.execute("CREATE EXTENSION IF NOT EXISTS vector")
    register(db)
    cur.execute("CREATE TABLE items (id int PRIMARY KEY, embedding vector(3), half halfvec(3), bits bit(5))")
    for operator, opclass in VECTOR_OPERATORS.items():
        cur.execute(f"CREATE INDEX ON items USING hnsw (embedding {opclass})")
    for operator, opclass in BIT_OPERATORS.items():
        cur.execute(f"CREATE INDEX ON items USING hnsw (bits {opclass})")

    rows = [(i, v and Vector(v), v and Vector(v), BITS[i]) for i, v in VECTORS.items()]
    execute_values(cur, "INSERT INTO items VALUES %s", rows)
    cur.execute("SELECT id, embedding, half FROM items ORDER BY id")
    check("values come back, NULL too", cur.fetchall(), [(i, v, v) for i, v in VECTORS.items()])

    cur.execute("SET enable_seqscan = off")
    for operator in VECTOR_OPERATORS:
        cur.execute(f"SELECT id FROM items ORDER BY embedding {operator} %s LIMIT 4", (Vector(QUERY),))
        check(f"order by {operator}", [row[0] for row in cur], support.nearest(operator))
        cur.execute(f"EXPLAIN SELECT id FROM items ORDER BY embedding {operator} %s LIMIT 4", (Vector(QUERY),))
        support.check_uses(f"order by {operator} uses an index", cur.fetchall(), "items_embedding_idx")
        cur.execute(f"SELECT embedding {operator} %s FROM items WHERE id = 2", (Vector(QUERY),))
        check_near(f"distance by {operator}", cur.fetchone()[0], support.distance(operator, 2))
    for operator in BIT_OPERATORS:
        cur.execute(f"SELECT id FROM items ORDER BY bits {operator.replace('%', '%%')} %s LIMIT 4", (BIT_QUERY,))
        check(f"order by {operator}", [row[0] for row in cur], support.nearest(operator))

    cur.execute("PREPARE near (vector) AS SELECT id FROM items ORDER BY embedding <-> $1 LIMIT 4")
    for _ in range(7):
        cur.execute("EXECUTE near (%s)", (Vector(QUERY),))
    check("a prepared statement, past its custom plans", [row[0] for row in cur], support.nearest("<->"))

    cur.execute("SELECT ARRAY[%s::vector, NULL, %s]", (Vector(VECTORS[1]), Vector(VECTORS[2])))
    check("vector[] comes back", cur.fetchone()[0], [VECTORS[1], None, VECTORS[2]])
    cur.execute("SELECT %s::float8[]::vector, %s::vector::real[]", (list(QUERY), Vector(QUERY)))
    check("float8[] becomes vector, and vector real[]", cur.fetchone(), (QUERY, list(QUERY)))
    cur.execute("SELECT avg(embedding), sum(half) FROM items WHERE id IN (1, 2)")
    check("aggregates", cur.fetchone(), ((2.5, 3.5, 4.75), (5.0, 7.0, 9.5)))

    copied = io.StringIO()
    cur.copy_expert("COPY (SELECT * FROM items ORDER BY id) TO STDOUT", copied)
    copied.seek(0)
    cur.execute("CREATE TABLE copy (LIKE items)")
    cur.copy_expert("COPY copy FROM STDIN", copied)
    cur.execute("SELECT count(*) FROM copy JOIN items ON copy IS NOT DISTINCT FROM items")
    check("COPY out and in", cur.fetchone()[0], len(VECTORS))

    try:
        cur.execute("INSERT INTO items (id, embedding) VALUES (9, '[1,2]')")
        error = None
    except psycopg2.errors.DataException as e:
        error = e.pgcode, e.diag.message_primary
    check("an error of the library's class", error, ("22000", "expected 3 dimensions, not 2"))


support.run(test, f"psycopg2 {psycopg2.__version__}")
