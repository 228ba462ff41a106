# CREATE INDEX with parallel workers: the index is the same whatever their
# number, every kind of table and index can have them, and a build that is
# cancelled, or loses a worker, leaves nothing behind.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use HnswTest;
use OmendbTest;

use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $node = start_node(
    'build', q{
    autovacuum = off
    compute_query_id = on
    jit = off
    max_worker_processes = 8
    max_parallel_workers = 8
    max_parallel_maintenance_workers = 3
    maintenance_work_mem = 64MB
});
my $db = 'build';
create_omendb($node, $db);
make_data_functions($node, $db);

# What SQL prints besides results: notices, debug messages.
sub said
{
    my ($sql) = @_;
    my ($stdout, $stderr) = ('', '');
    my $status = $node->psql($db, "SET client_min_messages = debug1;\n$sql", stdout => \$stdout, stderr => \$stderr, on_error_stop => 1);
    is($status, 0, "no error: $sql") or diag($stderr);
    return $stderr;
}

# With how many workers does that statement build?
sub workers_of
{
    my ($sql) = @_;
    return said($sql) =~ /using (\d+) parallel workers for the graph/ ? $1 : 0;
}

# The bytes of the index, without LSNs and checksums.
sub bytes_of
{
    my ($index) = @_;
    $node->safe_psql($db, 'CHECKPOINT');
    my $file = slurp_file($node->data_dir . '/' . $node->safe_psql($db, "SELECT pg_relation_filepath('$index')"));
    my $size = $node->safe_psql($db, 'SHOW block_size');
    substr($file, $_ * $size, 10) = "\0" x 10 for 0 .. length($file) / $size - 1;
    return $file;
}

# Until the query gives 't'; false if that takes too long.
sub wait_for
{
    my ($query) = @_;
    for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
    {
        return 1 if $node->safe_psql($db, $query) eq 't';
        sleep 0.1;
    }
    return 0;
}

# Segments of dynamic shared memory: as files below the data directory, where no other
# server has its own.
sub shared_files
{
    my @files = glob $node->data_dir . '/pg_dynshmem/*';
    return scalar @files;
}

# ---------------------------------------------------------------- the same index

$node->safe_psql($db, q{
    CREATE TABLE t (id int, v vector(24), h halfvec(24), b bit(96), s sparsevec(24));
    INSERT INTO t SELECT n, made(n, 24), made(n, 24), made_bits(n, 96)::bit(96), made(n, 24)::sparsevec FROM generate_series(1, 5000) n;
    -- rows that are alike, more than a record has room for, and none
    INSERT INTO t SELECT 5000 + n, v, h, b, s FROM t, generate_series(1, 40) n WHERE id = 7;
    INSERT INTO t VALUES (6001, NULL, NULL, NULL, NULL), (6002, array_fill(0, ARRAY[24])::vector, NULL, NULL, '{}/24');
    CREATE TABLE small AS SELECT * FROM t LIMIT 900});

for my $case (
    [ 'coded',           'v vector_l2_ops',      '' ],
    [ 'without zeros',   'v vector_cosine_ops',  'WITH (m = 5, ef_construction = 20)' ],
    [ 'compact halfvec', 'h halfvec_ip_ops',     'WITH (compact)' ],
    [ 'plain',           'v vector_l1_ops',      'WITH (ef_construction = 32)' ],
    [ 'bits',            'b bit_jaccard_ops',    'WITH (m = 24)' ],
    [ 'sparse',          's sparsevec_cosine_ops', '' ],)
{
    my ($name, $column, $options) = @$case;
    my @bytes;
    for my $workers (0, 1, 3)
    {
        is(workers_of("SET max_parallel_maintenance_workers = $workers; DROP INDEX IF EXISTS i; CREATE INDEX i ON t USING hnsw ($column) $options"), $workers, "$name: $workers workers");
        push @bytes, bytes_of('i');
    }
    cmp_ok(length $bytes[0], '>', 100_000, "$name: it has records");
    ok($bytes[$_] eq $bytes[0], "$name: the bytes are the same, $_") for 1, 2;
    is(index_problems($node, $db, 'i', 1), '', "$name: nothing is wrong with it");
    is(workers_of('SET max_parallel_maintenance_workers = 2; REINDEX INDEX i'), 2, "$name: REINDEX");
    ok(bytes_of('i') eq $bytes[0], "$name: the bytes are the same, rebuilt");
    is(workers_of('SET max_parallel_workers = 0; REINDEX INDEX i'), 0, "$name: no worker is to be had");
    ok(bytes_of('i') eq $bytes[0], "$name: the bytes are the same, alone");
}
$node->safe_psql($db, 'DROP INDEX i');

