# The server dies again and again, by an immediate stop or by the SIGKILL of a backend, while
# rows are inserted, updated, deleted, vacuumed and prepared for commit, and indexes are built,
# rebuilt and filled in the transaction that made their table; at each wal_level, with and
# without full-page writes. After each death a plain search for its own vector finds every
# committed row, there is no other row, and nothing is wrong with an index.
# OMENDB_KILLS: deaths, by default 6, one beside each kind of work.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use HnswTest;
use OmendbTest;

use Test::More;
use Time::HiRes qw(sleep);

my $seed  = seeded();
my $kills = $ENV{OMENDB_KILLS} // 6;
my $db    = 'matrix';
my $node  = start_node(
    'matrix', q{
    autovacuum = off
    jit = off
    fsync = off
    shared_buffers = 2MB
    max_wal_senders = 0
    max_prepared_transactions = 1000
    restart_after_crash = on
    checkpoint_timeout = 30s
    log_statement = none
});
create_omendb($node, $db);
make_data_functions($node, $db);
my $dir = scratch_dir();

sub sql { return $node->safe_psql($db, $_[0]) }

# Tables that clients write to all the time; a value of n; few edges, where each counts.
my %tables = (
    l => [ 'vector(12)',  'vector_l2_ops',      '<->', 'WITH (m = 2, ef_construction = 8)', sub { "tight($_[0], 12)" } ],
    h => [ 'halfvec(12)', 'halfvec_cosine_ops', '<=>', 'WITH (m = 4, ef_construction = 8)', sub { "tight($_[0], 12)::halfvec" } ],
    b => [ 'bit(64)',     'bit_hamming_ops',    '<~>', 'WITH (m = 4, ef_construction = 8)', sub { "made_bits($_[0], 64)::bit(64)" } ],);
