# What the tests of the index's storage share: data, clients, and whether the
# index and its table agree.
package HnswTest;

use strict;
use warnings;

use Exporter 'import';
use File::Temp ();
use IPC::Run ();
use OmendbTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(seeded make_data_functions start_clients start_session finish write_script index_problems index_errors unreached lost_rows
    strangers recall errors_in_log make_small_tables small_tables small_scripts small_vacuum small_wrong small_contents small_answers
    recovery_to go_on_to);

# The two scans of an index; the custom scan by a search, for it would rather sort the rows of a small table.
my %scans = (
    plain => "LOAD 'omendb'; SET hnsw.custom_scan = off;",
    graph => "LOAD 'omendb'; SET hnsw.custom_scan = on; SET hnsw.scan_strategy = graph;",);
my %nodes = (plain => qr/Index Scan using \w+ on \w+/, graph => qr/Custom Scan \(HnswScan\) on \w+/);

# Scans that go on until they have what they are asked for.
my $exhaustive = "SET enable_seqscan = off; SET enable_sort = off; SET max_parallel_workers_per_gather = 0; SET hnsw.max_scan_tuples = 1000000; SET work_mem = '256MB';";

# A random seed, or that of OMENDB_SEED, for rand.
sub seeded
{
    my $seed = $ENV{OMENDB_SEED} // int(rand(2**31));
    diag("OMENDB_SEED=$seed");
    srand $seed;
    return $seed;
}

# SQL functions of reproducible vectors around 40 centres: made(n, dimensions),
# made_bits(n, bits), made_sparse(n) of 480 dimensions; those of tight(n, dimensions) lie far apart from others'.
sub make_data_functions
{
    my ($node, $db) = @_;
    $node->safe_psql($db, q{
        CREATE FUNCTION noise(a bigint, b bigint) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE
            RETURN (hashint8extended(a * 16384 + b, 7) % 1000000) / 1000000.0;
        CREATE FUNCTION made(n bigint, dimensions int) RETURNS vector LANGUAGE sql IMMUTABLE PARALLEL SAFE
            RETURN (SELECT array_agg(noise(n % 40, i) + 0.9 * noise(n + 1000, i) ORDER BY i)::vector FROM generate_series(1, dimensions) i);
        CREATE FUNCTION tight(n bigint, dimensions int) RETURNS vector LANGUAGE sql IMMUTABLE PARALLEL SAFE
            RETURN (SELECT array_agg(noise(n % 40, i) + 0.4 * noise(n + 1000, i) ORDER BY i)::vector FROM generate_series(1, dimensions) i);
        CREATE FUNCTION made_bits(n bigint, bits int) RETURNS bit LANGUAGE sql IMMUTABLE PARALLEL SAFE
            RETURN binary_quantize(made(n, bits));
        -- 8 to 12 elements, one of 200 has 24
        CREATE FUNCTION made_sparse(n bigint) RETURNS sparsevec LANGUAGE sql IMMUTABLE PARALLEL SAFE
            RETURN (SELECT format('{%s}/480', string_agg(format('%s:%s', i * 20 + 1 + (n % 40 + i * 7) % 20, 0.2 + noise(n, i)), ',' ORDER BY i))::sparsevec
                FROM generate_series(0, CASE WHEN n % 200 = 7 THEN 23 ELSE 7 + n % 5 END) i)});
    return;
}

# A pgbench script in a file of that directory: its name.
sub write_script
{
    my ($dir, $name, $sql) = @_;
    append_to_file("$dir/$name.sql", "$sql\n");
    return "$dir/$name.sql";
}

