# pg_dump and pg_restore by all formats, by sections, by several jobs and by INSERTs: the rows and
# the definitions are the same after each, and each index, which is built anew, finds each row.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use HnswTest;
use OmendbTest;

use PostgreSQL::Test::Utils;
use Test::More;

my $node    = start_node('formats', "autovacuum = off\njit = off\nfsync = off\nlog_statement = none\nmax_wal_senders = 0\nwal_level = minimal\n");
my $scratch = scratch_dir();
my $db      = 'original';
create_omendb($node, $db);
make_data_functions($node, $db);
make_small_tables($node, $db);
$node->safe_psql($db, q{
    -- an index that has lived
    DELETE FROM l WHERE id % 5 = 0; VACUUM (INDEX_CLEANUP ON) l; INSERT INTO l (v) SELECT tight(n + 500, 12) FROM generate_series(1, 60) n; INSERT INTO l (v) VALUES (NULL);
    -- definitions
    CREATE TABLE many (id int PRIMARY KEY, v vector(12) NOT NULL, h halfvec(12) GENERATED ALWAYS AS (v::halfvec) STORED, list vector(3)[], pair vector[][], b varbit);
    INSERT INTO many (id, v, list, pair, b) SELECT n, tight(n, 12), ARRAY[NULL, subvector(tight(n, 12), 1, 3)], ARRAY[[tight(n, 12)], ['[1e-45,3.4028235e+38]'::vector]], made_bits(n, n)::varbit FROM generate_series(1, 150) n;
    CREATE INDEX many_compact ON many USING hnsw (v vector_ip_ops) WITH (compact, m = 8);
    CREATE INDEX many_part ON many USING hnsw (v vector_l1_ops) WHERE id % 2 = 0;
    CREATE INDEX many_half ON many USING hnsw (h halfvec_l2_ops) WITH (m = 4, ef_construction = 16);
    CREATE INDEX many_bits ON many USING hnsw ((binary_quantize(v)::bit(12)) bit_jaccard_ops);
    COMMENT ON INDEX many_half IS 'kept';
    CREATE TABLE part (id int, v vector(12)) PARTITION BY RANGE (id);
    CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (100);
    CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (100) TO (1000);
    CREATE INDEX part_v ON part USING hnsw (v vector_l2_ops) WITH (m = 4, ef_construction = 8);
    INSERT INTO part SELECT n, tight(n, 12) FROM generate_series(1, 250) n;
    CREATE UNLOGGED TABLE not_logged (id int, v vector(12));
    CREATE INDEX not_logged_v ON not_logged USING hnsw (v vector_l2_ops) WITH (m = 2, ef_construction = 8);
    INSERT INTO not_logged SELECT n, tight(n, 12) FROM generate_series(1, 100) n;
    CREATE MATERIALIZED VIEW seen AS SELECT id, v FROM l WHERE v IS NOT NULL;
    CREATE INDEX seen_v ON seen USING hnsw (v vector_l2_ops) WITH (m = 4, ef_construction = 8)});

my $indexes = q{SELECT c.oid::regclass AS oid FROM pg_class c JOIN pg_am a ON a.oid = relam WHERE amname = 'hnsw' AND relkind = 'i' ORDER BY 1};
my $inspect = join ' ', q{SELECT indexrelid::regclass::text, indisvalid, pg_get_indexdef(indexrelid), obj_description(indexrelid, 'pg_class'), (SELECT inhparent::regclass FROM pg_inherits WHERE inhrelid = indexrelid) FROM pg_index JOIN pg_class c ON c.oid = indexrelid JOIN pg_am a ON a.oid = relam
    WHERE amname = 'hnsw' ORDER BY indexrelid::regclass::text COLLATE "C";},
  (map { "SELECT '$_', count(*), md5(string_agg(t::text, ',' ORDER BY t.id)) FROM $_ t;" } small_tables(), qw(many part not_logged seen));
my $original = $node->safe_psql($db, $inspect);
like($original, qr/many_part\|t\|.*\nseen_v\|t\|/s, 'there is something to dump');

# A new database for what is restored.
sub fresh
{
    my ($name) = @_;
    $node->safe_psql('postgres', "CREATE DATABASE $name TEMPLATE template0");
    return $node->connstr($name);
}