# ---------------------------------------------------------------- how many workers

is(workers_of('CREATE INDEX ON small USING hnsw (v vector_l2_ops)'), 0, 'none for few rows');
for my $workers (0, 1, 2)
{
    is(workers_of("ALTER TABLE t SET (parallel_workers = $workers); CREATE INDEX i ON t USING hnsw (v vector_l2_ops); DROP INDEX i"), $workers, "the table asks for $workers");
}
is(workers_of('ALTER TABLE small SET (parallel_workers = 2); CREATE INDEX ON small USING hnsw (v vector_l2_ops)'), 2, 'or the table of few rows');
is(workers_of('ALTER TABLE t RESET (parallel_workers); CREATE INDEX i ON t USING hnsw (v vector_l2_ops)'), 3, 'many rows have as many as there are');
$node->safe_psql($db, 'DROP INDEX i');

# ---------------------------------------------------------------- kinds of tables and indexes

$node->safe_psql($db, q{
    CREATE FUNCTION unsafe(v vector) RETURNS vector LANGUAGE plpgsql IMMUTABLE PARALLEL UNSAFE AS 'BEGIN RETURN v OPERATOR(public.+) v; END';
    CREATE UNLOGGED TABLE unlogged AS SELECT * FROM t;
    CREATE TABLE changed AS SELECT * FROM t;
    DELETE FROM changed WHERE id % 3 = 0;
    UPDATE changed SET v = v + v, id = -id WHERE id % 5 = 0;
    CREATE TABLE none (id int, v vector(24));
    CREATE TABLE nulls AS SELECT id, NULL::vector(24) AS v FROM t;
    CREATE TABLE parts (id int, v vector(24)) PARTITION BY RANGE (id);
    CREATE TABLE part_1 PARTITION OF parts FOR VALUES FROM (0) TO (2500);
    CREATE TABLE part_2 PARTITION OF parts FOR VALUES FROM (2500) TO (100000);
    INSERT INTO parts SELECT id, v FROM t;
    -- out of line: the table itself is small
    CREATE TABLE toasted (id int, v vector(600));
    ALTER TABLE toasted ALTER v SET STORAGE EXTERNAL;
    INSERT INTO toasted SELECT n, made(n, 600) FROM generate_series(1, 3000) n});
