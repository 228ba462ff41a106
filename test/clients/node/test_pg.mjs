#!/usr/bin/env node
// node-postgres with pgvector's types: text, named statements, COPY, binary parameters.
import { pipeline } from 'node:stream/promises';
import { PassThrough } from 'node:stream';
import pg from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import pgvector from 'pgvector/pg';
import { SparseVector } from 'pgvector';
import * as t from './support.mjs';

function toBinary(vector) {
  const data = Buffer.alloc(4 + 4 * vector.length);
  data.writeInt16BE(vector.length, 0);
  vector.forEach((x, i) => data.writeFloatBE(x, 4 + 4 * i));
  return data;
}

await t.run(['pg', 'pgvector'], async () => {
  const db = new pg.Client();
  await db.connect();
  await db.query('CREATE EXTENSION IF NOT EXISTS vector');
  await pgvector.registerTypes(db);
  await db.query(`CREATE TABLE items (id int PRIMARY KEY, embedding vector(3), half halfvec(3), bits bit(5),
                  sparse sparsevec(3))`);
  for (const index of t.indexes()) await db.query(index);

  const toSql = (v) => pgvector.toSql(v);
  for (const id of t.ids) {
    const v = t.vectors[id];
    await db.query('INSERT INTO items VALUES ($1, $2, $3, $4, $5)',
      [id, toSql(v), toSql(v), t.bits[id], v && toSql(new SparseVector(v))]);
  }
  const { rows } = await db.query('SELECT id, embedding, half, sparse FROM items ORDER BY id');
  t.check('values come back, NULL too', rows.map((r) => [r.id, r.embedding, r.half, r.sparse && r.sparse.toArray()]),
    t.ids.map((id) => [id, t.vectors[id], t.vectors[id], t.vectors[id]]));

  await db.query('SET enable_seqscan = off');
  for (const operator of Object.keys(t.vectorOperators)) {
    const text = `SELECT id FROM items ORDER BY embedding ${operator} $1 LIMIT 4`;
    let found;
    for (let i = 0; i < 7; i++) found = await db.query({ name: `near ${operator}`, text, values: [toSql(t.query)] });
    t.check(`order by ${operator}, prepared, past its custom plans`, found.rows.map((r) => r.id), t.nearest(operator));
    const plan = await db.query(`EXPLAIN ${text}`, [toSql(t.query)]);
    t.checkUses(`order by ${operator} uses an index`, plan.rows, 'items_embedding_idx');
    const { rows: [{ d }] } = await db.query(`SELECT embedding ${operator} $1 AS d FROM items WHERE id = 2`, [toSql(t.query)]);
    t.checkNear(`distance by ${operator}`, d, t.distance(operator, 2));
  }
  for (const operator of Object.keys(t.bitOperators)) {
    const found = await db.query(`SELECT id FROM items ORDER BY bits ${operator} $1 LIMIT 4`, [t.bitQuery]);
    t.check(`order by ${operator}`, found.rows.map((r) => r.id), t.nearest(operator));
  }
  const near = await db.query('SELECT id FROM items ORDER BY half <-> $1 LIMIT 4', [toSql(t.query)]);
  t.check('order of halfvec by <->, through ivfflat', near.rows.map((r) => r.id), t.nearest('<->'));
  const sparse = await db.query('SELECT sparse <-> $1 AS d FROM items WHERE id = 2', [toSql(new SparseVector(t.query))]);
  t.checkNear('distance of sparsevec by <->', sparse.rows[0].d, t.distance('<->', 2));

  // A Buffer goes in binary. Results do not come so: node-postgres reads all bytes as UTF-8.
  const binary = await db.query('SELECT $1::vector AS v', [toBinary(t.query)]);
  t.check('a binary parameter', binary.rows[0].v, t.query);

  const array = await db.query('SELECT $1::vector[]::text[] AS a', [[toSql([1, 2, 3]), null]]);
  t.check('vector[] there and back', array.rows[0].a, ['[1,2,3]', null]);

  await db.query('CREATE TABLE copy (LIKE items)');
  for (const options of ['', ' WITH (FORMAT BINARY)']) {
    await db.query('TRUNCATE copy');
    const between = new PassThrough();
    await pipeline(db.query(copyTo(`COPY items TO STDOUT${options}`)), between, { end: true });
    await pipeline(between, db.query(copyFrom(`COPY copy FROM STDIN${options}`)));
    const same = await db.query('SELECT count(*)::int AS n FROM copy JOIN items ON copy IS NOT DISTINCT FROM items');
    t.check(`COPY out and in${options}`, same.rows[0].n, t.ids.length);
  }
  await t.checkError('an error with SQLSTATE and message',
    () => db.query('INSERT INTO items (id, embedding) VALUES (9, $1)', [toSql([1, 2])]));
  await db.end();
});
