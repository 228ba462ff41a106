# Clients insert, update, delete, search, vacuum and rebuild at the same time:
# no error, and afterwards an index in which nothing is wrong, nothing is
# missing, and whose recall is good.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use HnswTest;
use OmendbTest;

use Test::More;
use Time::HiRes qw(sleep);

seeded();
my $node = start_node(
    'concurrency', q{
    autovacuum = off
    jit = off
    fsync = off
    log_statement = none
    log_lock_waits = off
    deadlock_timeout = 10s
});
my $db = 'concurrency';
create_omendb($node, $db);
make_data_functions($node, $db);
my $dir = scratch_dir();

# type, value of n, operator, rows to look at beside the expected ones, clients' transactions
my %cases = (
    vector_l2_ops     => [ 'vector(40)',   'made(%s, 40)',                       '<->', 0, 200 ],
    vector_cosine_ops => [ 'vector(384)',  'made(%s, 384)',                      '<=>', 0, 100 ],
    # of one length, for else others are nearer to a vector than itself
    halfvec_ip_ops    => [ 'halfvec(40)',  'l2_normalize(made(%s, 40))::halfvec', '<#>', 20, 200 ],
    bit_hamming_ops   => [ 'bit(128)',     'made_bits(%s, 128)',                 '<~>', 0, 200 ],
    vector_l1_ops     => [ 'vector(24)',   'made(%s, 24)',                       '<+>', 0, 200 ],);

for my $opclass (sort keys %cases)
{
    my ($type, $value, $operator, $slack, $transactions) = @{ $cases{$opclass} };
    my ($rows, $clients) = (600, 4);
    my $of     = sub { sprintf $value, $_[0] };
    my $script = sub { write_script($dir, "$opclass-$_[0]", $_[1]) };
    my $from   = -s $node->logfile;

    $node->safe_psql($db, "CREATE TABLE t (id bigserial PRIMARY KEY, v $type); INSERT INTO t (v) SELECT " . $of->('n') . " FROM generate_series(1, $rows) n; CREATE INDEX t_v ON t USING hnsw (v $opclass)");
    my $work = start_clients(
        $node, $db, $clients, $transactions,
        $script->('insert', "\\set n random(1, 1000000000)\nINSERT INTO t (v) VALUES (" . $of->(':n') . ');') . '@6',
        # overflow records of the same few nodes
        $script->('equal', "\\set n random(1, 3)\nINSERT INTO t (v) SELECT " . $of->(':n') . ' FROM generate_series(1, 3);') . '@4',
        $script->('update', "\\set id random(1, $rows)\n\\set n random(1, 1000000000)\nUPDATE t SET v = " . $of->(':n') . ' WHERE id = :id;') . '@3',
        $script->('delete', "\\set id random(1, $rows * 2)\nDELETE FROM t WHERE id = :id;") . '@5',
        $script->('abort', "\\set n random(1, 1000000000)\nBEGIN;\nINSERT INTO t (v) VALUES (" . $of->(':n') . ");\nROLLBACK;") . '@1',
        map {
            my ($scan, $settings) = @$_;
            $script->("search_$scan", "\\set n random(1, 1000000000)\nSET enable_seqscan = off;\n$settings\nSELECT id FROM t ORDER BY v $operator " . $of->(':n') . ' LIMIT 10;') . '@2'
        } [ 'plain', 'SET hnsw.custom_scan = off;' ], [ 'graph', 'SET hnsw.custom_scan = on; SET hnsw.scan_strategy = graph;' ], [ 'auto', 'SET hnsw.custom_scan = on; SET hnsw.scan_strategy = auto;' ]);
    # One session, as two such commands on a table wait for each other.
    my $admin = start_session($node, $db, join "\n", (
        ('VACUUM (INDEX_CLEANUP ON) t;') x 4,
        "CREATE INDEX CONCURRENTLY t_v2 ON t USING hnsw (v $opclass);",
        'VACUUM (INDEX_CLEANUP ON) t;',
        'REINDEX INDEX CONCURRENTLY t_v;',
        ('VACUUM (INDEX_CLEANUP ON) t;') x 4,
        'DROP INDEX CONCURRENTLY t_v2;',
        'REINDEX INDEX t_v;',
        ('VACUUM (INDEX_CLEANUP ON) t;') x 8));
    is(finish($work),  '', "$opclass: no client has an error");
    is(finish($admin), '', "$opclass: nor have vacuum and index builds");
    like($work->{out}, qr{number of transactions actually processed: (\d+)/\1\b}, "$opclass: all is done");

    for my $when ('at once', 'after vacuum', 'rebuilt')
    {
        $node->safe_psql($db, 'VACUUM (INDEX_CLEANUP ON) t') if $when eq 'after vacuum';
        $node->safe_psql($db, 'REINDEX INDEX CONCURRENTLY t_v') if $when eq 'rebuilt';
        is(index_problems($node, $db, 't_v', 1), '', "$opclass, $when: nothing is wrong");
        is(lost_rows($node, $db, 't', $operator, $slack), '', "$opclass, $when: every row is found");
        next if $when eq 'after vacuum';
        is(strangers($node, $db, 't', $operator), '', "$opclass, $when: once, and no other");
        cmp_ok(recall($node, $db, 't', $operator, $of->('n + 5000000'), 50), '>=', 0.95, "$opclass, $when: recall");
    }
    is(errors_in_log($node, $from), '', "$opclass: no error in the log");
    $node->safe_psql($db, 'DROP TABLE t');
}