for my $case (
    [ 'unlogged table',     'CREATE INDEX i ON unlogged USING hnsw (v vector_l2_ops)',                   3 ],
    [ 'dead rows',          'CREATE INDEX i ON changed USING hnsw (v vector_l2_ops)',                    3 ],
    [ 'table without rows', 'CREATE INDEX i ON none USING hnsw (v vector_l2_ops)',                       0 ],
    [ 'NULLs alone',        'CREATE INDEX i ON nulls USING hnsw (v vector_l2_ops)',                      3 ],
    [ 'partial index',      'CREATE INDEX i ON t USING hnsw (v vector_l2_ops) WHERE id % 2 = 0',         1 ],
    [ 'expression',         'CREATE INDEX i ON t USING hnsw ((unsafe(v)::vector(24)) vector_l2_ops)',    3 ],
    [ 'concurrently',       'CREATE INDEX CONCURRENTLY i ON t USING hnsw (v vector_l2_ops)',             3 ],
    [ 'reindexed so',       'CREATE INDEX i ON t USING hnsw (v vector_l2_ops); REINDEX INDEX CONCURRENTLY i', 3 ],
    [ 'rewritten',          'CREATE INDEX i ON unlogged USING hnsw (v vector_l2_ops); VACUUM FULL unlogged', 3 ],
    [ 'partitions',         'CREATE INDEX i ON parts USING hnsw (v vector_l2_ops)',                      '1, 1' ],
    [ 'TOAST',              'CREATE INDEX i ON toasted USING hnsw (v vector_l2_ops)',                    2 ],
    [ 'in a subtransaction', q{DO $$ BEGIN CREATE INDEX i ON t USING hnsw (v vector_l2_ops); EXCEPTION WHEN division_by_zero THEN NULL; END $$}, 3 ],)
{
    my ($name, $sql, $workers) = @$case;
    # Not one transaction, which psql would make of one string.
    my $stderr = said(join ";\n", split /; (?=REINDEX|VACUUM)/, $sql);
    my @found = $stderr =~ /using (\d+) parallel workers/g;
    my $want = join ', ', ($name =~ /^re/ ? ($workers, $workers) : $workers || ());
    is(join(', ', $name eq 'partitions' ? sort @found : @found), $want, "$name: workers");
    for my $index (split /\n/, $node->safe_psql($db, q{SELECT relid FROM pg_partition_tree('i') WHERE isleaf UNION SELECT 'i'::regclass WHERE NOT EXISTS (SELECT FROM pg_partition_tree('i'))}))
    {
        is(index_problems($node, $db, $index, 1), '', "$name: nothing is wrong with $index");
    }
    $node->safe_psql($db, 'DROP INDEX i');
}
# in one session
like(said(q{CREATE TEMP TABLE mine AS SELECT * FROM t; CREATE INDEX i ON mine USING hnsw (v vector_l2_ops);
    DO $$ BEGIN ASSERT (SELECT count(*) FROM hnsw_index_check('i', true)) = 0; END $$}), qr/using 3 parallel workers/, 'a temporary table');

# ---------------------------------------------------------------- memory

{
    my $sql = "CREATE INDEX i ON t USING hnsw (v vector_l2_ops)";
    unlike(said("$sql; DROP INDEX i"), qr/maintenance_work_mem/, 'memory suffices');
    my $notice = qr/NOTICE:  hnsw index "i" cannot be built within maintenance_work_mem\nDETAIL:  About (\d+) rows want (\d+) MB; maintenance_work_mem is 1 MB\.\nHINT:/;
    for my $analyzed (0, 1)
    {
        $node->safe_psql($db, 'ANALYZE t') if $analyzed;
        my @said = said("SET maintenance_work_mem = '1MB'; $sql") =~ /$notice/g;
        is(scalar @said, 2, 'a notice, once') or next;
        cmp_ok(abs($said[0] - 5042), '<=', 600, "which knows the rows, analyzed $analyzed");
        cmp_ok($said[1], '>=', 2, 'and what they want');
        is(index_problems($node, $db, 'i', 1), '', 'the index has all rows all the same');
        $node->safe_psql($db, 'DROP INDEX i');
    }
    like(said("SET maintenance_work_mem = '1MB'; $sql WHERE id < 5000; DROP INDEX i"), $notice, 'of a partial index too, when memory is full');

    my ($index, $build) = split /\|/, $node->safe_psql($db, 'SELECT * FROM hnsw_index_size_estimate(5042, 24)');
    $node->safe_psql($db, $sql);
    my $size = $node->safe_psql($db, "SELECT pg_relation_size('i')");
    cmp_ok(abs($index - $size), '<=', 0.02 * $size, 'hnsw_index_size_estimate knows the size');
    cmp_ok($build, '>', $size, 'and that building takes more');
    $node->safe_psql($db, 'DROP INDEX i');
    is($node->safe_psql($db, 'SELECT * FROM hnsw_index_size_estimate(0, 24)'), '8192|0', 'of no rows');

    # Of sparse vectors: as many elements as 99 of 100 rows have; of few rows, room for more.
    for my $case ([ 'one of 50 is longer', 2000, 50, 60 ], [ 'one of 200 is longer', 2000, 200, 24 ], [ 'few rows', 300, 200, 24 ])
    {
        my ($name, $rows, $longer, $elements) = @$case;
        $node->safe_psql($db, "CREATE TABLE sparse AS SELECT n AS id, (SELECT '{' || string_agg((i * 1000 + n) || ':' || (1 + hashint4(n * i) % 1000 / 2000.0), ',') || '}/1000000'
            FROM generate_series(1, CASE WHEN n % $longer = 0 THEN 60 ELSE 24 END) i)::sparsevec(1000000) AS v FROM generate_series(1, $rows) n");
        ($index, $build) = split /\|/, $node->safe_psql($db, "SELECT * FROM hnsw_index_size_estimate($rows, 1000000, 12, $elements)");
        unlike(said(sprintf("SET maintenance_work_mem = '%dkB'; ", 1.05 * $build > 1 << 20 ? 1.05 * $build / 1024 : 1024) . "CREATE INDEX i ON sparse USING hnsw (v sparsevec_cosine_ops) WITH (m = 12)"), qr/cannot be built within/, "sparse, $name: so much memory suffices, for a few more rows are expected");
        $size = $node->safe_psql($db, "SELECT pg_relation_size('i')");
        cmp_ok(abs($index - $size), '<=', 0.02 * $size, "sparse, $name: hnsw_index_size_estimate knows the size");
        $node->safe_psql($db, 'DROP TABLE sparse');
    }
    is($node->safe_psql($db, 'SELECT (a).index_bytes < (b).index_bytes AND (a).build_bytes < (b).build_bytes FROM (SELECT hnsw_index_size_estimate(1000000000, 768, 8) a, hnsw_index_size_estimate(1000000000, 768, 32) b) x'), 't', 'of many, and of m');
    is(sqlstate($node, $db, "SELECT hnsw_index_size_estimate($_)"), '22023', "not of $_") for '-1, 3', '3000000000, 3', '1, 0', '1, 100000', '1, 3, 1', '1, 3, 101', '1, 3, 16, -1', '1, 3, 16, 4', '1, 20000, 16, 16001', '1, 1000000001, 16, 10';
    is($node->safe_psql($db, 'SELECT index_bytes > 0 FROM hnsw_index_size_estimate(5000, 1000000000, 16, 16000)'), 't', 'of more elements than a record has room for');
}

