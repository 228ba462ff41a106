# What a VACUUM costs: pages of the index that it accesses, by the statistics.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use HnswTest;
use OmendbTest;

use Test::More;

my $node = start_node(
    'vacuum', q{
    autovacuum = off
    jit = off
    min_parallel_index_scan_size = 0
});
my $db = 'vacuum';
create_omendb($node, $db);
make_data_functions($node, $db);
sub sql { return $node->safe_psql($db, $_[0]) }
sub info { return sql("SELECT $_[1] FROM hnsw_index_info('$_[0]')") }

# Accesses to pages of the index while that statement runs in a session of its own, which reports them when it ends.
sub accesses
{
    my ($index, $statement) = @_;
    my $count  = "SELECT idx_blks_read + idx_blks_hit FROM pg_statio_user_indexes WHERE indexrelname = '$index'";
    my $before = sql($count);
    sql($statement);
    return sql($count) - $before;
}

# ---------------------------------------------------------------- few rows of many

sql(q{
    CREATE TABLE t (id int PRIMARY KEY, v vector(64));
    INSERT INTO t SELECT n, made(n, 64) FROM generate_series(1, 12000) n;
    CREATE INDEX t_v ON t USING hnsw (v vector_l2_ops);
    VACUUM ANALYZE t});
my $pages = info('t_v', 'pages');
cmp_ok($pages, '>', 1100, "an index of $pages pages");
sql('INSERT INTO t VALUES (0, made(0, 64))');
cmp_ok(accesses('t_v', 'VACUUM t'), '<', 10, 'nothing was deleted: the index is not read');
is(sql("SELECT reltuples FROM pg_class WHERE relname = 't_v'"), 12000, 'and the catalogs keep what they said');

sql('DELETE FROM t WHERE id = 1');
cmp_ok(accesses('t_v', 'VACUUM (INDEX_CLEANUP ON) t'), '<', 1.1 * $pages, 'one row was: it is read once');
is(sql("SELECT reltuples FROM pg_class WHERE relname = 't_v'"), 12000, 'and its rows are counted');
is(info('t_v', 'dead_nodes'), 1, 'the dead node stays');
is(index_problems($node, $db, 't_v', 1), '', 'nothing is wrong with that');
is(lost_rows($node, $db, 't', '<->'), '', 'and every row is found');

sql('DELETE FROM t WHERE id < 20');
sql('VACUUM (INDEX_CLEANUP ON) t');
is(info('t_v', 'dead_nodes'), 0, 'dead nodes go when there are some more');
is(info('t_v', 'free_records') >= 20 ? 'yes' : 'no', 'yes', 'all of them');
is(index_problems($node, $db, 't_v', 1), '', 'nothing is wrong then');
my $size = info('t_v', 'pages');
# Fewer: a row may take records of upper levels, too.
sql('INSERT INTO t SELECT n, made(n, 64) FROM generate_series(1, 12) n');
is(info('t_v', 'pages'), $size, 'their slots are used again');

# ---------------------------------------------------------------- cost delay

# A sleep for every ten pages: those that repairs read count, not only the pages of the sweeps. VACUUM
# sleeps for this long at least, whatever else the machine does.
sql(q{
    CREATE TABLE d (id int, v vector(8));
    INSERT INTO d SELECT n, made(n, 8) FROM generate_series(1, 400) n;
    CREATE INDEX d_v ON d USING hnsw (v vector_l2_ops);
    SELECT hnsw_recall('d_v', 400, 10);
    DELETE FROM d WHERE id <= 100});
my $sweeps = 8 * info('d_v', 'pages');
my $slept  = sql(q{
    SET vacuum_cost_delay = 2;
    SET vacuum_cost_limit = 10;
    SET vacuum_cost_page_hit = 1;
    SET vacuum_cost_page_miss = 0;
    SET vacuum_cost_page_dirty = 0;
    SELECT 1;
    SELECT clock_timestamp() AS before \gset
    VACUUM (INDEX_CLEANUP ON) d;
    SELECT extract(epoch FROM clock_timestamp() - :'before')});