# Many clients at once begin a graph, with different vectors and with the same.
$node->safe_psql($db, 'CREATE TABLE t (id bigserial PRIMARY KEY, v vector(8)); CREATE INDEX t_v ON t USING hnsw (v vector_l2_ops)');
my @first = (
    write_script($dir, 'first', "\\set n random(1, 1000000000)\nINSERT INTO t (v) VALUES (made(:n, 8));"),
    write_script($dir, 'first_equal', "\\set n random(1, 2)\nINSERT INTO t (v) VALUES (made(:n, 8));"));
my ($errors, $problems, $lost) = ('', '', '');
for (1 .. 8)
{
    $node->safe_psql($db, 'TRUNCATE t');
    $errors   .= finish(start_clients($node, $db, 10, 4, @first));
    $problems .= index_problems($node, $db, 't_v', 1);
    $lost     .= lost_rows($node, $db, 't', '<->');
}
is($errors,   '', 'first inserts: no error');
is($problems, '', 'first inserts: nothing is wrong');
is($lost,     '', 'first inserts: every row is found');

# The same where all that there is has died, before and while it is vacuumed.
($errors, $problems, $lost) = ('', '', '');
for (1 .. 6)
{
    $node->safe_psql($db, 'TRUNCATE t; INSERT INTO t (v) SELECT made(n, 8) FROM generate_series(1, 400) n; DELETE FROM t');
    my $vacuum = start_session($node, $db, 'VACUUM (INDEX_CLEANUP ON) t;');
    $errors   .= finish(start_clients($node, $db, 10, 20, @first)) . finish($vacuum);
    $lost     .= lost_rows($node, $db, 't', '<->');
    $node->safe_psql($db, 'DELETE FROM t WHERE id % 2 = 0');
    $node->safe_psql($db, 'VACUUM (INDEX_CLEANUP ON) t');
    $problems .= index_problems($node, $db, 't_v', 1);
    $lost     .= lost_rows($node, $db, 't', '<->');
}
is($errors,   '', 'inserts among the dead: no error');
is($problems, '', 'inserts among the dead: nothing is wrong');
is($lost,     '', 'inserts among the dead: every row is found');
# Inserts that stand still in the middle, while vacuum takes away what they saw.
$node->safe_psql($db, 'TRUNCATE t; INSERT INTO t (v) SELECT made(n, 8) FROM generate_series(1, 300) n');
my $work = start_clients($node, $db, 4, 2500, write_script($dir, 'frozen', "\\set n random(1, 1000000000)\nINSERT INTO t (v) VALUES (made(:n, 8));"));
my $admin = start_session($node, $db, join "\n", ('DELETE FROM t WHERE hashint8(id) % 3 > 0;', 'VACUUM (INDEX_CLEANUP ON) t;') x 40);
my $pids  = q{SELECT pid FROM pg_stat_activity WHERE query LIKE 'INSERT%' AND backend_type = 'client backend'};
$node->poll_query_until($db, "SELECT count(*) = 4 FROM ($pids) x") or die 'the clients did not come up';
my @pids = split /\n/, $node->safe_psql($db, $pids);
my $standstills = 0;
for (1 .. 50)
{
    my $pid = $pids[ rand @pids ];
    $standstills += kill 'STOP', $pid;
    sleep(0.02 + rand(0.03));
    kill 'CONT', $pid;
    sleep(0.005);
}
cmp_ok($standstills, '>', 10, "$standstills standstills");
is(finish($work) . finish($admin), '', 'standstills: no error');
is(index_problems($node, $db, 't_v', 1), '', 'standstills: nothing is wrong');
is(lost_rows($node, $db, 't', '<->'), '', 'standstills: every row is found');
is(errors_in_log($node, 0, qr/connection to client lost/), '', 'no error in the log');

$node->stop;
done_testing();