# ---------------------------------------------------------------- in parts

{
    $node->safe_psql($db, q{
        CREATE TABLE big AS SELECT n AS id, made(n % 9000, 24)::vector(24) AS v FROM generate_series(1, 12000) n;
        INSERT INTO big SELECT -n, made(17, 24) FROM generate_series(1, 500) n});
    my $sql = 'CREATE INDEX i ON big USING hnsw (v vector_l2_ops)';
    my $files = sub {
        return $node->safe_psql($db, 'SELECT count(*) FROM pg_ls_tmpdir()');
    };
    my @bytes;
    for my $workers (0, 1, 3)
    {
        my $stderr = said("SET maintenance_work_mem = '3MB'; SET max_parallel_maintenance_workers = $workers; SET log_temp_files = 0; SET client_min_messages = log; $sql; CHECKPOINT");
        like($stderr, qr/cannot be built within maintenance_work_mem.*It is built in parts/s, "$workers workers: a notice");
        like($stderr, qr/temporary file/, "$workers workers: files");
        is(index_problems($node, $db, 'i', 1), '', "$workers workers: nothing is wrong");
        is($files->(), '0', "$workers workers: no file is left");
        cmp_ok($node->safe_psql($db, q{SELECT hnsw_recall('i', 50)}), '>=', 0.95, "$workers workers: rows are found");
        push @bytes, bytes_of('i');
        $node->safe_psql($db, 'DROP INDEX i');
    }
    ok($bytes[$_] eq $bytes[0], "in parts: the bytes are the same, $_") for 1, 2;
    is(sqlstate($node, $db, "SET maintenance_work_mem = '3MB'; SET temp_file_limit = '1MB'; $sql"), '53400', 'temp_file_limit holds');
    is($files->(), '0', 'no file is left by an error');
    is($node->safe_psql($db, q{SELECT to_regclass('i')}), '', 'nor an index');
    like(said("CREATE TEMP TABLE mine AS SELECT * FROM big; SET maintenance_work_mem = '3MB'; CREATE INDEX i ON mine USING hnsw (v vector_l2_ops); DO \$\$ BEGIN ASSERT (SELECT count(*) FROM hnsw_index_check('i', true)) = 0; END \$\$"), qr/in parts/, 'a temporary table in parts');
    like(said("SET maintenance_work_mem = '3MB'; CREATE INDEX i ON big USING hnsw ((unsafe(v)::vector(24)) vector_l2_ops)"), qr/in parts/, 'an expression in parts');
    is(index_problems($node, $db, 'i', 1), '', 'nothing is wrong with it');
    # more rows than there is memory for in parts
    $node->safe_psql($db, q{DROP INDEX i; INSERT INTO big SELECT n + 20000, made(n + 20000, 24) FROM generate_series(1, 5000) n});
    like(said("SET maintenance_work_mem = '1700kB'; $sql"), qr/inserted one by one/, 'first in parts, then row by row');
    is(index_problems($node, $db, 'i', 1), '', 'nothing is wrong with it');
    cmp_ok($node->safe_psql($db, q{SELECT hnsw_recall('i', 50)}), '>=', 0.95, 'rows of both kinds are found');
    # Rows of very different lengths under the inner product are built in rounds, which have no parts.
    $node->safe_psql($db, q{CREATE TABLE uneven AS SELECT n AS id, (SELECT array_agg(x * power(1.001, n % 7000)) FROM unnest(made(n, 24)::real[]) x)::vector(24) AS v FROM generate_series(1, 12000) n});
    my $said = said("SET maintenance_work_mem = '3MB'; CREATE INDEX u ON uneven USING hnsw (v vector_ip_ops)");
    like($said, qr/inserted one by one/, 'no parts where lengths differ: said so');
    unlike($said, qr/in parts/, 'and nothing else');
    is(index_problems($node, $db, 'u', 1), '', 'nothing is wrong with it');
    $node->safe_psql($db, 'DROP TABLE big, uneven');
}

