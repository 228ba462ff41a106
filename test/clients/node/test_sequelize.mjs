#!/usr/bin/env node
// Sequelize with pgvector's types, and its literals for distances.
import { DataTypes, Model, Sequelize } from 'sequelize';
import pgvector from 'pgvector/sequelize';
import * as t from './support.mjs';

pgvector.registerTypes(Sequelize);

await t.run(['sequelize', 'pgvector'], async () => {
  const { PGHOST, PGUSER, PGDATABASE } = process.env;
  const options = { host: PGHOST, dialect: 'postgres', logging: false, pool: { max: 1 } };
  // Sequelize reads the types' oids when it connects first.
  const first = new Sequelize(PGDATABASE, PGUSER, '', options);
  await first.query('CREATE EXTENSION IF NOT EXISTS vector');
  await first.close();
  const db = new Sequelize(PGDATABASE, PGUSER, '', options);
  class Item extends Model {}
  Item.init({
    id: { type: DataTypes.INTEGER, primaryKey: true },
    embedding: DataTypes.VECTOR(3),
    half: DataTypes.HALFVEC(3),
    bits: 'bit(5)',
  }, {
    sequelize: db, tableName: 'items', timestamps: false,
    indexes: Object.values(t.vectorOperators).map((operator, number) => (
      { name: `items_${number}`, fields: [{ name: 'embedding', operator }], using: 'hnsw' })),
  });
  await Item.sync();
  await Item.sync({ alter: true });
  await db.query('CREATE INDEX ON items USING ivfflat (half halfvec_l2_ops) WITH (lists = 1)');

  await Item.bulkCreate(t.ids.map((id) => ({ id, embedding: t.vectors[id], half: t.vectors[id], bits: t.bits[id] })));
  const rows = await Item.findAll({ order: ['id'] });
  t.check('objects come back, NULL too', rows.map((r) => [r.id, r.embedding, r.half, r.bits]),
    t.ids.map((id) => [id, t.vectors[id], t.vectors[id], t.bits[id]]));

  await db.query('SET enable_seqscan = off');
  const by = { '<->': 'l2Distance', '<#>': 'maxInnerProduct', '<=>': 'cosineDistance', '<+>': 'l1Distance' };
  for (const [number, [operator, name]] of Object.entries(by).entries()) {
    let text;
    const distance = pgvector[name]('embedding', t.query, db);
    const near = await Item.findAll({ attributes: ['id'], order: [distance], limit: 4, logging: (sql) => { text = sql; } });
    t.check(`order by ${name}`, near.map((r) => r.id), t.nearest(operator));
    const [plan] = await db.query(text.replace(/^.*?: /, 'EXPLAIN '));
    t.checkUses(`order by ${name} uses its index`, plan, `items_${number}`);
    const one = await Item.findByPk(2, { attributes: [[distance, 'd']] });
    t.checkNear(`distance by ${name}`, one.get('d'), t.distance(operator, 2));
  }
  for (const [operator, name] of Object.entries({ '<~>': 'hammingDistance', '<%>': 'jaccardDistance' })) {
    const near = await Item.findAll({ attributes: ['id'], order: [pgvector[name]('bits', t.bitQuery, db)], limit: 4 });
    t.check(`order by ${name}`, near.map((r) => r.id), t.nearest(operator));
  }
  await rows[4].update({ embedding: t.query });
  const found = await Item.findOne({ order: [pgvector.l2Distance('embedding', t.query, db)] });
  t.check("an object's change reaches the index", found.id, 5);
  await t.checkError('an error with SQLSTATE and message', () => Item.create({ id: 9, embedding: [1, 2] }),
    (error) => error.parent);
});
