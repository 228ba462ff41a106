# The server dies in the middle of COPY, whose rows are gathered and inserted into indexes together (PostgreSQL 17 and later; before, one
# by one): the process of COPY is killed or terminated, or all are killed at once. Afterwards every committed row is found by its own vector.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use HnswTest;
use OmendbTest;

use Test::More;
use Time::HiRes qw(sleep time);

seeded();
my $db = 'crash';

# Few buffers, so that changed pages reach the disk before the crash. Little memory, so that there are several flushes of a statement.
my $node = start_node(
    'batch_crash', q{
    autovacuum = off
    jit = off
    log_statement = none
    restart_after_crash = on
    shared_buffers = 2MB
    maintenance_work_mem = 1MB
    wal_consistency_checking = 'generic'
});
create_omendb($node, $db);
make_data_functions($node, $db);
my $dir  = scratch_dir();
my $file = "$dir/many.copy";
chmod 0755, $dir;

sub sql { return $node->safe_psql($db, $_[0]) }

# Two indexes of a table, and partitions: several of them gather at a time. Ids below 0 are of statements that do not commit.
my ($rows, $many) = (300, 3000);
my %index_of = (t => [qw(t_v t_few)], p0 => ['p0_v_idx'], p1 => ['p1_v_idx'], p2 => ['p2_v_idx']);
sql("CREATE TABLE t (id bigint, v vector(24)); CREATE INDEX t_v ON t USING hnsw (v vector_l2_ops); CREATE INDEX t_few ON t USING hnsw (v vector_l2_ops) WITH (m = 2, ef_construction = 8);
    CREATE TABLE p (id bigint, v vector(24)) PARTITION BY LIST ((\@id % 3)); CREATE INDEX ON p USING hnsw (v vector_l2_ops);
    " . join('', map { "CREATE TABLE p$_ PARTITION OF p FOR VALUES IN ($_);" } 0 .. 2) . "
    INSERT INTO t SELECT n, tight(n, 24) FROM generate_series(1, $rows) n; INSERT INTO p SELECT * FROM t;
    COPY (SELECT -n, tight(n + 5000, 24) FROM generate_series(1, $many) n) TO '$file'");
my $writer = write_script($dir, 'writer',
    "\\set n random(1, 1000000000)\nINSERT INTO t SELECT :n + i, tight(:n + i, 24) FROM generate_series(1, 12) i;\n" . "INSERT INTO p SELECT :n + i, tight(:n + i, 24) FROM generate_series(1, 12) i;");

# Seconds that COPY takes.
my %seconds;
for my $table (qw(t p))
{
    my $start = time;
    sql("COPY $table FROM '$file'");
    $seconds{$table} = time - $start;
    sql("DELETE FROM $table WHERE id < 0");
    sql("VACUUM (INDEX_CLEANUP ON) $table");
}

# What is wrong, '' where nothing. hnsw_index_check says whether each node is reached. A search of few edges may miss its row as long as
# there are thousands of nodes: those of a COPY that did not commit stay until a vacuum.
sub wrong
{
    my ($vacuumed) = @_;
    my @wrong;
    for my $table (sort keys %index_of)
    {
        # By each of its indexes alone.
        for my $index (@{ $index_of{$table} })
        {
            my @others = grep { $_ ne $index } @{ $index_of{$table} };
            set_valid('false', @others);
            push @wrong, map { "$index: $_" } grep { $_ ne '' } index_errors($node, $db, $index, 1), strangers($node, $db, $table, '<->'),
              $vacuumed || $index ne 't_few' ? unreached($node, $db, $table, '<->') : ();
            set_valid('true', @others);
        }
    }
    return join "\n", @wrong;
}

sub set_valid
{
    my ($valid, @indexes) = @_;
    sql("UPDATE pg_index SET indisvalid = $valid WHERE indexrelid = '$_'::regclass") for @indexes;
    return;
}

# The table that COPY fills, whether others write to both beside it, and how it ends.
my @rounds = ([ 't', 0, 'kill' ], [ 'p', 0, 'kill' ], [ 't', 1, 'kill' ], [ 'p', 1, 'kill' ], [ 't', 0, 'terminate' ], [ 'p', 0, 'terminate' ], [ 'p', 1, 'stop' ], [ 't', 1, 'stop' ]);
my $died = 0;
for my $round (0 .. $#rounds)
{
    my ($table, $beside, $way) = @{ $rounds[$round] };
    my $name = "round $round, $way in COPY $table" . ($beside ? ', others beside' : '');
    my $clients = $beside ? start_clients($node, $db, 2, 100000, $writer) : undef;
    my $copy = start_session($node, $db, "COPY $table FROM '$file';\n");
    $node->poll_query_until($db, "SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'COPY $table%' AND state = 'active'")
      or die 'COPY did not come up';
    # It came up a moment ago, and has taken as long as that without others beside.
    sleep(rand(0.7 * $seconds{$table}));
    my $pid = sql("SELECT pid FROM pg_stat_activity WHERE query LIKE 'COPY $table%' AND state = 'active'");
    if ($pid eq '')
    {
        note("$name: COPY was quicker");
        sql("DELETE FROM $table WHERE id < 0");
    }
    $died++ if $pid ne '';
    if ($way eq 'stop' || $pid eq '')
    {
        $node->stop('immediate');
        $node->start;
    }
    elsif ($way eq 'terminate')
    {
        sql("SELECT pg_terminate_backend($pid)");
    }
    else
    {
        kill 'KILL', $pid or die "kill: $!";
    }
    my $errors = finish($copy);
    $errors .= finish($clients) if $clients;
    unlike($errors, qr/ERROR:/, "$name: no error before");
    $node->poll_query_until($db, 'SELECT true') or die 'the server did not come up again';
    is(sql('SELECT count(*) FILTER (WHERE t.id < 0), count(*) FILTER (WHERE t.id BETWEEN 1 AND ' . $rows . ') FROM t') . ' ' . sql('SELECT count(*) FILTER (WHERE id < 0), count(*) FILTER (WHERE id BETWEEN 1 AND ' . $rows . ') FROM p'),
        "0|$rows 0|$rows", "$name: the rows that were committed");
    is(wrong(0), '', "$name: each is found by its own vector in each index, and no other; nothing is wrong with these");
    sql("INSERT INTO $table SELECT -n, tight(-n, 24) FROM generate_series(1, 30) n; DELETE FROM $table WHERE id < 0 OR id > $rows AND id % 3 = 0");
    # A search for each row visits 1,000 nodes.
    sql("DELETE FROM t WHERE id > $rows AND id NOT IN (SELECT id FROM t WHERE id > $rows ORDER BY id LIMIT 400)");
    sql('VACUUM (INDEX_CLEANUP ON) t, p');
    is(join("\n", grep { $_ ne '' } map { index_problems($node, $db, $_, 1) } map { @$_ } values %index_of), '', "$name: vacuum leaves nothing");
    is(join(' ', map { sql("SELECT dead_nodes FROM hnsw_index_info('$_')") } map { @$_ } values %index_of), '0 0 0 0 0', "$name: nor a dead node");
    is(wrong(1), '', "$name: nor takes anything away");
    sql("DELETE FROM t WHERE id > $rows; DELETE FROM p WHERE id > $rows; VACUUM (INDEX_CLEANUP ON) t, p") if $beside;
}
cmp_ok($died, '>', 0, "in $died of " . @rounds . ' rounds COPY was not done');
is(errors_in_log($node, 0, qr/terminated by signal 9|terminating (connection|any other)|database system|not yet accepting|shut down|because of crash/), '', 'no error in the log');

$node->stop;
done_testing();
