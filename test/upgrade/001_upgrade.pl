# pg_upgrade from one major version to the next, and from that to the one after, of a cluster that has
# databases with omendb by both of its names, with pgvector itself, and with what was pgvector's.
# OMENDB_SERVERS has the directories of programs, oldest first: TESTS=upgrade.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../t/lib";
use OmendbTest;

use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $here     = $FindBin::RealBin;
my $adoption = "$here/../adoption";
my $scratch  = scratch_dir();
chdir $scratch or die "$scratch: $!";    # pg_upgrade writes a script there

# ---------------------------------------------------------------- the servers

# What is installed: pgvector, or omendb in its place?
my @servers = map {
    chomp(my $version = `$_/pg_config --version`);
    chomp(my $share   = `$_/pg_config --sharedir`);
    my $control = slurp_file("$share/extension/vector.control");
    { bin => $_, major => $version =~ /(\d+)/, version => $version, pgvector => $control =~ m{libdir/vector} ? 1 : 0 }
} split /:/, $ENV{OMENDB_SERVERS};
diag(join ', ', map { $_->{version} . ($_->{pgvector} ? ' with pgvector' : '') } @servers);
cmp_ok(scalar @servers, '>=', 2, 'servers of at least two versions');
ok((grep { $servers[$_]{pgvector} && $servers[ $_ - 1 ]{pgvector} } 1 .. $#servers), 'two of them, one after the other, have pgvector');
ok((grep { $servers[ $_ - 1 ]{pgvector} && !$servers[$_]{pgvector} } 1 .. $#servers), 'and one after that has not');

# A cluster that was just made. All have checksums: the default from PostgreSQL 18 on, and pg_upgrade wants both alike.
my $clusters = 0;
sub new_cluster
{
    my ($server) = @_;
    (my $path = $server->{bin}) =~ s{/bin$}{};
    my $node = PostgreSQL::Test::Cluster->new("v$server->{major}_" . ++$clusters, install_path => $path);
    $node->init(extra => [qw(--data-checksums --encoding=UTF8 --no-locale)]);
    # Plans and graphs are to be the same before and after.
    $node->append_conf('postgresql.conf', "autovacuum = off\nhnsw.ef_search = 12\n");
    return $node;
}

# ---------------------------------------------------------------- databases

sub live_sql
{
    my ($extension) = @_;
    (my $sql = slurp_file("$adoption/live.sql")) =~ s/^CREATE EXTENSION vector;/CREATE EXTENSION $extension;/m or die 'live.sql has no CREATE EXTENSION';
    return "SET client_min_messages = error; $sql";
}

sub new_database
{
    my ($node, $name, $extension) = @_;
    $node->safe_psql('postgres', "CREATE DATABASE $name");
    $node->safe_psql($name, live_sql($extension));
    return;
}

sub adopt
{
    my ($node, $db) = @_;
    $node->safe_psql($db, "SET client_min_messages = error; ALTER EXTENSION vector UPDATE TO 'omendb'");
    return;
}

sub rebuild
{
    my ($node, $db) = @_;
    $node->safe_psql($db, 'SELECT command FROM hnsw_reindex_commands() \gexec');
    return;
}

my $is_ours = q(SELECT count(*) FROM pg_proc WHERE proname = 'vector_in' AND probin = '$libdir/omendb');
my $indexes = q(SELECT c.oid FROM pg_class c JOIN pg_am a ON a.oid = relam WHERE amname IN ('hnsw', 'ivfflat') AND relkind = 'i' ORDER BY c.oid::regclass::text COLLATE "C");

# Searches by an index, whose answers show its graph.
my @searches = (
    [ 'items', 'e <-> (SELECT e FROM items WHERE id = %d)' ], [ 'items', 'e <=> (SELECT e FROM items WHERE id = %d)' ], [ 'items', 'e <#> (SELECT e FROM items WHERE id = %d)' ],
    [ 'items', 'e <+> (SELECT e FROM items WHERE id = %d)', 'WHERE category = 1' ], [ 'items', 'h <-> (SELECT h FROM items WHERE id = %d)' ], [ 'items', 'h <+> (SELECT h FROM items WHERE id = %d)' ],
    [ 'items', 'b <~> (SELECT b FROM items WHERE id = %d)' ], [ 'items', 'b <%%> (SELECT b FROM items WHERE id = %d)' ], [ 'items', 'binary_quantize(e)::bit(16) <~> (SELECT b FROM items WHERE id = %d)' ],
    [ 'items', 's <-> (SELECT s FROM items WHERE id = %d)' ], [ 'items', 's <#> (SELECT s FROM items WHERE id = %d)' ], [ 'items', 's <=> (SELECT s FROM items WHERE id = %d)' ], [ 'items', 's <+> (SELECT s FROM items WHERE id = %d)' ],
    [ 'long', 'e <=> (SELECT e FROM long WHERE id = %d)' ], [ 'long', 'x <-> (SELECT x FROM long WHERE id = %d)' ]);
my @graph_searches = (
    [ 'graph', 'e <-> (SELECT e FROM graph WHERE id = %d)' ], [ 'graph', 'e <=> (SELECT e FROM graph WHERE id = %d)' ], [ 'graph', 'e::halfvec(24) <#> (SELECT e::halfvec(24) FROM graph WHERE id = %d)' ],
    [ 'graph', q(binary_quantize(e - array_fill(.5, ARRAY[24])::vector)::bit(24) <%%> (SELECT binary_quantize(e - array_fill(.5, ARRAY[24])::vector)::bit(24) FROM graph WHERE id = %d)) ],
    [ 'graph', 's <=> (SELECT s FROM graph WHERE id = %d)' ], [ 'wide', 'e <-> (SELECT e FROM wide WHERE id = %d)' ]);

sub search
{
    my ($of, $id) = @_;
    my ($table, $distance, $where) = @$of;
    return sprintf "SELECT id FROM $table %s ORDER BY $distance LIMIT 10", $where // '', $id;
}

# All that must be the same before and after, as text. What pgvector's indexes say is pgvector's business.
sub state
{
    my ($node, $db) = @_;
    my $sql = slurp_file("$adoption/digest.sql");
    if ($node->safe_psql($db, $is_ours) eq '1')
    {
        my @all = (@searches, $node->safe_psql($db, q(SELECT to_regclass('graph'))) ? @graph_searches : ());
        $sql .= "RESET enable_indexscan; RESET enable_bitmapscan; RESET enable_indexonlyscan; SET enable_seqscan = off; SET hnsw.scan_strategy = graph;\n";
        for my $search (@all)
        {
            $sql .= sprintf "SELECT '%s', string_agg(id::text, ' ') FROM (%s) q;\n", $search->[1] =~ s/'/''/gr, search($search, $_) for 3, 17, 41;
        }
        $sql .= "SELECT i.oid::regclass, hnsw_index_info(i.oid) FROM ($indexes) i;\n";
    }
    return $node->safe_psql($db, $sql);
}

sub check_indexes
{
    my ($node, $db, $when) = @_;
    is($node->safe_psql($db, "SELECT i.oid::regclass, p FROM ($indexes) i, hnsw_index_check(i.oid, true) p"), '', "$when: hnsw_index_check finds nothing wrong");
    return;
}

# ---------------------------------------------------------------- pg_upgrade

# The minor versions of November 2026 mark columns by an option of their own, "pg_attver". Their own pg_dump leaves it
# out, that of a server without it does not: no database at all could be upgraded to that.
sub forget_marks
{
    my ($old, $new) = @_;
    $new->start;
    my $known = sqlstate($new, 'postgres', 'CREATE TEMP TABLE t (a int); ALTER TABLE t ALTER a SET (pg_attver = 1)') eq '';
    $new->stop;
    return if $known;
    for my $db (split /\n/, $old->safe_psql('postgres', 'SELECT datname FROM pg_database WHERE datallowconn'))
    {
        $old->safe_psql($db, q(UPDATE pg_attribute SET attoptions = (SELECT array_agg(o) FROM unnest(attoptions) o WHERE o NOT LIKE 'pg_attver=%')
            WHERE EXISTS (SELECT FROM unnest(attoptions) o WHERE o LIKE 'pg_attver=%')));
    }
    return;
}

# A new cluster of that server, started, with all that the old one has, which was stopped.
sub upgrade
{
    my ($old, $from, $to, $mode) = @_;
    my $new = new_cluster($to);
    $old->start;
    forget_marks($old, $new);
    $old->stop;
    my $said = '';
    ok(IPC::Run::run([ "$to->{bin}/pg_upgrade", '--no-sync', $mode, '-d', $old->data_dir, '-D', $new->data_dir, '-b', $from->{bin}, '-B', $to->{bin}, '-s', $new->host, '-p', $old->port, '-P', $new->port ], '>&', \$said),
        "pg_upgrade from $from->{version} to $to->{version}, $mode")
      or BAIL_OUT("$said\n" . `find @{[ $new->data_dir ]}/pg_upgrade_output.d -type f -exec tail -n 25 {} +`);
    $new->start;
    return $new;
}

sub compare
{
    my ($node, $before, $when) = @_;
    for my $db (sort keys %$before)
    {
        $node->safe_psql($db, 'ANALYZE');
        my $after = state($node, $db);
        is($after, $before->{$db}, "$when: $db is the same") or do
        {
            my @was = split /\n/, $before->{$db};
            my @is  = split /\n/, $after;
            diag(map { ($was[$_] // '') eq ($is[$_] // '') ? () : "- $was[$_]\n+ $is[$_]\n" } 0 .. $#was);
        };
        check_indexes($node, $db, "$when: $db") if $node->safe_psql($db, $is_ours) eq '1';
    }
    return;
}

# The indexes take changes, and find what is new.
sub change
{
    my ($node, $db, $round, $when) = @_;
    my $base = 100000 * $round;
    $node->safe_psql($db, qq{
        INSERT INTO items (id, category, e, h, s, b) SELECT id + $base, category, e + e, h + h, ('{1:' || id || '}/16')::sparsevec, b FROM items WHERE id BETWEEN 1 AND 300;
        UPDATE items SET category = category + 1 WHERE id > $base AND id % 2 = 0;
        DELETE FROM items WHERE id > $base AND id % 3 = 0;
        INSERT INTO part SELECT i, ARRAY[i, 1, 1]::vector FROM generate_series($base, $base + 50) i;
        INSERT INTO unlogged SELECT i, ARRAY[i, 1, 1]::vector FROM generate_series(100, 200) i;
        DELETE FROM unlogged WHERE id >= 100;
        INSERT INTO long SELECT id + $base, e, x FROM long WHERE id <= 5});
    $node->safe_psql($db, 'DELETE FROM long WHERE id > 100');
    $node->safe_psql($db, 'VACUUM ANALYZE');
    check_indexes($node, $db, "$when: $db, after changes and VACUUM");
    is($node->safe_psql($db, qq{SET enable_seqscan = off; SET hnsw.scan_strategy = graph;
        SELECT id FROM items ORDER BY e <-> (SELECT e FROM items WHERE id = $base + 7) LIMIT 1; SELECT id FROM items ORDER BY s <-> (SELECT s FROM items WHERE id = $base + 7) LIMIT 1}),
        join("\n", ($base + 7) x 2), "$when: $db, new rows are found") if $round == 1;    # those of later rounds are equal to these
    return;
}

# ---------------------------------------------------------------- the way from the first to the last

my $server = $servers[0];
my $node   = new_cluster($server);
$node->start;
new_database($node, 'by_omendb', 'omendb');
$node->safe_psql('by_omendb', slurp_file("$here/graph.sql"));
my @databases = ('by_omendb');
if (!$server->{pgvector})
{
    new_database($node, 'by_vector', 'vector');
    $node->safe_psql('by_vector', slurp_file("$here/graph.sql"));
    push @databases, 'by_vector';
}

for my $n (1 .. $#servers)
{
    my ($next, $round) = ($servers[$n], $n);
    my $when = "$server->{major} to $next->{major}";

    if ($server->{pgvector} && $next->{pgvector} && !grep { $_ eq 'pgvectors' } @databases)
    {
        new_database($node, $_, 'vector') for 'pgvectors', 'adopted';
        adopt($node, 'adopted');
        rebuild($node, 'adopted');
        $node->safe_psql('postgres', 'CREATE DATABASE not_rebuilt');
        $node->safe_psql('not_rebuilt', q(CREATE EXTENSION vector; CREATE TABLE t (v vector(2)); INSERT INTO t VALUES ('[1,2]'), ('[3,4]'); CREATE INDEX t_v ON t USING hnsw (v vector_l2_ops)));
        adopt($node, 'not_rebuilt');
        push @databases, 'pgvectors', 'adopted';
    }
    # Where pgvector will be missing nothing of it may be left.
    if ($server->{pgvector} && !$next->{pgvector})
    {
        adopt($node, 'pgvectors');
        rebuild($node, 'pgvectors');
        is($node->safe_psql('pgvectors', $is_ours), 1, "$when: where pgvector is missing, it is adopted before");
    }

    # The searches whose answers are compared are searches of the graph.
    if ($n == 1)
    {
        for my $search (@searches, @graph_searches)
        {
            like($node->safe_psql('by_omendb', 'SET enable_seqscan = off; SET hnsw.scan_strategy = graph; EXPLAIN ' . search($search, 3)), qr/Custom Scan \(HnswScan\).*Strategy: graph/s, "by an index: $search->[1]");
        }
    }

    my %before = map { $_ => state($node, $_) } @databases;
    cmp_ok(length $before{by_omendb}, '>', 10000, "$when: there is something to compare");
    $node->stop;

    my $copy = upgrade($node, $server, $next, '--copy');
    compare($copy, \%before, "$when, copied");
    $copy->stop;
    unlike(slurp_file($copy->logfile), qr/TRAP:|was terminated by signal|PANIC/, "$when, copied: no crash");
    $copy->clean_node;

    my $mode = $next->{major} >= 18 && $n == $#servers ? '--swap' : '--link';
    my $new = upgrade($node, $server, $next, $mode);
    compare($new, \%before, "$when, by $mode");
    ($node, $server) = ($new, $next);

    if ($before{adopted} && $server->{pgvector})
    {
        is($node->safe_psql('not_rebuilt', q(SELECT to_regclass('t_v'), count(*) FROM t)), '|2', "$when: an index that was not rebuilt is gone, as by a dump");
        is($node->safe_psql('pgvectors', $is_ours), 0, "$when: pgvector's database is pgvector's");
        is($node->safe_psql('pgvectors', 'SET enable_seqscan = off; SELECT id FROM items ORDER BY e <-> (SELECT e FROM items WHERE id = 7) LIMIT 1'), 7, "$when: which searches");

        # And there is a way back, and forth again.
        my ($version) = slurp_file(do { chomp(my $share = `$server->{bin}/pg_config --sharedir`); "$share/extension/vector.control" }) =~ /default_version\s*=\s*'([^']+)'/;
        $node->safe_psql('adopted', "SET client_min_messages = error; SET vector.return_to_pgvector = on; ALTER EXTENSION vector UPDATE TO '$version'");
        is($node->safe_psql('adopted', $is_ours), 0, "$when: back to pgvector");
        $node->safe_psql('adopted', 'SET client_min_messages = error; REINDEX DATABASE adopted');
        is($node->safe_psql('adopted', 'SET enable_seqscan = off; SELECT id FROM items ORDER BY e <-> (SELECT e FROM items WHERE id = 7) LIMIT 1'), 7, "$when: which searches there, too");
        adopt($node, 'adopted');
        rebuild($node, 'adopted');
    }
    for my $db (@databases)
    {
        change($node, $db, $round, $when) if $node->safe_psql($db, $is_ours) eq '1';
    }
}

for my $db (@databases)
{
    is(sqlstate($node, $db, "SET client_min_messages = error; REINDEX DATABASE $db"), '', "$db: all is rebuilt in the end");
    check_indexes($node, $db, "$db: then");
}
$node->stop;
unlike(slurp_file($node->logfile), qr/TRAP:|was terminated by signal|PANIC/, 'no crash');
done_testing();
