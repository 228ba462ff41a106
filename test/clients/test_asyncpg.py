#!/usr/bin/python3
"""asyncpg: every statement is prepared; codecs in text and in binary; binary COPY."""
import asyncio
import os

import asyncpg

import support
from support import BITS, BIT_OPERATORS, BIT_QUERY, QUERY, VECTORS, VECTOR_OPERATORS, check, check_near


async def set_codecs(db, kind):
    binary = kind == "binary"
    await db.set_type_codec("vector", schema="public", format=kind,
                            encoder=support.to_binary if binary else support.to_text,
                            decoder=support.from_binary if binary else support.from_text)
    await db.set_type_codec("halfvec", schema="public", format=kind,
                            encoder=(lambda half: support.to_binary(half, "e")) if binary else support.to_text,
                            decoder=(lambda data: support.from_binary(data, "e")) if binary else support.from_text)


async def one_format(db, kind):
    await db.execute("TRUNCATE items, copy")
    rows = [(i, v, v, BITS[i] and asyncpg.BitString(BITS[i])) for i, v in VECTORS.items()]
    await db.executemany("INSERT INTO items VALUES ($1, $2, $3, $4)", rows)
    got = [tuple(row) for row in await db.fetch("SELECT * FROM items ORDER BY id")]
    check(f"{kind}: values come back, NULL too", got, rows)

    await db.execute("SET enable_seqscan = off")
    for operator in VECTOR_OPERATORS:
        query = f"SELECT id FROM items ORDER BY embedding {operator} $1 LIMIT 4"
        statement = await db.prepare(query)
        for _ in range(7):
            got = [row["id"] for row in await statement.fetch(QUERY)]
        check(f"{kind}: order by {operator}, prepared, past its custom plans", got, support.nearest(operator))
        support.check_uses(f"{kind}: order by {operator} uses an index",
                           await db.fetch("EXPLAIN " + query, QUERY), "items_embedding_idx")
        got = await db.fetchval(f"SELECT embedding {operator} $1 FROM items WHERE id = 2", QUERY)
        check_near(f"{kind}: distance by {operator}", got, support.distance(operator, 2))
    for operator in BIT_OPERATORS:
        got = await db.fetch(f"SELECT id FROM items ORDER BY bits {operator} $1 LIMIT 4",
                             asyncpg.BitString(BIT_QUERY))
        check(f"{kind}: order by {operator}", [row["id"] for row in got], support.nearest(operator))

    array = [VECTORS[1], None, VECTORS[2]]
    check(f"{kind}: vector[] there and back", await db.fetchval("SELECT $1::vector[]", array), array)

    if kind == "binary":
        got = await db.fetchval("SELECT ROW(1, $1::vector)", QUERY)
        check("binary: a vector within a record", tuple(got), (1, QUERY))
        await db.copy_records_to_table("copy", records=rows)
        got = [tuple(row) for row in await db.fetch("SELECT * FROM copy ORDER BY id")]
        check("binary: COPY of records", got, rows)
    else:
        await db.copy_to_table("copy", source=await copied(db, "items"))
        got = [tuple(row) for row in await db.fetch("SELECT * FROM copy ORDER BY id")]
        check("text: COPY out and in", got, rows)

    async with db.transaction():
        ids = [row["id"] async for row in
               db.cursor("SELECT id FROM items ORDER BY embedding <-> $1 LIMIT 4", QUERY, prefetch=1)]
    check(f"{kind}: a cursor, row by row", ids, support.nearest("<->"))

    try:
        await db.execute("INSERT INTO items (id, embedding) VALUES (9, $1)", (1, 2))
        error = None
    except asyncpg.DataError as e:
        error = e.sqlstate, e.message
    check(f"{kind}: an error of the library's class", error, ("22000", "expected 3 dimensions, not 2"))


async def copied(db, table):
    parts = []

    async def keep(data):
        parts.append(data)

    await db.copy_from_table(table, output=keep)

    async def again():
        for part in parts:
            yield part

    return again()


async def test():
    db = await asyncpg.connect(host=os.environ["PGHOST"])
    await db.execute("CREATE EXTENSION IF NOT EXISTS vector")
    await db.execute("CREATE TABLE items (id int PRIMARY KEY, embedding vector(3), half halfvec(3), bits bit(5))")
    await db.execute("CREATE TABLE copy (LIKE items)")
    for opclass in VECTOR_OPERATORS.values():
        await db.execute(f"CREATE INDEX ON items USING hnsw (embedding {opclass})")
    for opclass in BIT_OPERATORS.values():
        await db.execute(f"CREATE INDEX ON items USING hnsw (bits {opclass})")
    for kind in "text", "binary":
        await set_codecs(db, kind)
        await one_format(db, kind)
    await db.close()


support.run(lambda: asyncio.run(test()), f"asyncpg {asyncpg.__version__}")