my $rows = 200;
my (@scripts, @vacuums);
for my $t (sort keys %tables)
{
    my ($type, $opclass, undef, $with, $value) = @{ $tables{$t} };
    sql("CREATE TABLE $t (id bigserial PRIMARY KEY, v $type); INSERT INTO $t (v) SELECT " . $value->('n') . " FROM generate_series(1, $rows) n;
        CREATE INDEX ${t}_v ON $t USING hnsw (v $opclass) $with");
    my $any = "\\set n random(1, 1000000000)\n\\set few random(1, 3)\n\\set id random(1, $rows)\n";
    my $n   = $value->(':n');
    my %sql = (
        insert => "INSERT INTO $t (v) VALUES ($n);",
        equal  => 'INSERT INTO ' . $t . ' (v) VALUES (' . $value->(':few') . ');',
        update => "INSERT INTO $t (id, v) VALUES (:id, $n) ON CONFLICT (id) DO UPDATE SET v = excluded.v;",
        delete => "DELETE FROM $t WHERE id BETWEEN :id AND :id + 3;",
        abort  => "BEGIN;\nINSERT INTO $t (id, v) VALUES (-:n, $n);\nROLLBACK;",);
    push @scripts, map { write_script($dir, "$t.$_", $any . $sql{$_}) . ($_ eq 'insert' ? '@12' : '@6') } sort keys %sql;
    push @vacuums, write_script($dir, "$t.vacuum", "VACUUM (INDEX_CLEANUP ON) $t;");
}
# Some of the transactions that are prepared wait for a commit that does not come before the death.
push @scripts, map { write_script($dir, "prepare$_->[0]", "\\set n random(1, 1000000000)\nBEGIN;\nINSERT INTO l (id, v) VALUES ($_->[1], tight(:n, 12));\nPREPARE TRANSACTION '$_->[2]:n';\n$_->[3]") . "\@$_->[4]" }
    [ 1, "nextval('l_id_seq')", 'c', "COMMIT PREPARED 'c:n';", 6 ], [ 2, '-:n', 'r', "ROLLBACK PREPARED 'r:n';", 3 ], [ 3, "nextval('l_id_seq')", 'c', '', 1 ], [ 4, '-:n', 'r', '', 1 ];
# What is not logged.
sql('CREATE UNLOGGED TABLE u (id bigserial PRIMARY KEY, v vector(12)); CREATE INDEX u_v ON u USING hnsw (v vector_l2_ops) WITH (m = 2, ef_construction = 8)');
push @scripts, write_script($dir, 'unlogged', "\\set n random(1, 1000000000)\nINSERT INTO u (v) VALUES (tight(:n, 12));") . '@6';
# What is built: a table that nobody else writes to; and one that is filled anew, index and all.
sql('CREATE TABLE c (id bigserial PRIMARY KEY, v vector(12)); INSERT INTO c (v) SELECT tight(n, 12) FROM generate_series(1, 600) n');
my $fill = sub { "INSERT INTO w (v) SELECT tight(n, 12) FROM generate_series($_[0], $_[0] + 60) n;" };
my $index = 'CREATE INDEX w_v ON w USING hnsw (v vector_l2_ops) WITH (m = 2, ef_construction = 8);';
sql("CREATE TABLE w (id bigserial PRIMARY KEY, v vector(12)); $index");

# Work beside the clients, over and over until the death.
my @works = (
    [ 'writes', 'SELECT' ],
    [ 'builds',   'DROP INDEX IF EXISTS c_v; CREATE INDEX c_v ON c USING hnsw (v vector_l2_ops) WITH (m = 2, ef_construction = 8)' ],
    [ 'rebuilds', 'REINDEX INDEX CONCURRENTLY h_v' ],
    [ 'truncated and filled', 'BEGIN; TRUNCATE w; ' . $fill->(1) . $fill->(100) . ' COMMIT; ' . $fill->(200) ],
    [ 'vacuums of most rows', "DELETE FROM b WHERE id % 3 > 0; VACUUM (INDEX_CLEANUP ON) b; INSERT INTO b (v) SELECT made_bits(n + (random() * 1e9)::int, 64)::bit(64) FROM generate_series(1, $rows) n" ],
    [ 'made and filled', "BEGIN; DROP TABLE w; CREATE TABLE w (id bigserial PRIMARY KEY, v vector(12)); " . $fill->(1) . $index . $fill->(100) . ' COMMIT; ' . $fill->(200) ],);

my (%tally, @wrong);

sub expect_nothing
{
    my ($round, $what, $found) = @_;
    push @wrong, "$round, $what: $found" if $found ne '';
    return;
}

sub verify
{
    my ($round) = @_;
    # Whatever was prepared is there still, to be committed or not.
    my @prepared = split /\n/, sql('SELECT gid FROM pg_prepared_xacts ORDER BY gid');
    $tally{'prepared transactions'} += @prepared;
    sql(join ';', map { (/^c/ ? 'COMMIT' : 'ROLLBACK') . " PREPARED '$_'" } @prepared) if @prepared;
    # What REINDEX CONCURRENTLY leaves, or CREATE INDEX CONCURRENTLY would.
    sql("SELECT format('DROP INDEX %s', indexrelid::regclass) FROM pg_index WHERE NOT indisvalid \\gexec");
    my %operators = ((map { $_ => $tables{$_}[2] } keys %tables), w => '<->', c => '<->');
    for my $t (sort keys %operators)
    {
        if ($t eq 'c')
        {
            sql("CREATE INDEX IF NOT EXISTS c_v ON c USING hnsw (v vector_l2_ops) WITH (m = 2, ef_construction = 8)");
            next if sql("SELECT count(*) FROM c") == 0;
        }
        expect_nothing($round, "index of $t", index_errors($node, $db, "${t}_v", 1));
        expect_nothing($round, "rows of $t that a plain search does not find", unreached($node, $db, $t, $operators{$t}));
        expect_nothing($round, "rows of $t that were rolled back", sql("SELECT id FROM $t WHERE id < 0"));
        $tally{'rows looked for'} += sql("SELECT count(*) FROM $t");
    }
    expect_nothing($round, 'rows of an unlogged table', sql('SELECT id FROM u'));
    expect_nothing($round, 'index of an unlogged table', index_problems($node, $db, 'u_v', 1));
    sql('INSERT INTO u (v) SELECT tight(n, 12) FROM generate_series(1, 20) n');
    expect_nothing($round, 'rows of an unlogged table that a plain search does not find', unreached($node, $db, 'u', '<->'));
    return;
}

sub vacuum
{
    my ($round) = @_;
    for my $t (sort keys %tables)
    {
        sql("DELETE FROM $t WHERE id > 1000 OR random() < 0.2; VACUUM (INDEX_CLEANUP ON) $t");
        expect_nothing($round, "index of $t after vacuum", index_problems($node, $db, "${t}_v", 1));
        expect_nothing($round, "rows of $t that a plain search does not find after vacuum", unreached($node, $db, $t, $tables{$t}[2]));
        # No row has an id that the sequence has not passed.
        sql("SELECT setval('${t}_id_seq', 1000); INSERT INTO $t (v) SELECT " . $tables{$t}[4]->('n + (random() * 1e9)::int') . " FROM generate_series(1, $rows - (SELECT count(*) FROM $t)::int) n");
    }
    return;
}

sub configure
{
    my ($round) = @_;
    my @settings = ($round & 1 ? 'minimal' : 'replica', $round & 2 ? 'off' : 'on', $round & 4 ? '2MB' : '0');
    $node->append_conf('postgresql.conf', "wal_level = $settings[0]\nfull_page_writes = $settings[1]\nwal_skip_threshold = $settings[2]");
    return;
}

my $others = "backend_type = 'client backend' AND pid <> pg_backend_pid()";

# Until the server has recovered from the death of a backend. A connection that is refused can end psql before it reads the statement.
sub wait_for_server
{
    for (1 .. 1800)
    {
        my $back = eval { $node->safe_psql('postgres', "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE $others)") };
        return if ($back // '') eq 't';
        sleep 0.1;
    }
    die 'the server does not come back';
}

configure(int(rand 8));
$node->restart;
for my $round (0 .. $kills - 1)
{
    my ($name, $work) = @{ $works[ $round % @works ] };
    my $clients  = start_clients($node, $db, 5, 100000, @scripts);
    my $vacuumer = start_clients($node, $db, 1, 100000, @vacuums);
    my $worker   = start_clients($node, $db, 1, 100000, write_script($dir, "work$round", join ";\n", split(/; */, $work), ''));
    sleep(0.2 + rand(0.6));
    my $how = $round % 3 == 1 ? 'SIGKILL of a backend' : 'immediate stop';
    if ($how eq 'immediate stop')
    {
        $node->stop('immediate');
        configure(int(rand 8));
        $node->start;
    }
    else
    {
        my $pid = sql("SELECT pid FROM pg_stat_activity WHERE $others ORDER BY state = 'idle', random() LIMIT 1");
        die 'there is no backend' if $pid eq '';
        kill 'KILL', $pid;
        wait_for_server();
    }
    $tally{$how}++;
    my $errors = join "\n", grep { /ERROR|PANIC/ } map { finish($_) } $clients, $vacuumer, $worker;
    expect_nothing("round $round, $name", 'errors before the death', $errors);
    verify("round $round, $name, $how");
    vacuum("round $round, $name, $how") if $round % 3 == 2;
    note("round $round, $name, $how");
    last if @wrong > 20;
}
is(join("\n", @wrong), '', 'after each death: every committed row is found, and no other; nothing is wrong with an index');
is($tally{'immediate stop'} + $tally{'SIGKILL of a backend'}, $kills, 'so many deaths');
cmp_ok($tally{'rows looked for'}, '>', 500 * $kills, 'rows were looked for');
is(errors_in_log($node, 0, qr/terminating connection|database system|not yet accepting|shut down|recovery mode|terminated by signal 9|terminating any other|all server processes|relation mapping|LOG:/), '', 'no error in the log');
diag(join ', ', map { "$_: $tally{$_}" } sort keys %tally);

$node->stop;
done_testing();
