#!/usr/bin/env node
// TypeORM, which has the types itself and creates the extension when it synchronizes.
import { DataSource, EntitySchema } from 'typeorm';
import * as t from './support.mjs';

const Item = new EntitySchema({
  name: 'Item',
  tableName: 'items',
  columns: {
    id: { type: 'int', primary: true },
    embedding: { type: 'vector', length: 3, nullable: true },
    half: { type: 'halfvec', length: 3, nullable: true },
    bits: { type: 'bit', length: 5, nullable: true },
  },
});

await t.run(['typeorm'], async () => {
  const { PGHOST, PGUSER, PGDATABASE } = process.env;
  const db = new DataSource({
    type: 'postgres', host: PGHOST, username: PGUSER, database: PGDATABASE, entities: [Item], poolSize: 1,
  });
  await db.initialize();
  await db.synchronize();
  for (const index of t.indexes()) await db.query(index);
  const changes = await db.driver.createSchemaBuilder().log();
  t.check('a second look at the schema changes no column', changes.upQueries.filter((q) => !/INDEX/.test(q.query)), []);

  const items = db.getRepository(Item);
  await items.insert(t.ids.map((id) => ({ id, embedding: t.vectors[id], half: t.vectors[id], bits: t.bits[id] })));
  const rows = await items.find({ order: { id: 'ASC' } });
  t.check('objects come back, NULL too', rows, t.ids.map((id) => (
    { id, embedding: t.vectors[id], half: t.vectors[id], bits: t.bits[id] })));

  await db.query('SET enable_seqscan = off');
  const query = JSON.stringify(t.query);
  for (const operator of Object.keys(t.vectorOperators)) {
    const near = items.createQueryBuilder('item').select('item.id').orderBy(`embedding ${operator} :query`)
      .setParameters({ query }).limit(4);
    t.check(`order by ${operator}`, (await near.getMany()).map((r) => r.id), t.nearest(operator));
    const [sql, parameters] = near.getQueryAndParameters();
    t.checkUses(`order by ${operator} uses an index`, await db.query(`EXPLAIN ${sql}`, parameters), 'items_embedding_idx');
    const { d } = await items.createQueryBuilder('item').select(`embedding ${operator} :query`, 'd').where('id = 2')
      .setParameters({ query }).getRawOne();
    t.checkNear(`distance by ${operator}`, d, t.distance(operator, 2));
  }
  for (const operator of Object.keys(t.bitOperators)) {
    const near = await items.createQueryBuilder('item').orderBy(`bits ${operator} :query`)
      .setParameters({ query: t.bitQuery }).limit(4).getMany();
    t.check(`order by ${operator}`, near.map((r) => r.id), t.nearest(operator));
  }
  rows[4].embedding = t.query;
  await items.save(rows[4]);
  const first = await items.createQueryBuilder('item').orderBy('embedding <-> :query').setParameters({ query }).limit(1).getOne();
  t.check("an object's change reaches the index", first.id, 5);
  await t.checkError('an error with SQLSTATE and message', () => items.insert({ id: 9, embedding: [1, 2] }),
    (error) => error.driverError);
});
