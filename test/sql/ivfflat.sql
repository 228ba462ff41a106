-- The access method ivfflat: an hnsw graph by the name that pgvector's users know.

CREATE TABLE flat (id int, v vector(3), h halfvec(3), b bit(8));
INSERT INTO flat SELECT i, ARRAY[i, i % 7, i % 3]::vector, ARRAY[i, i % 7, i % 3]::halfvec, i::bit(8) FROM generate_series(1, 200) i;

-- what it is, is said
CREATE INDEX flat_v ON flat USING ivfflat (v) WITH (lists = 20);
CREATE INDEX flat_cosine ON flat USING ivfflat (v vector_cosine_ops);
SET client_min_messages = warning;
CREATE INDEX flat_ip ON flat USING ivfflat (v vector_ip_ops);
CREATE INDEX flat_h ON flat USING ivfflat (h halfvec_l2_ops);
CREATE INDEX flat_b ON flat USING ivfflat (b bit_hamming_ops);
RESET client_min_messages;
SELECT i::regclass, access_method, structure, m, ef_construction, metric, heap_tids FROM unnest(ARRAY['flat_v', 'flat_cosine', 'flat_ip', 'flat_h', 'flat_b']::regclass[]) i, hnsw_index_info(i);
-- a dump has no name of the default operator class
SELECT pg_get_indexdef('flat_v'::regclass);

-- it searches, in both ways, whatever ivfflat.probes says
SET enable_seqscan = off;
SET hnsw.scan_strategy = graph;
SET ivfflat.probes = 1;
EXPLAIN (COSTS OFF) SELECT id FROM flat ORDER BY v <-> '[100.2,2,1]' LIMIT 3;
SELECT id FROM flat ORDER BY v <-> '[100.2,2,1]' LIMIT 3;
SET hnsw.custom_scan = off;
EXPLAIN (COSTS OFF) SELECT id FROM flat ORDER BY h <-> '[100.2,2,1]' LIMIT 3;
SELECT id FROM flat ORDER BY h <-> '[100.2,2,1]' LIMIT 3;
RESET hnsw.custom_scan;

-- changes, VACUUM, REINDEX
INSERT INTO flat VALUES (201, '[100,2,1]', '[100,2,1]', B'00000000');
DELETE FROM flat WHERE id = 100;
VACUUM flat;
SELECT id FROM flat ORDER BY v <-> '[100.2,2,1]' LIMIT 1;
REINDEX INDEX flat_v;
SELECT i::regclass, count(problem) FROM unnest(ARRAY['flat_v', 'flat_cosine', 'flat_ip', 'flat_h', 'flat_b']::regclass[]) i LEFT JOIN LATERAL hnsw_index_check(i, true) ON true GROUP BY i ORDER BY i::regclass::text COLLATE "C";

-- options
CREATE INDEX ON flat USING ivfflat (v) WITH (lists = 32769);
CREATE INDEX ON flat USING ivfflat (v) WITH (m = 8);
CREATE INDEX ON flat USING hnsw (v vector_l2_ops) WITH (lists = 20);
SET ivfflat.probes = 0;
SELECT name, setting, short_desc, extra_desc FROM pg_settings WHERE name LIKE 'ivfflat.%' ORDER BY name COLLATE "C";

DROP TABLE flat;
