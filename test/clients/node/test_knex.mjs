#!/usr/bin/env node
// Knex with pgvector's schema and query builders.
import Knex from 'knex';
import pgvector from 'pgvector/knex';
import * as t from './support.mjs';

await t.run(['knex', 'pgvector'], async () => {
  const knex = Knex({ client: 'pg', connection: {}, pool: { min: 1, max: 1 } });
  await knex.schema.enableExtension('vector');
  await knex.schema.createTable('items', (table) => {
    table.integer('id').primary();
    table.vector('embedding', 3);
    table.halfvec('half', 3);
    table.specificType('bits', 'bit(5)');
    table.index(knex.raw('embedding vector_l2_ops'), 'items_l2', 'hnsw');
  });
  // The first of these is the one above.
  for (const index of t.indexes().slice(1)) await knex.raw(index);

  await knex('items').insert(t.ids.map((id) => ({
    id, embedding: pgvector.toSql(t.vectors[id]), half: pgvector.toSql(t.vectors[id]), bits: t.bits[id],
  })));
  const rows = await knex('items').orderBy('id');
  t.check('values come back, NULL too', rows.map((r) => [r.id, pgvector.fromSql(r.embedding), pgvector.fromSql(r.half), r.bits]),
    t.ids.map((id) => [id, t.vectors[id], t.vectors[id], t.bits[id]]));

  await knex.raw('SET enable_seqscan = off');
  const by = { '<->': 'l2Distance', '<#>': 'maxInnerProduct', '<=>': 'cosineDistance', '<+>': 'l1Distance' };
  for (const [operator, method] of Object.entries(by)) {
    const near = knex('items').select('id').orderBy(knex.queryBuilder()[method]('embedding', t.query)).limit(4);
    t.check(`order by ${method}`, (await near).map((r) => r.id), t.nearest(operator));
    const { sql, bindings } = near.toSQL();
    const plan = await knex.raw(`EXPLAIN ${sql}`, bindings);
    t.checkUses(`order by ${method} uses an index`, plan.rows, operator === '<->' ? 'items_l2' : 'items_embedding_idx');
    const [{ d }] = await knex('items').where('id', 2).select({ d: knex.raw(`embedding ${operator} ?`, pgvector.toSql(t.query)) });
    t.checkNear(`distance by ${operator}`, d, t.distance(operator, 2));
  }
  for (const [operator, method] of Object.entries({ '<~>': 'hammingDistance', '<%>': 'jaccardDistance' })) {
    const near = await knex('items').select('id').orderBy(knex.queryBuilder()[method]('bits', t.bitQuery)).limit(4);
    t.check(`order by ${method}`, near.map((r) => r.id), t.nearest(operator));
  }
  await knex('items').where('id', 5).update({ embedding: pgvector.toSql(t.query) });
  const [{ id }] = await knex('items').orderBy(knex.l2Distance('embedding', t.query)).limit(1);
  t.check('an update reaches the index', id, 5);
  await t.checkError('an error with SQLSTATE', () => knex('items').insert({ id: 9, embedding: '[1,2]' }),
    ({ code, message }) => ({ code, message: message.split(' - ').pop() }));
});
