#!/usr/bin/env node
// Slonik: tagged statements, a parser for the type's name, unnest of many rows.
import { createPool, createTypeParserPreset, sql } from 'slonik';
import pgvector from 'pgvector';
import * as t from './support.mjs';

await t.run(['slonik', 'pgvector'], async () => {
  const first = await createPool(t.url(), { maximumPoolSize: 1 });
  await first.query(sql.unsafe`CREATE EXTENSION IF NOT EXISTS vector`);
  await first.end();
  const parse = (name) => ({ name, parse: pgvector.fromSql });
  const db = await createPool(t.url(), {
    maximumPoolSize: 1, typeParsers: [...createTypeParserPreset(), parse('vector'), parse('halfvec')],
  });
  await db.query(sql.unsafe`CREATE TABLE items (id int PRIMARY KEY, embedding vector(3), half halfvec(3), bits bit(5))`);
  await db.query(sql.unsafe`CREATE INDEX ON items USING hnsw (embedding vector_l2_ops)`);
  await db.query(sql.unsafe`CREATE INDEX ON items USING hnsw (embedding vector_ip_ops)`);
  await db.query(sql.unsafe`CREATE INDEX ON items USING hnsw (embedding vector_cosine_ops)`);
  await db.query(sql.unsafe`CREATE INDEX ON items USING hnsw (embedding vector_l1_ops)`);
  await db.query(sql.unsafe`CREATE INDEX ON items USING ivfflat (half halfvec_l2_ops) WITH (lists = 1)`);

  const rows = t.ids.map((id) => [id, pgvector.toSql(t.vectors[id]), pgvector.toSql(t.vectors[id]), t.bits[id]]);
  await db.query(sql.unsafe`INSERT INTO items SELECT * FROM ${sql.unnest(rows, ['int4', 'vector', 'halfvec', sql.fragment`bit(5)[]`])}`);
  const back = await db.any(sql.unsafe`SELECT id, embedding, half FROM items ORDER BY id`);
  t.check('values come back, NULL too', back.map((r) => ({ ...r })),
    t.ids.map((id) => ({ id, embedding: t.vectors[id], half: t.vectors[id] })));

  const query = pgvector.toSql(t.query);
  const by = {
    '<->': sql.fragment`embedding <-> ${query}`, '<#>': sql.fragment`embedding <#> ${query}`,
    '<=>': sql.fragment`embedding <=> ${query}`, '<+>': sql.fragment`embedding <+> ${query}`,
  };
  await db.connect(async (session) => {
    await session.query(sql.unsafe`SET enable_seqscan = off`);
    for (const [operator, distance] of Object.entries(by)) {
      const near = await session.anyFirst(sql.unsafe`SELECT id FROM items ORDER BY ${distance} LIMIT 4`);
      t.check(`order by ${operator}`, [...near], t.nearest(operator));
      t.checkUses(`order by ${operator} uses an index`,
        await session.any(sql.unsafe`EXPLAIN SELECT id FROM items ORDER BY ${distance} LIMIT 4`), 'items_embedding_idx');
      t.checkNear(`distance by ${operator}`,
        await session.oneFirst(sql.unsafe`SELECT ${distance} FROM items WHERE id = 2`), t.distance(operator, 2));
    }
    const bitsBy = { '<~>': sql.fragment`bits <~> ${t.bitQuery}`, '<%>': sql.fragment`bits <%> ${t.bitQuery}` };
    for (const [operator, distance] of Object.entries(bitsBy)) {
      const near = await session.anyFirst(sql.unsafe`SELECT id FROM items ORDER BY ${distance} LIMIT 4`);
      t.check(`order by ${operator}`, [...near], t.nearest(operator));
    }
  });
  await t.checkError('an error with SQLSTATE and message',
    () => db.query(sql.unsafe`INSERT INTO items (id, embedding) VALUES (9, ${'[1,2]'})`),
    (error) => error.cause ?? error);
});