$slept =~ s/.*\n//s;
cmp_ok(1000 * $slept, '>', 3 * 2 / 10 * $sweeps, "VACUUM slept $slept s: more than for sweeps of $sweeps pages");
is(info('d_v', 'dead_nodes'), 0, 'dead nodes are gone');

# ---------------------------------------------------------------- many rows of few vectors

sql(q{
    CREATE TABLE e (id int, v vector(2));
    CREATE INDEX e_v ON e USING hnsw (v vector_l2_ops);
    INSERT INTO e SELECT n, ARRAY[n % 2, 1] FROM generate_series(1, 20000) n;
    DELETE FROM e WHERE id <= 10000});
my $chained = info('e_v', 'overflow_records');
# Each record is looked at once, and taken out with the one before it.
cmp_ok(accesses('e_v', 'VACUUM (INDEX_CLEANUP ON) e'), '<', 6 * $chained, "each chain of the $chained overflow records is walked once");
cmp_ok(info('e_v', 'overflow_records'), '<=', $chained / 2 + 2, 'empty ones go');
is(index_problems($node, $db, 'e_v', 1), '', 'nothing is wrong then');
is(lost_rows($node, $db, 'e', '<->'), '', 'and every row is found');

# ---------------------------------------------------------------- indexes side by side

sql(q{
    CREATE TABLE p (id int, v vector(8), h halfvec(8));
    CREATE INDEX p_v ON p USING hnsw (v vector_l2_ops);
    CREATE INDEX p_h ON p USING hnsw (h halfvec_cosine_ops);
    INSERT INTO p SELECT n, made(n, 8), made(-n, 8) FROM generate_series(1, 3000) n});
my @curves = map { info($_, 'recall_curve') } qw(p_v p_h);
is("@curves", ' ', 'indexes that were created empty: their recall was not measured yet');
for my $what ('of new rows', 'of rows that are left')
{
    my ($stdout, $stderr) = ('', '');
    $node->psql($db, 'VACUUM (PARALLEL 2, INDEX_CLEANUP ON, VERBOSE) p', stdout => \$stdout, stderr => \$stderr);
    my @measured = map { info($_, 'recall_curve') } qw(p_v p_h);
    like($stderr, qr/launched 1 parallel vacuum worker for index cleanup/, "$what: a worker measures, too");
    ok($measured[$_] ne '' && $measured[$_] ne $curves[$_], "$what: the recall of both is measured, $_") for 0, 1;
    is(index_problems($node, $db, $_, 1), '', "$what: nothing is wrong with $_") for qw(p_v p_h);
    @curves = @measured;
    sql('DELETE FROM p WHERE id % 3 = 0');
}

# ---------------------------------------------------------------- pages that were never written

# A crash may come between the extension of the file and the first WAL record of its pages. Here half of the file is such pages.
sql(q{CHECKPOINT});
my $file = $node->data_dir . '/' . sql(q{SELECT pg_relation_filepath('p_v')});
$node->stop;
open my $out, '>>:raw', $file or die "$file: $!";
print $out "\0" x -s $file or die "$file: $!";
close $out or die "$file: $!";
$node->start;
for my $what ('whose recall is measured', 'again', 'after inserts')
{
    my $before = info('p_v', 'recall_curve');
    sql(q{INSERT INTO p SELECT n, made(n, 8), made(-n, 8) FROM generate_series(5001, 7000) n}) if $what eq 'after inserts';
    sql('DELETE FROM p WHERE id % 7 < 3; VACUUM (INDEX_CLEANUP ON) p');
    isnt(info('p_v', 'recall_curve'), $before, "an index with pages of zeros, $what: vacuumed") if $what ne 'again';
    is(index_problems($node, $db, 'p_v', 1), '', "an index with pages of zeros, $what: whole");
    is(lost_rows($node, $db, 'p', '<->'), '', "an index with pages of zeros, $what: every row is found");
}

$node->stop;
done_testing();