sub same
{
    my ($name, $what) = @_;
    is($node->safe_psql($name, $inspect), $original, "$what: rows and indexes are the same");
    is($node->safe_psql($name, "SELECT i.oid, p FROM ($indexes) i, hnsw_index_check(i.oid, true) p"), '', "$what: nothing is wrong with an index");
    is(join('', map { unreached($node, $name, $_, '<->') } qw(part_1 part_2 not_logged seen)), '', "$what: partitions, unlogged tables, materialized views: each row is found");
    $node->safe_psql($name, 'INSERT INTO l (v) SELECT tight(n + 90000, 12) FROM generate_series(1, 10) n');
    is(small_wrong($node, $name), '', "$what: in tables that took more rows, too");
    $node->safe_psql('postgres', "DROP DATABASE $name");
    return;
}

sub restore { my ($to, @arguments) = @_; return $node->command_ok([ 'pg_restore', '-e', '-d', $to, @arguments ], "pg_restore @arguments" =~ s/\Q$scratch\E/DIRECTORY/gr) }
sub psql    { my ($to, $file) = @_; return $node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', $file, $to ], 'psql') }

my @sections = qw(pre-data data post-data);
my $dump = sub { my ($file, @arguments) = @_; return $node->command_ok([ 'pg_dump', '-f', "$scratch/$file", @arguments, $node->connstr($db) ], "pg_dump @arguments") };

# ---------------------------------------------------------------- archives, whole and by sections

$dump->('custom', '-Fc');
$dump->('directory', '-Fd', '-j', 2);
$dump->('tar', '-Ft');
for my $format (qw(custom tar))
{
    my $to = fresh("whole_$format");
    restore($to, ($format eq 'tar' ? () : ('-j', 2)), "$scratch/$format");
    same("whole_$format", "$format, whole");
}
for my $format (qw(directory tar))
{
    my $to = fresh("parts_$format");
    for my $section (@sections)
    {
        restore($to, "--section=$section", ($format eq 'directory' ? ('-j', 2) : ()), "$scratch/$format");
        is($node->safe_psql("parts_$format", "SELECT count(*) FROM ($indexes) q"), 0, "$format: the indexes come last") if $section eq 'data';
    }
    same("parts_$format", "$format, by sections");
}
# Through a script, and in one transaction: at wal_level minimal the new tables and their indexes are not logged.
$node->command_ok([ 'pg_restore', '-f', "$scratch/script", "$scratch/custom" ], 'pg_restore to a script');
psql(fresh('by_script'), "$scratch/script");
same('by_script', 'by a script');
restore(fresh('at_once'), '--single-transaction', "$scratch/custom");
# A crash right after.
$node->stop('immediate');
$node->start;
is($node->safe_psql('at_once', 'SELECT count(*) FROM not_logged'), 0, 'after a crash what is not logged is empty');
$node->safe_psql('at_once', 'INSERT INTO not_logged SELECT n, tight(n, 12) FROM generate_series(1, 100) n');
same('at_once', 'in one transaction, then a crash');
$node->safe_psql($db, 'INSERT INTO not_logged SELECT n, tight(n, 12) FROM generate_series(1, 100) n');

# ---------------------------------------------------------------- scripts

for my $how ([ 'inserts', '--inserts' ], [ 'columns', '--column-inserts', '--rows-per-insert=50', '--load-via-partition-root', '--quote-all-identifiers' ])
{
    my ($name, @arguments) = @$how;
    $dump->("$name.sql", @arguments);
    psql(fresh("script_$name"), "$scratch/$name.sql");
    same("script_$name", "script, $name");
}
my $to = fresh('script_sections');
for my $section (@sections)
{
    $dump->("$section.sql", "--section=$section");
    psql($to, "$scratch/$section.sql");
}
same('script_sections', 'script, by sections');
unlike(slurp_file("$scratch/pre-data.sql") . slurp_file("$scratch/data.sql"), qr/USING hnsw/, 'indexes are in the last section');

# Rows into tables that have their indexes, and rows that have been there before.
$to = fresh('schema_first');
$dump->('schema.sql', '--schema-only');
psql($to, "$scratch/schema.sql");
restore($to, '--data-only', "$scratch/custom");
$node->safe_psql('schema_first', 'REFRESH MATERIALIZED VIEW seen');
same('schema_first', 'rows into indexes that are there');
restore(fresh('again'), "$scratch/custom");
restore($node->connstr('again'), '--clean', '--if-exists', "$scratch/custom");
same('again', 'over what was there');

unlike(slurp_file($node->logfile), qr/PANIC|TRAP|terminated by signal/, 'the server did not fail');
$node->stop;
done_testing();