# Clients that run one of the scripts (file, or file@weight) at a time, so many
# each: to be given to finish.
sub start_clients
{
    my ($node, $db, $clients, $transactions, @scripts) = @_;
    my %run = (out => '', err => '');
    $run{run} = IPC::Run::start(
        [ 'pgbench', '-n', '-c', $clients, '-j', 1, '-t', $transactions, '--random-seed', int(rand(2**31)), (map { ('-f', $_) } @scripts), $node->connstr($db) ],
        '<', \'', '>', \$run{out}, '2>', \$run{err}, IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
    return \%run;
}

# One psql for some SQL that goes on after errors: to be given to finish.
sub start_session
{
    my ($node, $db, $sql) = @_;
    my %run = (file => File::Temp->new(TMPDIR => 1), out => '', err => '');
    # From a file: IPC::Run feeds a pipe only while it is waited for.
    $run{file}->print($sql);
    $run{file}->close;
    $run{run} = IPC::Run::start([ 'psql', '-XAtq', '-v', 'VERBOSITY=sqlstate', '-f', $run{file}->filename, '-d', $node->connstr($db) ],
        '<', \'', '>', \$run{out}, '2>', \$run{err}, IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
    return \%run;
}

# Waits for what the two before started: what it said of errors, or how it ended.
sub finish
{
    my ($run) = @_;
    my $good = $run->{run}->finish;
    my @errors = grep { /error|fatal|panic|aborted|warning/i && !/^pgbench \(/ } split /\n/, $run->{err};
    return @errors ? join("\n", @errors) : $good ? '' : "exit status " . $run->{run}->full_result . ": $run->{err}";
}

# What hnsw_index_check says, '' where nothing.
sub index_problems
{
    my ($node, $db, $index, $heap_check) = @_;
    return $node->safe_psql($db, "SELECT block, node, problem FROM hnsw_index_check('$index'" . ($heap_check ? ', true' : '') . ') LIMIT 20');
}

# Of them those that a crash or a cancelled command must not leave either.
sub index_errors
{
    my ($node, $db, $index, $heap_check) = @_;
    return $node->safe_psql($db, "SELECT block, node, problem FROM hnsw_index_check('$index'" . ($heap_check ? ', true' : '') . ") WHERE severity <> 'notice' LIMIT 20");
}

# Values that a plain search for them, of a beam wider than the table (of less than 1,000
# rows), does not bring all rows of: 'value|found|of all'. Such a search ends where edges
# lead to nothing that was not visited.
sub unreached
{
    my ($node, $db, $table, $operator) = @_;
    return $node->safe_psql($db, qq{LOAD 'omendb'; SET hnsw.custom_scan = off; SET hnsw.iterative_scan = off; SET hnsw.ef_search = 1000;
        SET enable_seqscan = off; SET enable_sort = off; SET enable_bitmapscan = off; SET max_parallel_workers_per_gather = 0;
        SELECT left(v::text, 60), found, n FROM (
            SELECT g.v, g.n, (SELECT count(DISTINCT id) FROM (SELECT id, v FROM $table t ORDER BY t.v $operator g.v LIMIT g.n) b WHERE b.v = g.v) AS found
            FROM (SELECT v, count(*) AS n FROM $table WHERE v IS NOT NULL GROUP BY v) g) x WHERE found <> n LIMIT 10});
}

# Values of table.v that a search for the value itself does not bring all rows
# of, however wide, by either scan: 'value|found|of all'. slack: rows more to look
# at. In a list the second element is the number that a narrow search does not
# bring, the larger of the two scans'.
sub lost_rows
{
    my @arguments = @_;
    my @lists     = map { [ lost_rows_by($_, @arguments) ] } sort keys %scans;
    my $lost      = join "\n", grep { $_ ne '' } map { $_->[0] } @lists;
    my ($narrowly) = sort { $b <=> $a } map { $_->[1] // 0 } @lists;
    return wantarray ? ($lost, $narrowly) : $lost;
}

sub lost_rows_by
{
    my ($scan, $node, $db, $table, $operator, $slack) = @_;
    $slack //= 0;
    my $settings = "$exhaustive $scans{$scan}";
    my $lost = sub {
        my ($values) = @_;
        return qq{SELECT v, found, n FROM (
            SELECT g.v, g.n, (SELECT count(DISTINCT b.id) FROM (SELECT id, v FROM $table t ORDER BY t.v $operator g.v LIMIT g.n + $slack) b WHERE b.v = g.v) AS found
            FROM ($values) g) x WHERE found <> n};
    };
    my $narrow = $lost->("SELECT v, count(*) AS n FROM $table WHERE v IS NOT NULL GROUP BY v");
    my $plan   = $node->safe_psql($db, "$settings EXPLAIN (COSTS OFF) $narrow");
    return "no scan of the index, $scan:\n$plan" if $plan !~ /$nodes{$scan} t/;
    my $out = $node->safe_psql($db, "$settings SET hnsw.ef_search = 120; CREATE TEMP TABLE narrow AS $narrow; SELECT count(*) FROM narrow;
        SET hnsw.ef_search = 1000; SELECT left(v::text, 40), found, n FROM (" . $lost->('SELECT v, n FROM narrow') . ') y LIMIT 10');
    my ($narrowly, @lines) = split /\n/, $out;
    note("$narrowly values are not found by a narrow search, $scan") if $narrowly;
    return (join("\n", map { "$scan: $_" } @lines), $narrowly);
}

# Rows that a scan of the whole index brings twice, or that the table does not
# have, or that it has and the scan does not bring. (Only the plain scan never
# reads the table.)
sub strangers
{
    my @arguments = @_;
    return join "\n", grep { $_ ne '' } map { strangers_by($_, @arguments) } sort keys %scans;
}

sub strangers_by
{
    my ($scan, $node, $db, $table, $operator) = @_;
    return $node->safe_psql($db, qq{$exhaustive $scans{$scan}
        SELECT id, count(i), count(h) FROM (SELECT id, 1 AS i FROM (SELECT id FROM $table WHERE v IS NOT NULL ORDER BY v $operator (SELECT v FROM $table WHERE v IS NOT NULL LIMIT 1) LIMIT 10000000) scan) x
        FULL JOIN (SELECT id, 1 AS h FROM $table WHERE v IS NOT NULL OFFSET 0) y USING (id)
        GROUP BY id HAVING count(i) <> 1 OR count(h) <> 1 ORDER BY id LIMIT 10});
}

# Share of the 10 nearest rows, or rows as near, that the index finds for so
# many queries (SQL expressions of n); the smaller of the two scans'.
sub recall
{
    my ($node, $db, $table, $operator, $query, $queries) = @_;
    my $found = "SELECT sum((SELECT count(*) FROM (SELECT t.v $operator q.v AS d FROM $table t ORDER BY t.v $operator q.v LIMIT 10) x WHERE d <= far))::float8 / sum(k) FROM q JOIN exact USING (n)";
    for my $scan (sort keys %scans)
    {
        my $plan = $node->safe_psql($db, "SET enable_seqscan = off; $scans{$scan} EXPLAIN (COSTS OFF) SELECT id FROM $table ORDER BY v $operator (SELECT $query FROM (VALUES (1)) x(n)) LIMIT 10");
        return "no scan of the index, $scan:\n$plan" if $plan !~ $nodes{$scan};
    }
    return $node->safe_psql($db, qq{
        SET max_parallel_workers_per_gather = 0;
        CREATE TEMP TABLE q AS SELECT n, $query AS v FROM generate_series(1, $queries) n;
        SET enable_indexscan = off;
        CREATE TEMP TABLE exact AS SELECT n, (SELECT max(d) FROM (SELECT t.v $operator q.v AS d FROM $table t WHERE v IS NOT NULL ORDER BY 1 LIMIT 10) x) AS far,
            (SELECT least(10, count(v)) FROM $table) AS k FROM q;
        SET enable_indexscan = on; SET enable_seqscan = off;
        CREATE TEMP TABLE recalls (recall float8);
        $scans{plain} INSERT INTO recalls $found; $scans{graph} INSERT INTO recalls $found;
        SELECT min(recall) FROM recalls});
}

# Small tables of each type, with few edges, where each of them counts: type, operator
# class, operator, options of the index, a value of n.
my %small = (
    l => [ 'vector(12)',     'vector_l2_ops',      '<->', 'm = 2, ef_construction = 8', sub { "tight($_[0], 12)" } ],
    h => [ 'halfvec(12)',    'halfvec_cosine_ops', '<=>', 'm = 4, ef_construction = 8', sub { "tight($_[0], 12)::halfvec" } ],
    b => [ 'bit(64)',        'bit_hamming_ops',    '<~>', 'm = 4, ef_construction = 8', sub { "made_bits($_[0], 64)::bit(64)" } ],
    s => [ 'sparsevec(480)', 'sparsevec_l2_ops',   '<->', 'm = 4, ef_construction = 8', sub { "made_sparse($_[0])" } ],);
my $small_rows = 200;

sub small_tables { return sort keys %small }

# Makes them, each with an index: NAME_v.
sub make_small_tables
{
    my ($node, $db) = @_;
    for my $t (small_tables())
    {
        my ($type, $opclass, undef, $with, $value) = @{ $small{$t} };
        $node->safe_psql($db, "CREATE TABLE $t (id bigserial PRIMARY KEY, v $type); INSERT INTO $t (v) SELECT " . $value->('n') . " FROM generate_series(1, $small_rows) n;
            CREATE INDEX ${t}_v ON $t USING hnsw (v $opclass) WITH ($with)");
    }
    return;
}

# Scripts of clients that write to them.
sub small_scripts
{
    my ($dir) = @_;
    my @scripts;
    for my $t (small_tables())
    {
        my $value = $small{$t}[4];
        my $any = "\\set n random(1, 1000000000)\n\\set few random(1, 3)\n\\set id random(1, $small_rows)\n";
        my %sql = (
            insert => "INSERT INTO $t (v) VALUES (" . $value->(':n') . ');',
            equal  => "INSERT INTO $t (v) VALUES (" . $value->(':few') . ');',
            update => "UPDATE $t SET v = " . $value->(':n') . ' WHERE id = :id;',
            delete => "DELETE FROM $t WHERE id BETWEEN :id AND :id + 3;",
            abort  => "BEGIN;\nINSERT INTO $t (id, v) VALUES (-:n, " . $value->(':n') . ");\nROLLBACK;",);
        push @scripts, map { write_script($dir, "$t.$_", $any . $sql{$_}) . ($_ eq 'insert' ? '@12' : '@6') } sort keys %sql;
    }
    return @scripts;
}

sub small_vacuum { return map { "VACUUM (INDEX_CLEANUP ON) $_;" } small_tables() }

# What is wrong with them, '' where nothing: what hnsw_index_check says (which a standby cannot run), rows that a plain search for their own
# vector does not find, rows that were rolled back.
sub small_wrong
{
    my ($node, $db) = @_;
    my $standby = $node->safe_psql($db, 'SELECT pg_is_in_recovery()') eq 't';
    my @wrong;
    for my $t (small_tables())
    {
        my ($rows, $aborted) = split /\|/, $node->safe_psql($db, "SELECT count(*), count(*) FILTER (WHERE id < 0) FROM $t");
        push @wrong, "$t: $rows rows" if $rows < 20 || $rows >= 1000;
        push @wrong, "$t: $aborted rows that were rolled back" if $aborted;
        my $plan = $node->safe_psql($db, "LOAD 'omendb'; SET hnsw.custom_scan = off; SET enable_seqscan = off; SET enable_sort = off; EXPLAIN SELECT id FROM $t ORDER BY v $small{$t}[2] (SELECT v FROM $t LIMIT 1) LIMIT 1");
        push @wrong, "$t: no scan of the index:\n$plan" if $plan !~ /Index Scan using ${t}_v/;
        push @wrong, map { "$t: $_" } grep { $_ ne '' } ($standby ? () : index_errors($node, $db, "${t}_v", 1)), unreached($node, $db, $t, $small{$t}[2]);
    }
    return join "\n", @wrong;
}

# All rows, as one text.
sub small_contents
{
    my ($node, $db) = @_;
    return $node->safe_psql($db, join ' ', map { "SELECT '$_', count(*), md5(string_agg(id || ' ' || v::text, ',' ORDER BY id)) FROM $_;" } small_tables());
}

# What searches find, as one text: by both scans of the index.
sub small_answers
{
    my ($node, $db) = @_;
    my $sql = "LOAD 'omendb'; SET enable_seqscan = off; SET enable_sort = off;";
    for my $scan (sort keys %scans)
    {
        $sql .= $scans{$scan} . join ' ', map {
            my $query = $small{$_}[4]->('n + 3000000');
            "SELECT '$_', n, (SELECT string_agg(id::text, ' ') FROM (SELECT id FROM $_ ORDER BY v $small{$_}[2] $query LIMIT 10) q) FROM generate_series(1, 25) n;"
        } small_tables();
    }
    return $node->safe_psql($db, $sql);
}

# Lines of the server's log from that offset on that say of an error worse than
# what the pattern allows.
sub errors_in_log
{
    my ($node, $from, $allowed) = @_;
    my $log = substr slurp_file($node->logfile), $from // 0;
    return join "\n", grep { /\b(ERROR|FATAL|PANIC|TRAP|WARNING)\b:?|terminated by signal/ && !($allowed && /$allowed/) } split /\n/, $log;
}

# A server of the primary's backup "base" whose recovery, out of the primary's WAL, ends at that record, and then does
# that ("pause" or "promote"). Not started.
sub recovery_to
{
    my ($primary, $name, $lsn, $action) = @_;
    my $node = PostgreSQL::Test::Cluster->new($name);
    $node->init_from_backup($primary, 'base', has_restoring => 0);
    set_recovery_end($node, $lsn, $action);
    $node->append_conf('postgresql.conf', "restore_command = 'cp " . $primary->data_dir . "/pg_wal/%f %p'\nhot_standby = on");
    $node->set_recovery_mode;
    return $node;
}

sub set_recovery_end
{
    my ($node, $lsn, $action) = @_;
    $node->append_conf('postgresql.conf', "recovery_target_lsn = '$lsn'\nrecovery_target_action = '$action'");
    return;
}

# Start one of "pause", and wait until it is there. Once stopped, it may go on to a later record.
sub go_on_to
{
    my ($node, $db, $lsn) = @_;
    set_recovery_end($node, $lsn, 'pause');
    $node->start;
    $node->poll_query_until($db, "SELECT pg_get_wal_replay_pause_state() = 'paused'") or die "recovery did not come to $lsn";
    return;
}

1;
