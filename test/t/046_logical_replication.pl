# Logical replication of every type, of arrays, domains and composite types of them: in text and in
# binary, the first copy and what changes later. The subscriber's types have other OIDs; its indexes
# are its own, filled by the workers that apply changes.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use HnswTest;
use OmendbTest;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

seeded();
my $conf = q{
    autovacuum = off
    jit = off
    fsync = off
    log_statement = none
    max_logical_replication_workers = 8
    max_sync_workers_per_subscription = 2
    wal_retrieve_retry_interval = 100ms
};
my $publisher  = start_node('publisher',  $conf, { allows_streaming => 'logical' });
my $subscriber = start_node('subscriber', $conf);
my $db = 'logical';
create_omendb($publisher, $db);
make_data_functions($publisher, $db);
my @formats = ('as_text', 'as_binary');
for my $format (@formats)
{
    $subscriber->safe_psql('postgres', "CREATE DATABASE $format");
    # Others come first: no OID is the publisher's.
    $subscriber->safe_psql($format, 'CREATE TYPE before AS ENUM (); CREATE EXTENSION omendb');
    make_data_functions($subscriber, $format);
}

# ---------------------------------------------------------------- tables

my $tables = q{
    CREATE DOMAIN unit AS vector(12) CHECK (vector_norm(VALUE) > 0);
    CREATE DOMAIN half AS halfvec;
    CREATE DOMAIN sparse AS sparsevec(480);
    CREATE DOMAIN flags AS bit(64);
    CREATE TYPE pair AS (v vector(12), s sparsevec, list halfvec[]);
    -- one column a type
    CREATE TABLE kinds (id bigint PRIMARY KEY, n int, v vector(12), any_v vector, h halfvec(12), any_h halfvec, s sparsevec(480), any_s sparsevec, b bit(64), vb varbit,
        vs vector(3)[], hs halfvec[], ss sparsevec[], bs bit(3)[], square vector[][], d_v unit, d_h half, d_s sparse, d_b flags, ds unit[], c pair, cs pair[]);
    -- the old row is looked for by its values
    CREATE TABLE whole (n int, v vector(12), h halfvec, s sparsevec, b bit(8), vs vector[]);
    ALTER TABLE whole REPLICA IDENTITY FULL;
    -- and by an index of vectors
    CREATE TABLE keyed (v vector(12) NOT NULL UNIQUE, n int);
    ALTER TABLE keyed REPLICA IDENTITY USING INDEX keyed_v_key;
    -- out of line: does not come again where it did not change
    CREATE TABLE long (id int PRIMARY KEY, n int, v vector(2500), h halfvec(4000));
};
$publisher->safe_psql($db, $tables);
# The subscriber's indexes, on tables that are empty still.
my %indexed = (
    kinds => [ [ 'v', 'vector_l2_ops', '<->' ], [ 'h', 'halfvec_cosine_ops', '<=>' ], [ 's', 'sparsevec_l2_ops', '<->' ], [ 'b', 'bit_hamming_ops', '<~>' ] ],
    whole => [ [ 'v', 'vector_l2_ops', '<->' ] ],
    keyed => [ [ 'v', 'vector_l1_ops', '<+>' ] ],
    long  => [ [ 'v', 'vector_l2_ops', '<->' ] ],);