# ---------------------------------------------------------------- progress, cancel, a worker's end

$node->safe_psql($db, q{
    CREATE TABLE large (id int, v vector(64));
    INSERT INTO large SELECT n, made(n, 64) FROM generate_series(1, 30000) n});
$node->append_conf('postgresql.conf', 'dynamic_shared_memory_type = mmap');
$node->restart;
my $create = "SET maintenance_work_mem = '256MB'; CREATE INDEX l ON large USING hnsw (v vector_l2_ops) WITH (m = 40, ef_construction = 500);\n";
my $files  = shared_files();
cmp_ok($files, '>', 0, 'shared memory can be seen');

# Runs the function as soon as there are three workers, which show the leader's query and its identifier, in that
# phase of the index, one of them at work and not waiting for a task, and some rows are done; false if this is never
# seen. A phase lasts a few tenths of a second, so the server itself looks, every two milliseconds.
sub strike
{
    my ($function, $rows, $phase) = @_;
    $phase //= 'choosing neighbours';
    my $tries = 500 * $PostgreSQL::Test::Utils::timeout_default;
    my $status = $node->psql($db, qq{
        DO \$\$
        BEGIN
            FOR try IN 1 .. $tries LOOP
                PERFORM pg_stat_clear_snapshot();
                IF EXISTS (SELECT FROM pg_stat_progress_create_index
                           WHERE relid = 'large'::regclass AND phase = 'building index: $phase'
                             AND tuples_done > 1000 AND tuples_done <= tuples_total AND tuples_total $rows)
                   AND (SELECT count(*) = 3 AND bool_or(w.wait_event IS NULL) FROM pg_stat_activity w JOIN pg_stat_activity l ON l.pid = w.leader_pid
                        WHERE w.backend_type = 'parallel worker' AND w.query ~ '^SET|CREATE INDEX l' AND w.query_id = l.query_id) THEN
                    PERFORM $function;
                    RETURN;
                END IF;
                PERFORM pg_sleep(0.002);
            END LOOP;
            RAISE EXCEPTION 'never seen';
        END \$\$});
    return $status == 0;
}

