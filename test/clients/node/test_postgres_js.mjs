#!/usr/bin/env node
// Postgres.js, which prepares each statement; types of its own, arrays, COPY, cursors.
import { pipeline } from 'node:stream/promises';
import postgres from 'postgres';
import pgvector from 'pgvector';
import * as t from './support.mjs';

async function oidsOf(sql, name) {
  const [row] = await sql`SELECT oid::int, typarray::int FROM pg_type WHERE oid = ${name}::regtype`;
  return row;
}

await t.run(['postgres', 'pgvector'], async () => {
  const options = { max: 1, onnotice: () => {} };
  const first = postgres(options);
  await first`CREATE EXTENSION IF NOT EXISTS vector`;
  const { oid } = await oidsOf(first, 'vector');
  await first.end();
  const sql = postgres({
    ...options,
    types: { vector: { to: oid, from: [oid], serialize: pgvector.toSql, parse: pgvector.fromSql } },
  });

  await sql`CREATE TABLE items (id int PRIMARY KEY, embedding vector(3), half halfvec(3), bits bit(5))`;
  for (const index of t.indexes()) await sql.unsafe(index);
  const rows = t.ids.map((id) => ({
    id, embedding: t.vectors[id] && sql.types.vector(t.vectors[id]), half: pgvector.toSql(t.vectors[id]), bits: t.bits[id],
  }));
  await sql`INSERT INTO items ${sql(rows)}`;
  const back = await sql`SELECT id, embedding, half::text AS half FROM items ORDER BY id`;
  t.check('values come back, NULL too', back.map((r) => [r.id, r.embedding, pgvector.fromSql(r.half)]),
    t.ids.map((id) => [id, t.vectors[id], t.vectors[id]]));

  await sql`SET enable_seqscan = off`;
  const query = sql.types.vector(t.query);
  for (const operator of Object.keys(t.vectorOperators)) {
    const by = sql.unsafe(operator);
    let near;
    for (let i = 0; i < 7; i++) near = await sql`SELECT id FROM items ORDER BY embedding ${by} ${query} LIMIT 4`;
    t.check(`order by ${operator}, prepared, past its custom plans`, near.map((r) => r.id), t.nearest(operator));
    t.checkUses(`order by ${operator} uses an index`,
      await sql`EXPLAIN SELECT id FROM items ORDER BY embedding ${by} ${query} LIMIT 4`, 'items_embedding_idx');
    const [{ d }] = await sql`SELECT embedding ${by} ${query} AS d FROM items WHERE id = 2`;
    t.checkNear(`distance by ${operator}`, d, t.distance(operator, 2));
  }
  for (const operator of Object.keys(t.bitOperators)) {
    const near = await sql`SELECT id FROM items ORDER BY bits ${sql.unsafe(operator)} ${t.bitQuery} LIMIT 4`;
    t.check(`order by ${operator}`, near.map((r) => r.id), t.nearest(operator));
  }
  const [{ a }] = await sql`SELECT ARRAY[${query}::vector, ${query}] AS a`;
  t.check('vector[] comes back', a, [t.query, t.query]);

  await sql`CREATE TABLE copy (LIKE items)`;
  await pipeline(await sql`COPY items TO STDOUT`.readable(), await sql`COPY copy FROM STDIN`.writable());
  const [{ n }] = await sql`SELECT count(*)::int AS n FROM copy JOIN items ON copy IS NOT DISTINCT FROM items`;
  t.check('COPY out and in', n, t.ids.length);

  const ids = [];
  await sql`SELECT id FROM items ORDER BY embedding <-> ${query} LIMIT 4`.cursor(1, ([row]) => { ids.push(row.id); });
  t.check('a cursor, row by row', ids, t.nearest('<->'));
  await t.checkError('an error with SQLSTATE and message',
    () => sql`INSERT INTO items (id, embedding) VALUES (9, ${sql.types.vector([1, 2])})`);
});
