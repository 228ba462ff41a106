# Statements whose rows are gathered and inserted into the index together (PostgreSQL 17 and later; before, one by one): cancelled and
# out of memory in the middle of a flush, where a function catches the error and the transaction commits; beside each other with
# ON CONFLICT; prepared transactions. Rows that are committed are found, each by its own vector, and no others.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use HnswTest;
use OmendbTest;

use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

seeded();
my $db   = 'batch';
my $node = start_node(
    'batch', q{
    autovacuum = off
    jit = off
    fsync = off
    max_prepared_transactions = 2
    log_statement = none
});
create_omendb($node, $db);
make_data_functions($node, $db);
my $gathers = server_version($node) >= 170000;
my $dir     = scratch_dir();
my $file    = "$dir/many.copy";
chmod 0755, $dir;

sub sql { return $node->safe_psql($db, $_[0]) }

# Of the rows of t those up to 300 stay, those of ids below 0 are of statements that were interrupted. A statement of rows below 0 that
# has written its last row to the table, and has fired its triggers, counts in the sequence gathered: what follows is its last flush.
# Its nodes stay until a vacuum: with fewer edges a search might end among these.
my $many = 1500;
sql("CREATE TABLE t (id bigint, v vector(16)); INSERT INTO t SELECT n, tight(n, 16) FROM generate_series(1, 300) n;
    CREATE INDEX t_v ON t USING hnsw (v vector_l2_ops);
    CREATE TABLE many AS SELECT -n AS id, tight(n + 5000, 16) AS v FROM generate_series(1, $many) n;
    CREATE SEQUENCE gathered;
    CREATE FUNCTION note_end() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM nextval(''gathered'') FROM rows WHERE id < 0 LIMIT 1; RETURN NULL; END';
    CREATE TRIGGER note_end AFTER INSERT ON t REFERENCING NEW TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION note_end();
    CREATE FUNCTION interrupted(command text) RETURNS text LANGUAGE plpgsql AS
        'BEGIN EXECUTE command; RETURN ''no''; EXCEPTION WHEN query_canceled OR out_of_memory OR object_not_in_prerequisite_state THEN RETURN SQLSTATE; END';
    CREATE TABLE states (state text, at_end bool);
    COPY many TO '$file'");
my @statements = ('INSERT INTO t SELECT * FROM many', "COPY t FROM ''$file''");

# A transaction that tries the statement between two others, which are good. It notes what became of the statement, and whether its last row
# was in the table when it was interrupted. Who cancels holds lock 7 meanwhile: its cancel may come late, and must not end the transaction.
sub transaction
{
    my ($statement) = @_;
    return qq{DO \$\$ DECLARE state text; n bigint := (SELECT last_value + is_called::int FROM gathered);
        BEGIN
            INSERT INTO t SELECT id, tight(id, 16) FROM generate_series(1001, 1040) id;
            state := interrupted('$statement');
            PERFORM interrupted('SELECT pg_advisory_xact_lock(7)');
            IF EXISTS (SELECT FROM t WHERE id < 0) <> (state = 'no') THEN RAISE 'rows of a statement that was rolled back, or none of one that was not'; END IF;
            DELETE FROM t WHERE id < 0;
            INSERT INTO t SELECT id, tight(id, 16) FROM generate_series(1041, 1080) id;
            INSERT INTO states SELECT state, last_value + is_called::int > n FROM gathered;
        END \$\$;\n};
}

# In the session in which a statement was interrupted.
my $later = 'INSERT INTO t SELECT id, tight(id, 16) FROM generate_series(1081, 1150) id;
    BEGIN; INSERT INTO t SELECT id, tight(id, 16) FROM generate_series(1151, 1200) id; COMMIT;';

# After a transaction and what is later: rows that there are, whether all are found, and what vacuum leaves.
sub verify
{
    my ($name) = @_;
    my $rows = sql('SELECT count(*), count(*) FILTER (WHERE id <= 300), count(*) FILTER (WHERE id > 1080), count(*) FILTER (WHERE id < 0) FROM t');
    like($rows, qr/^(500|420)\|300\|120\|0$/, "$name: the rows that were committed");
    is(index_errors($node, $db, 't_v', 1), '', "$name: nothing is wrong with the index");
    is(unreached($node, $db, 't', '<->'), '', "$name: every row is found by its own vector");
    is(strangers($node, $db, 't', '<->'), '', "$name: and no other");
    sql('DELETE FROM t WHERE id > 300');
    sql('VACUUM (INDEX_CLEANUP ON) t');
    is(index_problems($node, $db, 't_v', 1), '', "$name: vacuum leaves nothing");
    is(sql("SELECT dead_nodes FROM hnsw_index_info('t_v')"), 0, "$name: nor a dead node");
    is(unreached($node, $db, 't', '<->'), '', "$name: and loses no row");
    return;
}

# Seconds that a statement takes.
my %seconds;
for my $statement (@statements)
{
    my $start = time;
    is(sqlstate($node, $db, transaction($statement) . $later), '', "not interrupted: $statement");
    $seconds{$statement} = time - $start;
    verify("not interrupted: $statement");
}

# ---------------------------------------------------------------- cancelled

# At any moment.
for my $statement (@statements)
{
    for my $round (1 .. 4)
    {
        my $ms = 1 + int rand(1000 * $seconds{$statement});
        like(sqlstate($node, $db, "SET statement_timeout = $ms;" . transaction($statement) . "SET statement_timeout = 0; $later"), qr/^(57014)?$/, "timeout $round: no other error: $statement");
        verify("timeout $round: $statement");
    }
}

# In the last flush: by somebody who waits for its begin, and then a part of the time that it may take.
sub cancel_flush
{
    my ($wait) = @_;
    my $canceller = start_session($node, $db, qq{
        SELECT pg_advisory_lock(7);
        DO \$\$ DECLARE n bigint := (SELECT last_value + is_called::int FROM gathered);
        BEGIN
            PERFORM pg_notify('ready', '');
            FOR k IN 1 .. 60000 LOOP EXIT WHEN (SELECT last_value + is_called::int > n FROM gathered); PERFORM pg_sleep(0.001); END LOOP;
            PERFORM pg_sleep($wait);
            PERFORM pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'writer' AND state = 'active';
        END \$\$;
        SELECT pg_advisory_unlock(7)});
    # It sleeps once it has read the sequence.
    $node->poll_query_until($db, q(SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'PgSleep')) or die 'nobody is there to cancel';
    return $canceller;
}

sub cancelled_flushes
{
    my ($name, $statement, $state, $wanted) = @_;
    my $most = $seconds{$statement};
    my ($cut, $round) = (0, 0);
    sql('TRUNCATE states');
    while ($cut < $wanted && $round++ < 30)
    {
        my $canceller = cancel_flush(rand $most);
        my $error     = sqlstate($node, $db, "SET application_name = writer; SET enable_seqscan = off; " . transaction($statement) . $later);
        my $problem   = finish($canceller);
        like($error, qr/^(57014)?$/, "$name, round $round: no other error");
        is($problem, '', "$name, round $round: nor of who cancels");
        my $now = sql("SELECT count(*) FROM states WHERE state = '$state' AND at_end");
        # A cancel after the end says that the time is too long.
        $most *= 0.7 if $now == $cut;
        $cut = $now;
        verify("$name, round $round");
    }
    cmp_ok($cut, '>=', $wanted, "$name: so often in the flush");
    is(sql("SELECT string_agg(DISTINCT state, ' ') FROM states WHERE state NOT IN ('no', '57014', '$state')"), '', "$name: no other state");
    return;
}

SKIP:
{
    skip 'PostgreSQL before 17 does not gather rows', 1 if !$gathers;
    cancelled_flushes("cancelled in the flush: $_", $_, '57014', 4) for @statements;

    # A trigger of the last row reads the index, which flushes the rows before. It catches the cancel. The statement may not go on, but
    # what is around it may.
    sql(q{CREATE FUNCTION read_index() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM nextval('gathered');
            PERFORM interrupted('SELECT id FROM t ORDER BY v <-> (SELECT v FROM many LIMIT 1) LIMIT 1');
            RETURN NEW;
        END $$;
        CREATE TRIGGER read_index BEFORE INSERT ON t FOR EACH ROW WHEN (NEW.id = } . (20 - $many) . ') EXECUTE FUNCTION read_index()');
    cancelled_flushes("cancelled in a flush for a trigger, which catches it: $_", $_, '55000', 3) for @statements;
    sql('DROP TRIGGER read_index ON t');
}

# ---------------------------------------------------------------- out of memory

# psql lets the server's process have so many kB more than it has. It has run the same before, so that its stack has the size that it needs.
SKIP:
{
    skip 'no prlimit', 1 if !grep { -x "$_/prlimit" } split /:/, $ENV{PATH};
    skip 'a sanitizer maps more memory than can be limited', 1 if sql(q(SELECT pg_read_file('/proc/self/status') ~ 'VmSize:\s*\d{9,} kB')) eq 't';
    for my $statement (@statements)
    {
        my $limits = '';
        sql('TRUNCATE states');
        for my $kb (0, 800, 1500, 40000)
        {
            my $out = (session($node, $db, "SELECT pg_backend_pid() AS pid \\gset\n\\setenv PID :pid\n" . transaction($statement) .
                        "DELETE FROM t WHERE id > 300; TRUNCATE states;\n" .
                        "\\! prlimit --pid \$PID --as=\$(( (\$(awk '/^VmSize/ { print \$2 }' /proc/\$PID/status) + $kb) * 1024 )): || echo no limit\n" .
                        transaction($statement) .
                        "\\! prlimit --pid \$PID --as=unlimited: || echo no limit\n" .
                        "SELECT state, at_end FROM states; $later"))[0];
            unlike($out, qr/no limit/, "$kb kB: the limit is set and removed");
            $limits .= " $kb kB: " . join(' ', split /\n/, $out);
            sql("INSERT INTO t SELECT id, tight(id, 16) FROM generate_series(1001, 1080) id") if sql('SELECT count(*) FROM t WHERE id BETWEEN 1001 AND 1080') == 0;
            verify("out of memory with $kb kB: $statement");
        }
        note($limits);
        like($limits, qr/53200\|t/, "out of memory in the flush: $statement") if $gathers;
        like($limits, qr/no\|/, "enough memory: $statement");
    }
}

# ---------------------------------------------------------------- the end of transactions

sql('CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.id = -20 THEN RAISE USING ERRCODE = \'U0001\'; END IF; RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()');
is(sqlstate($node, $db, "BEGIN; INSERT INTO t SELECT * FROM many; COMMIT; $later"), 'U0001', 'a deferred trigger fails at COMMIT');
verify('a deferred trigger');
sql('DROP TRIGGER refuse ON t');

sql(qq{BEGIN; SAVEPOINT s; INSERT INTO t SELECT * FROM many; ROLLBACK TO s; INSERT INTO t SELECT id, tight(id, 16) FROM generate_series(1001, 1080) id; PREPARE TRANSACTION 'stays';
    BEGIN; INSERT INTO t SELECT * FROM many; PREPARE TRANSACTION 'goes'; $later});
is(strangers($node, $db, 't', '<->'), '', 'nobody sees rows of a prepared transaction');
$node->stop('immediate');
$node->start;
sql('VACUUM (INDEX_CLEANUP ON) t');
sql(q{COMMIT PREPARED 'stays'});
sql(q{ROLLBACK PREPARED 'goes'});
verify('prepared transactions, a crash and a vacuum');

# ---------------------------------------------------------------- ON CONFLICT, side by side

# A row of one of two sessions is taken back after it was put into the hnsw index, which is older than the unique one.
for my $m (2, 16)
{
    sql("DROP TABLE IF EXISTS u; CREATE TABLE u (id bigint, v vector(16), hits int DEFAULT 1);
        CREATE INDEX u_v ON u USING hnsw (v vector_l2_ops) WITH (m = $m, ef_construction = 32); CREATE UNIQUE INDEX u_id ON u (id)");
    my ($clients, $transactions, $rows, $keys) = (4, 30, 25, 400);
    my $any     = "\\set n random(1, 1000000000)\n\\set first random(1, " . ($keys - $rows + 1) . ")\n";
    my $source  = "FROM generate_series(:first, :first + $rows - 1) id";
    my $nothing = write_script($dir, "nothing$m", "${any}INSERT INTO u SELECT id, tight(id, 16) $source ON CONFLICT DO NOTHING;");
    my $update  = write_script($dir, "update$m", "${any}INSERT INTO u SELECT id, tight(id + :n, 16) $source ON CONFLICT (id) DO UPDATE SET v = excluded.v, hits = u.hits + 1;");
    my $delete  = write_script($dir, "delete$m", "${any}DELETE FROM u WHERE id = :first;");
    my $vacuum  = write_script($dir, "vacuum_u$m", 'VACUUM (INDEX_CLEANUP ON) u;');

    my $check = sub {
        my ($name) = @_;
        is(sql('SELECT count(*) - count(DISTINCT id) FROM u'), 0, "m = $m, $name: no row twice");
        is(index_errors($node, $db, 'u_v', 1), '', "m = $m, $name: nothing is wrong with the index");
        is(strangers($node, $db, 'u', '<->'), '', "m = $m, $name: the index has every row once and no other");
        # of less than 1,000 nodes
        sql('VACUUM (INDEX_CLEANUP ON) u');
        is(index_problems($node, $db, 'u_v', 1), '', "m = $m, $name: vacuum leaves nothing");
        is(sql("SELECT dead_nodes FROM hnsw_index_info('u_v')"), 0, "m = $m, $name: nor a dead node");
        is(unreached($node, $db, 'u', '<->'), '', "m = $m, $name: every row is found by its own vector");
    };
    is(finish(start_clients($node, $db, $clients, $transactions, $nothing)), '', "m = $m, DO NOTHING: no error");
    is(sql('SELECT count(*) FROM u WHERE v <> tight(id, 16) OR hits <> 1'), 0, "m = $m, DO NOTHING: no row is changed");
    sql("INSERT INTO u SELECT id, tight(id, 16) FROM generate_series(1, $keys) id ON CONFLICT DO NOTHING");
    is(sql('SELECT count(*) FROM u'), $keys, "m = $m, DO NOTHING: all rows are there");
    $check->('DO NOTHING');
    sql('TRUNCATE u');
    is(finish(start_clients($node, $db, $clients, $transactions, $update)), '', "m = $m, DO UPDATE: no error");
    is(sql('SELECT sum(hits) FROM u'), $clients * $transactions * $rows, "m = $m, DO UPDATE: no row is lost");
    $check->('DO UPDATE');
    my $vacuumer = start_clients($node, $db, 1, 15, $vacuum);
    my $writers = start_clients($node, $db, $clients, $transactions, $nothing, $update, "$delete\@4");
    is(finish($writers) . finish($vacuumer), '', "m = $m, with DELETE and VACUUM: no error");
    $check->('with DELETE and VACUUM');
}

is(errors_in_log($node, 0, qr/canceling statement|out of memory|timeout|cannot insert further rows|ERROR:  +U0001|terminating connection|database system|not yet accepting|PL\/pgSQL|shut down|Failed on request|ERROR: *$/), '', 'no other error in the log');
$node->stop;
done_testing();
