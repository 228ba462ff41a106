#!/usr/bin/env node
// MikroORM with pgvector's types, whose schema generator makes the table.
import { EntitySchema, MikroORM } from '@mikro-orm/postgresql';
import pgvector from 'pgvector/mikro-orm';
import * as t from './support.mjs';

const Item = new EntitySchema({
  name: 'Item',
  tableName: 'items',
  properties: {
    id: { type: 'integer', primary: true, autoincrement: false },
    embedding: { type: pgvector.VectorType, dimensions: 3, nullable: true },
    half: { type: pgvector.HalfvecType, dimensions: 3, nullable: true },
    bits: { type: pgvector.BitType, length: 5, nullable: true },
  },
});

await t.run(['@mikro-orm/postgresql', 'pgvector'], async () => {
  const { PGHOST, PGUSER, PGDATABASE } = process.env;
  const orm = await MikroORM.init({
    entities: [Item], host: PGHOST, user: PGUSER, dbName: PGDATABASE, pool: { min: 1, max: 1 },
  });
  const em = orm.em.fork();
  const connection = em.getConnection();
  await connection.execute('CREATE EXTENSION IF NOT EXISTS vector');
  await orm.schema.createSchema();
  // MikroORM does not read the dimensions of halfvec.
  const changes = await orm.schema.getUpdateSchemaSQL({ wrap: false });
  t.check('a second look at the schema finds no change of the vector', changes.includes('embedding') ? changes : '', '');
  for (const index of t.indexes()) await connection.execute(index);

  for (const id of t.ids) {
    em.create(Item, { id, embedding: t.vectors[id], half: t.vectors[id], bits: t.bits[id] });
  }
  await em.flush();
  em.clear();
  const rows = await em.find(Item, {}, { orderBy: { id: 'ASC' } });
  t.check('objects come back, NULL too', rows.map((r) => [r.id, r.embedding, r.half, r.bits]),
    t.ids.map((id) => [id, t.vectors[id], t.vectors[id], t.bits[id]]));

  await connection.execute('SET enable_seqscan = off');
  const by = { '<->': 'l2Distance', '<#>': 'maxInnerProduct', '<=>': 'cosineDistance', '<+>': 'l1Distance' };
  for (const [operator, name] of Object.entries(by)) {
    const near = em.createQueryBuilder(Item, 'item').select('id')
      .orderBy({ [pgvector[name]('embedding', t.query)]: 'ASC' }).limit(4);
    t.check(`order by ${name}`, (await near.execute('all')).map((r) => r.id), t.nearest(operator));
    const plan = await connection.execute(`EXPLAIN ${near.getFormattedQuery()}`);
    t.checkUses(`order by ${name} uses an index`, plan, 'items_embedding_idx');
    const [{ d }] = await connection.execute(`SELECT embedding ${operator} ? AS d FROM items WHERE id = 2`, [JSON.stringify(t.query)]);
    t.checkNear(`distance by ${operator}`, d, t.distance(operator, 2));
  }
  for (const [operator, name] of Object.entries({ '<~>': 'hammingDistance', '<%>': 'jaccardDistance' })) {
    const near = await em.createQueryBuilder(Item, 'item').select('id')
      .orderBy({ [pgvector[name]('bits', t.bitQuery)]: 'ASC' }).limit(4).execute('all');
    t.check(`order by ${name}`, near.map((r) => r.id), t.nearest(operator));
  }
  rows[4].embedding = t.query;
  await em.flush();
  const [first] = await em.createQueryBuilder(Item, 'item').select('id')
    .orderBy({ [pgvector.l2Distance('embedding', t.query)]: 'ASC' }).limit(1).execute('all');
  t.check("an object's change reaches the index", first.id, 5);
  await t.checkError('an error with SQLSTATE', () => em.fork().insert(Item, { id: 9, embedding: [1, 2] }),
    ({ code, message }) => ({ code, message: message.split(' - ').pop() }));
});
