#!/usr/bin/env node
// Objection models on Knex, with pgvector's expressions.
import Knex from 'knex';
import { Model } from 'objection';
import pgvector, * as functions from 'pgvector/objection';
import * as t from './support.mjs';

class Item extends Model {
  static tableName = 'items';

  $formatDatabaseJson(json) {
    const out = super.$formatDatabaseJson(json);
    for (const key of ['embedding', 'half']) if (Array.isArray(out[key])) out[key] = pgvector.toSql(out[key]);
    return out;
  }

  $parseDatabaseJson(json) {
    for (const key of ['embedding', 'half']) if (key in json) json[key] = pgvector.fromSql(json[key]);
    return super.$parseDatabaseJson(json);
  }
}

await t.run(['objection', 'pgvector'], async () => {
  const knex = Knex({ client: 'pg', connection: {}, pool: { min: 1, max: 1 } });
  Model.knex(knex);
  await knex.schema.enableExtension('vector');
  await knex.schema.createTable('items', (table) => {
    table.integer('id').primary();
    table.vector('embedding', { dimensions: 3 });
    table.halfvec('half', { dimensions: 3 });
    table.specificType('bits', 'bit(5)');
  });
  for (const index of t.indexes()) await knex.raw(index);

  await Item.query().insert(t.ids.map((id) => (
    { id, embedding: t.vectors[id], half: t.vectors[id], bits: t.bits[id] })));
  const items = await Item.query().orderBy('id');
  t.check('objects come back, NULL too', items.map((r) => [r.id, r.embedding, r.half, r.bits]),
    t.ids.map((id) => [id, t.vectors[id], t.vectors[id], t.bits[id]]));

  await knex.raw('SET enable_seqscan = off');
  const by = { '<->': 'l2Distance', '<#>': 'maxInnerProduct', '<=>': 'cosineDistance', '<+>': 'l1Distance' };
  for (const [operator, name] of Object.entries(by)) {
    const near = Item.query().select('id').orderBy(functions[name]('embedding', t.query)).limit(4);
    t.check(`order by ${name}`, (await near).map((r) => r.id), t.nearest(operator));
    const { sql, bindings } = near.toKnexQuery().toSQL();
    const plan = await knex.raw(`EXPLAIN ${sql}`, bindings);
    t.checkUses(`order by ${name} uses an index`, plan.rows, 'items_embedding_idx');
    const one = await Item.query().findById(2).select(functions[name]('embedding', t.query).as('d'));
    t.checkNear(`distance by ${name}`, one.d, t.distance(operator, 2));
  }
  for (const [operator, name] of Object.entries({ '<~>': 'hammingDistance', '<%>': 'jaccardDistance' })) {
    const near = await Item.query().select('id').orderBy(functions[name]('bits', t.bitQuery)).limit(4);
    t.check(`order by ${name}`, near.map((r) => r.id), t.nearest(operator));
  }
  await Item.query().findById(5).patch({ embedding: t.query });
  const first = await Item.query().orderBy(functions.l2Distance('embedding', t.query)).first();
  t.check("an object's change reaches the index", first.id, 5);
  await t.checkError('an error with SQLSTATE', () => Item.query().insert({ id: 9, embedding: [1, 2] }),
    ({ nativeError, code, message }) => ({ code: (nativeError ?? { code }).code, message: message.split(' - ').pop() }));
});
