#!/usr/bin/python3
"""psycopg 3: text and binary, through loaders and dumpers of the types' oids."""
import psycopg
from psycopg.adapt import Dumper, Loader
from psycopg.pq import Format
from psycopg.types import TypeInfo

import support
from support import QUERY, VECTORS, VECTOR_OPERATORS, check, check_near


class Vector(tuple):
    pass


class Half(tuple):
    pass


class Sparse(tuple):
    pass


SPARSE = Sparse((5, {0: 1.5, 3: -2.0}))


# Two for each class of Python's: the libraries' names for what makes bytes of it, and back.
def register(db, name, python_class, to_text, from_text, to_binary, from_binary):
    info = TypeInfo.fetch(db, name)
    info.register(db)

    class TextDumper(Dumper):
        oid = info.oid

        def dump(self, value):
            return to_text(value).encode()

    class BinaryDumper(TextDumper):
        format = Format.BINARY

        def dump(self, value):
            return to_binary(value)

    class TextLoader(Loader):
        def load(self, data):
            return python_class(from_text(bytes(data).decode()))

    class BinaryLoader(Loader):
        format = Format.BINARY

        def load(self, data):
            return python_class(from_binary(bytes(data)))

    # For a parameter that says no format, psycopg takes the one that was registered last.
    for dumper in BinaryDumper, TextDumper:
        db.adapters.register_dumper(python_class, dumper)
    for loader in TextLoader, BinaryLoader:
        db.adapters.register_loader(info.oid, loader)


def sparse_to_text(sparse):
    return "{" + ",".join(f"{i + 1}:{x}" for i, x in sparse[1].items()) + "}/" + str(sparse[0])


def sparse_from_text(text):
    elements, dimensions = text.split("/")
    pairs = (element.split(":") for element in elements.strip("{}").split(","))
    return int(dimensions), {int(i) - 1: float(x) for i, x in pairs}


def test():
    db = psycopg.connect("", autocommit=True)
    db.execute("CREATE EXTENSION IF NOT EXISTS vector")
    register(db, "vector", Vector, support.to_text, support.from_text, support.to_binary, support.from_binary)
    register(db, "halfvec", Half, support.to_text, support.from_text,
             lambda half: support.to_binary(half, "e"), lambda data: support.from_binary(data, "e"))
    register(db, "sparsevec", Sparse, sparse_to_text, sparse_from_text,
             support.sparse_to_binary, support.sparse_from_binary)
    db.execute("CREATE TABLE items (id int PRIMARY KEY, embedding vector(3), half halfvec(3), sparse sparsevec(5))")
    for opclass in VECTOR_OPERATORS.values():
        db.execute(f"CREATE INDEX ON items USING hnsw (embedding {opclass})")
    db.execute("CREATE INDEX ON items USING hnsw (half halfvec_l2_ops)")

    rows = [(i, v and Vector(v), v and Half(v), v and SPARSE) for i, v in VECTORS.items()]
    for name, placeholder in ("text", "%t"), ("binary", "%b"):
        db.execute("TRUNCATE items")
        db.cursor().executemany(f"INSERT INTO items VALUES (%s, {placeholder}, {placeholder}, {placeholder})", rows)
        for binary in False, True:
            got = db.cursor(binary=binary).execute("SELECT * FROM items ORDER BY id").fetchall()
            check(f"sent as {name}, returned as {'binary' if binary else 'text'}", got, rows)

    db.execute("SET enable_seqscan = off")
    for operator in VECTOR_OPERATORS:
        for name, placeholder in ("text", "%t"), ("binary", "%b"):
            query = f"SELECT id FROM items ORDER BY embedding {operator} {placeholder} LIMIT 4"
            got = [row[0] for row in db.execute(query, (Vector(QUERY),))]
            check(f"order by {operator}, {name}", got, support.nearest(operator))
            support.check_uses(f"order by {operator}, {name}, uses an index",
                               db.execute("EXPLAIN " + query, (Vector(QUERY),)), "items_embedding_idx")
        got = db.execute(f"SELECT embedding {operator} %s FROM items WHERE id = 2", (Vector(QUERY),)).fetchone()[0]
        check_near(f"distance by {operator}", got, support.distance(operator, 2))
    got = [row[0] for row in db.execute("SELECT id FROM items ORDER BY half <-> %b LIMIT 4", (Half(QUERY),))]
    check("order of halfvec by <->", got, support.nearest("<->"))
    got = db.execute("SELECT sparse <-> %b FROM items WHERE id = 1", (Sparse((5, {0: 1.5, 1: 4.0})),)).fetchone()[0]
    check_near("distance of sparsevec by <->", got, 20 ** 0.5)

    for binary in False, True:
        for _ in range(7):
            cur = db.execute("SELECT id FROM items ORDER BY embedding <-> %b LIMIT 4", (Vector(QUERY),),
                             prepare=True, binary=binary)
        check(f"prepared, past its custom plans, {'binary' if binary else 'text'} results",
              [row[0] for row in cur], support.nearest("<->"))

    for name, placeholder in ("text", "%t"), ("binary", "%b"):
        for binary in False, True:
            array = [Vector(VECTORS[1]), None, Vector(VECTORS[2])]
            got = db.cursor(binary=binary).execute(f"SELECT {placeholder}::vector[]", (array,)).fetchone()[0]
            check(f"vector[] sent as {name}, returned as {'binary' if binary else 'text'}", got, array)

    db.execute("CREATE TABLE copy (LIKE items)")
    for kind in "", " WITH (FORMAT BINARY)":
        db.execute("TRUNCATE copy")
        with db.cursor().copy(f"COPY copy FROM STDIN{kind}") as copy:
            if kind:
                copy.set_types(["int4", "vector", "halfvec", "sparsevec"])
            for row in rows:
                copy.write_row(row)
        check(f"COPY FROM{kind}", db.execute("SELECT * FROM copy ORDER BY id").fetchall(), rows)
        with db.cursor().copy(f"COPY (SELECT * FROM copy ORDER BY id) TO STDOUT{kind}") as copy:
            copy.set_types(["int4", "vector", "halfvec", "sparsevec"])
            check(f"COPY TO{kind}", list(copy.rows()), rows)

    with db.pipeline():
        results = [db.execute("SELECT %b <=> %b", (Vector(QUERY), Vector(v))) for v in VECTORS.values() if v]
    check_near("a pipeline of binary parameters", results[1].fetchone()[0], support.distance("<=>", 2))

    try:
        db.execute("INSERT INTO items (id, embedding) VALUES (9, %b)", (Vector((1, 2)),))
        error = None
    except psycopg.errors.DataException as e:
        error = e.sqlstate, e.diag.message_primary
    check("an error of the library's class", error, ("22000", "expected 3 dimensions, not 2"))


support.run(test, f"psycopg {psycopg.__version__}, {psycopg.pq.__impl__}")
