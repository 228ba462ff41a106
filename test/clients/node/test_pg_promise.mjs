#!/usr/bin/env node
// pg-promise with pgvector's types: its own formatting, multi-row inserts, prepared statements.
import pgPromise from 'pg-promise';
import pgvector from 'pgvector/pg-promise';
import * as t from './support.mjs';

await t.run(['pg-promise', 'pgvector'], async () => {
  const library = pgPromise({
    noWarnings: true,
    async connect({ client, useCount }) {
      if (useCount === 0 && client.connectionParameters.application_name) await pgvector.registerTypes(client);
    },
  });
  // What registers types has to begin after the extension exists.
  const first = library({ max: 1 });
  await first.none('CREATE EXTENSION IF NOT EXISTS vector');
  await first.$pool.end();
  const db = library({ max: 1, application_name: 'with types' });

  await db.none('CREATE TABLE items (id int PRIMARY KEY, embedding vector(3), half halfvec(3), bits bit(5))');
  for (const index of t.indexes()) await db.none(index);
  const columns = new library.helpers.ColumnSet(['id', 'embedding', 'half', 'bits'], { table: 'items' });
  await db.none(library.helpers.insert(t.ids.map((id) => ({
    id, embedding: pgvector.toSql(t.vectors[id]), half: pgvector.toSql(t.vectors[id]), bits: t.bits[id],
  })), columns));
  const rows = await db.any('SELECT * FROM items ORDER BY id');
  t.check('values come back, NULL too', rows, t.ids.map((id) => (
    { id, embedding: t.vectors[id], half: t.vectors[id], bits: t.bits[id] })));

  await db.none('SET enable_seqscan = off');
  for (const operator of Object.keys(t.vectorOperators)) {
    const text = `SELECT id FROM items ORDER BY embedding ${operator} $1 LIMIT 4`;
    const near = await db.map(text, [pgvector.toSql(t.query)], (r) => r.id);
    t.check(`order by ${operator}`, near, t.nearest(operator));
    const prepared = new pgPromise.PreparedStatement({ name: `near ${operator}`, text, values: [pgvector.toSql(t.query)] });
    let found;
    for (let i = 0; i < 7; i++) found = await db.any(prepared);
    t.check(`order by ${operator}, prepared, past its custom plans`, found.map((r) => r.id), t.nearest(operator));
    t.checkUses(`order by ${operator} uses an index`, await db.any(`EXPLAIN ${text}`, [pgvector.toSql(t.query)]),
      'items_embedding_idx');
    const { d } = await db.one(`SELECT embedding ${operator} $1 AS d FROM items WHERE id = 2`, [pgvector.toSql(t.query)]);
    t.checkNear(`distance by ${operator}`, d, t.distance(operator, 2));
  }
  for (const operator of Object.keys(t.bitOperators)) {
    const near = await db.map(`SELECT id FROM items ORDER BY bits ${operator} $1 LIMIT 4`, [t.bitQuery], (r) => r.id);
    t.check(`order by ${operator}`, near, t.nearest(operator));
  }
  const { a } = await db.one('SELECT $1::float8[]::vector AS a', [t.query]);
  t.check('float8[] becomes vector', a, t.query);
  await t.checkError('an error with SQLSTATE and message',
    () => db.none("INSERT INTO items (id, embedding) VALUES (9, '[1,2]')"));
});
