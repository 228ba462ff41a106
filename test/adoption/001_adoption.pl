# A live database of pgvector's becomes omendb's and goes back. Needs pgvector and
# `make install-adoption`: TESTS=adoption.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../t/lib";
use OmendbTest;

use PostgreSQL::Test::Utils;
use Test::More;

my $here = $FindBin::RealBin;
my $node = start_node('adoption', "wal_level = logical\nmax_wal_senders = 5");

sub new_database
{
    my ($name, @template) = @_;
    $node->safe_psql('postgres', "CREATE DATABASE $name" . (@template ? " TEMPLATE $template[0]" : ''));
    return $name;
}

sub digest
{
    my ($db) = @_;
    return $node->safe_psql($db, slurp_file("$here/digest.sql"));
}

# Rows of a catalog that are the extension's, as text.
sub members
{
    my ($db, $catalog, $columns) = @_;
    return $node->safe_psql($db, "SELECT $columns FROM $catalog c JOIN pg_depend d ON d.classid = '$catalog'::regclass AND d.objid = c.oid AND d.deptype = 'e'
        JOIN pg_extension x ON x.oid = d.refobjid AND x.extname = 'vector' ORDER BY c.oid");
}
my $functions = "c.oid, oid::regprocedure, probin, prosrc, provolatile, proisstrict, proparallel, proretset, prorettype::regtype, proowner, proacl, procost, proconfig";
$functions =~ s/\boid::/c.oid::/;

# (stdout, stderr), with hints and details
sub talk
{
    my ($db, $sql) = @_;
    my ($stdout, $stderr) = ('', '');
    $node->psql($db, $sql, stdout => \$stdout, stderr => \$stderr, on_error_stop => 0, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
    return ($stdout, $stderr);
}

my $indexes = 'SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
    WHERE amname IN (\'hnsw\', \'ivfflat\') AND relkind = \'i\'';
my $adopt   = doc_sql('from-pgvector.md', 'in place');
my $rebuild = doc_sql('from-pgvector.md', 'rebuild');
my $return  = doc_sql('from-pgvector.md', 'back');
my $nearest = 'SET enable_seqscan = off; SET enable_sort = off; SELECT id FROM items ORDER BY e <-> (SELECT e FROM items WHERE id = 7) LIMIT 1';

# ---------------------------------------------------------------- before

new_database('live');
$node->safe_psql('live', slurp_file("$here/live.sql"));
my $before   = digest('live');
my %members = map { $_->[0] => members('live', @$_) } [ 'pg_proc', $functions ], [ 'pg_operator', 'c.*' ], [ 'pg_type', 'c.*' ], [ 'pg_opclass', 'c.*' ], [ 'pg_cast', 'c.*' ], [ 'pg_am', 'c.*' ];
my $version = $node->safe_psql('live', "SELECT extversion FROM pg_extension WHERE extname = 'vector'");
diag("pgvector $version");
my $total = $node->safe_psql('live', $indexes);
is($node->safe_psql('live', "$indexes AND indisvalid"), $total, 'all indexes are in use');
like($members{pg_proc}, qr/\$libdir\/vector/, "the functions are pgvector's");
is($node->safe_psql('live', $nearest), 7, 'pgvector searches');

# The digest tells a difference.
new_database('other', 'live');
$node->safe_psql('other', "UPDATE items SET e = l2_normalize(e) WHERE id = 1000");
isnt(digest('other'), $before, 'one changed value is a difference');

# Subscribers, in text and in binary, and sessions that have pgvector's library.
my %binary = (sub => 'false', sub_binary => 'true');
for my $sub (sort keys %binary)
{
    new_database("of_$sub");
    $node->safe_psql("of_$sub", 'CREATE EXTENSION omendb; CREATE TABLE items (id int PRIMARY KEY, category int, e vector(16), h halfvec(16), s sparsevec(16), b bit(16), several vector(4)[], d vector(3));
        CREATE TABLE long (id int PRIMARY KEY, e vector(1536), x sparsevec(100000)); CREATE INDEX items_e ON items USING hnsw (e vector_l2_ops)');
    $node->safe_psql('live', "SELECT pg_create_logical_replication_slot('$sub', 'pgoutput')");
    $node->safe_psql("of_$sub", "CREATE SUBSCRIPTION $sub CONNECTION 'host=" . $node->host . " port=" . $node->port . " dbname=live' PUBLICATION pub WITH (create_slot = false, binary = $binary{$sub})");
    $node->poll_query_until("of_$sub", "SELECT count(*) FILTER (WHERE srsubstate IN ('r', 's')) = 2 FROM pg_subscription_rel") or die "the first copy does not end, $sub";
}
# Changes by pgvector, too.
$node->safe_psql('live', 'INSERT INTO items (id, category, e, h, s, b, several) SELECT id + 7000, category, e + e, h + h, s, ~b, several || several FROM items WHERE id BETWEEN 1 AND 100; UPDATE long SET x = NULL WHERE id > 90');

# All rows of both tables.
sub rows
{
    my ($db) = @_;
    return $node->safe_psql($db, q{SELECT count(*), md5(string_agg(ROW(id, e, h, s, b, several, d)::text, '|' ORDER BY id)) FROM items; SELECT count(*), md5(string_agg(long::text, '|' ORDER BY id)) FROM long});
}
for my $sub (sort keys %binary)
{
    $node->wait_for_catchup($sub);
    is(rows("of_$sub"), rows('live'), "logical replication from pgvector, binary $binary{$sub}");
}
$node->safe_psql('live', 'DELETE FROM items WHERE id > 7000; UPDATE long SET x = format(\'{%s:1,77777:%s}/100000\', id, id)::sparsevec WHERE id > 90');
my $old = $node->background_psql('live', on_error_stop => 0);
# Else it has to do all that follows within three minutes.
$old->set_query_timer_restart;
$old->query_safe($nearest);
$old->query_safe('PREPARE search AS SELECT id FROM items ORDER BY e <-> (SELECT e FROM items WHERE id = 7) LIMIT 1; SET plan_cache_mode = force_generic_plan');
is($old->query_safe('EXECUTE search'), 7, 'a prepared search');

# ---------------------------------------------------------------- adoption

is(sqlstate($node, 'live', "BEGIN; ALTER EXTENSION vector UPDATE TO 'omendb'; ROLLBACK"), '', 'adoption that is rolled back');
is(members('live', 'pg_proc', $functions), $members{pg_proc}, 'leaves nothing');
is($node->safe_psql('live', "$indexes AND indisvalid"), $total, 'not even of the indexes');

my (undef, $said) = talk('live', $adopt);
like($said, qr/WARNING: .*\b$total hnsw and ivfflat indexes are out of use until REINDEX/, 'adoption says how many indexes there are');
like($said, qr/HINT: .*hnsw_reindex_commands\(\)/, 'and how to rebuild them');
unlike($said, qr/ERROR/, 'and nothing else');
is($node->safe_psql('live', "SELECT extversion FROM pg_extension WHERE extname = 'vector'"), 'omendb', 'the version');

unlike(members('live', 'pg_proc', $functions), qr/\$libdir\/vector/, "no function is pgvector's");
is(members('live', $_->[0], $_->[1]), $members{ $_->[0] }, "$_->[0]: as it was") for [ 'pg_operator', 'c.*' ], [ 'pg_type', 'c.*' ], [ 'pg_opclass', 'c.*' ], [ 'pg_cast', 'c.*' ], [ 'pg_am', 'c.*' ];
{
    # Of the functions that were there only the library and the symbol are others.
    my %now = map { /^(\d+)\|/ => [ split /\|/ ] } split /\n/, members('live', 'pg_proc', $functions);
    my @changed;
    for my $row (map { [ split /\|/ ] } split /\n/, $members{pg_proc})
    {
        my $new = $now{ $row->[0] } // [];
        push @changed, $row->[1] if join('|', map { $_ // '' } @$row[ 0, 1, 4 .. 12 ]) ne join('|', map { $_ // '' } @$new[ 0, 1, 4 .. 12 ]);
    }
    is("@changed", '', 'functions keep number, name, attributes, owner and rights');
}

is(digest('live'), $before, 'all values, views, functions and exact results are the same');
is($node->safe_psql('live', "$indexes AND (indisvalid OR indisready)"), 0, 'no index is in use');

# At once everything but the indexes goes on.
$node->safe_psql('live', q{
    INSERT INTO items (id, category, e, h, s, b) SELECT id + 5000, category, e, h, s, b FROM items WHERE id BETWEEN 1 AND 50;
    UPDATE items SET e = l2_normalize(e) WHERE id > 5025; DELETE FROM items WHERE id = 5001;
    INSERT INTO part VALUES (501, '[1,1,1]'); INSERT INTO more (id, em) VALUES (3, '[7,8,9]'); REFRESH MATERIALIZED VIEW mv;
    INSERT INTO long SELECT 101, e, x FROM long WHERE id = 1; DELETE FROM long WHERE id = 101;
    ALTER TABLE items ADD COLUMN later vector(2); ALTER TABLE items DROP COLUMN later});
my $added = $node->safe_psql('live', 'SELECT count(*) FROM items WHERE id > 5000; SELECT id FROM items ORDER BY e <-> (SELECT e FROM items WHERE id = 5030), id LIMIT 1');
is($added, "49\n5030", 'changes are there');
$node->safe_psql('live', 'DELETE FROM items WHERE id > 5000');
$node->safe_psql('live', 'VACUUM ANALYZE');
is($node->safe_psql('live', 'SELECT id FROM items WHERE id < 5000 ORDER BY e <-> (SELECT e FROM items WHERE id = 7) LIMIT 1'), 7, 'exact search');
is(digest('live'), $before, 'still the same');

# Sessions from before are told, or are right.
for my $sql ('EXECUTE search', 'SELECT id FROM items WHERE id < 5000 ORDER BY e <-> (SELECT e FROM items WHERE id = 7) LIMIT 1')
{
    $old->{stderr} = '';
    my $answer = $old->query($sql) // '';
    ok($answer eq '7' || $old->{stderr} =~ /ERROR: /, "a session from before: $sql") or diag("$answer, $old->{stderr}");
    unlike($old->{stderr}, qr/terminated|closed the connection/, 'lives on');
    unlike($old->{stderr}, qr/ERROR: .*already defined(?!.*HINT:  Reconnect)/s, 'an error says what to do');
}
$old->quit;

# ---------------------------------------------------------------- pages of pgvector's

# Were such an index in use, it would not be read.
for my $index ('e_l2', 'flat_l2', 'b_hamming')
{
    my $set = sub { $node->safe_psql('live', "UPDATE pg_index SET indisvalid = $_[0], indisready = $_[0] WHERE indexrelid = '$index'::regclass") };
    my $column = $index =~ /^b/ ? "b <~> '1010101010101010'" : "e <-> (SELECT e FROM items WHERE id = 7)";
    $set->('true');
    for my $case ([ search => "SET enable_seqscan = off; SELECT id FROM items ORDER BY $column LIMIT 1" ], [ insert => 'INSERT INTO items SELECT 9999, category, e, h, s, b FROM items WHERE id = 1' ],
        [ vacuum => 'VACUUM items' ], [ check => "SELECT * FROM hnsw_index_check('$index')" ], [ info => "SELECT * FROM hnsw_index_info('$index')" ])
    {
        my ($name, $sql) = @$case;
        # Dead rows, or VACUUM would not look at indexes.
        $node->safe_psql('live', "UPDATE pg_index SET indisready = false WHERE indexrelid = '$index'::regclass; BEGIN; INSERT INTO items SELECT 9999, category, e, h, s, b FROM items WHERE id = 1; ROLLBACK;
            UPDATE pg_index SET indisready = true WHERE indexrelid = '$index'::regclass") if $name eq 'vacuum';
        (undef, $said) = talk('live', $sql);
        like($said, qr/ERROR:  55000: index "$index" was built by pgvector/, "$index, $name: refused");
        like($said, qr/HINT:  Run REINDEX INDEX CONCURRENTLY public\.$index\./, 'with the command');
    }
    $set->('false');
}

# ---------------------------------------------------------------- REINDEX

my $commands = $node->safe_psql('live', 'SELECT count(*) FROM hnsw_reindex_commands()');
# REFRESH MATERIALIZED VIEW has made its index anew.
my $to_rebuild = $total - 1;
is($commands, $to_rebuild, 'a command for each index');
my ($rebuilt, $progress) = ('', '');
$node->psql('live', $rebuild, stdout => \$rebuilt, stderr => \$progress, on_error_stop => 0);
unlike($progress, qr/ERROR/, 'all are rebuilt');
is(() = $progress =~ /INFO: .*was reindexed/g, $to_rebuild, 'which says each');
is(() = $progress =~ /NOTICE: .*"flat_\w+" becomes an hnsw graph/g, 7, 'and that there is no ivfflat') or diag($progress);
is($node->safe_psql('live', "SELECT indexrelid::regclass FROM pg_index WHERE NOT indisvalid"), '', 'all are in use');
is($node->safe_psql('live', 'SELECT count(*) FROM hnsw_reindex_commands()'), 0, 'nothing is left to rebuild');
is($node->safe_psql('live', "SELECT i.oid::regclass, p.problem FROM (SELECT c.oid FROM pg_class c JOIN pg_am a ON a.oid = c.relam JOIN pg_index i ON i.indexrelid = c.oid AND indisvalid
    WHERE amname IN ('hnsw', 'ivfflat') AND relkind = 'i' OFFSET 0) i, hnsw_index_check(i.oid, true) p"), '', 'hnsw_index_check finds nothing wrong');
is($node->safe_psql('live', "SELECT oid::regclass FROM (SELECT c.oid FROM pg_class c JOIN pg_am a ON a.oid = c.relam JOIN pg_index i ON i.indexrelid = c.oid AND indisvalid AND indrelid = 'items'::regclass
    WHERE amname IN ('hnsw', 'ivfflat') AND relname <> 'e_l1' OFFSET 0) i WHERE hnsw_recall(oid, 50) < .9"), '', 'each finds its rows');
is($node->safe_psql('live', $nearest), 7, 'omendb searches');
like($node->safe_psql('live', "SET enable_seqscan = off; EXPLAIN SELECT id FROM items ORDER BY h <=> '[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]' LIMIT 1"), qr/HnswScan.*flat_h_cosine/s, 'by the name ivfflat, too');
is($node->safe_psql('live', "SELECT m, ef_construction FROM hnsw_index_info('e_cosine')"), '8|32', 'options are kept');
is(sqlstate($node, 'live', "SET ivfflat.probes = 5; SET hnsw.ef_search = 100; $nearest"), '', 'settings are taken');
is(digest('live'), $before, 'all is the same');
is($node->safe_psql('live', "SELECT opcname FROM pg_opclass c JOIN pg_am a ON a.oid = opcmethod WHERE amname IN ('hnsw', 'ivfflat') AND NOT amvalidate(c.oid)"), '', 'amvalidate takes the operator classes');
$node->safe_psql('live', 'CREATE TABLE fresh (e vector(3)); CREATE INDEX ON fresh USING ivfflat (e) WITH (lists = 7); INSERT INTO fresh VALUES (\'[1,2,3]\'); DROP TABLE fresh');

# The subscribers have had everything.
$node->safe_psql('live', 'INSERT INTO items (id, category, e) SELECT 6000, 1, e FROM items WHERE id = 3');
for my $sub (sort keys %binary)
{
    $node->wait_for_catchup($sub);
    is(rows("of_$sub"), rows('live'), "logical replication goes on, binary $binary{$sub}");
    is($node->safe_psql("of_$sub", "SELECT * FROM hnsw_index_check('items_e', true)"), '', "the subscriber's index is whole, binary $binary{$sub}");
    $node->safe_psql("of_$sub", "DROP SUBSCRIPTION $sub");
}
$node->safe_psql('live', 'DELETE FROM items WHERE id > 5000');

# ---------------------------------------------------------------- dump and restore

my $dir = scratch_dir();
$node->command_ok([ 'pg_dump', '-f', "$dir/dump", $node->connstr('live') ], 'dump of the adopted database');
new_database('as_pgvector');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/dump", $node->connstr('as_pgvector') ], 'restore into pgvector');
(my $same = $before) =~ s/^definitions\|.*$//m;
(my $got = digest('as_pgvector')) =~ s/^definitions\|.*$//m;
is($got, $same, 'the same there');
is($node->safe_psql('as_pgvector', $nearest), 7, 'and pgvector searches');
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/archive", $node->connstr('live') ], 'an archive of it');
new_database('restored');
$node->command_ok([ 'pg_restore', '-e', '-j', '2', '-d', $node->connstr('restored'), "$dir/archive" ], 'pg_restore, two jobs');
($got = digest('restored')) =~ s/^definitions\|.*$//m;
is($got, $same, 'the same there');
is($node->safe_psql('restored', "$indexes AND indisvalid"), $total, 'with all indexes');
# What was restored can be adopted as well.
is(sqlstate($node, 'restored', "SET client_min_messages = error; ALTER EXTENSION vector UPDATE TO 'omendb'"), '', 'which is adopted in its turn');
$node->safe_psql('restored', $rebuild);
is($node->safe_psql('restored', $nearest), 7, 'and searched');
{
    (my $dump = slurp_file("$dir/dump")) =~ s/(EXTENSION (?:IF NOT EXISTS )?)vector\b/$1omendb/g;
    append_to_file("$dir/omendb", $dump);
    new_database('as_omendb');
    my ($out, $err) = ('', '');
    IPC::Run::run([ 'psql', '-Xq', '-f', "$dir/omendb", $node->connstr('as_omendb') ], '>', \$out, '2>', \$err);
    is_deeply([ grep { /ERROR/ } split /\n/, $err ], [], 'restore into omendb');
    ($got = digest('as_omendb')) =~ s/^definitions\|.*$//m;
    is($got, $same, 'the same there');
}

# ---------------------------------------------------------------- and back

(undef, $said) = talk('live', 'ALTER EXTENSION vector UPDATE');
like($said, qr/ERROR:  55000: extension "vector" is omendb in this database/, 'a plain UPDATE does not go back unasked');
like($said, qr/HINT:  SET vector\.return_to_pgvector = on/, 'and says how to');
$return =~ s/UPDATE TO '\K[\d.]+/$version/ or die;
(undef, $said) = talk('live', $return);
like($said, qr/WARNING: .*\b$total hnsw and ivfflat indexes are out of use until REINDEX/, 'on request it does');
is(members('live', 'pg_proc', $functions), $members{pg_proc}, 'every function is as it was');
is(members('live', $_->[0], $_->[1]), $members{ $_->[0] }, "$_->[0]: as it was") for [ 'pg_operator', 'c.*' ], [ 'pg_type', 'c.*' ], [ 'pg_opclass', 'c.*' ], [ 'pg_cast', 'c.*' ], [ 'pg_am', 'c.*' ];
is($node->safe_psql('live', "$indexes AND (indisvalid OR indisready)"), 0, "no index of omendb's is in use");
($got = digest('live')) =~ s/^definitions\|.*$//m;
is($got, $same, 'the same as at first');
$node->safe_psql('live', 'VACUUM');
is(sqlstate($node, 'live', "SET client_min_messages = warning; REINDEX DATABASE live"), '', 'pgvector rebuilds the indexes');
is($node->safe_psql('live', "$indexes AND indisvalid"), $total, 'all are in use');
is($node->safe_psql('live', $nearest), 7, 'pgvector searches again');

# Once more, from the version before, which has the same objects.
if ($version =~ /^0\.8\.([1-9]\d*)$/)
{
    my $earlier = '0.8.' . ($1 - 1);
    $node->safe_psql('live', "UPDATE pg_extension SET extversion = '$earlier' WHERE extname = 'vector'");
}
is(sqlstate($node, 'live', "ALTER EXTENSION vector UPDATE TO 'omendb'"), '', 'from an older version');
$node->psql('live', $rebuild, stdout => \$rebuilt, stderr => \$progress, on_error_stop => 0);
is($node->safe_psql('live', "$indexes AND NOT indisvalid"), 0, 'all are rebuilt');
is($node->safe_psql('live', $nearest), 7, 'omendb searches');

# ---------------------------------------------------------------- where it cannot be, and is told

new_database('edges', 'other');
$node->safe_psql('postgres', "ALTER DATABASE edges SET session_preload_libraries = $_"), like((talk('edges', $adopt))[1],
    qr/ERROR:  55000: pgvector's library is in "session_preload_libraries"\nHINT:  Take "vector" out/, "sessions that load pgvector by themselves: $_")
    for 'vector', q{'$libdir/vector'}, 'pg_stat_statements, vector';
$node->safe_psql('postgres', 'ALTER DATABASE edges RESET ALL');

# What a temporary table of another session has is that session's to rebuild.
my $owner = $node->background_psql('edges');
$owner->query_safe('CREATE TEMPORARY TABLE temporary AS SELECT e FROM items; CREATE INDEX ON temporary USING hnsw (e vector_l2_ops)');
# A function of that name that is not omendb's.
$node->safe_psql('edges', "CREATE FUNCTION rrf(int, int) RETURNS int LANGUAGE sql AS 'SELECT 1'");
is(sqlstate($node, 'edges', $adopt), '', 'adoption beside them');
unlike($node->safe_psql('edges', 'SELECT command FROM hnsw_reindex_commands()'), qr/temporary/, 'no command for an index that it cannot rebuild');
$owner->quit;

# A session cannot define the settings twice.
$node->safe_psql('edges', 'REINDEX INDEX e_l2');
(undef, $said) = talk('edges', "$nearest; $return");
like($said, qr/ERROR:  55000: an index of omendb was used in this session\nHINT:  Go back in a new session/, 'back in a session that used omendb');
is(sqlstate($node, 'edges', $return), '', 'in a new one');
is($node->safe_psql('edges', 'SELECT rrf(1, 60)'), 1, "the user's function is still there");

# ---------------------------------------------------------------- the extension as a whole

new_database('dropping', 'other');
$node->safe_psql('dropping', "ALTER EXTENSION vector UPDATE TO 'omendb'");
is(sqlstate($node, 'dropping', 'DROP EXTENSION vector'), '2BP01', 'columns keep it');
$node->safe_psql('dropping', 'DROP EXTENSION vector CASCADE');
is($node->safe_psql('dropping', "SELECT count(*) FROM pg_proc WHERE probin LIKE '%omendb' OR probin LIKE '%vector'"), 0, 'DROP leaves nothing');
$node->safe_psql('dropping', 'CREATE EXTENSION omendb');
for my $sql ('CREATE EXTENSION omendb', 'CREATE SCHEMA z; CREATE EXTENSION omendb SCHEMA z')
{
    (undef, $said) = talk('other', $sql);
    like($said, qr/ERROR:  42710: .*\nHINT:  If they are pgvector's, ALTER EXTENSION vector UPDATE TO 'omendb'/, "beside pgvector in one database: $sql");
    cmp_ok(length $said, '<', 5000, 'without the whole script');
}

$node->stop;
unlike(slurp_file($node->logfile), qr/TRAP:|was terminated by signal|PANIC/, 'the server did not crash');
done_testing();
