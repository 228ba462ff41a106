# What keeps values that functions have computed, when the library behind the functions becomes
# another: indexes of every kind, constraints, generated columns, partitions, materialized views;
# forth, rebuilt, and back. Checked by amcheck. Needs pgvector and `make install-adoption`:
# TESTS=adoption.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../t/lib";
use OmendbTest;

use PostgreSQL::Test::Utils;
use Test::More;

my $node    = start_node('values');
my $adopt   = doc_sql('from-pgvector.md', 'in place');
my $rebuild = doc_sql('from-pgvector.md', 'rebuild');
my $return  = doc_sql('from-pgvector.md', 'back');
my $again   = doc_sql('from-pgvector.md', 'rebuild back');
my $version = $node->safe_psql('postgres', "SELECT default_version FROM pg_available_extensions WHERE name = 'vector'");
$return =~ s/UPDATE TO '\K[\d.]+/$version/ or die;

# What psql says, with SQLSTATEs, details and hints.
sub said
{
    my ($sql) = @_;
    my ($stdout, $stderr) = ('', '');
    $node->psql('live', $sql, stdout => \$stdout, stderr => \$stderr, on_error_stop => 0, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
    return $stderr;
}
sub ask { return $node->safe_psql('live', $_[0]) }

$node->safe_psql('postgres', 'CREATE DATABASE live');
$node->safe_psql('live', q{
    CREATE EXTENSION vector; CREATE EXTENSION amcheck; CREATE EXTENSION btree_gist;
    SELECT setseed(.5);
    CREATE FUNCTION numbers(n int) RETURNS float8[] VOLATILE LANGUAGE sql AS 'SELECT array_agg(random() - .5) FROM generate_series(1, n)';
    CREATE FUNCTION norm_body(v vector) RETURNS float8 IMMUTABLE LANGUAGE sql BEGIN ATOMIC SELECT vector_norm(v); END;
    CREATE FUNCTION norm_text(v vector) RETURNS float8 IMMUTABLE LANGUAGE sql AS 'SELECT public.VECTOR_NORM($1)';
    CREATE FUNCTION norm_indirect(v vector) RETURNS float8 IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN public.norm_text($1); END';
    CREATE FUNCTION norm_operator(v vector) RETURNS float8 IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1 OPERATOR(public.<#>) $1; END';
    CREATE FUNCTION dims_text(v vector) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN public.vector_dims($1); END';
    CREATE TABLE t (id int PRIMARY KEY, v vector(128), n float8 GENERATED ALWAYS AS (vector_norm(v)) STORED, "D" float8 GENERATED ALWAYS AS (v <#> v) STORED,
        dims int GENERATED ALWAYS AS (vector_dims(v)) STORED, CONSTRAINT short CHECK (l2_norm(v::halfvec) < 100), CONSTRAINT right_dims CHECK (vector_dims(v) = 128), CONSTRAINT differ EXCLUDE (vector_norm(v) WITH =));
    INSERT INTO t SELECT i, numbers(128)::vector FROM generate_series(1, 2000) i;
    -- in question
    CREATE UNIQUE INDEX x_unique ON t (vector_norm(v)); CREATE UNIQUE INDEX x_partial_unique ON t (vector_norm(v)) WHERE id > 0;
    CREATE INDEX x_btree ON t (vector_norm(v)); CREATE INDEX x_second ON t (id, (v <=> ('[1]'::vector || subvector(v, 1, 127)))); CREATE INDEX x_hash ON t USING hash (inner_product(v, v));
    CREATE INDEX x_gist ON t USING gist ((v <#> v)); CREATE INDEX x_brin ON t USING brin (vector_norm(v)); CREATE INDEX x_gin ON t USING gin ((ARRAY[vector_norm(v)])); CREATE INDEX x_spgist ON t USING spgist ((point(vector_norm(v), 1)));
    CREATE INDEX x_predicate ON t (id) WHERE vector_norm(v) > 3.2;
    CREATE INDEX x_normalized ON t (l2_normalize(v)); CREATE INDEX x_half ON t (l2_norm(v::halfvec(128))); CREATE INDEX x_sparse ON t (l1_distance(v::sparsevec, '{1:1}/128'));
    CREATE INDEX x_body ON t (norm_body(v)); CREATE INDEX x_text ON t (norm_text(v)); CREATE INDEX x_indirect ON t (norm_indirect(v)); CREATE INDEX x_operator ON t (norm_operator(v));
    CREATE FUNCTION norm_lt(vector, vector) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT public.vector_norm($1) < public.vector_norm($2)';
    CREATE FUNCTION norm_eq(vector, vector) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT public.vector_norm($1) = public.vector_norm($2)';
    CREATE FUNCTION norm_cmp(vector, vector) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT btfloat8cmp(public.vector_norm($1), public.vector_norm($2))';
    CREATE OPERATOR <| (LEFTARG = vector, RIGHTARG = vector, FUNCTION = norm_lt); CREATE OPERATOR =| (LEFTARG = vector, RIGHTARG = vector, FUNCTION = norm_eq);
    CREATE OPERATOR CLASS by_norm FOR TYPE vector USING btree AS OPERATOR 1 <|, OPERATOR 3 =|, FUNCTION 1 norm_cmp(vector, vector);
    CREATE INDEX x_class ON t (v by_norm);
    -- not in question
    CREATE INDEX ok_vector ON t (v); CREATE INDEX ok_half ON t ((v::halfvec(128))); CREATE INDEX ok_sparse ON t ((v::sparsevec)); CREATE INDEX ok_column ON t (n); CREATE INDEX ok_dims ON t (vector_dims(v), dims_text(v));
    CREATE INDEX ok_arithmetic ON t ((v + v), (v * v)); CREATE INDEX ok_sub ON t (subvector(v, 1, 3)); CREATE INDEX ok_bits ON t (binary_quantize(v)); CREATE INDEX ok_hamming ON t ((binary_quantize(v) <~> binary_quantize(v + v)));
    CREATE INDEX ok_predicate ON t (id) WHERE v > '[0]';
    -- the extension's pages
    CREATE INDEX e ON t USING hnsw (v vector_l2_ops);
    CREATE ACCESS METHOD mine TYPE INDEX HANDLER hnswhandler; CREATE OPERATOR CLASS mine_ops DEFAULT FOR TYPE vector USING mine AS OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops, FUNCTION 1 vector_l2_squared_distance(vector, vector);
    CREATE ACCESS METHOD flat TYPE INDEX HANDLER ivfflathandler; CREATE OPERATOR CLASS flat_ops DEFAULT FOR TYPE vector USING flat AS OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops, FUNCTION 1 vector_l2_squared_distance(vector, vector), FUNCTION 3 l2_distance(vector, vector);
    CREATE INDEX e_mine ON t USING mine (v); CREATE INDEX e_flat ON t USING flat (v);
    -- without an index of the extension's
    CREATE TABLE plain AS SELECT id, v FROM t; CREATE INDEX x_plain ON plain (vector_norm(v)); CREATE UNIQUE INDEX ON plain (id);
    CREATE STATISTICS st ON id, (vector_norm(v)) FROM plain; CREATE STATISTICS st_ok ON id, (vector_dims(v)) FROM t;
    CREATE VIEW distances AS SELECT id, v <=> ('[1]'::vector || subvector(v, 1, 127)) AS d FROM t; CREATE MATERIALIZED VIEW kept AS SELECT * FROM distances; CREATE MATERIALIZED VIEW "Kept too" AS SELECT id, d FROM kept; CREATE MATERIALIZED VIEW ok AS SELECT id, vector_dims(v) FROM t;
    CREATE DOMAIN long AS vector CHECK (vector_norm(VALUE) > 0);
    CREATE TABLE parts (id int, v vector(128), CHECK (v <-> v = 0)) PARTITION BY HASH (vector_norm(v)); CREATE TABLE parts_0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0); CREATE TABLE parts_1 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 1);
    INSERT INTO parts SELECT id, v FROM t; CREATE INDEX x_parts ON parts (vector_norm(v));
    CREATE TABLE parts_ok (id int, v vector(128)) PARTITION BY RANGE (vector_dims(v), id); CREATE TABLE parts_ok_0 PARTITION OF parts_ok FOR VALUES FROM (0, 0) TO (200, 10000);
    ANALYZE});

my $of = sub { return "SELECT indexrelid::regclass FROM pg_index i JOIN pg_class c ON c.oid = indexrelid WHERE relkind = 'i' AND indexrelid > 16384 AND relname !~ '^pg_' AND $_[0] ORDER BY relname COLLATE \"C\"" };
my $in_question = ask($of->("(relname ~ '^(x_|parts_._vector_norm)' OR relname = 'differ')"));
my $own         = ask($of->("relname ~ '^e(_|\$)'"));
my $ok          = ask($of->("relname !~ '^(x_|e(_|\$)|parts_._vector_norm)' AND relname <> 'differ'"));
is(scalar(split /\n/, $_->[0]), $_->[1], 'the indexes') for [ $in_question, 22 ], [ $own, 3 ], [ $ok, 12 ];

# Every btree index that is valid has all its table's rows, by what is computed now; and how many there are.
my $amcheck = q{SELECT count(*), string_agg(bt_index_check(c.oid, true)::text, '') FROM pg_class c JOIN pg_index i ON indexrelid = c.oid JOIN pg_am a ON a.oid = relam WHERE amname = 'btree' AND relkind = 'i' AND indisvalid AND c.oid > 16384 AND relname !~ '^pg_'};
my $all = ask($amcheck);
is($all, '29|', 'amcheck: before');

# A row of another session's cached plan.
my $old = $node->background_psql('live', on_error_stop => 0);
$old->query_safe(q{SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_bitmapscan = off; PREPARE same AS SELECT count(*) FROM plain a WHERE (SELECT count(*) FROM plain b WHERE vector_norm(b.v) = vector_norm(a.v)) = 1; PREPARE least AS SELECT id FROM plain ORDER BY vector_norm(v) LIMIT 1});
is($old->query_safe('EXECUTE same'), 2000, "a session's plan by an index");
like($old->query_safe('EXPLAIN EXECUTE least'), qr/x_plain/, 'and another');

# ---------------------------------------------------------------- forth

my $warned = said($adopt);
unlike($warned, qr/ERROR/, 'adoption');
my $list = sub { my ($title) = @_; return $warned =~ /WARNING:  01000: \d+ $title[^\n]*\n(DETAIL: .*?)\nHINT/s ? $1 : '' };
my $commands_of = sub { return join "\n", sort map { s/.*\b(?:CONCURRENTLY|INDEX) (?:public\.)?//r } $_[0] =~ /(REINDEX INDEX[^;]*)/g };
is($commands_of->($list->('indexes of other kinds, over distances or norms by pgvector')), $in_question, 'names the indexes in question');
like($warned, qr/WARNING:  01000: 3 hnsw and ivfflat indexes are out of use/, 'those of access methods by the handlers of the extension, too');
like($warned, qr/DETAIL: .*\nUntil then unique indexes and exclusion constraints among them may let duplicates pass\.\nHINT:  In psql: SELECT command FROM hnsw_reindex_commands\(\) \\gexec\n/s, 'and what that means');
my $stored = q{columns "D", n of table public.t: UPDATE public.t SET v = v;
partitions of table public.parts: UPDATE public.parts SET v = v;
constraint short of table public.t: SELECT * FROM public.t WHERE NOT ((public.l2_norm((v)::public.halfvec) < (100)::double precision));
constraint parts_v_check of table public.parts: SELECT * FROM public.parts WHERE NOT ((((v OPERATOR(public.<->) v) = (0)::double precision)));
constraint long_check of domain public.long
materialized view public.kept: REFRESH MATERIALIZED VIEW public.kept;
materialized view public."Kept too": REFRESH MATERIALIZED VIEW public."Kept too";
statistics of table public.plain: ANALYZE public.plain;};
is(join("\n", sort map { s/\(\(+/(/gr =~ s/\)\)+/)/gr } split /\n/, $list->('objects') =~ s/^DETAIL: +//r), join("\n", sort map { s/\(\(+/(/gr =~ s/\)\)+/)/gr } split /\n/, $stored), 'names what else keeps values, or was checked by them');

is(ask($of->('NOT indisvalid AND indisready')), $in_question, 'the indexes in question are invalid');
is(ask($of->('NOT indisvalid AND NOT indisready')), $own, "the extension's are invalid and not changed");
is(ask($of->('indisvalid')), $ok, 'all others stay in use');
is(ask('SELECT index FROM hnsw_reindex_commands() ORDER BY index::text COLLATE "C"'), join("\n", sort split(/\n/, "$own\n$in_question")), 'all of them are listed');
is(ask($amcheck), '12|', 'amcheck: what stays in use is right') or diag(ask($of->('indisvalid')));
# Were they in use, they would be wrong.
like(sqlstate($node, 'live', "BEGIN; UPDATE pg_index SET indisvalid = true WHERE indexrelid = '$_'::regclass; SELECT bt_index_check('$_', true)"), qr/^XX00[12]$/, "amcheck: $_ would be wrong") for qw(x_unique x_btree x_second x_body x_text x_indirect x_operator);

is(ask('SET enable_seqscan = off; SELECT count(*) FROM t a WHERE (SELECT count(*) FROM t b WHERE vector_norm(b.v) = vector_norm(a.v)) = 1'), 2000, 'queries are right at once');
for my $statement ('same', 'least')
{
    $old->{stderr} = '';
    my $answer = $old->query("EXECUTE $statement");
    is("$answer$old->{stderr}", ask($statement eq 'same' ? 'SELECT 2000' : 'SELECT id FROM plain ORDER BY vector_norm(v) LIMIT 1'), "so they are by a plan of before: $statement");
}
unlike($old->query_safe('EXPLAIN EXECUTE least'), qr/x_plain/, 'which is made anew');
$old->quit;

# Unique indexes see what is inserted from now on, and not all that was there.
like(sqlstate($node, 'live', "INSERT INTO t SELECT 5000, numbers(128)::vector; INSERT INTO t SELECT 5001, v FROM t WHERE id = 5000"), qr/^(23505|23P01)$/, 'a duplicate of a row from now is refused');
ask('DELETE FROM t WHERE id >= 5000');
is(sqlstate($node, 'live', 'INSERT INTO t SELECT id, v FROM t ON CONFLICT (vector_norm(v)) DO NOTHING'), '42P10', 'ON CONFLICT by such an index is refused');
ask('INSERT INTO plain SELECT id + 5000, v FROM plain; DELETE FROM plain WHERE id > 5000; UPDATE t SET id = -id WHERE id % 7 = 0; UPDATE t SET id = -id WHERE id < 0; VACUUM');

# ---------------------------------------------------------------- rebuilt

my ($out, $err) = ('', '');
$node->psql('live', $rebuild, stdout => \$out, stderr => \$err, on_error_stop => 0);
unlike($err, qr/ERROR/, 'the commands');
is(ask('SELECT count(*) FROM hnsw_reindex_commands()'), 0, 'leave nothing to rebuild');
is(ask($of->('NOT indisvalid')), '', 'all are in use');
is(ask($amcheck), $all, 'amcheck: all are right');
isnt(ask('SELECT count(*) FROM t WHERE n <> vector_norm(v)'), 0, 'columns are not by themselves');
isnt(ask('SELECT count(*) FROM kept NATURAL JOIN distances'), 2000, 'nor materialized views');
my $recompute = join '', map { "$1;\n" if /: ((?:UPDATE|REFRESH|ANALYZE)[^;]*);/ } split /\n/, $stored;
ask($recompute);
is(ask('SELECT count(*) FROM t WHERE n <> vector_norm(v) OR "D" <> v <#> v; SELECT count(*) FROM "Kept too" NATURAL JOIN distances'), "0\n2000", 'the commands make them right');
is(ask('SELECT count(*) FROM parts a WHERE NOT EXISTS (SELECT FROM parts b WHERE vector_norm(b.v) = vector_norm(a.v))'), 0, 'and each row is in its partition');
is(ask("SELECT count(*) FROM parts WHERE tableoid <> CASE WHEN satisfies_hash_partition('parts'::regclass, 2, 0, vector_norm(v)) THEN 'parts_0'::regclass ELSE 'parts_1'::regclass END"), 0, 'by its norm');
is(ask("SET enable_seqscan = off; SELECT id FROM t ORDER BY v <-> (SELECT v FROM t WHERE id = 7) LIMIT 1; SELECT * FROM hnsw_index_check('e_mine', true)"), 7, "the user's access methods are omendb's");

# ---------------------------------------------------------------- back

for my $case ([ '' => '55000' ], [ 'SET vector.return_to_pgvector = off' => '55000' ], [ 'SET vector.return_to_pgvector = 0' => '55000' ], [ 'SET vector.return_to_pgvector = neither' => '22P02' ],
    [ 'BEGIN; SET LOCAL vector.return_to_pgvector = on; COMMIT' => '55000' ])
{
    my ($setting, $expected) = @$case;
    my $refusal = said("$setting; ALTER EXTENSION vector UPDATE TO '$version'");
    like($refusal, qr/ERROR:  $expected: /, "back is refused: $setting");
    my ($context) = $refusal =~ /CONTEXT: (.*?)(?:LOCATION|\z)/s;
    cmp_ok(scalar(() = ($context // '') =~ /\n/g), '<=', 4, 'in a few lines') or diag($refusal);
}
ask('CREATE VIEW uses AS SELECT * FROM hnsw_reindex_commands()');
my $refusal = said($return);
like($refusal, qr/ERROR:  2BP01: .*view uses depends on/s, 'something depends on a function of omendb');
unlike($refusal, qr/WARNING/, 'nothing is said before');
ask('DROP VIEW uses');
is(said("BEGIN; SET LOCAL vector.return_to_pgvector = $_; SET client_min_messages = error; ALTER EXTENSION vector UPDATE TO '$version'; ROLLBACK"), '', "any boolean: $_") for qw(true yes 1 t ON);
is(ask($of->('NOT indisvalid')), '', 'what is rolled back leaves nothing');

$warned = said($return);
unlike($warned, qr/ERROR/, 'back');
is($commands_of->($list->('indexes of other kinds, over distances or norms by omendb')), $in_question, 'names the indexes in question');
is($commands_of->($list->('hnsw and ivfflat indexes')), $own, 'and the others, with the commands');
is(ask($of->('NOT indisvalid AND indisready')), $in_question, 'the indexes in question are invalid');
is(ask($of->('NOT indisvalid AND NOT indisready')), $own, "the extension's are invalid and not changed");
is(ask($amcheck), '12|', 'amcheck: what stays in use is right');
is(ask("SELECT count(*) FROM pg_proc WHERE proname ~ '^omendb_adoption'"), 0, 'the steps are gone');
ask('UPDATE t SET id = -id WHERE id % 5 = 0; UPDATE t SET id = -id WHERE id < 0; VACUUM; SELECT count(*) FROM t');
ask($recompute);
is(sqlstate($node, 'live', $_), '', "pgvector: $_") for grep { !/e_flat/ } $warned =~ /^(?:DETAIL:  )?(REINDEX INDEX [^;]*);/mg;
$node->psql('live', $again, stdout => \$out, stderr => \$err, on_error_stop => 0);
unlike($err, qr/ERROR/, 'the rest by the command of the documents');
is(ask($of->('NOT indisvalid')), '', 'all are in use');
is(ask($amcheck), $all, 'amcheck: all are right');
is(ask("SET enable_seqscan = off; SELECT id FROM t ORDER BY v <-> (SELECT v FROM t WHERE id = 7) LIMIT 1"), 7, 'pgvector searches');
ask('DELETE FROM t WHERE id > 1000; VACUUM t');

$node->stop;
unlike(slurp_file($node->logfile), qr/TRAP:|was terminated by signal|PANIC/, 'the server did not crash');
done_testing();
