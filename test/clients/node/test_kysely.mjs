#!/usr/bin/env node
// Kysely with pgvector's expressions.
import { Kysely, PostgresDialect, sql } from 'kysely';
import pg from 'pg';
import pgvector, * as functions from 'pgvector/kysely';
import * as t from './support.mjs';

await t.run(['kysely', 'pgvector'], async () => {
  const db = new Kysely({ dialect: new PostgresDialect({ pool: new pg.Pool({ max: 1 }) }) });
  await sql`CREATE EXTENSION IF NOT EXISTS vector`.execute(db);
  await db.schema.createTable('items')
    .addColumn('id', 'integer', (column) => column.primaryKey())
    .addColumn('embedding', sql`vector(3)`)
    .addColumn('half', sql`halfvec(3)`)
    .addColumn('bits', sql`bit(5)`)
    .execute();
  for (const [number, opclass] of Object.values(t.vectorOperators).entries()) {
    await db.schema.createIndex(`items_${number}`).on('items').using('hnsw')
      .expression(sql`embedding ${sql.raw(opclass)}`).execute();
  }
  await db.schema.createIndex('items_half').on('items').using('ivfflat').expression(sql`half halfvec_l2_ops`).execute();

  await db.insertInto('items').values(t.ids.map((id) => ({
    id, embedding: pgvector.toSql(t.vectors[id]), half: pgvector.toSql(t.vectors[id]), bits: t.bits[id],
  }))).execute();
  const rows = await db.selectFrom('items').selectAll().orderBy('id').execute();
  t.check('values come back, NULL too', rows.map((r) => [r.id, pgvector.fromSql(r.embedding), pgvector.fromSql(r.half), r.bits]),
    t.ids.map((id) => [id, t.vectors[id], t.vectors[id], t.bits[id]]));

  await sql`SET enable_seqscan = off`.execute(db);
  const by = { '<->': 'l2Distance', '<#>': 'maxInnerProduct', '<=>': 'cosineDistance', '<+>': 'l1Distance' };
  for (const [number, [operator, name]] of Object.entries(by).entries()) {
    const near = db.selectFrom('items').select('id').orderBy(functions[name]('embedding', t.query)).limit(4);
    t.check(`order by ${name}`, (await near.execute()).map((r) => r.id), t.nearest(operator));
    t.checkUses(`order by ${name} uses its index`, await near.explain(), `items_${number}`);
    const { d } = await db.selectFrom('items').select(functions[name]('embedding', t.query).as('d'))
      .where('id', '=', 2).executeTakeFirst();
    t.checkNear(`distance by ${name}`, d, t.distance(operator, 2));
  }
  for (const [operator, name] of Object.entries({ '<~>': 'hammingDistance', '<%>': 'jaccardDistance' })) {
    const near = await db.selectFrom('items').select('id').orderBy(functions[name]('bits', t.bitQuery)).limit(4).execute();
    t.check(`order by ${name}`, near.map((r) => r.id), t.nearest(operator));
  }
  await db.updateTable('items').set({ embedding: pgvector.toSql(t.query) }).where('id', '=', 5).execute();
  const first = await db.selectFrom('items').select('id').orderBy(functions.l2Distance('embedding', t.query)).limit(1).executeTakeFirst();
  t.check('an update reaches the index', first.id, 5);
  const tables = await db.introspection.getTables();
  t.check('introspection finds the type', tables[0].columns.find((c) => c.name === 'embedding').dataType, 'vector');
  await t.checkError('an error with SQLSTATE and message',
    () => db.insertInto('items').values({ id: 9, embedding: '[1,2]' }).execute());
});
