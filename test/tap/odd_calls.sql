-- Odd arguments of every function, operator, cast and aggregate, and odd binary forms, end in an error of class 22,
-- 42, 54 or the like, and never in an internal one: a few of those that `make soak` calls, others in each run.
SET client_min_messages = warning;
\ir ../soak/calls.psql
SELECT plan(3);
SELECT floor(random() * 1000000000)::int AS seed \gset
SELECT diag('seed ' || :seed);
SELECT is_empty(format('SELECT odd_calls(%s, 1500)', :seed), 'no internal error; values read back as they were written');
SELECT cmp_ok((SELECT n FROM odd_call_counts WHERE what = 'done'), '>', 200::bigint, 'many calls are done');
SELECT is_empty($$SELECT problem FROM hnsw_index_check('odd_call_v', true)$$, 'an index that they looked at is whole');
SELECT finish();
