#!/usr/bin/env node
// Drizzle, which has the types and operators itself.
import { cosineDistance, eq, getTableColumns, hammingDistance, innerProduct, jaccardDistance, l1Distance, l2Distance, sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import { bit, halfvec, integer, pgTable, sparsevec, vector } from 'drizzle-orm/pg-core';
import pg from 'pg';
import * as t from './support.mjs';

const items = pgTable('items', {
  id: integer('id').primaryKey(),
  embedding: vector('embedding', { dimensions: 3 }),
  half: halfvec('half', { dimensions: 3 }),
  bits: bit('bits', { dimensions: 5 }),
  sparse: sparsevec('sparse', { dimensions: 5 }),
});

await t.run(['drizzle-orm'], async () => {
  const db = drizzle(new pg.Pool({ max: 1 }));
  await db.execute('CREATE EXTENSION IF NOT EXISTS vector');
  const columns = Object.values(getTableColumns(items)).map((column) => `${column.name} ${column.getSQLType()}`);
  await db.execute(`CREATE TABLE items (${columns.join(', ')})`);
  for (const index of t.indexes()) await db.execute(index);

  const rows = t.ids.map((id) => ({
    id, embedding: t.vectors[id], half: t.vectors[id], bits: t.bits[id], sparse: t.vectors[id] && '{1:1.5,4:-2}/5',
  }));
  await db.insert(items).values(rows);
  t.check('values come back, NULL too', await db.select().from(items).orderBy(items.id), rows);

  await db.execute('SET enable_seqscan = off');
  const by = { '<->': l2Distance, '<#>': innerProduct, '<=>': cosineDistance, '<+>': l1Distance };
  for (const [operator, distance] of Object.entries(by)) {
    const near = db.select({ id: items.id }).from(items).orderBy(distance(items.embedding, t.query)).limit(4);
    t.check(`order by ${distance.name}`, (await near).map((r) => r.id), t.nearest(operator));
    t.check(`order by ${distance.name}, prepared`, (await near.prepare(`near_${distance.name}`).execute()).map((r) => r.id), t.nearest(operator));
    const { rows: plan } = await db.execute(sql`EXPLAIN ${near.getSQL()}`);
    t.checkUses(`order by ${distance.name} uses an index`, plan, 'items_embedding_idx');
    const [{ d }] = await db.select({ d: distance(items.embedding, t.query) }).from(items).where(eq(items.id, 2));
    t.checkNear(`distance by ${distance.name}`, d, t.distance(operator, 2));
  }
  // The functions write an array as a vector; a bit string goes as SQL.
  for (const [operator, distance] of Object.entries({ '<~>': hammingDistance, '<%>': jaccardDistance })) {
    const near = await db.select({ id: items.id }).from(items).orderBy(distance(items.bits, sql`${t.bitQuery}`)).limit(4);
    t.check(`order by ${distance.name}`, near.map((r) => r.id), t.nearest(operator));
  }
  await db.update(items).set({ embedding: t.query }).where(eq(items.id, 5));
  const [first] = await db.select({ id: items.id }).from(items).orderBy(l2Distance(items.embedding, t.query)).limit(1);
  t.check('an update reaches the index', first.id, 5);
  await t.checkError('an error with SQLSTATE and message',
    () => db.insert(items).values({ id: 9, embedding: [1, 2] }), (error) => error.cause ?? error);
});