my $cancel = 'pg_cancel_backend(pid) FROM pg_stat_progress_create_index';
for my $end (
    [ 'cancelled', $cancel, 'ERROR:  57014' ],
    [ 'terminated', 'pg_terminate_backend(pid) FROM pg_stat_progress_create_index', '57P01' ],
    [ 'a worker terminated', q{pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'parallel worker' LIMIT 1}, '57P01' ],)
{
    my ($name, $function, $code) = @$end;
    my $session = start_session($node, $db, $create);
    ok(strike($function, '= 30000'), "$name: workers are at work, progress shows");
    like(finish($session), qr/$code/, "$name: that is the error");
    ok(wait_for(q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'parallel worker'}), "$name: no worker is left");
    is($node->safe_psql($db, q{SELECT count(*) FROM pg_class WHERE relname = 'l'}), 0, "$name: nor is an index");
    cmp_ok(shared_files(), '<=', $files, "$name: nor shared memory");
}
# Cancelled while the recall is measured. Plain layouts compute all distances, so it lasts longest with these.
{
    my $name = 'recall';
    my $session = start_session($node, $db, "SET maintenance_work_mem = '256MB'; CREATE INDEX l ON large USING hnsw (v vector_l1_ops) WITH (m = 8, ef_construction = 16);\n");
    ok(strike($cancel, '> 30000', 'measuring recall'), "$name: workers are at work, progress shows");
    like(finish($session), qr/ERROR:  57014/, "$name: cancelled");
    is($node->safe_psql($db, q{SELECT count(*) FROM pg_class WHERE relname = 'l'}), 0, "$name: no index is left");
    cmp_ok(shared_files(), '<=', $files, "$name: nor shared memory");
}
# Cancelled while one of several parts is built.
{
    my ($sql, $name) = ($create, 'memory full');
    $sql =~ s/256MB/64MB/;
    my $session = start_session($node, $db, $sql);
    ok(strike($cancel, '< 30000'), "$name: workers are at work");
    like(finish($session), qr/ERROR:  57014/, "$name: cancelled");
    is($node->safe_psql($db, 'SELECT count(*) FROM pg_ls_tmpdir()'), '0', "$name: no file is left");
}
is(errors_in_log($node, 0, qr/canceling statement|administrator command|lost connection|must be between|numeric value|exceeds temp_file_limit/), '', 'the log has nothing else');
$node->append_conf('postgresql.conf', $_) for q{wal_level = replica}, q{shared_preload_libraries = 'pg_stat_statements'};
$node->restart;
is(workers_of('CREATE INDEX l ON large USING hnsw (v vector_l2_ops)'), 3, 'the table can be indexed still');
is(index_problems($node, $db, 'l', 1), '', 'nothing is wrong with the index');

# ---------------------------------------------------------------- usage

# What the workers write and access counts as the statement's.
{
    $node->safe_psql($db, 'CREATE EXTENSION pg_stat_statements');
    my $sql = 'REINDEX INDEX l';
    my %usage;
    for my $workers (0, 2)
    {
        # From a checkpoint on, so that full page images of catalogs are the same.
        $node->safe_psql($db, $_) for 'SELECT pg_stat_statements_reset()', 'CHECKPOINT';
        is(workers_of("SET max_parallel_maintenance_workers = $workers; $sql"), $workers, "usage with $workers workers");
        $usage{$workers} = [ split /\|/, $node->safe_psql($db, "SELECT wal_bytes, shared_blks_dirtied, shared_blks_hit + shared_blks_read FROM pg_stat_statements WHERE query = '$sql'") ];
    }
    cmp_ok($usage{0}[0], '>', 0.9 * $node->safe_psql($db, "SELECT pg_relation_size('l')"), 'the index is logged');
    for my $i (0 .. 2)
    {
        my ($alone, $with) = map { $usage{$_}[$i] } 0, 2;
        cmp_ok(abs($with - $alone), '<=', 0.05 * $alone, (qw(bytes-of-WAL dirtied-blocks accessed-blocks))[$i] . " are the same with workers: $alone, $with");
    }
}

$node->stop;
done_testing();