for my $format (@formats)
{
    $subscriber->safe_psql($format, $tables);
    for my $table (sort keys %indexed)
    {
        for my $column (@{ $indexed{$table} })
        {
            my ($name, $opclass) = @$column;
            $subscriber->safe_psql($format, "CREATE INDEX ${table}_$name ON $table USING hnsw ($name $opclass) WITH (m = 4, ef_construction = 16);
                CREATE VIEW rows_${table}_$name AS SELECT ctid AS id, $name AS v FROM $table");
        }
    }
    $subscriber->safe_psql($format, 'CREATE INDEX ON whole (v)');    # which PostgreSQL 16 and later may look for old rows by
}
my $oids = q{SELECT string_agg(t || ' ' || t::regtype::oid, ',' ORDER BY t) FROM unnest('{vector,halfvec,sparsevec,vector[],unit,pair}'::text[]) t};
my %publishers = map { split / / } split /,/, $publisher->safe_psql($db, $oids);
for my $format (@formats)
{
    my %own = map { split / / } split /,/, $subscriber->safe_psql($format, $oids);
    is(scalar(grep { $own{$_} eq $publishers{$_} } keys %own), 0, "$format: no type has the publisher's OID");
}

# Rows of ids first to last.
sub insert
{
    my ($first, $last) = @_;
    return qq{
        INSERT INTO kinds SELECT n, n, v, subvector(v, 1, 1 + n % 12), v::halfvec, subvector(v, 1, 1 + n % 12)::halfvec, s, s, b, substring(b from 1 for n % 65),
            CASE n % 4 WHEN 0 THEN '{}' WHEN 1 THEN NULL WHEN 2 THEN ARRAY[NULL, subvector(v, 1, 3)] ELSE ARRAY[subvector(v, 1, 3), subvector(v, 4, 3)] END,
            ARRAY[v::halfvec, NULL, '[1,65504,-0,6e-08]'], ARRAY[s, '{}/1', '{1000000000:-1e-45}/1000000000'], ARRAY[substring(b from 1 for 3), '101']::bit(3)[], ARRAY[[v, v], [v, '[0.1]']],
            v, v::halfvec, s, b, ARRAY[v, NULL]::unit[], ROW(v, s, ARRAY[v::halfvec])::pair, ARRAY[ROW(v, NULL, '{}'), NULL]::pair[]
            FROM (SELECT n, tight(n, 12) AS v, made_sparse(n) AS s, made_bits(n, 64)::bit(64) AS b FROM generate_series($first, $last) n) q;
        INSERT INTO kinds (id, n) VALUES (-$first, 0);
        INSERT INTO whole SELECT n, tight(n, 12), tight(n, 12)::halfvec, made_sparse(n), made_bits(n, 64)::bit(8), ARRAY[tight(n, 12), NULL] FROM generate_series($first, $last) n;
        INSERT INTO whole SELECT * FROM whole WHERE n % 10 = 3;    -- twice
        INSERT INTO keyed SELECT tight(n, 12), n FROM generate_series($first, $last) n;
        INSERT INTO long SELECT n, n, v, v::halfvec || subvector(v, 1, 1500)::halfvec FROM (SELECT n, (SELECT array_agg(noise(n, i) ORDER BY i) FROM generate_series(1, 2500) i)::vector AS v
            FROM generate_series($first, least($last, $first + 30)) n) q;
    };
}

# All of them, as one text; by their bytes, of numbers too.
my $digest = q{
    SELECT 'kinds', count(*), md5(string_agg(kinds::text, ';' ORDER BY id)),
        md5(string_agg(encode(vector_send(v) || vector_send(any_v) || halfvec_send(h) || sparsevec_send(s) || bit_send(b), 'hex'), ',' ORDER BY id)) FROM kinds;
    SELECT 'whole', count(*), md5(string_agg(whole::text, ';' ORDER BY n, whole::text)) FROM whole;
    SELECT 'keyed', count(*), md5(string_agg(keyed::text, ';' ORDER BY n, keyed::text)) FROM keyed;
    SELECT 'long', count(*), md5(string_agg(long::text, ';' ORDER BY id)) FROM long;
};

sub same
{
    my ($when) = @_;
    my $expected = $publisher->safe_psql($db, $digest);
    for my $format (@formats)
    {
        $publisher->wait_for_catchup("by_$format");
        is($subscriber->safe_psql($format, $digest), $expected, "$when, $format: the rows are the publisher's");
        my @wrong;
        for my $table (sort keys %indexed)
        {
            for my $column (@{ $indexed{$table} })
            {
                my ($name, undef, $operator) = @$column;
                push @wrong, grep { $_ ne '' } index_errors($subscriber, $format, "${table}_$name", 1),
                    unreached($subscriber, $format, "rows_${table}_$name", $operator);
            }
        }
        is(join("\n", @wrong), '', "$when, $format: the subscriber's indexes find each row");
    }
    return;
}

# ---------------------------------------------------------------- the first copy

$publisher->safe_psql($db, insert(1, 120));
$publisher->safe_psql($db, 'CREATE PUBLICATION all_tables FOR ALL TABLES');
for my $format (@formats)
{
    my $binary = $format eq 'as_binary' ? 'true' : 'false';
    $subscriber->safe_psql($format, "CREATE SUBSCRIPTION by_$format CONNECTION '" . $publisher->connstr . " dbname=$db' PUBLICATION all_tables WITH (binary = $binary)");
}
for my $format (@formats)
{
    $subscriber->poll_query_until($format, "SELECT count(*) FILTER (WHERE srsubstate IN ('r', 's')) = count(*) AND count(*) = 4 FROM pg_subscription_rel") or die "the first copy does not end, $format";
}
like($publisher->safe_psql($db, 'SELECT count(*) FROM kinds'), qr/^121$/, 'there are rows');
same('the first copy');

# ---------------------------------------------------------------- changes

$publisher->safe_psql($db, insert(1001, 1120));
same('inserted');

$publisher->safe_psql($db, q{
    UPDATE kinds SET n = n + 1 WHERE id % 3 = 0;
    UPDATE kinds SET v = v + v, h = h + h, b = ~b, s = '{7:7,8:8}/480', d_v = v + v, vs = vs || NULL::vector, c = ROW(v, '{}/1', NULL), cs = NULL WHERE id % 5 = 0;
    UPDATE kinds SET id = id + 100000 WHERE id % 11 = 0;
    UPDATE kinds SET v = NULL, any_s = NULL, hs = NULL WHERE id % 13 = 0;
    UPDATE whole SET n = n + 5000 WHERE n % 7 = 0;
    UPDATE whole SET v = v - v - v WHERE n % 9 = 0;
    UPDATE keyed SET v = v + v WHERE n % 4 = 0;
    UPDATE keyed SET n = -n WHERE n % 4 = 1;
    UPDATE long SET n = n + 1 WHERE id % 2 = 0;    -- the vectors stay out of line
    UPDATE long SET v = v + v WHERE id % 5 = 0});
same('updated');

$publisher->safe_psql($db, q{
    DELETE FROM kinds WHERE id % 4 = 1; DELETE FROM whole WHERE n % 4 = 1; DELETE FROM keyed WHERE n % 4 = 2; DELETE FROM long WHERE id % 4 = 1});
same('deleted');
for my $format (@formats)
{
    $subscriber->safe_psql($format, "VACUUM (INDEX_CLEANUP ON) $_") for sort keys %indexed;
}
same('vacuumed by the subscriber');

my $dir = scratch_dir();
is( finish(
        start_clients(
            $publisher, $db, 3, 60,
            write_script($dir, 'insert', "\\set n random(10000, 1000000000)\nINSERT INTO kinds (id, v, h, s, b) VALUES (:n, tight(:n, 12), tight(:n, 12)::halfvec, made_sparse(:n), made_bits(:n, 64)::bit(64)) ON CONFLICT DO NOTHING;") . '@3',
            write_script($dir, 'update', "\\set n random(1, 1000000000)\nUPDATE kinds SET v = tight(:n, 12) WHERE id = (SELECT id FROM kinds WHERE id > 0 ORDER BY hashint8(id + :n) LIMIT 1);"),
            write_script($dir, 'delete', "\\set n random(1, 1000000000)\nDELETE FROM whole WHERE n = (SELECT n FROM whole ORDER BY hashint8(n + :n) LIMIT 1);"),
            write_script($dir, 'abort', "\\set n random(1, 1000000000)\nBEGIN;\nINSERT INTO keyed VALUES (tight(:n, 12), :n);\nROLLBACK;"))),
    '', 'clients write');
same('written by clients');

$publisher->safe_psql($db, 'TRUNCATE kinds, long');
$publisher->safe_psql($db, insert(5001, 5100));
same('truncated and filled');

# The subscriber dies while changes come in, and goes on.
my $clients = start_clients($publisher, $db, 2, 100, write_script($dir, 'more', "\\set n random(2000000000, 2100000000)\nINSERT INTO kinds (id, v, s) VALUES (:n, tight(:n, 12), made_sparse(:n)) ON CONFLICT DO NOTHING;"));
$subscriber->poll_query_until('as_binary', 'SELECT count(*) > 10 FROM kinds WHERE id > 2000000000') or die 'no changes come';
$subscriber->stop('immediate');
$subscriber->start;
is(finish($clients), '', 'clients write while the subscriber dies');
same('the subscriber died');

is(errors_in_log($subscriber, 0, qr/terminating|database system|not yet accepting|could not receive data|LOG:/), '', 'no error in the log of the subscriber');
$subscriber->stop;
$publisher->stop;
done_testing();
